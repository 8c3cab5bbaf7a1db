# SPDX-License-Identifier: BSD-3-Clause
"""Robust statistics of columns, weighted: one gross outlier does not move them.

They are finite for whatever finite data comes in.
"""

import numpy as np

# Ratio of the interquartile range of a normal distribution to its standard deviation.
NORMAL_IQR = 1.349


def weighted_quantile(a, q, sample_weight, order=None):
    """Quantiles along the first axis: the inverse of the weighted empirical cdf.

    Where the cdf is flat at `q`, the middle of the flat piece (definition 2 of Hyndman
    and Fan, 1996), so that quantiles of ``-a`` are those of ``a`` mirrored. A repeated
    row is the same as a doubled weight, and only ratios of weights matter.

    Parameters
    ----------
    a : ndarray of shape (n_samples,) or (n_samples, n_columns)
    q : array-like of shape (n_quantiles,), in [0, 1]
    sample_weight : ndarray of shape (n_samples,), not negative, not all zero
    order : ndarray of shape (n_samples,), default=None
        ``np.argsort(a, kind="stable")`` of one column, for who has it.

    Returns
    -------
    ndarray of shape (n_quantiles,) or (n_quantiles, n_columns)
    """
    q = np.asarray(q, dtype=float)
    if a.ndim == 2:
        columns = [weighted_quantile(column, q, sample_weight) for column in a.T]
        return np.stack(columns, axis=1)
    if order is None:
        order = np.argsort(a, kind="stable")
    cdf = np.cumsum(sample_weight[order])
    cdf = cdf / cdf[-1]
    # The tolerance absorbs the rounding of the sum: ties stay ties.
    lower = np.searchsorted(cdf, q - 1e-10, side="left")
    upper = np.searchsorted(cdf, q + 1e-10, side="right")
    lower = a[order[np.minimum(lower, len(a) - 1)]]
    upper = a[order[np.minimum(upper, len(a) - 1)]]
    return np.where(lower == upper, lower, 0.5 * lower + 0.5 * upper)


def weighted_std(x, sample_weight):
    """Return the standard deviation, safe from overflow at any magnitude."""
    unit = np.abs(x).max()
    if unit == 0.0:
        return 0.0
    weight = sample_weight / sample_weight.sum()
    x = x / unit
    deviation = x - weight @ x
    # Rounding alone keeps a constant column a few ulp away from its mean.
    if np.abs(deviation).max() <= 8 * np.finfo(float).eps * np.abs(x).min():
        return 0.0
    return float(np.sqrt(weight @ deviation**2) * unit)


def center_and_spread(x, sample_weight):
    """Weighted median and robust standard deviation (0 for a constant column)."""
    low, q1, center, q3, high = weighted_quantile(
        x, [0.01, 0.25, 0.5, 0.75, 0.99], sample_weight
    )
    with np.errstate(over="ignore"):
        iqr = q3 - q1
    # Quartiles that differ by rounding alone are equal.
    if iqr > 8 * np.finfo(float).eps * max(abs(q1), abs(q3)):
        spread = min(weighted_std(x, sample_weight), iqr / NORMAL_IQR)
        return center, spread
    # More than half of the rows are equal: let the others decide, without the extremes.
    spread = weighted_std(np.clip(x, low, high), sample_weight)
    return center, spread if spread > 0 else weighted_std(x, sample_weight)
