# SPDX-License-Identifier: BSD-3-Clause
"""What the network sees of the inputs: centred, scaled, encoded, every column bounded.

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

from skmdn._engine.limits import CLIP, LARGEST_SCALED
from skmdn._fit.statistics import center_and_spread, weighted_quantile

# Size of an encoded bin relative to a scaled input.
BIN_GAIN = 1.5
# Bins narrower than this, relative to where they lie, are below float32's resolution.
BIN_WIDTH = 1e-4
# Scale of an input that did not vary: it is always scaled to zero.
CONSTANT = np.finfo(float).max


class InputEncoding(NamedTuple):
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
        encoding = cls.scaling(X, sample_weight)
        return encoding.with_bins(encoding.scale_inputs(X), sample_weight, n_bins)

    @classmethod
    def scaling(cls, X, sample_weight):
        """Measure location and scale of the inputs; no bins."""
        statistics = [center_and_spread(column, sample_weight) for column in X.T]
        center, scale = np.array(statistics, dtype=float).reshape(-1, 2).T.copy()
        # What varies by rounding alone is constant.
        constant = scale <= 8 * np.finfo(float).eps * np.abs(center)
        # Nothing was learned about it: whatever it is later, the network sees zero.
        scale = np.where(constant, CONSTANT, scale)
        return cls(center, scale, np.empty(0, dtype=np.int64), *np.empty((4, 0)))

    def with_bins(self, Xs, sample_weight, n_bins):
        """Copy with quantile bins of the scaled inputs `Xs`."""
        bins = []
        for feature, x in enumerate(Xs.T if n_bins else ()):
            edges = _bin_edges(x, sample_weight, n_bins)
            if len(edges) >= 3:
                bins += _encoded_bins(feature, x, sample_weight, edges)
        if not bins:
            return self
        bins = map(np.array, zip(*bins, strict=True))
        return type(self)(self.center, self.scale, *bins)

    @property
    def n_features_out(self):
        """Number of columns that the network sees."""
        return len(self.center) + len(self.bin_feature)

    def scale_inputs(self, X):
        """Centre and scale `X`; the result is finite, float64 and C-contiguous."""
        with np.errstate(over="ignore"):
            scaled = (X - self.center) / self.scale
        scaled[:, self.scale == CONSTANT] = 0.0
        return np.clip(
            scaled, -LARGEST_SCALED, LARGEST_SCALED, out=np.ascontiguousarray(scaled)
        )

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
    order = np.argsort(x, kind="stable")
    edges = x[order]
    edges = edges[np.append(True, edges[1:] != edges[:-1])]
    if len(edges) > n_bins + 1:
        q = np.linspace(0, 1, n_bins + 1)
        edges = weighted_quantile(x, q, sample_weight, order)
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
