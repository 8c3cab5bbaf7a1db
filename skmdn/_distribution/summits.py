# SPDX-License-Identifier: BSD-3-Clause
"""Modes of correlated components: the climbs of `kernels.climb`, all starts together.

In units of the smallest scale of each output, from the heaviest component's mean. With
P_k the precision matrices, shares r_k and v_k = P_k (m_k - x), the log-density has the
gradient g = sum r_k v_k and the Hessian sum r_k (v_k v_k' - P_k) - g g'; the step of
mean shift is (sum r_k P_k)^-1 g.
"""

import numpy as np
from scipy import special

from skmdn._distribution.joint import log_peaks
from skmdn._distribution.quadrature import row_blocks
from skmdn._distribution.triangular import FARTHEST, whitened

N_PAIRED = 12  # components whose ridgelines are looked at: those of the densest means
_ALONG = np.array([0.5, 0.25, 0.75])  # places on a ridgeline
_MAX_ITER, _CONVERGED, _LONGEST_STRIDE = 1000, 1e-12, 16.0
_SAME = 0.1  # in local scales: two climbs that came to one mode


def modes_of_correlated(dist):
    """Modes of every row, see `skmdn._distribution.climb.modes_in_space`."""
    n_paired = min(dist.n_components, N_PAIRED)
    n_starts = dist.n_components + len(_ALONG) * n_paired * (n_paired - 1) // 2
    found = ([], [], [])
    for rows in row_blocks(len(dist), n_starts * dist.means[0:1].size * dist.n_outputs):
        part = dist[rows]
        land = _Landscape(part)
        ends, is_peak, precision = land.climb(land.starts(n_paired))
        places = land.origin[:, None] + ends * land.unit[:, None]
        heights = part.logpdf(places)
        # Of near-singular components only the mean may be a float64 number.
        means, at_means = part.means, part.logpdf(part.means)
        own = slice(0, dist.n_components)
        lower = heights[:, own] < at_means
        places[:, own][lower] = means[lower]
        heights[:, own] = np.maximum(heights[:, own], at_means)
        masses = np.zeros(heights.shape)
        masses[:, : dist.n_components] = part.weights
        each = zip(ends, places, heights, masses, is_peak, precision, strict=True)
        for row in each:
            for values, new in zip(found, _distinct(*row), strict=True):
                values.append(new)
    return found


