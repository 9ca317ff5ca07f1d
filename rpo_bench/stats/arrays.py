"""The type of the arrays that statistics are computed on; docstrings say their shapes."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
