"""Inputs of a run: base models, rows, prompts, rewards, methods and their strengths."""
