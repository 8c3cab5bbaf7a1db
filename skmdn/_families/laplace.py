# SPDX-License-Identifier: BSD-3-Clause
"""Laplace components: log p(y) = -|z| - log scale - log 2."""

import math

from scipy import stats

from skmdn._families.base import Family
from skmdn._jit.policy import loop_helper
from skmdn._jit.vector import log, sqrt


@loop_helper
def log_density(distance, precision):
    """Log-density without its constant, and derivatives, see `Family`."""
    kind = type(distance)
    inverse = sqrt(precision)
    size = abs(distance) * inverse
    value = kind(0.5) * log(precision) - size
    slope = inverse if distance > kind(0) else -inverse
    return value, slope, size - kind(1)


LAPLACE = Family("laplace", log_density, math.log(2), stats.laplace)
