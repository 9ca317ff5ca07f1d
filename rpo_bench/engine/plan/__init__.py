"""The cells of a run, their jobs, and their estimated cost."""
