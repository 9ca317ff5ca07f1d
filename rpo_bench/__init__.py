"""RPO-Bench: which training objective buys the most reward per nat of KL, and at what cost."""

__version__ = "0.1.0"
