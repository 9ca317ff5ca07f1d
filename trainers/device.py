"""Where models run: the one decision that everything else follows."""

import torch


def process_device() -> torch.device:
    """The GPU that this process sees (its first, where it sees several), else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
