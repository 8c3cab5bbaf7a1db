# SPDX-License-Identifier: BSD-3-Clause
"""Random hostile mixtures of several outputs through every method they have.

    python tests/hostile_outputs.py [2000]

As `hostile_mixtures`. The suite runs the first five.
"""

import mpmath
import numpy as np
from hostile_mixtures import EXACT, Exact, differs, main

from skmdn import MixtureDistribution

_LEAST = -(10**6)  # of exponents: what is less is nothing


def hostile_mixture(rng):
    """Weights (K,), means (K, D), scales (K, D) or (K, 1) of all magnitudes."""
    k, d = rng.choice([1, 2, 3, 5, 9]), rng.choice([2, 2, 3, 4])
    weights = 10.0 ** rng.choice([0, -2, -10, -300], size=k, p=[0.6, 0.2, 0.1, 0.1])
    weights *= rng.uniform(0.1, 1, size=k)
    weights[rng.uniform(size=k) < 0.15] = 0
    weights[rng.randint(k)] = 1
    p = [0.06, 0.06, 0.1, 0.46, 0.1, 0.1, 0.06, 0.06]
    size = 10.0 ** rng.choice([-300, -100, -6, 0, 3, 17, 150, 300], size=d, p=p)
    if rng.uniform() < 0.4:
        size[:] = size[0]
    is_spherical = rng.uniform() < 0.25
    shape = (k, 1 if is_spherical else d)
    p = [0.6, 0.2, 0.1, 0.05, 0.05]
    spread = 10.0 ** rng.choice([0, -2, -12, -100, -310], size=shape, p=p)
    scales = (size[:1] if is_spherical else size) * spread
    scales = np.clip(scales * rng.uniform(0.5, 2, size=shape), 1e-300, 1e300)
    means = size * rng.choice([0, 1e-5, 1, 100], size=(k, d)) * rng.normal(size=(k, d))
    means = np.clip(means, -1e300, 1e300)
    if k > 2 and rng.uniform() < 0.3:  # coincide
        means[1], scales[1] = means[0], scales[0]
    if k > 2 and rng.uniform() < 0.3:  # one place, many scales
        means[:] = means[0]
    return weights / weights.sum(), means, scales


def targets(rng, weights, means, scales):
    """Where to ask: at components, in their tails, at zero, far from all."""
    pick = rng.choice(np.flatnonzero(weights > 0), size=5)
    z = rng.choice([0, 1, -3, 9, -30], size=(5, means.shape[1]))
    near = means[pick] + scales[pick] * z
    far = 2 * np.abs(means).max(axis=0) + 1
    return np.concatenate([near, np.zeros((1, means.shape[1])), [far]])


