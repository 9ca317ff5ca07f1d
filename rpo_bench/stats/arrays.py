"""The types of the arrays that statistics are computed on; docstrings say their shapes."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
