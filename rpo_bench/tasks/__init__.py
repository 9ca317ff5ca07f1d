"""Tasks: prompts, rows, rewards and oracle files."""
