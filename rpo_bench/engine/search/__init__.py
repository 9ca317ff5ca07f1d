"""Places strengths near KL budgets, in rounds."""
