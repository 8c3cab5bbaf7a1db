# SPDX-License-Identifier: BSD-3-Clause
"""A compiled loop around the scalar log-density of a family of components."""

from skmdn._jit.policy import compiled
from skmdn._jit.vector import wide_vectors


def standard_loop(family):
    """Compile ``loop(z, value, slope)`` for components of location 0 and scale 1.

    It fills in the log-density at z and its derivative, all float64 of shape (n,).
    """
    log_density, constant = family.log_density, family.log_normaliser

    def standard(z, value, slope):
        wide_vectors()
        for i in range(z.size):
            log_f, by_location, _ = log_density(z[i], 1.0)
            value[i] = log_f - constant
            slope[i] = -by_location

    standard.__qualname__ = f"standard_{family.name}"
    # The stamp on the cache is that of the package's own sources.
    own = log_density.__module__.startswith("skmdn.")
    return compiled(standard, cached=own)
