# SPDX-License-Identifier: BSD-3-Clause
"""The oracle: every quantity written down as plainly as possible, with loops and SciPy.

Nothing here imports skmdn, nothing here is fast. Tests compare the package with this.
"""

import itertools
import math
from fractions import Fraction

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ellipe, gamma, hyp1f1, logsumexp
from scipy.stats import hypsecant, laplace, logistic, norm

# Families of components, by name: of location 0 and scale 1.
STANDARD = {
    "gaussian": norm,
    "laplace": laplace,
    "logistic": logistic,
    "hypsecant": hypsecant(scale=2 / math.pi),
}

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


# --- network and mixture loss ---------------------------------------------------------


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


def chain_logpdf(head, y, n_components, n_shapes, min_scale):
    """Log-density of one row from its head: logits, means, log-scales, 10 x slopes.

    Components, whose outputs are regressed on those before, by covariance matrices.
    """
    K, D, C = n_components, len(y), n_shapes
    T = D * (D - 1) // 2
    sizes = np.cumsum([K, K * D, C * D, C * T])
    logits, means, log_scales, slopes, rest = np.split(head, sizes)
    assert not rest.size
    terms = []
    for k in range(K):
        c = k if C == K else 0
        residuals = np.eye(D)
        residuals[np.tril_indices(D, -1)] = -slopes[c * T : (c + 1) * T] / 10
        variances = np.exp(2 * log_scales[c * D : (c + 1) * D]) + min_scale**2
        back = np.linalg.inv(residuals)
        covariance = back @ np.diag(variances) @ back.T
        e = y - means[k * D : (k + 1) * D]
        square = e @ np.linalg.solve(covariance, e)
        log_det = np.linalg.slogdet(2 * np.pi * covariance)[1]
        terms.append(logits[k] - logsumexp(logits) - 0.5 * (square + log_det))
    return logsumexp(terms)


def mixture_logpdf(head, y, n_components, n_scales, min_scale, family="gaussian"):
    """Log-density of one row from its head outputs: logits, means, log-scales."""
    K, D = n_components, len(y)
    logits = head[:K]
    means = head[K : K + K * D].reshape(K, D)
    log_scales = head[K + K * D :].reshape(K, n_scales)
    scales = np.sqrt(np.exp(2 * log_scales) + np.square(min_scale))
    terms = STANDARD[family].logpdf(y, means, scales).sum(axis=1)
    return logsumexp(logits + terms) - logsumexp(logits)


def adam_step(params, gradient, m, v, t, rate, shrink):
    """One step of Adam with decoupled weight decay; epsilon 1e-8 under the root."""
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    step = rate * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return params - step * m / np.sqrt(v + 1e-16) - shrink * params, m, v


