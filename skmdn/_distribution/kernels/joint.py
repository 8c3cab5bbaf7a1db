# SPDX-License-Identifier: BSD-3-Clause
"""Density of mixtures of correlated Gaussians; laid out as in `mixture`."""

import math

import numpy as np

from skmdn._distribution.kernels.mixture import LANES, lay_out, lay_out_values
from skmdn._jit.policy import compiled, loop_helper
from skmdn._jit.vector import wide_vectors
from skmdn._jit.vector64 import exp64, log64

_FARTHEST = 1e155  # scales; squares are infinite, but no difference is infinity's
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_LIGHT, _LIFT, _LOG_LIFT = 1e-290, 2.0**500, 500 * math.log(2)


def scratch_rows(n_components, n_outputs):
    """Rows of scratch that `logpdf` needs at most."""
    return n_components * (1 + n_outputs * (2 + n_outputs)) + 2 * n_outputs + 2


@loop_helper
def _add_component(mu, sigma, step, factor, y, z, term):
    """Add the log-density of one component to its log-weight, for all elements.

    mu (D, LANES); sigma (D or 1, LANES); factor (D * D, LANES), lower triangular.
    """
    n_outputs = y.shape[0]
    for i in range(n_outputs):
        # Forward substitution: z = F^-1 (y - mean) / scale.
        for lane in range(LANES):
            scale = sigma[step * i, lane]
            u = (y[i, lane] - mu[i, lane]) / scale
            z[i, lane] = min(max(u, -_FARTHEST), _FARTHEST)
            term[lane] -= log64(scale) + _HALF_LOG_2PI
        for j in range(i):
            for lane in range(LANES):
                z[i, lane] -= factor[i * n_outputs + j, lane] * z[j, lane]
        if i > 0:
            for lane in range(LANES):
                left = factor[i * n_outputs + i, lane]
                u = z[i, lane] / left
                z[i, lane] = min(max(u, -_FARTHEST), _FARTHEST)
                term[lane] -= log64(left)
        for lane in range(LANES):
            term[lane] -= 0.5 * z[i, lane] * z[i, lane]


@compiled
def logpdf(weights, means, scales, factors, values, out, scratch):
    """Log of the joint density of every element, by log-sum-exp.

    As `mixture.logpdf`, with factors (n, K * D * D) or (n, D * D) of the correlations.
    """
    wide_vectors()
    n_components, n_outputs = weights.shape[1], values.shape[2]
    step = 0 if scales.shape[1] < means.shape[1] else 1
    n_scales = scales.shape[1] // n_components
    n_square = n_outputs * n_outputs
    is_shared = factors.shape[1] < n_components * n_square
    a = n_components
    b = a + means.shape[1]
    c = b + scales.shape[1]
    d = c + factors.shape[1]
    e = d + n_outputs
    f = e + n_outputs
    terms, mu, sigma, factor = scratch[:a], scratch[a:b], scratch[b:c], scratch[c:d]
    y, z, best, total = scratch[d:e], scratch[e:f], scratch[f], scratch[f + 1]
    for first in range(0, out.size, LANES):
        count = min(LANES, out.size - first)
        lay_out(weights, first, count, values.shape[1], terms)
        lay_out(means, first, count, values.shape[1], mu)
        lay_out(scales, first, count, values.shape[1], sigma)
        lay_out(factors, first, count, values.shape[1], factor)
        lay_out_values(values, first, count, y)
        for lane in range(LANES):
            best[lane] = -np.inf
        for k in range(n_components):
            for lane in range(LANES):
                light = terms[k, lane] < _LIGHT
                log_weight = log64(terms[k, lane] * (_LIFT if light else 1.0))
                terms[k, lane] = log_weight - (_LOG_LIFT if light else 0.0)
            own = 0 if is_shared else k * n_square
            _add_component(
                mu[k * n_outputs : (k + 1) * n_outputs],
                *(sigma[k * n_scales : (k + 1) * n_scales], step),
                *(factor[own : own + n_square], y, z, terms[k]),
            )
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
