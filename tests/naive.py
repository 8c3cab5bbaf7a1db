# SPDX-License-Identifier: BSD-3-Clause
"""The oracle: every quantity written down as plainly as possible, with loops and SciPy.

Nothing here imports skmdn, nothing here is fast. Tests compare the package with this.
"""

import math


# --- scaling --------------------------------------------------------------------------


def weighted_quantile(values, q, weights):
    """Middle of the set {v : P(V <= v) >= q and P(V >= v) >= 1 - q}."""
    total = math.fsum(weights)
    fits = []
    for v in values:
        below = math.fsum(w for u, w in zip(values, weights, strict=True) if u <= v)
        above = math.fsum(w for u, w in zip(values, weights, strict=True) if u >= v)
        if below >= (q - 1e-10) * total and above >= (1 - q - 1e-10) * total:
            fits.append(v)
    return (min(fits) + max(fits)) / 2


def smooth_clip(x):
    """x for small x, level at +-3."""
    return x / math.sqrt(1 + (x / 3) ** 2)


def piecewise_linear(x, edges):
    """Encoding of one number: how far it is through every bin."""
    encoded = []
    for t in range(len(edges) - 1):
        through = (x - edges[t]) / (edges[t + 1] - edges[t])
        lowest = -1 if t == 0 else 0
        highest = 2 if t == len(edges) - 2 else 1
        encoded.append(max(lowest, min(highest, through)))
    return encoded
