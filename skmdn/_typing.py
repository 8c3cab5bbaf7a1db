# SPDX-License-Identifier: BSD-3-Clause
"""Names for the types of the public signatures."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Seed = int | np.random.RandomState | None
