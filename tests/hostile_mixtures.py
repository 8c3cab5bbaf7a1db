# SPDX-License-Identifier: BSD-3-Clause
"""Random hostile mixtures through every method of one output.

    python tests/hostile_mixtures.py [2000]

Each is checked against closed forms in 50 digits (mpmath), or by what a result must
fulfil. The suite runs the first thirty.
"""

import math
import sys

import mpmath
import numpy as np

from skmdn import MixtureDistribution

EXACT = 1e-9
_LEVELS = [1e-12, 0.01, 0.25, 0.5, 0.9, 1 - 1e-9]


def hostile_mixture(rng, most=12):
    """One row of weights, means and scales of all magnitudes."""
    k = rng.choice([1, 2, 3, 5, most])
    weights = 10.0 ** rng.choice([0, -2, -10, -300], size=k, p=[0.6, 0.2, 0.1, 0.1])
    weights *= rng.uniform(0.1, 1, size=k)
    weights[rng.uniform(size=k) < 0.15] = 0
    weights[rng.randint(k)] = 1
    size = 10.0 ** rng.choice([-300, -100, -6, 0, 3, 17, 150, 300])
    spread = 10.0 ** rng.choice(
        [0, -2, -12, -100, -310], size=k, p=[0.5, 0.2, 0.1, 0.1, 0.1]
    )
    scales = np.clip(size * spread * rng.uniform(0.5, 2, size=k), 1e-300, 1e300)
    means = size * rng.choice([0, 1e-5, 1, 100 if size < 1e200 else 1], size=k)
    means = np.clip(means * rng.normal(size=k), -1e300, 1e300)
    if k > 2 and rng.uniform() < 0.3:  # coincide
        means[1], scales[1] = means[0], scales[0]
    if k > 2 and rng.uniform() < 0.3:  # one place, many scales
        means[:] = means[0]
    return weights / weights.sum(), means, scales


def targets(rng, weights, means, scales):
    """Where to ask: at components, in their tails, far from all."""
    pick = rng.choice(np.flatnonzero(weights > 0), size=6)
    near = means[pick] + scales[pick] * rng.choice([0, 1, -3, 9, -30], size=6)
    return np.concatenate([near, [0.0, 2 * np.abs(means).max() + 1]])


class Exact:
    """Closed forms of one mixture."""

    def __init__(self, weights, means, scales):
        used = weights > 0
        parts = (values[used] for values in (weights, means, scales))
        numbers = [tuple(map(mpmath.mpf, part)) for part in zip(*parts, strict=True)]
        total = mpmath.fsum(w for w, _, _ in numbers)
        self.parts = [(w / total, m, s) for w, m, s in numbers]

    def sum(self, term):
        return mpmath.fsum(w * term(m, s) for w, m, s in self.parts)

    def pdf(self, y):
        return self.sum(lambda m, s: _npdf((y - m) / s) / s)

    def cdf(self, y, sign=1):
        return self.sum(lambda m, s: _ncdf(sign * (y - m) / s))

    def mean(self):
        return self.parts[0][1] + self.sum(lambda m, s: m - self.parts[0][1])

    def moment(self, order):
        # Seen from one of the means, which may be all but equal.
        first = self.parts[0][1]
        mean = self.sum(lambda m, s: m - first)
        forms = {
            2: lambda d, s: d**2 + s**2,
            3: lambda d, s: d**3 + 3 * d * s**2,
            4: lambda d, s: d**4 + 6 * d**2 * s**2 + 3 * s**4,
        }
        return self.sum(lambda m, s: forms[order](m - first - mean, s))

    def distance(self, y):
        return self.sum(lambda m, s: _length(m - y, s))

    def within(self):
        return mpmath.fsum(
            w * v * _length(m - n, mpmath.hypot(s, t))
            for w, m, s in self.parts
            for v, n, t in self.parts
        )

    def squared(self):
        return mpmath.fsum(
            w * v * _npdf((m - n) / mpmath.hypot(s, t)) / mpmath.hypot(s, t)
            for w, m, s in self.parts
            for v, n, t in self.parts
        )

    def shortage(self, y, sign=1):
        return self.sum(lambda m, s: _shortage(sign * (y - m), s))


def _ncdf(z):
    return mpmath.mpf(z > 0) if abs(z) > 1e6 else mpmath.erfc(-z / mpmath.sqrt(2)) / 2


def _npdf(z):
    return mpmath.mpf(0) if abs(z) > 1e6 else mpmath.npdf(z)


def _shortage(d, s):
    return d * _ncdf(d / s) + s * _npdf(d / s)


def _length(d, s):
    return _shortage(d, s) + _shortage(-d, s)


