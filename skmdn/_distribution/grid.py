# SPDX-License-Identifier: BSD-3-Clause
"""Points on the line at which a mixture is looked at, fit to every component."""

import numpy as np


def dyadic_grid(means, scales, spacing, reach):
    """Points about `spacing` scales apart, up to `reach` scales from every mean.

    Components have their points at multiples of a power of two near their scale: those
    of hundreds of components coincide, and the wide ones' are among the narrow ones'.

    Parameters
    ----------
    means, scales : ndarray of shape (n, K)
    spacing : float
        Between spacing / sqrt(2) and spacing * sqrt(2) is kept; a power of two.
    reach : float

    Returns
    -------
    points : ndarray of shape (n, m)
        Increasing; rows with fewer points repeat their last one.
    """
    # Points closer together than float64 numbers near the mean would all be the same.
    scales = np.maximum(scales, np.spacing(np.abs(means)))
    unit = spacing * 2.0 ** np.round(np.log2(scales))
    first = np.floor((means - reach * scales) / unit)
    last = np.ceil((means + reach * scales) / unit)
    steps = np.arange(int((last - first).max()) + 1)
    places = np.minimum(first[:, :, None] + steps, last[:, :, None]) * unit[:, :, None]
    return distinct(places.reshape(len(means), -1))


def distinct(places):
    """Increasing numbers of every row; rows with fewer repeat their last one."""
    places = np.sort(places, axis=1)
    is_new = np.ones(places.shape, dtype=bool)
    is_new[:, 1:] = places[:, 1:] > places[:, :-1]
    number = np.cumsum(is_new, axis=1) - 1
    points = np.repeat(places[:, -1:], number[:, -1].max(initial=0) + 1, axis=1)
    rows, columns = np.nonzero(is_new)
    points[rows, number[rows, columns]] = places[rows, columns]
    return points


def grid_size(n_components, spacing, reach):
    """Points of a row before those that coincide are merged, at most."""
    return n_components * int(2 * np.sqrt(2) * reach / spacing + 3)
