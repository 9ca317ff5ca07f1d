"""Compares stored results: which are comparable, on which metrics, and whether they differ."""
