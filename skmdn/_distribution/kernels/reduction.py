# SPDX-License-Identifier: BSD-3-Clause
"""Greedy merging of components, every component remembering its best partner.

References
----------
A. R. Runnalls, "Kullback-Leibler approach to Gaussian mixture reduction", IEEE Trans.
Aerosp. Electron. Syst. 43, 2007, equation 21.
"""

import math

import numpy as np

from skmdn._jit.policy import compiled, helper


@helper
def _cost(w, mu, sigma, i, j):
    """Bound of the divergence that merging i and j brings; 0 if one has no weight."""
    total = w[i] + w[j]
    if w[i] == 0.0 or w[j] == 0.0:
        return 0.0
    a, b = w[i] / total, w[j] / total
    cost = 0.0
    for d in range(mu.shape[1]):
        large = max(sigma[i, d], sigma[j, d])
        u, v = sigma[i, d] / large, sigma[j, d] / large
        apart = (mu[i, d] - mu[j, d]) / large
        merged = a * u * u + b * v * v + a * b * apart * apart
        cost += 0.5 * math.log(merged) - a * math.log(u) - b * math.log(v)
    return total * cost


@helper
def _find_partner(w, mu, sigma, alive, i, cost, partner):
    """Best later partner of component i."""
    cost[i], partner[i] = np.inf, -1
    for j in range(i + 1, w.size):
        if alive[j]:
            value = _cost(w, mu, sigma, i, j)
            if value < cost[i]:
                cost[i], partner[i] = value, j


@helper
def _merge(w, mu, sigma, i, j):
    """Put the Gaussian with the moments of i and j together into i."""
    total = w[i] + w[j]
    a = w[i] / total if total > 0.0 else 0.5
    b = 1.0 - a
    for d in range(mu.shape[1]):
        large = max(sigma[i, d], sigma[j, d])
        u, v = sigma[i, d] / large, sigma[j, d] / large
        apart = (mu[j, d] - mu[i, d]) / large
        sigma[i, d] = large * math.sqrt(a * u * u + b * v * v + a * b * apart * apart)
        mu[i, d] = a * mu[i, d] + b * mu[j, d]
    w[i] = total


@compiled
def reduce(weights, means, scales, k, cost, links):
    """Merge in place until k components are left, which move to the front.

    weights (n, K); means, scales (n, K, D); cost (K,) and links (2, K) int64 are
    scratch.
    """
    n = weights.shape[1]
    partner, alive = links[0], links[1]
    for row in range(weights.shape[0]):
        w, mu, sigma = weights[row], means[row], scales[row]
        for i in range(n):
            alive[i] = 1
        for i in range(n):
            _find_partner(w, mu, sigma, alive, i, cost, partner)
        for _ in range(n - k):
            best = -1
            for i in range(n):
                if alive[i] and partner[i] >= 0:
                    if best < 0 or cost[i] < cost[best]:
                        best = i
            gone = partner[best]
            _merge(w, mu, sigma, best, gone)
            alive[gone] = 0
            for i in range(n):
                if not alive[i]:
                    continue
                if i == best or partner[i] == best or partner[i] == gone:
                    _find_partner(w, mu, sigma, alive, i, cost, partner)
                elif i < best:
                    value = _cost(w, mu, sigma, i, best)
                    if value < cost[i]:
                        cost[i], partner[i] = value, best
        end = 0
        for i in range(n):
            if alive[i]:
                w[end] = w[i]
                for d in range(mu.shape[1]):
                    mu[end, d], sigma[end, d] = mu[i, d], sigma[i, d]
                end += 1
