# SPDX-License-Identifier: BSD-3-Clause
"""Fewer components, merging those of correlated outputs; see `kernels.reduction`."""

import numpy as np

from skmdn._distribution.joint import lower_triangles
from skmdn._distribution.quadrature import row_blocks
from skmdn._distribution.triangular import log_determinant, row_norms, triangularised


def merge_correlated(dist, k):
    """Weights (n, k), means and scales (n, k, D) and factors of k components."""
    n, n_outputs = len(dist), dist.n_outputs
    shapes = [(n, k), (n, k, n_outputs), (n, k, n_outputs, n_outputs)]
    weights, means, lower = map(np.empty, shapes)
    for rows in row_blocks(n, 8 * dist.n_components**2 * n_outputs**2):
        part = dist[rows]
        row = _Rows(part.weights.copy(), part.means.copy(), lower_triangles(part))
        while row.weights.shape[1] > k:
            row.merge()
        weights[rows], means[rows], lower[rows] = row.weights, row.means, row.lower
    return weights, means, *row_norms(lower)


class _Rows:
    """Components of many rows, (n, K, ...), of which a pair is merged at a time.

    Costs are Runnalls' bounds of the divergence, equation 21: w times the log-
    determinant of the covariance of the merged less those of the two, by their weights.
    """

    def __init__(self, weights, means, lower):
        self.weights, self.means, self.lower = weights, means, lower
        self.rows = np.arange(len(weights))
        self.log_det = log_determinant(lower)
        n_components = weights.shape[1]
        self.cost = np.full((len(weights), n_components, n_components), np.inf)
        for i in range(1, n_components):
            there = np.full(len(weights), i)
            self.cost[:, i, :i] = self._costs(there, slice(0, i))

    def merge(self):
        """Merge the pair of least cost of every row; the last takes the free place."""
        n_components = self.weights.shape[1]
        cost = self.cost.reshape(len(self.cost), n_components**2)
        j, i = np.divmod(np.argmin(cost, axis=1), n_components)  # i < j
        rows, last = self.rows, n_components - 1
        merged = self._merged(i, j[:, None])
        self.weights[rows, i] = self.weights[rows, i] + self.weights[rows, j]
        self.means[rows, i] = merged[0][:, 0]
        self.lower[rows, i] = merged[1][:, 0]
        self.log_det[rows, i] = log_determinant(merged[1][:, 0])
        for part in (self.weights, self.means, self.lower, self.log_det):
            part[rows, j] = part[rows, last]
        moved = np.minimum(self.cost, np.swapaxes(self.cost, 1, 2))
        moved[rows, j] = moved[rows, last]
        moved[rows, :, j] = moved[rows, :, last]
        for name in ("weights", "means", "lower", "log_det"):
            setattr(self, name, getattr(self, name)[:, :last])
        moved = moved[:, :last, :last]
        renewed = self._costs(i, slice(None))
        moved[rows, i], moved[rows, :, i] = renewed, renewed
        below = np.tril(np.ones((last, last), dtype=bool), -1)
        self.cost = np.where(below, moved, np.inf)

    def _costs(self, i, others):
        """Costs of merging component i (n,) with others."""
        numbers = np.arange(self.weights.shape[1])[others]
        j = np.tile(numbers, (len(self.rows), 1))
        a, b = self.weights[self.rows, i][:, None], self.weights[:, others]
        own = a * self.log_det[self.rows, i][:, None] + b * self.log_det[:, others]
        log_det = log_determinant(self._merged(i, j)[1])
        idle = (a == 0) | (b == 0)
        return np.where(idle, 0.0, (a + b) * log_det - own)

    def _merged(self, i, j):
        """Means and triangles of component i (n,) together with each of j (n, m).

        The covariance is that within and that between: G G' with all triangles and the
        distance of the means side by side in G.
        """
        rows = self.rows[:, None]
        i = i[:, None]
        w, v = self.weights[rows, i], self.weights[rows, j]
        total = np.where(w + v > 0, w + v, 1.0)
        a, b = w / total, np.where(w + v > 0, v / total, 1.0)
        apart = self.means[rows, j] - self.means[rows, i]
        mean = np.where(
            (b < a)[..., None],
            self.means[rows, i] + b[..., None] * apart,
            self.means[rows, j] - a[..., None] * apart,
        )
        within = [
            np.sqrt(share)[..., None, None] * self.lower[rows, k]
            for share, k in ((a, i), (b, j))
        ]
        between = (np.sqrt(a * b)[..., None] * apart)[..., None]
        within = np.broadcast_arrays(*within)
        scales, factors = triangularised(np.concatenate([*within, between], axis=-1))
        return mean, scales[..., None] * factors
