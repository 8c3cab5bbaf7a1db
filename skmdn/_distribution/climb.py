# SPDX-License-Identifier: BSD-3-Clause
"""Modes of several outputs: climb from the mean of every component.

References
----------
M. A. Carreira-Perpinan, "Mode-finding for mixtures of Gaussian distributions", IEEE
Trans. Pattern Anal. Mach. Intell. 22, 2000: the fixed point (mean shift) and Newton's
method from every mean.
"""

import numpy as np

_MAX_ITER = 1000
_SAME = 0.1  # in units of the smallest scale: two climbs that came to one mode
_CONVERGED = 1e-12


def modes_in_space(weights, means, scales):
    """Modes of one row.

    Parameters
    ----------
    weights : ndarray of shape (K,)
    means, scales : ndarray of shape (K, D)

    Returns
    -------
    locations : ndarray of shape (n_modes, D), highest first
    densities, masses : ndarray of shape (n_modes,)
        The mass of a mode is the weight of the components whose means climb to it.
    """
    starts = means[weights > 0]
    origins = weights[weights > 0]
    ends = _climb(starts, origins, starts, scales[weights > 0])
    log_density, _, hessian = _expand(ends, origins, starts, scales[weights > 0])
    is_peak = np.linalg.eigvalsh(hessian)[:, -1] < 0
    locations, heights, masses = [], [], []
    for i in np.argsort(-log_density, kind="stable"):
        near = [
            m
            for m, location in enumerate(locations)
            if np.linalg.norm((location - ends[i]) / scales.min(axis=0)) < _SAME
        ]
        if near:
            masses[near[0]] += origins[i]
        elif is_peak[i] or not locations:
            locations.append(ends[i])
            heights.append(log_density[i])
            masses.append(origins[i])
        else:  # A saddle, climbed to exactly: give its mass to the highest mode.
            masses[0] += origins[i]
    return np.array(locations), np.exp(heights), np.array(masses)


def _climb(x, weights, means, scales):
    """Maxima that mean-shift steps lead to, Newton steps where these are higher."""
    x = x.copy()
    going = np.arange(len(x))
    for _ in range(_MAX_ITER):
        at = x[going]
        value, gradient, hessian = _expand(at, weights, means, scales)
        shifted = _mean_shift(at, weights, means, scales)
        try:
            newton = at - np.linalg.solve(hessian, gradient[..., None])[..., 0]
        except np.linalg.LinAlgError:
            newton = shifted
        concave = np.linalg.eigvalsh(hessian)[:, -1] < 0
        higher = _log_density(newton, weights, means, scales) > _log_density(
            shifted, weights, means, scales
        )
        step = np.where((concave & higher)[:, None], newton, shifted)
        x[going] = step
        moved = np.max(np.abs(step - at) / scales.min(axis=0), axis=1)
        gained = _log_density(step, weights, means, scales) > value
        going = going[(moved > _CONVERGED) & gained]
        if not len(going):
            break
    return x


def _terms(x, weights, means, scales):
    z = (x[:, None] - means) / scales
    log_scale = np.log(np.broadcast_to(scales, means.shape)).sum(axis=1)
    terms = np.log(weights) - log_scale - 0.5 * np.sum(z * z, axis=2)
    best = terms.max(axis=1, keepdims=True)
    shares = np.exp(terms - best)
    total = shares.sum(axis=1, keepdims=True)
    log_density = (best + np.log(total))[:, 0] - 0.5 * x.shape[1] * np.log(2 * np.pi)
    return log_density, shares / total, z


def _log_density(x, weights, means, scales):
    return _terms(x, weights, means, scales)[0]


def _mean_shift(x, weights, means, scales):
    """One step of the fixed point: means weighted by responsibility and precision."""
    _, shares, _ = _terms(x, weights, means, scales)
    precision = shares[:, :, None] / scales**2
    return np.sum(precision * means, axis=1) / precision.sum(axis=1)


def _expand(x, weights, means, scales):
    """Log-density, its gradient and its Hessian at points (m, D)."""
    log_density, shares, z = _terms(x, weights, means, scales)
    slopes = -z / scales
    gradient = np.einsum("mk,mkd->md", shares, slopes)
    hessian = np.einsum("mk,mki,mkj->mij", shares, slopes, slopes)
    hessian -= gradient[:, :, None] * gradient[:, None, :]
    diagonal = np.arange(x.shape[1])
    hessian[:, diagonal, diagonal] -= shares @ (
        1 / np.broadcast_to(scales, means.shape) ** 2
    )
    return log_density, gradient, hessian