def differs(name, actual, expected, size=0.0, rel=EXACT):
    """Name the result and its right value if it is not that: None otherwise.

    `size` is that of the numbers whose rounding cannot be avoided.
    """
    expected = mpmath.mpf(expected)
    if abs(expected) > 1e307:  # beyond float64
        is_right = np.isinf(actual) or abs(actual) > 1e306
        return None if is_right else (name, actual, expected)
    if not np.isfinite(actual):
        return name, actual, expected
    error = abs(mpmath.mpf(float(actual)) - expected)
    bound = rel * abs(expected) + 1e-14 * mpmath.mpf(size) + mpmath.mpf(1e-290)
    return None if error <= bound else (name, float(actual), mpmath.nstr(expected, 15))


def faults(rng):
    """Yield what is wrong with one random mixture."""
    with np.errstate(under="ignore"):
        row = hostile_mixture(rng)
        y = targets(rng, *row)
    dist, exact = MixtureDistribution(*([part] for part in row)), Exact(*row)
    at = y[None]
    largest = float(max(np.abs(y).max(), np.abs(row[1]).max(), row[2].max()))

    found = []
    pdf, logpdf, cdf, sf = (
        getattr(dist, n)(at)[0] for n in ("pdf", "logpdf", "cdf", "sf")
    )
    logcdf, logsf, crps = dist.logcdf(at)[0], dist.logsf(at)[0], dist.crps(at)[0]
    cde, partial = dist.cde_loss(at)[0], dist.partial_moment(at, 1)[0]
    within, squared = exact.within(), exact.squared()
    for i, value in enumerate(map(float, y)):
        density, below, above = exact.pdf(value), exact.cdf(value), exact.cdf(value, -1)
        if density > 0 and abs(mpmath.log(density)) < 1e300:
            found.append(differs("logpdf", logpdf[i], mpmath.log(density), 1e5))
        found.append(differs("pdf", pdf[i], density, 0 if density > 1e-250 else 1e-200))
        found.append(differs("cdf", cdf[i], below, 1e-280))
        found.append(differs("sf", sf[i], above, 1e-280))
        found.append(
            differs(
                "prob",
                dist.prob(min(0.0, value), max(0.0, value))[0],
                abs(exact.cdf(0) - below),
                1,
            )
        )
        for name, actual, tail, other in (
            ("logcdf", logcdf[i], below, above),
            ("logsf", logsf[i], above, below),
        ):
            log = (
                mpmath.log1p(-other)
                if other < 0.5
                else mpmath.log(tail)
                if tail > 0
                else None
            )
            if log is not None and abs(log) < 1e300:
                found.append(differs(name, actual, log))
        distance = exact.distance(value)
        found.append(differs("crps", crps[i], distance - within / 2, distance))
        found.append(
            differs("cde_loss", cde[i], squared - 2 * density, squared + density)
        )
        found.append(
            differs(
                "partial_moment", partial[i], exact.shortage(value), 1e-280 * largest
            )
        )
    var = exact.moment(2)
    std = mpmath.sqrt(var)
    biggest = max(abs(m) + s for _, m, s in exact.parts)
    found.append(differs("mean", dist.mean()[0], exact.mean(), biggest))
    found.append(differs("std", dist.std()[0], std))
    found.append(differs("var", dist.var()[0], var, 1e-280))
    found.append(differs("skew", dist.skew()[0], exact.moment(3) / std**3, 10))
    found.append(
        differs("kurtosis", dist.kurtosis()[0], exact.moment(4) / var**2 - 3, 10)
    )
    found.append(differs("expect", dist.expect(lambda t: t)[0], exact.mean(), biggest))
    found.append(differs("corr", dist.corr()[0, 0, 0], 1))
    for upper in (False, True):
        quantiles = (dist.isf if upper else dist.ppf)(_LEVELS)[0]
        tails = dist.expected_shortfall(_LEVELS, tail="upper" if upper else "lower")[0]
        for q, x, tail in zip(_LEVELS, quantiles, tails, strict=True):
            sign = -1 if upper else 1
            step = 2 * sign * math.ulp(x)
            ends = [x - step, x + step]
            low, high = (exact.cdf(float(end), sign) for end in ends)
            # Right to 1e-9 of the smaller tail, or between neighbouring numbers.
            slack = EXACT * min(q, 1 - q) + 1e-15 * (q > 0.5)
            if not low - slack <= q <= high + slack:
                found.append(
                    (
                        "isf" if upper else "ppf",
                        q,
                        x,
                        mpmath.nstr(exact.cdf(x, sign), 12),
                    )
                )
            shortage = exact.shortage(float(x), sign)
            expected = mpmath.mpf(float(x)) - sign * shortage / q
            found.append(
                differs(
                    "expected_shortfall", tail, expected, abs(x) + abs(shortage) / q
                )
            )
    lower, upper = dist.entropy_bounds()
    entropy = dist.entropy()[0]
    slack = EXACT * (1 + abs(entropy))
    if not lower[0] - slack <= entropy <= upper[0] + slack:
        found.append(("entropy", lower[0], entropy, upper[0]))
    divergence = dist.kl_divergence(dist)[0]
    if not divergence <= EXACT:
        found.append(("kl_divergence", divergence))
    for name in ("median", "mode", "pit", "responsibilities", "sample"):
        result = getattr(dist, name)(
            *((at,) if name in ("pit", "responsibilities") else ())
        )
        if not np.all(np.isfinite(result)):
            found.append((name, result))
    found += [*mode_faults(dist), *region_faults(dist)]
    return [fault for fault in found if fault is not None]


