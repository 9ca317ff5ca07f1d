"""The cells of a run, the jobs they need, and what they will cost."""
