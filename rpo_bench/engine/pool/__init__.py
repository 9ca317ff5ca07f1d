"""Jobs given to worker processes."""
