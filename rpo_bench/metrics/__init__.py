"""Metrics on samples, one file per family."""
