"""Toxicity: from a word list to a classifier."""
