"""Capability: lm-eval's tasks before and after training, in process, and the alignment tax."""
