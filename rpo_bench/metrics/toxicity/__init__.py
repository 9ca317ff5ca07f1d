"""Toxicity classifiers, from a word list to transformers models."""