class _Landscape:
    """The log-density of many rows, of points x (n, S, D) or (m, D) of given rows."""

    def __init__(self, dist):
        _, means, scales = dist._with_axis_of_outputs()
        heaviest = np.argmax(dist.weights, axis=1)
        self.origin = means[np.arange(len(dist)), heaviest]
        self.unit = scales.min(axis=1)
        self.log_peaks = log_peaks(dist)
        means = (means - self.origin[:, None]) / self.unit[:, None]
        self.means = np.clip(means, -FARTHEST, FARTHEST)
        eye = np.eye(dist.n_outputs)
        inverse = np.swapaxes(whitened(dist._factors[..., None, :, :], eye), -1, -2)
        self.white = inverse * (self.unit[:, None] / scales)[..., None, :]
        self.precision = np.swapaxes(self.white, -1, -2) @ self.white

    def starts(self, n_paired):
        """Means, and points of the ridgelines of pairs of the densest (n, S, D)."""
        n, n_components, n_outputs = self.means.shape
        rows = np.repeat(np.arange(n), n_components)
        heights = self._terms(rows, self.means.reshape(-1, n_outputs))[1]
        heights = heights.reshape(n, n_components)
        order = np.argsort(-heights, axis=1, kind="stable")[:, :n_paired]
        i, j = np.triu_indices(n_paired, 1)
        row, a = np.arange(n)[:, None, None], _ALONG
        p = [self.precision[row, order[:, k][..., None]] for k in (i, j)]
        m = [self.means[row, order[:, k][..., None]] for k in (i, j)]
        share = (1 - a)[:, None, None] * p[0], a[:, None, None] * p[1]
        # From the first mean, so that nothing cancels where the two are close.
        step = _solved(share[0] + share[1], _times(share[1], m[1] - m[0]))
        between = (m[0] + step).reshape(n, len(i) * len(a), n_outputs)
        return np.concatenate([self.means, between], axis=1)

    def _terms(self, rows, x):
        """Distances z (m, K, D), and log-density (m,) with the components' terms."""
        z = _times(self.white[rows], x[:, None] - self.means[rows])
        z = np.clip(z, -FARTHEST, FARTHEST)
        terms = self.log_peaks[rows] - 0.5 * np.sum(z * z, axis=2)
        return z, special.logsumexp(terms, axis=1), terms

    def _expand(self, rows, x):
        """Log-density, gradient, minus the Hessian, and mean precision."""
        z, value, terms = self._terms(rows, x)
        share = np.exp(terms - value[:, None])
        pull = -_times(np.swapaxes(self.white[rows], -1, -2), z)
        gradient = np.einsum("mk,mki->mi", share, pull)
        precision = np.einsum("mk,mkij->mij", share, self.precision[rows])
        pull = pull - gradient[:, None]
        spread = np.einsum("mk,mki,mkj->mij", share, pull, pull)
        return value, gradient, precision - spread, precision

    def climb(self, starts):
        """Ends (n, S, D) of the climbs, whether they are peaks, and precisions there.

        By Newton's steps where the log-density is concave, by steps of mean shift and
        up to a few times as long elsewhere. Where these do not ascend, mean shift does.
        """
        n, n_starts, n_outputs = starts.shape
        x = starts.reshape(-1, n_outputs).copy()
        of_row = np.repeat(np.arange(n), n_starts)
        is_peak, stride = np.zeros(len(x), dtype=bool), np.full(len(x), 2.0)
        precision = np.empty((len(x), n_outputs, n_outputs))
        going = np.arange(len(x))
        for _ in range(_MAX_ITER):
            rows, at = of_row[going], x[going]
            value, gradient, bend, precision[going] = self._expand(rows, at)
            concave = np.linalg.eigvalsh(bend)[:, 0] > 0
            is_peak[going] = concave
            shift = _solved(precision[going], gradient)
            step = stride[going, None] * shift
            step[concave] = _solved(bend[concave], gradient[concave])
            higher = self._terms(rows, at + step)[1] > value
            stride[going] = np.where(
                higher, np.minimum(2 * stride[going], _LONGEST_STRIDE), 2.0
            )
            low = np.flatnonzero(~higher)
            step[low] = shift[low]
            higher[low] = self._terms(rows[low], (at + step)[low])[1] > value[low]
            x[going[higher]] += step[higher]
            moved = np.max(np.abs(step), axis=1)
            going = going[higher & (moved > _CONVERGED)]
            if not len(going):
                break
        shape = (n, n_starts)
        precision = precision.reshape(*shape, n_outputs, n_outputs)
        return x.reshape(starts.shape), is_peak.reshape(shape), precision


def _times(matrices, vectors):
    return np.einsum("...ij,...j->...i", matrices, vectors)


def _solved(matrices, vectors):
    """Solutions; of matrices that are singular in float64, no step."""
    try:
        return np.linalg.solve(matrices, vectors[..., None])[..., 0]
    except np.linalg.LinAlgError:
        return _times(np.linalg.pinv(matrices, hermitian=True), vectors)


def _distinct(ends, places, heights, masses, is_peak, precision):
    """Ends of climbs that are one, highest first: places, densities and masses."""
    kept, mass = [], []
    order = np.argsort(-heights, kind="stable")
    while len(order):
        top = order[0]
        if is_peak[top] or not kept:
            apart = ends[order] - ends[top]
            square = np.sum(_times(precision[top], apart) * apart, axis=1)
            same = square < _SAME**2
            same[0] = True  # whatever its precision is
            kept.append(top)
            mass.append(masses[order[same]].sum())
            order = order[~same]
        else:  # A saddle, climbed to exactly.
            mass[0] += masses[top]
            order = order[1:]
    with np.errstate(over="ignore", under="ignore"):
        return places[kept], np.exp(heights[kept]), np.array(mass)
