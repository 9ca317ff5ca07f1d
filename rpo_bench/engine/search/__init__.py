"""Places strengths near KL budgets, from the records so far."""
