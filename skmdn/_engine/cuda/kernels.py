# SPDX-License-Identifier: BSD-3-Clause
"""The kernels of a variant, for a target."""

from functools import lru_cache

from skmdn._engine.cuda import fit, large, predict  # noqa: F401 (their kernels are bound)
from skmdn._engine.cuda.primitives import bind


@lru_cache
def make(variant, target):
    """Bind all kernels, a dict by name.

    Parameters
    ----------
    variant : Variant or PredictVariant
        It has the functions and the constants that kernels are made with.
    target : type
        See `skmdn._engine.cuda.primitives.bind`.
    """
    return bind(target, elementwise=variant.functions, **variant.constants)
