# SPDX-License-Identifier: BSD-3-Clause
"""Classic problems for conditional densities, with the truth attached.

Every function draws ``(X, y)`` like scikit-learn's ``make_*`` generators. With
``return_density=True`` it also returns ``logpdf``, a function of ``(X, y)`` that gives
the true conditional log-density of every row in nats: no model can have a greater
expected log-likelihood on new data.
"""

from skmdn.datasets._correlated import make_correlated
from skmdn.datasets._inverse import (
    make_bishop_inverse,
    make_flipped_wave,
    make_inverse_sine,
)
from skmdn.datasets._simulators import (
    make_atoms,
    make_bimodal,
    make_heavy_tailed,
    make_heteroscedastic,
    make_interactions,
    make_skewed,
)

__all__ = [
    "make_atoms",
    "make_bimodal",
    "make_bishop_inverse",
    "make_correlated",
    "make_flipped_wave",
    "make_heavy_tailed",
    "make_heteroscedastic",
    "make_interactions",
    "make_inverse_sine",
    "make_skewed",
]
