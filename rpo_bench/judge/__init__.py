"""Pairwise judgements: judges, win rates, ratings and judge cards."""
