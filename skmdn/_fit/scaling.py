# SPDX-License-Identifier: BSD-3-Clause
"""From the user's units to the network's, and back.

Three things happen before training. Equal rows are merged, so that a weight of two and
a repeated row are the same data. Inputs are centred, scaled and encoded so that
everything the network sees is bounded. Targets are centred and scaled; the logarithm of
that scale is the Jacobian of the density.

All statistics are robust (one gross outlier does not move them), weighted, and finite
for whatever finite data comes in.

References
----------
Gorishniy, Rubachev and Babenko (2022), On Embeddings for Numerical Features in Tabular
Deep Learning, NeurIPS (the piecewise-linear encoding).
Holzmueller, Grinsztajn and Steinwart (2024), Better by Default, NeurIPS (robust scaling
with a smooth clip).
"""

import itertools
from typing import NamedTuple

import numpy as np

# Scaled values are cut here: far outside the data, and safe to square in float32.
LIMIT = 1e6
# Where smooth clipping levels off, in scaled units.
CLIP = 3.0
# Size of an encoded bin relative to a scaled input.
BIN_GAIN = 1.5
# Bins narrower than this, relative to where they lie, are below float32's resolution.
BIN_WIDTH = 1e-4
# Ratio of the interquartile range of a normal distribution to its standard deviation.
NORMAL_IQR = 1.349
# Spread of y below this part of its magnitude cannot be resolved in float64.
RESOLUTION = 1e4 * np.finfo(float).eps
# Squares of the scale must not underflow.
SMALLEST = 1e-150
# Scale of an input that did not vary: it is always scaled to zero.
CONSTANT = np.finfo(float).max


def weighted_quantile(a, q, sample_weight):
    """Quantiles along the first axis: the inverse of the weighted empirical cdf.

    Where the cdf is flat at `q`, the middle of the flat piece (definition 2 of Hyndman
    and Fan, 1996), so that quantiles of ``-a`` are those of ``a`` mirrored. A repeated
    row is the same as a doubled weight, and only ratios of weights matter.

    Parameters
    ----------
    a : ndarray of shape (n_samples,) or (n_samples, n_columns)
    q : array-like of shape (n_quantiles,), in [0, 1]
    sample_weight : ndarray of shape (n_samples,), not negative, not all zero

    Returns
    -------
    ndarray of shape (n_quantiles,) or (n_quantiles, n_columns)
    """
    q = np.asarray(q, dtype=float)
    if a.ndim == 2:
        columns = [weighted_quantile(column, q, sample_weight) for column in a.T]
        return np.stack(columns, axis=1)
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


def _center_and_spread(x, sample_weight):
    """Weighted median and robust standard deviation (0 for a constant column)."""
    low, q1, center, q3, high = weighted_quantile(
        x, [0.01, 0.25, 0.5, 0.75, 0.99], sample_weight
    )
    with np.errstate(over="ignore"):
        iqr = q3 - q1
    if iqr > 0:
        spread = min(weighted_std(x, sample_weight), iqr / NORMAL_IQR)
        return center, spread
    # More than half of the rows are equal: let the others decide, without the extremes.
    spread = weighted_std(np.clip(x, low, high), sample_weight)
    return center, spread if spread > 0 else weighted_std(x, sample_weight)


