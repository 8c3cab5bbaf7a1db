# SPDX-License-Identifier: BSD-3-Clause
"""Random hostile mixtures of correlated outputs through every method of several.

    python tests/hostile_joint.py [500]

Each is checked against formulas in 80 digits (mpmath), or by what a result must fulfil.
The suite runs the first few.
"""

import sys

import mpmath
import numpy as np

from skmdn import MixtureDistribution

EXACT = 1e-12
_EPS = 2.3e-16


def hostile_mixture(rng):
    """One row: scales, weights and singularities of all magnitudes."""
    n_outputs, k = rng.randint(2, 5), rng.choice([1, 2, 3, 6])
    weights = 10.0 ** rng.choice([0, -2, -10, -300], size=k, p=[0.6, 0.2, 0.1, 0.1])
    weights *= rng.uniform(0.1, 1, size=k)
    weights[rng.uniform(size=k) < 0.15] = 0
    weights[rng.randint(k)] = 1
    units = [-140, -6, 0, 3, 140] if rng.uniform() < 0.5 else [0]
    unit = 10.0 ** rng.choice(units, size=n_outputs)
    shape = (k, n_outputs)
    scales = unit * 10.0 ** rng.choice([0, -2, -6], size=shape, p=[0.7, 0.2, 0.1])
    scales *= rng.uniform(0.5, 2, size=shape)
    means = unit * rng.choice([0, 1e-5, 1, 100], size=(k, 1)) * rng.normal(size=shape)
    n_factors = 1 if rng.uniform() < 0.3 else k
    factors = np.tril(rng.normal(size=(n_factors, n_outputs, n_outputs)))
    at = np.arange(n_outputs)
    left = 10.0 ** rng.choice([0, -3, -7, -12], size=shape, p=[0.6, 0.2, 0.1, 0.1])
    factors[:, at, at] = np.abs(factors[:, at, at] + 0.1) * left[:n_factors] + 1e-14
    factors /= np.linalg.norm(factors, axis=-1, keepdims=True)
    if k > 2 and rng.uniform() < 0.3:  # coincide
        means[1], scales[1] = means[0], scales[0]
    if rng.uniform() < 0.2:  # one covariance, if the factor is one as well
        scales[:] = scales[0]
    return MixtureDistribution._of(
        *((weights / weights.sum())[None], means[None], scales[None]),
        factors=factors[None],
    )


class Exact:
    """Formulas of one mixture: weight, mean, triangle and covariance of components."""

    def __init__(self, dist):
        shape = (*dist.means.shape, dist.n_outputs)
        factors = np.broadcast_to(dist._factors, shape)[0]
        self.used = np.flatnonzero(dist.weights[0])
        self.parts = []
        for k in self.used:
            scale = mpmath.diag(_numbers(dist.scales[0, k]))
            lower = scale * mpmath.matrix(factors[k].tolist())
            part = mpmath.mpf(dist.weights[0, k]), mpmath.matrix(dist.means[0, k])
            self.parts.append((*part, lower, lower * lower.T))

    def terms(self, y):
        """Log of weight times density, and distance in scales, of each component."""
        found = []
        for weight, mean, lower, _ in self.parts:
            away, z = mpmath.matrix(_numbers(y)) - mean, mpmath.matrix(len(y), 1)
            for i in range(len(y)):
                known = sum(lower[i, j] * z[j] for j in range(i))
                z[i] = (away[i] - known) / lower[i, i]
            log_det = sum(mpmath.log(lower[i, i]) for i in range(len(y)))
            size = (z.T * z)[0] / 2 + log_det + len(y) * mpmath.log(2 * mpmath.pi) / 2
            found.append((mpmath.log(weight) - size, float(mpmath.norm(z))))
        return found

    def cov(self):
        mean = self.parts[0][1] * 0
        for weight, m, _, _ in self.parts:
            mean += weight * m
        total = self.parts[0][3] * 0
        for weight, m, _, cov in self.parts:
            total += weight * (cov + (m - mean) * (m - mean).T)
        return total


def _numbers(values):
    return [mpmath.mpf(float(value)) for value in values]


def target(rng, dist):
    """Where to ask: near a component, in its tail, far from all."""
    k = rng.choice(np.flatnonzero(dist.weights[0]))
    factor = np.broadcast_to(
        dist._factors[0], (dist.n_components, *dist._factors.shape[2:])
    )
    step = factor[k] @ rng.normal(size=dist.n_outputs) * rng.choice([0, 1, 10])
    y = dist.means[0, k] + dist.scales[0, k] * step
    if rng.uniform() < 0.3:
        y = y + 1e3 * dist.scales[0].max(axis=0) * rng.normal(size=dist.n_outputs)
    return y


def faults(rng):
    """What is wrong with the answers of one mixture."""
    dist = hostile_mixture(rng)
    y = target(rng, dist)
    found = [
        *density_faults(dist, Exact(dist), y),
        *moment_faults(dist, Exact(dist), rng),
        *conditional_faults(dist, Exact(dist), y),
        *whole_faults(dist, y),
    ]
    return found


