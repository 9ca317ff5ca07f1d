"""Comparing stored results: which may be compared, on what, and what the difference is worth."""
