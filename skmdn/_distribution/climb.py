# SPDX-License-Identifier: BSD-3-Clause
"""Modes of several outputs, row by row."""

import numpy as np

from skmdn._distribution.ascent import modes_by_ascent
from skmdn._distribution.kernels import climb
from skmdn._distribution.summits import modes_of_correlated


def modes_in_space(dist):
    """Modes of every row.

    Returns
    -------
    locations : list of ndarray of shape (n_modes, D), highest first
    densities, masses : list of ndarray of shape (n_modes,)
        The mass of a mode is the weight of the components whose means climb to it.
    """
    if dist.family != "gaussian":
        return modes_by_ascent(dist)
    if dist._factors is not None:
        return modes_of_correlated(dist)
    weights, means, scales = dist._with_axis_of_outputs()
    n_components, n_outputs = means.shape[1:]
    n_paired = min(n_components, climb.N_PAIRED)
    n_starts = n_components + climb.N_ALONG * n_paired * (n_paired - 1) // 2
    padded = -(-n_components // climb.LANES) * climb.LANES
    n_sums = 1 + 2 * n_outputs + n_outputs * (n_outputs + 1) // 2
    scratch = (
        np.empty((1 + 2 * n_outputs, padded)),
        np.empty((2, padded)),
        np.empty((n_sums, climb.LANES)),
        np.empty((n_outputs, climb.LANES)),
        np.empty((6, n_outputs)),
        np.empty((n_outputs, n_outputs)),
        np.empty(n_components, dtype=np.int64),
    )
    modes = np.empty((n_starts, n_outputs + 3))
    scales = np.ascontiguousarray(scales)
    found = [
        _sorted(modes[: climb.find_modes(*row, *scratch, modes)])
        for row in zip(weights, means, scales, strict=True)
    ]
    return tuple([row[part] for row in found] for part in range(3))


def _sorted(modes):
    """Take the modes of a row apart, highest first."""
    modes = modes[np.argsort(-modes[:, -3], kind="stable")]
    # Saddles, climbed to exactly: give their mass to the highest mode.
    kept = modes[:, -1] == 1
    kept[0] = True
    modes[0, -2] += modes[~kept, -2].sum()
    modes = modes[kept]
    with np.errstate(over="ignore", under="ignore"):
        densities = np.exp(modes[:, -3])
    return modes[:, :-3].copy(), densities, modes[:, -2].copy()
