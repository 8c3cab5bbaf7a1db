# SPDX-License-Identifier: BSD-3-Clause
"""Density, distribution function and mean distances of mixtures.

An element is one value asked of one row: element e of a grid of m columns belongs to
row ``e // m``. Blocks of 64 elements are laid out component by component, elements
innermost, so that every loop over elements is vector code whatever the shape.

Arrays: weights (n, K); means (n, K * D); scales (n, K * D) or (n, K); values (n, m, D)
or (1, m, D); out (n * m,); scratch (`scratch_rows`, LANES).
"""

import math

import numpy as np

from skmdn._distribution.kernels.normal import normal_cdf, upper_loss
from skmdn._jit.policy import compiled, helper
from skmdn._jit.vector import wide_vectors
from skmdn._jit.vector64 import exp64, log64

LANES = 64
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_LIGHT, _LIFT, _LOG_LIFT = 1e-290, 2.0**500, 1000 * math.log(2)
_SELF_DISTANCE = 2 / math.sqrt(math.pi)  # E|X - X'| for a scale of 1


def scratch_rows(n_components, n_outputs):
    """Rows of scratch that the kernels of this module need."""
    return n_components * (1 + 2 * n_outputs) + n_outputs + 2


@helper
def lay_out(params, first, count, n_columns, block):
    """Copy the parameters of a block of elements; unused lanes repeat the last one."""
    if n_columns == 1 and count == LANES:
        for c in range(params.shape[1]):
            for lane in range(LANES):
                block[c, lane] = params[first + lane, c]
        return
    row, column = first // n_columns, first % n_columns
    for lane in range(LANES):
        for c in range(params.shape[1]):
            block[c, lane] = params[row, c]
        if lane + 1 < count:
            column += 1
            if column == n_columns:
                row, column = row + 1, 0


@helper
def lay_out_values(values, first, count, block):
    """Copy the values of a block of elements."""
    n_columns = values.shape[1]
    if n_columns == 1 and count == LANES:
        for d in range(values.shape[2]):
            for lane in range(LANES):
                block[d, lane] = values[
                    first + lane if values.shape[0] > 1 else 0, 0, d
                ]
        return
    row, column = first // n_columns, first % n_columns
    if values.shape[0] == 1:
        row = 0
    for lane in range(LANES):
        for d in range(values.shape[2]):
            block[d, lane] = values[row, column, d]
        if lane + 1 < count:
            column += 1
            if column == n_columns:
                column = 0
                if values.shape[0] > 1:
                    row += 1


@compiled
def logpdf(weights, means, scales, values, out, scratch):
    """Log of the joint density of every element, by log-sum-exp."""
    wide_vectors()
    n_components, n_outputs = weights.shape[1], values.shape[2]
    # A single scale serves all outputs.
    step = 0 if scales.shape[1] < means.shape[1] else 1
    n_scales = scales.shape[1] // n_components
    a = n_components
    b = a + means.shape[1]
    c = b + scales.shape[1]
    d = c + n_outputs
    terms, mu, sigma = scratch[:a], scratch[a:b], scratch[b:c]
    y, best, total = scratch[c:d], scratch[d], scratch[d + 1]
    for first in range(0, out.size, LANES):
        count = min(LANES, out.size - first)
        lay_out(weights, first, count, values.shape[1], terms)
        lay_out(means, first, count, values.shape[1], mu)
        lay_out(scales, first, count, values.shape[1], sigma)
        lay_out_values(values, first, count, y)
        for lane in range(LANES):
            best[lane] = -np.inf
        for k in range(n_components):
            # One logarithm and one division for the first scale, often the only one.
            for lane in range(LANES):
                precision = 1.0 / sigma[k * n_scales, lane]
                z = (y[0, lane] - mu[k * n_outputs, lane]) * precision
                # Light and wide: their product is below float64, its logarithm is not.
                light = (precision < 1.0) & (terms[k, lane] * precision < _LIGHT)
                lift = _LIFT if light else 1.0
                log_factor = log64((terms[k, lane] * lift) * (precision * lift))
                log_factor -= _LOG_LIFT if light else 0.0
                terms[k, lane] = log_factor - 0.5 * z * z - n_outputs * _HALF_LOG_2PI
            for j in range(1, n_outputs):
                at, scale_at = k * n_outputs + j, k * n_scales + step * j
                for lane in range(LANES):
                    scale = sigma[scale_at, lane]
                    z = (y[j, lane] - mu[at, lane]) / scale
                    terms[k, lane] -= 0.5 * z * z + log64(scale)
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


