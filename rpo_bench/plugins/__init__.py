"""Code that users bring: tried in a child process, then imported."""