class Joint:
    """Closed forms of one mixture."""

    def __init__(self, weights, means, scales):
        used = weights > 0
        scales = np.broadcast_to(scales, means.shape)
        self.weights = [mpmath.mpf(w) for w in weights[used]]
        total = mpmath.fsum(self.weights)
        self.weights = [w / total for w in self.weights]
        self.means, self.scales = (
            [[mpmath.mpf(v) for v in row] for row in part[used]]
            for part in (means, scales)
        )
        self.outputs = range(means.shape[1])
        self.marginals = [
            Exact(weights, means[:, d], scales[:, d]) for d in self.outputs
        ]

    def log_terms(self, y, outputs):
        terms = []
        parts = zip(self.weights, self.means, self.scales, strict=True)
        for weight, mean, scale in parts:
            logs = [_log_normal(y[d] - mean[d], scale[d]) for d in outputs]
            terms.append(mpmath.log(weight) + mpmath.fsum(logs))
        return terms

    def logpdf(self, y):
        return _log_sum(self.log_terms(y, self.outputs))

    def shares(self, y, outputs):
        # Enough digits for the differences of squares of such distances.
        far = max(
            abs(y[d] - mean[d]) / scale[d]
            for mean, scale in zip(self.means, self.scales, strict=True)
            for d in outputs
        )
        with mpmath.workdps(60 + int(2 * mpmath.log10(far + 1))):
            terms = self.log_terms(y, outputs)
            best = max(terms)
            shares = [mpmath.exp(max(t - best, _LEAST)) for t in terms]
        return [share / mpmath.fsum(shares) for share in shares]

    def log_squared(self):
        """Log of the integral of the squared density."""
        parts = list(zip(self.weights, self.means, self.scales, strict=True))
        terms = []
        for w, m, s in parts:
            for v, n, t in parts:
                logs = [
                    _log_normal(m[d] - n[d], mpmath.hypot(s[d], t[d]))
                    for d in self.outputs
                ]
                terms.append(mpmath.log(w * v) + mpmath.fsum(logs))
        return _log_sum(terms)

    def cov(self, i, j):
        def about_first(row, d):
            return row[d] - self.means[0][d]

        pairs = list(zip(self.weights, self.means, self.scales, strict=True))
        a, b = (mpmath.fsum(w * about_first(m, d) for w, m, _ in pairs) for d in (i, j))
        return mpmath.fsum(
            w * (about_first(m, i) - a) * (about_first(m, j) - b)
            + (w * s[i] ** 2 if i == j else 0)
            for w, m, s in pairs
        )


def _log_normal(distance, scale):
    return -((distance / scale) ** 2 + mpmath.log(2 * mpmath.pi * scale**2)) / 2


def _log_sum(terms):
    best = max(terms)
    return best + mpmath.log(
        mpmath.fsum(mpmath.exp(max(t - best, _LEAST)) for t in terms)
    )


def density_faults(dist, exact, y):
    """Yield what is wrong with densities and scores at points (m, D)."""
    at = y[None]
    logpdf, pdf, cde = dist.logpdf(at)[0], dist.pdf(at)[0], dist.cde_loss(at)[0]
    energy, log_loss = dist.energy_score(at)[0], dist.log_loss(at)[0]
    log_squared = exact.log_squared()
    within = [marginal.within() for marginal in exact.marginals]
    for i, point in enumerate(y):
        point = [mpmath.mpf(v) for v in point]
        log_density = exact.logpdf(point)
        if abs(log_density) < 1e300:
            yield differs("logpdf", logpdf[i], log_density, 1e5)
            yield differs("log_loss", log_loss[i], -log_density, 1e5)
        elif not logpdf[i] < -1e299:
            yield "logpdf far away", logpdf[i]
        if log_density < 700:
            density, squared = mpmath.exp(log_density), mpmath.exp(log_squared)
            size, rel = 0 if log_density > -570 else 1e-200, 1 + abs(log_density) / 1e5
            yield differs("pdf", pdf[i], density, size, EXACT * rel)
            expected = squared - 2 * density
            yield differs("cde_loss", cde[i], expected, squared + density)
        elif not pdf[i] > 1e303 or np.isnan(cde[i]):
            yield "density beyond float64", pdf[i], cde[i]
        # No closed form: between that of one output and the sum of them.
        distances = [m.distance(v) for m, v in zip(exact.marginals, point, strict=True)]
        low = max(distances) - mpmath.fsum(within) / 2
        high = mpmath.fsum(distances) - max(within) / 2
        slack = EXACT * mpmath.fsum(distances)
        is_between = max(low, 0) - slack <= energy[i] <= high + slack
        if np.isnan(energy[i]) or (high < 1e307 and not is_between):
            yield "energy_score", energy[i], low, high


