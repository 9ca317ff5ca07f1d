"""Tuning: every method gets the same number of configurations, on prompts that nothing else uses."""
