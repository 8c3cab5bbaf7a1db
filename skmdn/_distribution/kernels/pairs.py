# SPDX-License-Identifier: BSD-3-Clause
"""E|Y - Y'| of mixtures of hundreds of components, as ensembles are.

All pairs would cost K^2. Among the wide components, those whose scale reaches a cutoff,
E|Y - Y'| is twice the integral of F (1 - F), and the trapezoidal rule for that smooth
function converges faster than any power. Only pairs with a narrow component are summed.
The cutoff is the cheapest one; the result is exact up to rounding with any.
"""

import math

import numpy as np

from skmdn._distribution.kernels.mixture import LANES
from skmdn._distribution.kernels.normal import normal_cdf, upper_loss
from skmdn._jit.policy import compiled, helper
from skmdn._jit.vector import wide_vectors

_N_CUTOFFS = 24  # each a factor of sqrt(2) below the one before
_REACH = 8.5  # scales beyond which a tail is below rounding
# Nodes this many scales apart: the error is exp(-(pi / spacing)^2) = 1e-12.
_SPACING = 0.6
_PAIR_COST = 3  # of a pair, in values of the normal distribution function


def padded(n_components):
    """Length of a row of scratch: components, filled up to whole blocks."""
    return -(-n_components // LANES) * LANES


@helper
def _span(mu, sigma, n, cutoff):
    """Number of wide components, where they begin and end."""
    low, high, wide = np.inf, -np.inf, 0
    for k in range(n):
        if sigma[k] >= cutoff:
            wide += 1
            low = min(low, mu[k] - _REACH * sigma[k])
            high = max(high, mu[k] + _REACH * sigma[k])
    return wide, low, high


@helper
def _best_cutoff(mu, sigma, n):
    """Smallest scale of a wide component that costs least; infinite: none is wide."""
    largest = 0.0
    for k in range(n):
        largest = max(largest, sigma[k])
    best, least, cutoff = np.inf, _PAIR_COST * n * n / 2, largest
    for _ in range(_N_CUTOFFS):
        wide, low, high = _span(mu, sigma, n, cutoff)
        nodes = (high - low) / (_SPACING * cutoff) + LANES
        cost = wide * nodes + _PAIR_COST * (n - wide) * (n + wide) / 2
        if cost < least:
            best, least = cutoff, cost
        cutoff *= math.sqrt(0.5)
    return best


@helper
def _partition(weights, means, scales, cutoff, w, mu, sigma):
    """Copy a row, wide components first, and fill up; return how many are wide."""
    n, wide, end = weights.size, 0, 0
    for want in (True, False):
        for k in range(n):
            if (scales[k] >= cutoff) == want:
                w[end], mu[end], sigma[end] = weights[k], means[k], scales[k]
                end += 1
        if want:
            wide = end
    for k in range(n, w.size):
        w[k], mu[k], sigma[k] = 0.0, means[0], scales[0]
    return wide


@helper
def _narrow_pairs(w, mu, sigma, n, wide, sums):
    """Sum of all pairs with a narrow component."""
    for lane in range(LANES):
        sums[lane] = 0.0
    for i in range(wide, n):
        if w[i] == 0.0:
            continue
        for first in range(0, i + 1, LANES):
            others, places = w[first : first + LANES], mu[first : first + LANES]
            scales = sigma[first : first + LANES]
            for lane in range(LANES):
                large = max(sigma[i], scales[lane])
                ratio = min(sigma[i], scales[lane]) / large
                scale = large * math.sqrt(1.0 + ratio * ratio)
                distance = abs(mu[i] - places[lane])
                z = distance / scale
                beyond = upper_loss(z)
                j = first + lane
                times = 2.0 if j < i else (1.0 if j == i else 0.0)
                both = times * w[i] * others[lane]
                sums[lane] += both * (distance + 2.0 * scale * beyond)
    total = 0.0
    for lane in range(LANES):
        total += sums[lane]
    return total


@helper
def _wide_pairs(w, mu, sigma, wide, cutoff, below):
    """2 times the integral of G (W - G), G = W F the share of the wide components."""
    _, low, high = _span(mu, sigma, wide, cutoff)
    n_nodes = math.ceil((high - low) / (_SPACING * cutoff)) + 1
    h = (high - low) / (n_nodes - 1)
    mass, total = 0.0, 0.0
    for k in range(wide):
        mass += w[k]
    for first in range(0, n_nodes, LANES):
        start, end = low + first * h, low + (first + LANES) * h
        passed = 0.0
        for lane in range(LANES):
            below[lane] = 0.0
        for k in range(wide):
            if mu[k] - _REACH * sigma[k] > end:
                continue
            if mu[k] + _REACH * sigma[k] < start:
                passed += w[k]
                continue
            share, scaled, step = w[k], (start - mu[k]) / sigma[k], h / sigma[k]
            for lane in range(LANES):
                below[lane] += share * normal_cdf(scaled + lane * step)
        for lane in range(min(LANES, n_nodes - first)):
            g = below[lane] + passed
            total += g * max(mass - g, 0.0)
    return 2.0 * h * total


@compiled
def self_distance(weights, means, scales, out, scratch):
    """E|Y - Y'| of every row; scratch (4, padded(K))."""
    wide_vectors()
    n = weights.shape[1]
    w, mu, sigma = scratch[0], scratch[1], scratch[2]
    sums = scratch[3, :LANES]
    for row in range(out.size):
        cutoff = _best_cutoff(means[row], scales[row], n)
        wide = _partition(weights[row], means[row], scales[row], cutoff, w, mu, sigma)
        total = _narrow_pairs(w, mu, sigma, n, wide, sums)
        if wide > 0:
            total += _wide_pairs(w, mu, sigma, wide, cutoff, sums)
        out[row] = total