def mix32(x):
    """The "lowbias32" hash of a 32-bit number (C. Wellons 2018)."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ((x ^ (x >> shift)) * factor) % 2**32
    return x ^ (x >> 16)


def keyed_permutation(n, key):
    """Six Feistel rounds on a rectangle of at least n cells; cells beyond walk on."""
    n_lines = math.ceil(math.sqrt(n))
    n_columns = math.ceil(n / n_lines)
    keys = [mix32((key + (r + 1) * 0x9E3779B9) % 2**32) for r in range(6)]

    def shift(other, key, length):
        hashed = mix32((other * 0x846CA68B + key) % 2**32)
        return (hashed // 2**16) * length // 2**16

    order = []
    for x in range(n):
        while True:
            i, j = divmod(x, n_columns)
            for r in range(0, 6, 2):
                i = (i + shift(j, keys[r], n_lines)) % n_lines
                j = (j + shift(i, keys[r + 1], n_columns)) % n_columns
            x = i * n_columns + j
            if x < n:
                break
        order.append(x)
    return order


def input_noise(position, column, std, seed):
    """Noise of one scaled input of the row at a position of its batch.

    The two halves of a hash are uniform on 0 ... 65535; their sum has six times less
    variance than the square of its range. Blocks of 64 rows have seeds of their own.
    """
    block, i = divmod(position, 64)
    key = seed + block * 0x9E3779
    hashed = mix32(((64 * column + i) * 0x9E3779B9 + key) % 2**32)
    total = hashed % 2**16 + hashed // 2**16
    return std * math.sqrt(6) * (total - 65535) / 65536


def slope(function, x):
    """Derivative by central differences; x is a number or an array, seen one by one."""
    return (function(x + 1e-6) - function(x - 1e-6)) / 2e-6


def row_gradient(x, layers, name, head_loss):
    """Loss of one row and its gradient [(dW, db), ...], by the chain rule.

    `head_loss` is a function of the head's outputs.
    """
    inputs, sums = [np.asarray(x, dtype=float)], []
    for W, b in layers:
        sums.append(W @ inputs[-1] + b)
        inputs.append(activation(name, sums[-1]))
    head, delta = sums[-1], np.zeros(len(sums[-1]))
    for j in range(len(head)):
        unit = np.arange(len(head)) == j
        delta[j] = slope(lambda change, unit=unit: head_loss(head + change * unit), 0.0)
    gradient = []
    for i in range(len(layers) - 1, -1, -1):
        gradient.insert(0, (np.outer(delta, inputs[i]), delta))
        if i > 0:
            delta = layers[i][0].T @ delta
            delta = delta * slope(lambda z: activation(name, z), sums[i - 1])
    return head_loss(head), gradient


def train(
    layers, X, Y, weights, *, encode, name, n_components, n_scales, min_scale, seed,
    n_epochs, batch_size, rate, alpha, noise, family="gaussian", clip=1.0,
):  # fmt: skip
    """Losses of the epochs and the parameters after each.

    `weights` have mean 1; ``encode(x)`` makes the network's inputs of scaled ones. The
    rate and the noise fall along a cosine to zero, the gradient's norm is at most
    `clip`, the weights (not the biases) decay by the rate times `alpha`.
    """
    n, t, moments, losses, history = len(X), 0, None, [], []
    n_steps = math.ceil(n / min(batch_size, n))
    for epoch in range(n_epochs):
        key = mix32((seed + epoch * 0x9E3779B9) % 2**32)
        order, total = keyed_permutation(n, key), 0.0
        for step in range(n_steps):
            rows = order[step * n // n_steps : (step + 1) * n // n_steps]
            done = (epoch + step / n_steps) / n_epochs
            part = (1 + math.cos(math.pi * done)) / 2
            step_seed = mix32((key + (step + 1) * 0x7FEB352D) % 2**32)
            gradient = [np.zeros_like(a) for layer in layers for a in layer]
            for position, i in enumerate(rows):
                x = [
                    value + input_noise(position, j, noise * part, step_seed)
                    for j, value in enumerate(X[i])
                ]
                loss, parts = row_gradient(
                    encode(x), layers, name,
                    lambda head, y=Y[i]: -mixture_logpdf(
                        head, y, n_components, n_scales, min_scale, family
                    ),
                )  # fmt: skip
                total += weights[i] * loss
                for sum_, a in zip(gradient, itertools.chain(*parts), strict=True):
                    sum_ += weights[i] / len(rows) * a
            norm = math.sqrt(sum((g**2).sum() for g in gradient))
            t, now = t + 1, rate * part
            moments = moments or [(0.0, 0.0)] * len(gradient)
            flat = [a for layer in layers for a in layer]
            for k, g in enumerate(gradient):
                shrink = now * alpha if k % 2 == 0 else 0.0
                flat[k], m, v = adam_step(
                    flat[k], g * min(1, clip / norm), *moments[k], t, now, shrink
                )
                moments[k] = m, v
            layers = list(zip(flat[::2], flat[1::2], strict=True))
        losses.append(total / n)
        history.append(layers)
    return losses, history


# --- metrics --------------------------------------------------------------------------


def weighted_mean(values, weights):
    """Mean of rows, each repeated as often as its weight says."""
    total = math.fsum(w * v for v, w in zip(values, weights, strict=True))
    return total / math.fsum(weights)


def mixture_cdf(weights, means, scales, y, family="gaussian"):
    """P(Y <= y) of one mixture."""
    parts = zip(weights, means, scales, strict=True)
    return math.fsum(w * STANDARD[family].cdf((y - m) / s) for w, m, s in parts)


def mixture_quantile(weights, means, scales, q, family="gaussian"):
    """The y with P(Y <= y) = q."""
    z = STANDARD[family].ppf(q)
    low = min(m + s * z for m, s in zip(means, scales, strict=True))
    high = max(m + s * z for m, s in zip(means, scales, strict=True))
    if low == high:
        return low
    return brentq(
        lambda y: mixture_cdf(weights, means, scales, y, family) - q,
        low - 1e-9,
        high + 1e-9,
        xtol=1e-13,
    )


def mixture_crps(weights, means, scales, y, family="gaussian"):
    """Integral of (F(t) - 1[y <= t])^2."""
    reach = 40 * max(scales)
    cuts = sorted([min(*means, y) - reach, *means, y, max(*means, y) + reach])

    def integrand(t):
        return (mixture_cdf(weights, means, scales, t, family) - (t > y)) ** 2

    return math.fsum(
        quad(integrand, a, b, epsabs=1e-11, epsrel=1e-11, limit=200)[0]
        for a, b in itertools.pairwise(cuts)
    )


def pinball(y, quantile, level):
    """Loss of a predicted quantile."""
    return level * (y - quantile) if y >= quantile else (1 - level) * (quantile - y)


def interval_loss(y, lower, upper, coverage):
    """Width, and 2 / alpha for every unit outside."""
    score = upper - lower
    if y < lower:
        score += 2 / (1 - coverage) * (lower - y)
    if y > upper:
        score += 2 / (1 - coverage) * (y - upper)
    return score


def calibration_error(pits, weights, levels):
    """Mean squared difference of nominal and observed shares."""
    errors = []
    for level in levels:
        below = math.fsum(w for u, w in zip(pits, weights, strict=True) if u <= level)
        errors.append((level - below / math.fsum(weights)) ** 2)
    return math.fsum(errors) / len(errors)


def conformal_quantile(scores, level):
    """Smallest score with (n + 1) * level or more scores up to it; else infinite."""
    for score in sorted(scores):
        if sum(other <= score for other in scores) >= (len(scores) + 1) * level - 1e-9:
            return score
    return math.inf


# --- mixture distribution -------------------------------------------------------------


def mixture_pdf(weights, means, scales, y, family="gaussian"):
    """Density at one number."""
    parts = zip(weights, means, scales, strict=True)
    return math.fsum(w * STANDARD[family].pdf((y - m) / s) / s for w, m, s in parts)


def joint_logpdf(weights, means, scales, y, family="gaussian"):
    """Log-density at one point; means and scales (K, D)."""
    terms = []
    for w, m, s in zip(weights, means, scales, strict=True):
        log_f = STANDARD[family].logpdf((np.asarray(y) - m) / s) - np.log(s)
        terms.append(math.log(w) + math.fsum(log_f))
    return logsumexp(terms)


def responsibilities(weights, means, scales, y):
    """Of Gaussian components with means and scales (K, D) for a point (D,): exact."""
    squares = []
    for mean, scale in zip(means, scales, strict=True):
        exact = (map(Fraction, part) for part in (y, mean, scale))
        squares.append(sum(((v - m) / s) ** 2 for v, m, s in zip(*exact, strict=True)))
    terms = []
    for w, scale, square in zip(weights, scales, squares, strict=True):
        excess = min(square - min(squares), 10**6)
        terms.append(math.log(w) - sum(map(math.log, scale)) - float(excess) / 2)
    return np.exp(np.array(terms) - logsumexp(terms))


def mixture_integral(parts, func):
    """Integral of func over the line, in pieces between points that fit components.

    parts is a list of (means, scales).
    """
    offsets = [-60, -20, -8, -2, 0, 2, 8, 20, 60]
    edges = sorted(
        m + s * z
        for means, scales in parts
        for m, s in zip(means, scales, strict=True)
        for z in offsets
    )
    return math.fsum(
        quad(func, a, b, epsabs=1e-13, epsrel=1e-11)[0]
        for a, b in itertools.pairwise(edges)
    )


def mixture_expectation(weights, means, scales, func, breaks=(), family="gaussian"):
    """E[func(Y)], component by component, in pieces between given points."""
    total, reach = 0.0, 12.0 if family == "gaussian" else 60.0
    for w, m, s in zip(weights, means, scales, strict=True):
        inner = [(b - m) / s for b in breaks if abs(b - m) < reach * s]
        edges = [-reach, *sorted(inner), *np.arange(-10.0, 11.0, 2.0), reach]
        edges.sort()
        for low, high in itertools.pairwise(edges):
            total += (
                w
                * quad(
                    lambda z, m=m, s=s: func(m + s * z) * STANDARD[family].pdf(z),
                    *(low, high),
                    epsabs=1e-14,
                    epsrel=1e-12,
                    limit=200,
                )[0]
            )
    return total


def mean_length(mean, scale):
    """E of the length of a Gaussian vector with one scale: that of a Rice variable."""
    half = len(mean) / 2
    factor = math.sqrt(2) * gamma(half + 0.5) / gamma(half)
    return scale * factor * hyp1f1(-0.5, half, -sum(mean**2) / (2 * scale**2))


def mean_length_around_zero(scales):
    """E of the length of a Gaussian vector with two entries of mean 0."""
    large, small = max(scales), min(scales)
    return large * math.sqrt(2 / math.pi) * ellipe(1 - (small / large) ** 2)


def merge_cost(weights, means, scales, i, j):
    """Runnalls' bound of what merging two components of one output costs."""
    w = weights[i] + weights[j]
    mean = (weights[i] * means[i] + weights[j] * means[j]) / w
    var = (
        sum(weights[k] * (scales[k] ** 2 + (means[k] - mean) ** 2) for k in (i, j)) / w
    )
    cost = w * math.log(var)
    cost -= sum(weights[k] * math.log(scales[k] ** 2) for k in (i, j))
    return cost / 2, (w, mean, math.sqrt(var))


def reduce_mixture(weights, means, scales, k):
    """Merge the cheapest pair until k are left."""
    parts = [list(part) for part in (weights, means, scales)]
    while len(parts[0]) > k:
        pairs = [(i, j) for j in range(len(parts[0])) for i in range(j)]
        i, j = min(pairs, key=lambda pair: merge_cost(*parts, *pair)[0])
        merged = merge_cost(*parts, i, j)[1]
        for part, value in zip(parts, merged, strict=True):
            part[i] = value
            del part[j]
    return parts


# --- correlated components: means (K, D), covariances (K, D, D) -----------------------
