"""Reach a number from three others, each used once: an expression is the answer."""
