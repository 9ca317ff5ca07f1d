"""What answers a judge's questions: a server, a local model, a Python function, the gold reward."""
