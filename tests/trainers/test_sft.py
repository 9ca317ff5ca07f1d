"""Best-of-k selection."""

import numpy as np

from trainers.examples import Examples
from trainers.sft import SFT


def test_the_best_of_the_first_k_of_every_prompt_is_kept_in_data_order():
    """Prompt 7 has rewards 1, 3, 2 in rows 0, 2, 4; prompt 9 has 5, 0 in rows 1, 3."""
    rows = Examples([[5]] * 5, [[6, 1]] * 5, np.array([1.0, 5.0, 3.0, 0.0, 2.0]), np.array([7, 9, 7, 9, 7]))
    assert SFT(k=1).rows(rows).tolist() == [0, 1]
    assert SFT(k=2).rows(rows).tolist() == [1, 2]
    assert SFT(k=8).rows(rows).tolist() == [1, 2]
