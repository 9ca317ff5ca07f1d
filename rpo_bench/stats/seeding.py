"""Random generators that belong to what is being estimated."""

import numpy as np

from rpo_bench.files.hashing import hash_json


def generator(*identity: str | int) -> np.random.Generator:
    """A generator seeded by an identity, such as (a cell's hash, a metric's name)."""
    return np.random.default_rng(int(hash_json(list(identity)), 16))
