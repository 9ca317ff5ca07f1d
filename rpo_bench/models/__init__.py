"""Model backends: load, generate, log-probabilities, behind one small protocol."""
