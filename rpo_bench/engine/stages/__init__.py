"""The stages of a cell: train, generate, score, judge."""
