# SPDX-License-Identifier: BSD-3-Clause
"""The kernels of a variant, for a target."""

from functools import lru_cache

from skmdn._engine import streams
from skmdn._engine.activations import ACTIVATIONS
from skmdn._engine.cuda import fit  # noqa: F401 (its kernels are bound)
from skmdn._engine.cuda.primitives import bind, f4


@lru_cache
def make(variant, target):
    """Bind all kernels, a dict by name; `fit` is the entry point of training.

    Parameters
    ----------
    variant : Variant
    target : type
        See `skmdn._engine.cuda.primitives.bind`.
    """
    return bind(
        target,
        elementwise={
            **streams.SCALAR,
            "activation": ACTIVATIONS[variant.activation],
            "log_density": variant.family.log_density,
        },
        LOG_NORMALISER=f4(variant.family.log_normaliser),
        ROWS=variant.rows,
        LOG_ROWS=variant.rows.bit_length() - 1,
        STRIDE=variant.stride,
        SHARED_WEIGHTS=variant.shared_weights,
        SHARED_GRADIENTS=variant.shared_gradients,
        HAS_MEMBERS=variant.has_members,
    )
