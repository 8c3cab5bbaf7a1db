# SPDX-License-Identifier: BSD-3-Clause
"""Gaussian components: log p(y) = -z^2 / 2 - log scale - log(2 pi) / 2.

References
----------
C. M. Bishop, Mixture density networks, technical report NCRG/94/004, 1994, equation 23.
"""

import math

from scipy import stats

from skmdn._families.base import Family
from skmdn._jit.policy import loop_helper
from skmdn._jit.vector import log


@loop_helper
def log_density(distance, precision):
    """Log-density without its constant, and derivatives, see `Family`."""
    kind = type(distance)
    square = distance * distance * precision
    value = kind(0.5) * (log(precision) - square)
    return value, distance * precision, square - kind(1)


GAUSSIAN = Family("gaussian", log_density, 0.5 * math.log(2 * math.pi), stats.norm)
