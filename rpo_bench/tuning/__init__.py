"""Tuning with the same number of configurations for every method, on separate tuning prompts."""
