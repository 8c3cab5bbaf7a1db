# SPDX-License-Identifier: BSD-3-Clause
"""Random draws from mixtures of any family, by inversion."""

import numpy as np

from skmdn._distribution.kernels import sampling
from skmdn._distribution.quadrature import row_blocks
from skmdn._distribution.standard import standard_of

_SMALLEST = 2.0**-54  # tail: half of the smallest number of a stream


def draw_by_inversion(dist, seed, first_draw, out):
    """Fill out (n_rows, n_outputs, n_draws), as the kernel `sample` does."""
    standard = standard_of(dist.family)
    weights, means, scales = dist._with_axis_of_outputs()
    # The last component with any weight takes what rounding leaves.
    bounds = np.cumsum(weights, axis=1)
    bounds[bounds >= bounds[:, -1:]] = np.inf
    n_draws, taken = out.shape[2], 1 + dist.n_outputs
    for rows in row_blocks(len(dist), n_draws * (dist.n_components + taken)):
        part = out[rows]
        u = np.empty((len(part), n_draws, taken))
        first = (first_draw + rows.start * n_draws) * taken
        sampling.fill_uniform(seed, first, u.reshape(-1))
        chosen = np.sum(u[..., :1] >= bounds[rows, None], axis=2)
        for d in range(dist.n_outputs):
            location, scale = (
                np.take_along_axis(a[rows, :, d], chosen, axis=1)
                for a in (means, scales)
            )
            part[:, d] = location + scale * _invert(standard, u[..., 1 + d])


def _invert(standard, u):
    """Quantiles of uniform numbers in [0, 1), by the smaller tail."""
    is_lower = u < 0.5
    z = np.empty(u.shape)
    z[is_lower] = standard.quantile(np.maximum(u[is_lower], _SMALLEST))
    z[~is_lower] = standard.quantile(1 - u[~is_lower], upper=True)
    return z
