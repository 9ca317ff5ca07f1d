"""Short question answering in plain English, a world whose truth is known."""