def density_faults(dist, exact, y):
    terms = exact.terms(y)
    logpdf = terms[0][0]
    for term, _ in terms[1:]:
        high, low = max(logpdf, term), min(logpdf, term)
        logpdf = high + mpmath.log1p(mpmath.exp(low - high))
    best = max(range(len(terms)), key=lambda i: terms[i][0])
    k, far = exact.used[best], max(1.0, terms[best][1])
    factor = dist._factors[0, k if dist._factors.shape[1] > 1 else 0]
    # How far the last digits of (y - mean) / scale reach.
    condition = np.abs((y - dist.means[0, k]) / dist.scales[0, k]).max()
    condition /= np.diagonal(factor).prod()
    size = 4 * len(y) * condition * far + 10 * far**2 + 4 * abs(float(logpdf)) + 50
    error = abs(dist.logpdf(y)[0] - logpdf)
    if not error <= 10 * _EPS * size:
        yield "logpdf", float(error / size)
    shares = dist.responsibilities(y)[0, exact.used]
    expected = [float(mpmath.exp(term - logpdf)) for term, _ in terms]
    if far < 1e6 and condition < 1e6 and np.abs(shares - expected).max() > 1e-6:
        yield "responsibilities", shares, expected


def moment_faults(dist, exact, rng):
    cov, n_outputs = exact.cov(), dist.n_outputs
    std = [mpmath.sqrt(cov[i, i]) for i in range(n_outputs)]
    corr, found = dist.corr()[0], dist.std()[0]
    for i in range(n_outputs):
        if not abs(found[i] / std[i] - 1) <= EXACT:
            yield "std", found[i], float(std[i])
        for j in range(i):
            if not abs(corr[i, j] - cov[i, j] / (std[i] * std[j])) <= EXACT:
                yield "corr", corr[i, j]
    a = rng.normal(size=n_outputs) / dist.scales[0].max(axis=0)
    row = mpmath.matrix(_numbers(a)).T
    size = sum(abs(row[i]) * std[i] for i in range(n_outputs))
    if not abs(dist.linear(a).std()[0] - mpmath.sqrt((row * cov * row.T)[0])) <= (
        EXACT * size
    ):
        yield "linear", dist.linear(a).std()[0]
    for k in range(1, dist.n_components):
        reduced = dist.reduce(k)
        errors = reduced.std()[0] / found - 1, reduced.corr()[0] - corr
        if not max(np.abs(error).max() for error in errors) <= EXACT:
            yield "reduce", k, errors


def conditional_faults(dist, exact, y):
    last = dist.n_outputs - 1
    conditional = dist.condition(last, y[last])
    means, scales = (
        part.reshape(1, -1, last)[0] for part in (conditional.means, conditional.scales)
    )
    for k, (_, mean, _, cov) in zip(exact.used, exact.parts, strict=True):
        if conditional.weights[0, k] == 0:
            continue
        away = mpmath.mpf(y[last]) - mean[last]
        for i in range(last):
            unit = dist.scales[0, k, i]
            var = cov[i, i] - cov[i, last] ** 2 / cov[last, last]
            if not abs(scales[k, i] - mpmath.sqrt(var)) <= EXACT * unit:
                yield "conditional scale", scales[k, i]
            expected = mean[i] + cov[i, last] / cov[last, last] * away
            size = abs(mean[i]) + unit * (1 + abs(away) / dist.scales[0, k, last])
            if not abs(means[k, i] - expected) <= EXACT * size:
                yield "conditional mean", means[k, i]


def whole_faults(dist, y):
    n_outputs = dist.n_outputs
    pit, shares = dist.pit(y), dist.responsibilities(y)
    if not (np.all((pit >= 0) & (pit <= 1)) and abs(shares.sum() - 1) <= EXACT):
        yield "pit", pit, shares
    if n_outputs == 2:
        alone = [dist.marginal(j).cdf(y[j])[0] for j in range(2)]
        if not max(0, sum(alone) - 1) - 1e-10 <= dist.cdf(y)[0] <= min(alone) + 1e-10:
            yield "cdf", dist.cdf(y)[0], alone
    score, spread = dist.energy_score(y)[0], dist.std().max()
    if not -1e-9 * spread <= score < np.inf:
        yield "energy_score", score
    lower, upper = dist.entropy_bounds()
    if not -np.inf < lower[0] <= upper[0] + 1e-9 * (1 + abs(upper[0])):
        yield "entropy_bounds", lower, upper
    (places,), _, (masses,) = dist.modes(return_mass=True)
    means = dist.means[:, dist.weights[0] > 0]
    highest = dist.logpdf(places[0])[0]
    if not (np.all(np.isfinite(places)) and abs(masses.sum() - 1) <= EXACT):
        yield "modes", places, masses
    if not highest >= dist.logpdf(means).max() - EXACT * (1 + abs(highest)):
        yield "mode", highest, dist.logpdf(means).max()
    if np.isnan(dist.cde_loss(y)[0]):
        yield ("cde_loss",)
    if not np.all(np.isfinite(dist.sample(5, random_state=0))):
        yield ("sample",)


def all_faults(n_mixtures):
    """Kinds of faults of so many mixtures, each with the seeds and numbers."""
    kinds = {}
    for seed in range(n_mixtures):
        try:
            with np.errstate(all="raise"), mpmath.workdps(80):
                found = faults(np.random.RandomState(seed))
        except Exception as error:
            found = [(type(error).__name__, str(error))]
        for kind, *numbers in found:
            kinds.setdefault(kind, []).append((seed, *numbers))
    return kinds


if __name__ == "__main__":
    found = all_faults(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
    for kind, cases in found.items():
        print(kind, len({case[0] for case in cases}), *cases[:4], sep="\n    ")
