# SPDX-License-Identifier: BSD-3-Clause
"""Density of mixtures of correlated Gaussians; laid out as in `mixture`."""

import numpy as np

from skmdn._distribution.kernels.mixture import LANES, lay_out, lay_out_values
from skmdn._jit.policy import compiled
from skmdn._jit.vector import wide_vectors
from skmdn._jit.vector64 import exp64, log64

_FARTHEST = 1e155  # scales; squares are infinite, but no difference is infinity's


def scratch_rows(n_components, n_outputs):
    """Rows of scratch that `logpdf` needs at most."""
    n_lower = n_outputs * (n_outputs + 1) // 2
    return n_components * (1 + 2 * n_outputs + n_lower) + 2 * n_outputs + 2


@compiled
def logpdf(log_peaks, means, scales, factors, values, out, scratch):
    """Log of the joint density of every element, by log-sum-exp.

    log_peaks (n, K): log of weight times density at the mean; means (n, K * D); scales
    (n, K * D) or (n, K); factors (n, K * T) or (n, T), T = D (D + 1) / 2: the lower
    triangles of the factors of the correlations, row by row, with 1 / F on the
    diagonal; values (n or 1, m, D); out (n * m,); scratch (`scratch_rows`, LANES).
    """
    wide_vectors()
    n_components, n_outputs = log_peaks.shape[1], values.shape[2]
    step = 0 if scales.shape[1] < means.shape[1] else 1
    n_scales = scales.shape[1] // n_components
    n_lower = n_outputs * (n_outputs + 1) // 2
    factor_step = 0 if factors.shape[1] < n_components * n_lower else n_lower
    a = n_components
    b = a + means.shape[1]
    c = b + scales.shape[1]
    d = c + factors.shape[1]
    e = d + n_outputs
    f = e + n_outputs
    terms, mu, sigma, lower = scratch[:a], scratch[a:b], scratch[b:c], scratch[c:d]
    y, z, best, total = scratch[d:e], scratch[e:f], scratch[f], scratch[f + 1]
    for first in range(0, out.size, LANES):
        count = min(LANES, out.size - first)
        lay_out(log_peaks, first, count, values.shape[1], terms)
        lay_out(means, first, count, values.shape[1], mu)
        lay_out(scales, first, count, values.shape[1], sigma)
        lay_out(factors, first, count, values.shape[1], lower)
        lay_out_values(values, first, count, y)
        for lane in range(LANES):
            best[lane] = -np.inf
        for k in range(n_components):
            at = k * factor_step
            for i in range(n_outputs):
                # Forward substitution: z = F^-1 (y - mean) / scale.
                where, scale_at = k * n_outputs + i, k * n_scales + step * i
                for lane in range(LANES):
                    u = (y[i, lane] - mu[where, lane]) / sigma[scale_at, lane]
                    z[i, lane] = min(max(u, -_FARTHEST), _FARTHEST)
                for j in range(i):
                    for lane in range(LANES):
                        z[i, lane] -= lower[at + j, lane] * z[j, lane]
                at += i + 1
                for lane in range(LANES):
                    u = z[i, lane] * lower[at - 1, lane]
                    u = min(max(u, -_FARTHEST), _FARTHEST)
                    z[i, lane] = u
                    terms[k, lane] -= 0.5 * u * u
            for lane in range(LANES):
                best[lane] = max(best[lane], terms[k, lane])
        for lane in range(LANES):
            total[lane] = 0.0
        for k in range(n_components):
            for lane in range(LANES):
                total[lane] += exp64(terms[k, lane] - best[lane])
        for lane in range(LANES):
            # Infinitely far from every component the difference above was no number.
            far = best[lane] == -np.inf
            total[lane] = -np.inf if far else best[lane] + log64(total[lane])
        for lane in range(count):
            out[first + lane] = total[lane]
