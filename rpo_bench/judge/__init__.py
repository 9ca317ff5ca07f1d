"""Pairwise judgements: reading them, and what may be concluded from them."""