def share_faults(dist, exact, y):
    """Yield what is wrong with responsibilities and conditional distributions."""
    used = dist.weights[0] > 0
    shares = dist.responsibilities(y[None])[0][:, used]
    last = dist.n_outputs - 1
    for i, point in enumerate(y):
        given = [mpmath.mpf(v) for v in point]
        expected = exact.shares(given, exact.outputs)
        for actual, share in zip(shares[i], expected, strict=True):
            yield differs("responsibilities", actual, share, 1e4)
        for known in ([0], [last, 0] if last > 1 else [1]):
            conditional = dist.condition(known, point[known][None])
            found, expected = conditional.weights[0, used], exact.shares(given, known)
            for actual, share in zip(found, expected, strict=True):
                yield differs("condition", actual, share, 1e4)
            numbers = conditional.mean(), conditional.sample(random_state=0)
            if not all(np.isfinite(part).all() for part in numbers):
                yield "numbers of condition", *numbers


def moment_faults(dist, exact):
    """Yield what is wrong with moments, and with those of fewer components."""
    mean, var, std = dist.mean()[0], dist.var()[0], dist.std()[0]
    skew, kurtosis = dist.skew()[0], dist.kurtosis()[0]
    cov, corr = dist.cov()[0], dist.corr()[0]
    reduced = dist.reduce(max(1, dist.n_components // 2))
    variances = [exact.cov(d, d) for d in exact.outputs]
    for i, marginal in enumerate(exact.marginals):
        largest = max(abs(m) + s for _, m, s in marginal.parts)
        variance, centre = variances[i], marginal.mean()
        third, fourth = marginal.moment(3), marginal.moment(4)
        yield differs("mean", mean[i], centre, largest)
        yield differs("var", var[i], variance)
        yield differs("std", std[i], mpmath.sqrt(variance))
        yield differs("skew", skew[i], third / variance**1.5, 10)
        yield differs("kurtosis", kurtosis[i], fourth / variance**2 - 3, 10)
        yield differs("mean after reduce", reduced.mean()[0, i], centre, largest)
        yield differs("std after reduce", reduced.std()[0, i], mpmath.sqrt(variance))
        for j in exact.outputs:
            covariance, both = exact.cov(i, j), mpmath.sqrt(variance * variances[j])
            yield differs("cov", cov[i, j], covariance, both)
            yield differs("corr", corr[i, j], covariance / both, 10)


def place_faults(dist, rng):
    """Yield what is wrong with modes, entropy and draws."""
    used = dist.weights[0] > 0
    mode = dist.mode()
    top, at_means = dist.logpdf(mode)[0], dist.logpdf(dist.means)[0, used]
    smallest = np.broadcast_to(dist.scales, dist.means.shape)[0, used].min(axis=0)
    with np.errstate(under="ignore"):
        step = rng.choice([-1, 0, 1], size=(60, dist.n_outputs)) * smallest
        around = mode + step * 10.0 ** rng.choice([-3, -1, 0], size=(60, 1))
    highest = max(at_means.max(), dist.logpdf(around[None]).max())
    if not top >= highest - EXACT * (1 + abs(highest)):
        yield "mode", mode, top, highest
    (places,), (densities,), (masses,) = dist.modes(return_mass=True)
    if not (np.isfinite(places).all() and abs(masses.sum() - 1) <= EXACT):
        yield "modes", places, masses
    if np.any(densities[1:] > densities[:-1]):
        yield "order of modes", densities
    entropy, error = dist.entropy(200, random_state=0, return_std=True)
    lower, upper = dist.entropy_bounds()
    slack = 6 * error[0] + 1
    if not lower[0] - slack <= entropy[0] <= upper[0] + slack:
        yield "entropy", lower, entropy, error, upper
    if not np.isfinite(dist.sample(50, random_state=0)).all():
        yield ("sample",)


def faults(rng):
    """Yield what is wrong with one random mixture."""
    with np.errstate(under="ignore", over="ignore"):
        row = hostile_mixture(rng)
        y = targets(rng, *row)
    dist, exact = MixtureDistribution(*([part] for part in row)), Joint(*row)
    found = [*density_faults(dist, exact, y), *share_faults(dist, exact, y)]
    found += [*moment_faults(dist, exact), *place_faults(dist, rng)]
    return [fault for fault in found if fault is not None]


if __name__ == "__main__":
    main(faults)