class InputView(NamedTuple):
    """What the network sees of its inputs: every column bounded.

    The first `n_features` columns are the robustly scaled inputs, smoothly clipped to
    (-3, 3). The others are the piecewise-linear encoding: column ``n_features + i``
    rises over one bin of the input `bin_feature[i]` and is constant outside it.

    Attributes
    ----------
    center, scale : ndarray of shape (n_features,)
        Robust location and scale of the inputs; `CONSTANT` for those without.
    bin_feature : ndarray of shape (n_encoded,), int64
        Input that a bin belongs to.
    bin_slope, bin_intercept, bin_low, bin_high : ndarray of shape (n_encoded,)
        A bin's column is ``clip(slope * x + intercept, low, high)``, x scaled.
    """

    center: np.ndarray
    scale: np.ndarray
    bin_feature: np.ndarray
    bin_slope: np.ndarray
    bin_intercept: np.ndarray
    bin_low: np.ndarray
    bin_high: np.ndarray

    @classmethod
    def fit(cls, X, sample_weight, n_bins):
        """Measure the inputs `X` of shape (n_samples, n_features)."""
        statistics = [_center_and_spread(column, sample_weight) for column in X.T]
        center, scale = np.array(statistics, dtype=float).reshape(-1, 2).T.copy()
        # What varies by rounding alone is constant.
        constant = scale <= 8 * np.finfo(float).eps * np.abs(center)
        # Nothing was learned about it: whatever it is later, the network sees zero.
        scale = np.where(constant, CONSTANT, scale)
        view = cls(center, scale, np.empty(0, dtype=np.int64), *np.empty((4, 0)))
        if n_bins == 0:
            return view
        bins = []
        for feature, x in enumerate(view.scale_inputs(X).T):
            edges = _bin_edges(x, sample_weight, n_bins)
            if len(edges) >= 3:
                bins += _encoded_bins(feature, x, sample_weight, edges)
        if not bins:
            return view
        feature, slope, intercept, low, high = map(np.array, zip(*bins, strict=True))
        return cls(center, scale, feature, slope, intercept, low, high)

    @property
    def n_features_out(self):
        """Number of columns that the network sees."""
        return len(self.center) + len(self.bin_feature)

    def scale_inputs(self, X):
        """Centre and scale `X`; the result is finite, float64 and C-contiguous."""
        with np.errstate(over="ignore"):
            scaled = (X - self.center) / self.scale
        scaled[:, self.scale == CONSTANT] = 0.0
        return np.clip(scaled, -LIMIT, LIMIT, out=np.ascontiguousarray(scaled))

    def encode(self, Xs):
        """Return the network's inputs, (n_samples, n_features_out), of scaled `Xs`.

        The kernels compute the same columns on the fly; this is their definition.
        """
        clipped = Xs / np.sqrt(1.0 + (Xs / CLIP) ** 2)
        bins = self.bin_slope * Xs[:, self.bin_feature] + self.bin_intercept
        bins = np.minimum(np.maximum(bins, self.bin_low), self.bin_high)
        return np.concatenate([clipped, bins], axis=1)


def _bin_edges(x, sample_weight, n_bins):
    """Quantiles of `x` without those that (almost) coincide."""
    edges = np.unique(x)
    if len(edges) > n_bins + 1:
        edges = weighted_quantile(x, np.linspace(0, 1, n_bins + 1), sample_weight)
    kept = [edges[0]]
    for edge in edges[1:]:
        if edge - kept[-1] > BIN_WIDTH * max(1.0, abs(edge), abs(kept[-1])):
            kept.append(edge)
    return kept


def _encoded_bins(feature, x, sample_weight, edges):
    """Slope, intercept and bounds of every bin, centred over the training rows."""
    last = len(edges) - 2
    bins = []
    for i, (left, right) in enumerate(itertools.pairwise(edges)):
        # The outer bins go on for one more width: bounded extrapolation.
        low, high = (-1.0 if i == 0 else 0.0), (2.0 if i == last else 1.0)
        slope = 1.0 / (right - left)
        mean = np.average(np.clip(slope * (x - left), low, high), weights=sample_weight)
        bins.append(
            (
                feature,
                BIN_GAIN * slope,
                -BIN_GAIN * (slope * left + mean),
                BIN_GAIN * (low - mean),
                BIN_GAIN * (high - mean),
            )
        )
    return bins


class TargetScaling(NamedTuple):
    """Affine map between the targets and what the network is trained on.

    Attributes
    ----------
    center : ndarray of shape (n_outputs,)
    scale : ndarray of shape (n_outputs,)
        Never zero. Its sign makes the longer tail of the scaled targets point up: a
        fit to ``-y`` is the mirrored fit to ``y``.
    """

    center: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, Y, sample_weight):
        """Measure the targets `Y` of shape (n_samples, n_outputs)."""
        statistics = [_center_and_spread(column, sample_weight) for column in Y.T]
        center, scale = np.array(statistics, dtype=float).T.copy()
        # A constant says nothing of its accuracy but by its magnitude.
        scale = np.where(scale > 0, scale, np.where(center == 0, 1.0, np.abs(center)))
        scale = np.maximum(scale, np.maximum(RESOLUTION * np.abs(center), SMALLEST))
        tails = sample_weight @ np.clip((Y - center) / scale, -CLIP, CLIP) ** 3
        return cls(center, np.where(tails < 0, -scale, scale))

    @property
    def log_jacobian(self):
        """Log-density of the scaled targets minus log-density of the targets."""
        return float(np.log(np.abs(self.scale)).sum())

    def transform(self, Y):
        """Scaled targets, cut at a million: beyond, float32 could not square them."""
        return np.clip((Y - self.center) / self.scale, -LIMIT, LIMIT)

    def inverse_components(self, means, scales):
        """Means and scales of components, (..., n_outputs), in the targets' units."""
        return self.center + self.scale * means, np.abs(self.scale) * scales