@compiled
def cdf(weights, means, scales, values, sign, out, scratch):
    """P(Y <= y) of every element if sign is 1, P(Y > y) if it is -1."""
    wide_vectors()
    n = weights.shape[1]
    w, mu, sigma = scratch[:n], scratch[n : 2 * n], scratch[2 * n : 3 * n]
    y, total = scratch[3 * n : 3 * n + 1], scratch[3 * n + 1]
    for first in range(0, out.size, LANES):
        count = min(LANES, out.size - first)
        lay_out(weights, first, count, values.shape[1], w)
        lay_out(means, first, count, values.shape[1], mu)
        lay_out(scales, first, count, values.shape[1], sigma)
        lay_out_values(values, first, count, y)
        for lane in range(LANES):
            total[lane] = 0.0
        for k in range(n):
            for lane in range(LANES):
                z = sign * (y[0, lane] - mu[k, lane]) / sigma[k, lane]
                total[lane] += w[k, lane] * normal_cdf(z)
        for lane in range(count):
            out[first + lane] = min(total[lane], 1.0)


@compiled
def mean_distance(weights, means, scales, values, out, scratch):
    """E|Y - y| of every element."""
    wide_vectors()
    n = weights.shape[1]
    w, mu, sigma = scratch[:n], scratch[n : 2 * n], scratch[2 * n : 3 * n]
    y, total = scratch[3 * n : 3 * n + 1], scratch[3 * n + 1]
    for first in range(0, out.size, LANES):
        count = min(LANES, out.size - first)
        lay_out(weights, first, count, values.shape[1], w)
        lay_out(means, first, count, values.shape[1], mu)
        lay_out(scales, first, count, values.shape[1], sigma)
        lay_out_values(values, first, count, y)
        for lane in range(LANES):
            total[lane] = 0.0
        for k in range(n):
            for lane in range(LANES):
                distance = abs(y[0, lane] - mu[k, lane])
                z = distance / sigma[k, lane]
                beyond = upper_loss(z)
                total[lane] += w[k, lane] * (distance + 2.0 * sigma[k, lane] * beyond)
        for lane in range(count):
            out[first + lane] = total[lane]


@compiled
def self_distance(weights, means, scales, out, scratch):
    """E|Y - Y'| of every row, Y' independent of Y and alike: sums over all pairs."""
    wide_vectors()
    n = weights.shape[1]
    w, mu, sigma = scratch[:n], scratch[n : 2 * n], scratch[2 * n : 3 * n]
    total = scratch[3 * n]
    for first in range(0, out.size, LANES):
        count = min(LANES, out.size - first)
        lay_out(weights, first, count, 1, w)
        lay_out(means, first, count, 1, mu)
        lay_out(scales, first, count, 1, sigma)
        for lane in range(LANES):
            total[lane] = 0.0
        for i in range(n):
            for lane in range(LANES):
                own = w[i, lane] * w[i, lane] * sigma[i, lane]
                total[lane] += _SELF_DISTANCE * own
            for j in range(i):
                for lane in range(LANES):
                    large = max(sigma[i, lane], sigma[j, lane])
                    ratio = min(sigma[i, lane], sigma[j, lane]) / large
                    scale = large * math.sqrt(1.0 + ratio * ratio)
                    distance = abs(mu[i, lane] - mu[j, lane])
                    z = distance / scale
                    beyond = upper_loss(z)
                    both = 2.0 * w[i, lane] * w[j, lane]
                    total[lane] += both * (distance + 2.0 * scale * beyond)
        for lane in range(count):
            out[first + lane] = total[lane]
