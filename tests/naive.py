# SPDX-License-Identifier: BSD-3-Clause
"""The oracle: every quantity written down as plainly as possible, with loops and SciPy.

Nothing here imports skmdn, nothing here is fast. Tests compare the package with this.
"""

import math

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm


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


# --- network and mixture loss -----------------------------------------------------------


def activation(name, z):
    """Value of an activation function at every element of z."""
    return {
        "identity": lambda: z,
        "tanh": lambda: np.tanh(z),
        "relu": lambda: np.maximum(z, 0),
        "silu": lambda: z / (1 + np.exp(-z)),
        "gelu": lambda: (
            0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))
        ),
    }[name]()


def head_outputs(x, layers, name):
    """Outputs of a perceptron for one row; layers is a list of (W (out, in), b)."""
    h = np.asarray(x, dtype=float)
    for W, b in layers[:-1]:
        h = activation(name, W @ h + b)
    W, b = layers[-1]
    return W @ h + b


def mixture_logpdf(head, y, n_components, n_scales, min_scale):
    """Log-density of one row from its head outputs: logits, means, log-scales."""
    K, D = n_components, len(y)
    logits = head[:K]
    means = head[K : K + K * D].reshape(K, D)
    log_scales = head[K + K * D :].reshape(K, n_scales)
    terms = []
    for k in range(K):
        total = logits[k] - logsumexp(logits)
        for d in range(D):
            s = d if n_scales == D else 0
            scale = math.sqrt(math.exp(2 * log_scales[k, s]) + min_scale[s] ** 2)
            total += norm.logpdf(y[d], means[k, d], scale)
        terms.append(total)
    return logsumexp(terms)


def adam_step(params, gradient, m, v, t, rate, shrink):
    """One step of Adam with decoupled weight decay; epsilon 1e-8 under the root."""
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    step = rate * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return params - step * m / np.sqrt(v + 1e-16) - shrink * params, m, v
