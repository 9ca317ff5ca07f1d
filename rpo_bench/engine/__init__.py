"""Planning a run, executing it in worker processes and storing its results."""
