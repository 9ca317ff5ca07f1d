"""Strengths that are placed near KL budgets, in rounds."""