def atom_spacing(Y, sample_weight):
    """Spacing of target values that repeat; 0 where the target is continuous.

    A density that is free to shrink around values that repeat grows without bound, and
    says nothing: the spacing bounds it from below. Values repeat if each of them holds
    2 % of the weight in at least three rows, all of them together most of it, or
    if few distinct values lie on a regular grid.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples,)

    Returns
    -------
    ndarray of shape (n_outputs,)
    """
    return np.array([_atom_spacing(y, sample_weight) for y in Y.T])


def _atom_spacing(y, sample_weight):
    values, inverse, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(values) < 2:
        return 0.0
    share = np.bincount(inverse.ravel(), weights=sample_weight) / sample_weight.sum()
    atoms = (share >= 0.02) & (counts >= 3)
    if atoms.sum() > 1 and share[atoms].sum() >= 0.8:
        return float(np.median(np.diff(values[atoms])))
    gaps = np.diff(values)
    ratio = gaps / gaps.min()
    on_grid = np.all(np.abs(ratio - np.round(ratio)) < 1e-3 * ratio)
    if on_grid and len(values) < 0.2 * len(y):
        return float(np.median(gaps))
    return 0.0


def merge_duplicates(X, Y, sample_weight):
    """Merge equal rows, drop rows without weight, order the rest by their content.

    The order in which rows came, and whether a row came twice or with twice the weight,
    have no influence on what is returned, bit for bit. The order follows a hash of the
    inputs, so it looks random; moving or scaling the targets does not change it.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    Y : ndarray of shape (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples,), not negative, not all zero

    Returns
    -------
    X, Y, sample_weight : ndarray
        The distinct rows; the mean of their weights is 1.
    """
    # Adding zero makes -0.0 equal to 0.0 in its bits too.
    X, Y = X + 0.0, Y + 0.0
    # Relative weights cannot overflow; a power of two changes no bits.
    weight = np.ldexp(sample_weight, -np.frexp(sample_weight.max())[1])
    hashes = _hash_rows(X)
    order = np.lexsort((weight, *Y.T[::-1], hashes))
    order = order[weight[order] > 0]
    X, Y, weight, hashes = X[order], Y[order], weight[order], hashes[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = hashes[1:] != hashes[:-1]
    same = np.flatnonzero(~new)
    new[same] = np.any(X[same] != X[same - 1], axis=1)
    new[same] |= np.any(Y[same] != Y[same - 1], axis=1)
    first = np.flatnonzero(new)
    weight = np.add.reduceat(weight, first)
    return X[first], Y[first], weight * (len(weight) / weight.sum())


def row_numbers(X, Y, distinct_X, distinct_Y):
    """Where rows stand among the distinct rows; -1 for those that are not there.

    Returns
    -------
    numbers : ndarray of shape (n_samples,), int
    """
    hashes, distinct = (
        _hash_rows(np.column_stack(table) + 0.0)
        for table in ((X, Y), (distinct_X, distinct_Y))
    )
    order = np.argsort(distinct)
    place = np.searchsorted(distinct[order], hashes)
    numbers = order[np.minimum(place, len(order) - 1)]
    return np.where(distinct[numbers] == hashes, numbers, -1)


def _hash_rows(X):
    """Hash the bits of every row to 64 bits (the finaliser of SplitMix64)."""
    hashes = np.zeros(len(X), dtype=np.uint64)
    for column in X.T:
        hashes += column.view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(30)
        hashes *= np.uint64(0xBF58476D1CE4E5B9)
        hashes ^= hashes >> np.uint64(27)
        hashes *= np.uint64(0x94D049BB133111EB)
        hashes ^= hashes >> np.uint64(31)
    return hashes
