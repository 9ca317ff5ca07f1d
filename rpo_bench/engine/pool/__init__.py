"""Runs jobs on a pool of worker processes."""
