# SPDX-License-Identifier: BSD-3-Clause
r"""Mean Euclidean length of Gaussian vectors, by quadrature over one variable.

With :math:`M(t) = E e^{-t \|V\|^2} = \prod_d (1 + 2 t s_d^2)^{-1/2}
\exp(-t m_d^2 / (1 + 2 t s_d^2))`,

.. math:: E\|V\| = \frac1{2\sqrt\pi} \int_0^\infty (1 - M(t)) t^{-3/2} dt,

A. M. Mathai and S. B. Provost, "Quadratic Forms in Random Variables", 1992, chapter 3.
In units where E||V||^2 = 1, the integral for 1 / (1 + t) in place of M is pi; the
difference of the two decays quickly on both sides of t = exp(v), v the variable of a
trapezoidal rule.
"""

import numpy as np

from skmdn._distribution.quadrature import row_blocks

_STEP = 0.3
_V = np.arange(-22.0, 33.0, _STEP)
_T = np.exp(_V)
_WEIGHT = _STEP * np.exp(-0.5 * _V)


def mean_length(means, scales):
    """E||V|| of Gaussian vectors V with independent entries.

    Parameters
    ----------
    means, scales : ndarray of shape (..., n_outputs)

    Returns
    -------
    length : ndarray of shape (...,)
    """
    unit = np.max(np.maximum(np.abs(means), scales), axis=-1, keepdims=True)
    square = np.sum((means / unit) ** 2 + (scales / unit) ** 2, axis=-1, keepdims=True)
    unit = unit * np.sqrt(square)
    log_m = np.zeros((*means.shape[:-1], len(_T)))
    for d in range(means.shape[-1]):
        m, s = means[..., d : d + 1] / unit, scales[..., d : d + 1] / unit
        grown = 1 + 2 * s * s * _T
        log_m -= 0.5 * np.log(grown) + m * m * _T / grown
    integral = np.pi + (1 / (1 + _T) - np.exp(log_m)) @ _WEIGHT
    return integral / (2 * np.sqrt(np.pi)) * unit[..., 0]


def distance_to_points(dist, points):
    """E||Y - y|| at points (n or 1, m, D); (n, m)."""
    total = np.zeros((len(dist), points.shape[1]))
    scales = np.broadcast_to(dist.scales, dist.means.shape)
    for rows in row_blocks(len(dist), points.shape[1] * len(_T)):
        at = points if len(points) == 1 else points[rows]
        for k in range(dist.n_components):
            means = dist.means[rows, k][:, None] - at
            scale = np.broadcast_to(scales[rows, k][:, None], means.shape)
            total[rows] += dist.weights[rows, k, None] * mean_length(means, scale)
    return total


def distance_within(dist):
    """E||Y - Y'|| of every row, Y' independent of Y and alike."""
    n_components = dist.n_components
    total = np.zeros(len(dist))
    scales = np.broadcast_to(dist.scales, dist.means.shape)
    for rows in row_blocks(len(dist), n_components * len(_T)):
        w, mu, sigma = dist.weights[rows], dist.means[rows], scales[rows]
        for i in range(n_components):
            means = mu[:, : i + 1] - mu[:, i : i + 1]
            scale = np.hypot(sigma[:, : i + 1], sigma[:, i : i + 1])
            both = w[:, : i + 1] * w[:, i : i + 1]
            both[:, :i] *= 2
            total[rows] += np.sum(both * mean_length(means, scale), axis=1)
    return total