def mode_faults(dist):
    """Yield what is wrong with the modes of the only row."""
    (places,), _, (masses,) = dist.modes(return_mass=True)
    heights = dist.logpdf(places[None])[0]
    if not (np.all(np.diff(places) > 0) and np.all(np.isfinite(heights))):
        yield "modes", places, heights
    if not (np.all(masses > 0) and abs(masses.sum() - 1) <= EXACT):
        yield "masses of modes", masses
    # A mean where the density is higher than at the numbers beside it is a mode.
    means = dist.means[0, dist.weights[0] > 0]
    with np.errstate(under="ignore"):
        beside = np.nextafter(means, -np.inf), np.nextafter(means, np.inf)
        at, low, high = (dist.logpdf(x[None])[0] for x in (means, *beside))
    apart = 1e-9 * (1 + abs(at))
    is_peak = (at > low + apart) & (at > high + apart)
    if not np.all(np.isin(means[is_peak], places)):
        yield "modes missed", np.setdiff1d(means[is_peak], places)
    if not dist.logpdf(dist.mode()[None])[0, 0] >= at.max() - EXACT * abs(at.max()):
        yield "mode", dist.mode(), at.max()


def region_faults(dist, coverages=(1e-12, 1e-9, 1e-5, 0.5, 0.999)):
    """Yield what is wrong with the highest-density regions of the only row."""

    def mass(region):
        return dist.prob(region[:, 0][None], region[:, 1][None]).sum()

    for coverage in coverages:
        region = dist.hdr(coverage)[0]
        slack = min(EXACT, 1e-3 * coverage)
        if not np.all(np.diff(region.ravel()) > 0):
            yield "order of hdr", coverage, region
        if not mass(region) >= coverage - slack:
            yield "hdr too small", coverage, region, mass(region)
        # The next numbers inside: no mass is to spare where ends can be resolved.
        with np.errstate(under="ignore"):
            inner = np.nextafter(region, [np.inf, -np.inf])
            outer = np.nextafter(region, [-np.inf, np.inf]).ravel()
        kept = inner[inner[:, 0] < inner[:, 1]]
        if not min(mass(region), mass(kept)) <= coverage + slack:
            yield "hdr too large", coverage, region, mass(region)
        places = np.concatenate([dist.modes()[0], dist.means[0, dist.weights[0] > 0]])
        is_in = np.any((places >= region[:, :1]) & (places <= region[:, 1:]), axis=0)
        inside = np.concatenate([inner.ravel(), places[is_in]])
        # What is left of neighbouring numbers are the ends, which are not inside.
        inside = inside[np.any((inside > region[:, :1]) & (inside < region[:, 1:]), 0)]
        outside = np.concatenate([outer, places[~is_in]])
        if len(inside):
            level = dist.logpdf(inside[None]).min()
            beyond = dist.logpdf(outside[None]).max()
            if not beyond <= level + EXACT * (1 + min(abs(level), 1e300)):
                yield "hdr is not the highest", coverage, region, level, beyond


def all_faults(n_mixtures, faults=faults):
    """Kinds of faults of so many mixtures, each with the seeds and numbers."""
    kinds = {}
    for seed in range(n_mixtures):
        try:
            with np.errstate(all="raise"), mpmath.workdps(50):
                found = list(faults(np.random.RandomState(seed)))
        except Exception as error:
            found = [(type(error).__name__, str(error))]
        for kind, *numbers in found:
            kinds.setdefault(kind, []).append((seed, *numbers))
    return kinds


def main(faults=faults):
    """Print what is wrong with 2000 mixtures, or as many as are asked for."""
    found = all_faults(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, faults)
    for kind, cases in found.items():
        print(kind, len({case[0] for case in cases}), *cases[:4], sep="\n    ")


if __name__ == "__main__":
    main()
