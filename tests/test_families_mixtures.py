# SPDX-License-Identifier: BSD-3-Clause
"""Mixtures of every family of components, through every generic test."""

import itertools
import math
import pickle
from functools import partial

import naive
import numpy as np
import pytest
from mixtures import each_family, random_mixture, rows_of
from scipy.integrate import quad
from scipy.stats import gumbel_r, kstest

from skmdn import MixtureDistribution
from skmdn._distribution.standard import Standard
from skmdn._families import FAMILIES, register
from skmdn._families.base import Family
from skmdn._jit.policy import loop_helper
from skmdn._jit.vector import exp, log, sqrt


def logpdf(family, z):
    return family.log_density(z, 1.0)[0] - family.log_normaliser


def mixture(name, seed=0, n_outputs=None):
    return random_mixture(seed, 3, 3, n_outputs, family=name)


@each_family
def test_densities_of_mixtures(families, name):
    dist, y = mixture(name), [-1.0, 0.3, 25.0]
    for i, row in enumerate(rows_of(dist)):
        expected = [naive.mixture_pdf(*row, v, name) for v in y]
        np.testing.assert_allclose(dist[i].pdf([y])[0], expected)
    (row,), one = rows_of(dist[0]), dist[0]
    total = naive.mixture_integral([row[1:]], lambda y: one.pdf(y)[0])
    assert total == pytest.approx(1, abs=1e-10)
    assert np.all(dist.logpdf(np.inf) == -np.inf)
    joint, y = mixture(name, n_outputs=2), [0.4, -3.0]
    expected = [naive.joint_logpdf(*row, y, name) for row in rows_of(joint)]
    np.testing.assert_allclose(joint.logpdf(y), expected, rtol=1e-12)


@each_family
def test_distribution_functions_of_mixtures(families, name):
    dist = mixture(name)
    y = np.array([-12.0, -0.3, 0.8, 9.0])
    for i, row in enumerate(rows_of(dist)):
        expected = [naive.mixture_cdf(*row, v, name) for v in y]
        np.testing.assert_allclose(dist[i].cdf(y[None])[0], expected, rtol=1e-10)
        np.testing.assert_allclose(dist[i].logcdf(y[None])[0], np.log(expected))
    mirrored = dist.affine(-1.0)
    np.testing.assert_allclose(mirrored.sf(-y[None]), dist.cdf(y[None]), rtol=1e-10)
    np.testing.assert_allclose(dist.prob(-np.inf, np.inf), 1)


@each_family
def test_logarithms_of_tails_where_the_tails_are_zero(families, name):
    dist = MixtureDistribution([[0.4, 0.6]], [[0.0, 0.0]], [[1.0, 1.0]], family=name)
    start, rate = logpdf(families[name], 900.0), families[name].log_density(900, 1.0)[1]

    def relative(t):
        return math.exp(logpdf(families[name], 900.0 + t / rate) - start)

    expected = start + math.log(quad(relative, 0, 60, epsabs=1e-14)[0] / rate)
    assert dist.sf(900.0)[0] == 0
    np.testing.assert_allclose(dist.logsf(900.0), expected, rtol=1e-12)
    np.testing.assert_allclose(dist.logcdf(-900.0), expected, rtol=1e-12)


@each_family
def test_quantiles_of_mixtures(families, name):
    dist = mixture(name)
    q = np.array([1e-15, 1e-4, 0.2, 0.5, 0.77])
    np.testing.assert_allclose(dist.cdf(dist.ppf(q)), q[None].repeat(3, 0), rtol=1e-12)
    np.testing.assert_allclose(dist.sf(dist.isf(q)), q[None].repeat(3, 0), rtol=1e-12)
    for i, row in enumerate(rows_of(dist)):
        expected = naive.mixture_quantile(*row, 0.2, name)
        np.testing.assert_allclose(dist[i].ppf(0.2), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(dist.ppf([0.0, 1.0])[0], [-np.inf, np.inf])
    far_apart = MixtureDistribution(
        [[0.5, 0.5]], [[-1e6, 1e6]], [[1.0, 1e-3]], family=name
    )
    np.testing.assert_allclose(far_apart.cdf(far_apart.ppf([0.1, 0.9])), [[0.1, 0.9]])


@pytest.mark.parametrize("unit", [1e-9, 1e-12, 1e-14])
@pytest.mark.parametrize("name", ["gaussian", "laplace", "logistic"])
def test_quantiles_are_right_to_the_resolution_of_numbers(name, unit):
    dist = random_mixture(0, n=60, family=name).affine(unit, 1.0)
    q = np.array([1e-6, 0.01, 0.1, 0.5, 0.9, 0.99, 1 - 1e-6])
    found = dist.ppf(q)
    step = 2 * np.spacing(found)
    slack = 1e-9 * np.minimum(q, 1 - q) + 1e-15
    assert np.all(dist.cdf(found - step) <= q + slack)
    assert np.all(dist.cdf(found + step) >= q - slack)


@each_family
def test_moments_of_mixtures(families, name):
    dist = mixture(name)[0]
    (row,) = rows_of(dist)

    def expectation(func):
        return naive.mixture_expectation(*row, func, family=name)

    mean, second, third, fourth = (
        expectation(lambda y, order=order: (y - dist.mean()[0]) ** order)
        for order in (1, 2, 3, 4)
    )
    assert mean == pytest.approx(0, abs=1e-10)
    np.testing.assert_allclose(dist.var(), second, rtol=1e-10)
    np.testing.assert_allclose(dist.std() ** 2, second, rtol=1e-10)
    np.testing.assert_allclose(dist.skew(), third / second**1.5, atol=1e-9)
    np.testing.assert_allclose(dist.kurtosis(), fourth / second**2 - 3, atol=1e-9)
    joint = mixture(name, n_outputs=2)
    product = joint.expect(lambda y: y[..., 0] * y[..., 1])
    cov = product - joint.mean().prod(axis=1)
    np.testing.assert_allclose(joint.cov()[:, 0, 1], cov, rtol=1e-9)
    np.testing.assert_allclose(joint.marginal(1).var(), joint.cov()[:, 1, 1])


@each_family
def test_expectations_of_mixtures(families, name):
    dist = mixture(name)[0]
    (row,) = rows_of(dist)
    for func in (np.cos, lambda y: np.exp(-((y / 4) ** 2))):
        expected = naive.mixture_expectation(*row, func, family=name)
        np.testing.assert_allclose(dist.expect(func), expected, atol=1e-10)
    second = dist.var() + dist.mean() ** 2
    np.testing.assert_allclose(dist.expect(np.square, n_nodes=2), second)
    joint = dist.independent([dist, dist, dist])
    found = joint.expect(lambda y: y[..., 0] * y[..., 1] ** 2)
    np.testing.assert_allclose(found, dist.mean() * second)


@each_family
def test_partial_moments_of_mixtures(families, name):
    dist, t = mixture(name)[0], 0.4
    (row,) = rows_of(dist)

    def beyond(y, sign, order):
        return (sign * (t - y)) ** order if sign * (t - y) > 0 else 0.0

    for order in (0, 1, 2):
        for tail, sign in (("lower", 1), ("upper", -1)):
            expected = naive.mixture_expectation(
                *(*row, partial(beyond, sign=sign, order=order)), (t,), name
            )
            found = dist.partial_moment(t, order, tail=tail)[0]
            assert found == pytest.approx(expected, abs=1e-10)
    quantile = dist.ppf(0.1)[0]
    below = naive.mixture_expectation(
        *row, lambda y: y * (y < quantile), (quantile,), name
    )
    np.testing.assert_allclose(dist.expected_shortfall(0.1), below / 0.1)


@each_family
def test_scores_of_mixtures(families, name):
    dist, y = mixture(name)[0], 0.7
    (row,) = rows_of(dist)
    expected = naive.mixture_crps(*row, y, name)
    np.testing.assert_allclose(dist.crps(y), expected, atol=1e-10)
    draws = dist.sample(20_000, random_state=0)[0]
    distances = np.abs(draws - y) - 0.5 * np.abs(draws - draws[::-1])
    error = distances.std() / math.sqrt(len(draws))
    assert abs(distances.mean() - expected) < 4 * error
    squared = naive.mixture_integral(
        [row[1:]], lambda y: naive.mixture_pdf(*row, y, name) ** 2
    )
    expected = squared - 2 * naive.mixture_pdf(*row, y, name)
    np.testing.assert_allclose(dist.cde_loss(y), expected, atol=1e-10)


@each_family
def test_entropy_and_divergence_of_mixtures(families, name):
    dist, other = mixture(name), mixture("laplace", seed=1)
    lower, upper = dist.entropy_bounds()
    assert np.all((lower < dist.entropy()) & (dist.entropy() < upper))
    single = MixtureDistribution([[1.0]], [[3.0]], [[2.0]], family=name)
    np.testing.assert_allclose(single.entropy(), single.entropy_bounds()[1])
    f, g = rows_of(dist)[0], rows_of(other)[0]

    def log_ratio(y):
        density = naive.mixture_pdf(*f, y, name)
        log_g = naive.joint_logpdf(g[0], g[1][:, None], g[2][:, None], [y], "laplace")
        return density * (math.log(density) - log_g) if density > 0 else 0.0

    def surprise(y):
        density = naive.mixture_pdf(*f, y, name)
        return -density * math.log(density) if density > 0 else 0.0

    expected = naive.mixture_integral([f[1:]], surprise)
    assert dist.entropy()[0] == pytest.approx(expected, abs=1e-9)
    expected = naive.mixture_integral([f[1:], g[1:]], log_ratio)
    assert dist.kl_divergence(other)[0] == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(dist.kl_divergence(dist), 0, atol=1e-12)


@each_family
def test_entropy_beyond_the_resolution_of_means(families, name):
    # No overlap to speak of: the entropy of the choice and that of the components.
    w, scales = np.array([0.5, 0.3, 0.2]), np.array([1.0, 1e-11, 1e-30])
    dist = MixtureDistribution([w], [[0.0, 5e3, 0.7]], [scales], family=name)
    single = MixtureDistribution([[1.0]], [[0.0]], [[1.0]], family=name).entropy()
    expected = single + w @ (np.log(scales) - np.log(w))
    np.testing.assert_allclose(dist.entropy(), expected, rtol=1e-9)


@each_family
def test_modes_of_mixtures(families, name):
    dist = random_mixture(3, 20, 3, family=name)
    found = dist.modes(return_mass=True)
    for i, (places, densities, masses) in enumerate(zip(*found, strict=True)):
        # Beside locations, because there are the kinks.
        x = np.linspace(-9, 9, 20_001)
        x = np.sort(np.concatenate([x, dist.means[i]]))[None]
        density = dist[i].pdf(x)[0]
        is_peak = (density[1:-1] > density[:-2]) & (density[1:-1] >= density[2:])
        np.testing.assert_allclose(places, x[0, 1:-1][is_peak], atol=1e-3)
        np.testing.assert_allclose(densities, dist[i].pdf(places[None])[0])
        assert masses.sum() == pytest.approx(1, abs=1e-12)
        assert dist.mode()[i] == places[np.argmax(densities)]


@each_family
def test_two_modes_that_are_nearly_one(families, name):
    # From the scale at which a mixture of two halves parts into two modes.
    apart = MixtureDistribution([[0.5, 0.5]], [[-1.4, 1.4]], [[0.5, 0.5]], family=name)
    (places,), _, (masses,) = apart.modes(return_mass=True)
    assert len(places) == 2
    np.testing.assert_allclose(places, -places[::-1], atol=1e-9)
    np.testing.assert_allclose(masses, [0.5, 0.5])
    one = MixtureDistribution([[0.5, 0.5]], [[1.0, 1.0]], [[0.5, 2.0]], family=name)
    np.testing.assert_allclose(one.modes()[0], [1.0], atol=1e-12)


@each_family
@pytest.mark.parametrize("coverage", [0.05, 0.5, 0.99])
def test_regions_of_mixtures(families, name, coverage):
    dist = random_mixture(3, 10, 3, family=name)
    for i, region in enumerate(dist.hdr(coverage)):
        masses = [dist[i].prob(*interval)[0] for interval in region]
        assert sum(masses) == pytest.approx(coverage, abs=1e-10)
        heights = dist[i].logpdf(region.reshape(1, -1))
        np.testing.assert_allclose(heights, heights[0, 0], atol=1e-8)
        assert np.all(np.diff(region.ravel()) > 0)


@each_family
def test_modes_of_several_outputs(families, name):
    dist = random_mixture(5, 4, 3, 2, family=name)
    for i, (locations, densities) in enumerate(
        zip(*dist.modes(return_mass=True)[:2], strict=True)
    ):
        assert np.all(np.diff(densities) <= 0)
        np.testing.assert_array_equal(dist.mode()[i], locations[0])
        around = np.random.RandomState(0).normal(size=(1, 500, 2))
        for location, density in zip(locations, densities, strict=True):
            for radius in (1e-3, 1e-5):
                beside = dist[i].pdf(location + radius * around)
                assert beside.max() <= density * (1 + 1e-12)
        cloud = dist[i].pdf(np.swapaxes(dist[i].sample(2000, 0), 1, 2))
        assert cloud.max() <= densities[0]


def test_modes_of_many_components_take_bounded_work(monkeypatch):
    n_values, original = [0], Standard.log_density

    def counted(self, z):
        n_values[0] += z.size
        return original(self, z)

    dist = random_mixture(0, 1, 60, 2, family="laplace")
    monkeypatch.setattr(Standard, "log_density", counted)
    (locations,) = dist.modes()
    assert n_values[0] < 60**4
    # Between kinks the log-density is convex, in every output.
    assert np.all([np.isin(locations[:, d], dist.means[0, :, d]) for d in range(2)])
    around = 1e-7 * np.random.RandomState(0).normal(size=(500, 1, 2))
    assert np.all(
        dist.logpdf((locations + around).reshape(1, -1, 2)).reshape(500, -1)
        < dist.logpdf(locations[None])
    )
    assert dist.logpdf(locations[:1]) >= dist.logpdf(dist.means).max()


def test_mode_that_is_narrower_than_the_spacing_of_numbers():
    means, scales = [[[0.0, -1e140], [1.0, 0.0]]], [[[1.0, 1e55], [1.0, 1e148]]]
    dist = MixtureDistribution([[0.5, 0.5]], means, scales, family="logistic")
    assert dist.logpdf(dist.mode()) >= dist.logpdf(dist.means).max()


@each_family
def test_draws_of_mixtures(families, name):
    dist = mixture(name)
    draws = dist.sample(3000, random_state=0)
    for one, values in zip(map(dist.__getitem__, range(len(dist))), draws, strict=True):
        assert kstest(values, distribution_function(one)).pvalue > 1e-3
    np.testing.assert_array_equal(draws, dist.sample(3000, random_state=0))
    joint = mixture(name, n_outputs=2)
    draws = joint.sample(3000, random_state=0)
    for d in range(2):
        one = joint.marginal(d)[0]
        assert kstest(draws[0, d], distribution_function(one)).pvalue > 1e-3
    error = np.sqrt(joint.var() / 3000)
    assert np.all(np.abs(draws.mean(axis=2) - joint.mean()) < 5 * error)
    # Both outputs of a draw come from the same component.
    product = (draws - joint.mean()[..., None]).prod(axis=1)
    error = product.std(axis=1) / np.sqrt(3000)
    assert np.all(np.abs(product.mean(axis=1) - joint.cov()[:, 0, 1]) < 5 * error)
    wide = dist.sample(3000, random_state=0, temperature=(1.0, 4.0))
    twice = dist._replace(scales=2 * dist.scales)
    np.testing.assert_array_equal(wide, twice.sample(3000, random_state=0))


def distribution_function(dist):
    return lambda y: dist.cdf(y[None])[0]


@each_family
def test_fewer_components_keep_mean_and_variance(families, name):
    for dist in (mixture(name), mixture(name, n_outputs=2)):
        reduced = dist.reduce(1)
        np.testing.assert_allclose(reduced.mean(), dist.mean(), rtol=1e-12)
        np.testing.assert_allclose(reduced.var(), dist.var(), rtol=1e-12)


ONE_OUTPUT = {
    **{
        name: lambda dist, name=name: getattr(dist, name)(0.3)
        for name in (
            *("logpdf", "pdf", "cdf", "sf", "logcdf", "logsf", "ppf", "isf"),
            *("interval", "partial_moment", "expected_shortfall", "log_loss", "pit"),
            *("crps", "energy_score", "cde_loss", "responsibilities", "hdr"),
        )
    },
    **{
        name: lambda dist, name=name: getattr(dist, name)()
        for name in (
            *("median", "mean", "var", "std", "skew", "kurtosis", "cov", "corr"),
            *("entropy", "entropy_bounds", "mode", "modes", "sample", "to_frame"),
        )
    },
    "prob": lambda dist: dist.prob(0.0, 1.0),
    "expect": lambda dist: dist.expect(np.cos),
    "hdr_level": lambda dist: dist.hdr_level(0.5, n_samples=100),
    "kl_divergence": lambda dist: dist.kl_divergence(dist.affine(1.1)),
    "marginal": lambda dist: dist.marginal(0),
    "reduce": lambda dist: dist.reduce(2),
    "affine": lambda dist: dist.affine(-2.0, 1.0),
    "reweight": lambda dist: dist.reweight(dist.weights),
    "concatenate": lambda dist: dist.concatenate([dist, dist]),
    "mix": lambda dist: dist.mix([dist, dist], [0.5, 0.5]),
    "independent": lambda dist: dist.independent([dist, dist]),
}
POINT = [0.3, -0.2]
SEVERAL_OUTPUTS = {
    **{
        name: lambda dist, name=name: getattr(dist, name)(POINT)
        for name in (
            *("logpdf", "pdf", "cdf", "pit", "log_loss", "cde_loss"),
            "responsibilities",
        )
    },
    "prob": lambda dist: dist.prob([0.0, -1.0], [1.0, 2.0]),
    "energy_score": lambda dist: dist.energy_score(POINT, n_samples=100),
    "expect": lambda dist: dist.expect(lambda y: np.cos(y).sum(axis=-1)),
    "marginal": lambda dist: dist.marginal([1, 0]),
    "condition": lambda dist: dist.condition(0, 0.3),
    **{
        name: ONE_OUTPUT[name]
        for name in (
            *("mean", "var", "std", "skew", "kurtosis", "cov", "corr", "entropy"),
            *("entropy_bounds", "mode", "modes", "sample", "to_frame", "reduce"),
            *("affine", "reweight", "concatenate", "mix", "independent", "hdr_level"),
        )
    },
}
GAUSSIANS = {
    "linear": lambda dist: dist.linear([[1.0, 2.0], [0.5, 0.0]]),
    "ellipses": lambda dist: dist.ellipses(0.5),
}


def is_finite(answer):
    if isinstance(answer, MixtureDistribution):
        return is_finite(answer.mean()) and is_finite(answer.logpdf(answer.mean()))
    if isinstance(answer, list | tuple):
        return all(is_finite(part) for part in answer)
    return bool(np.all(np.isfinite(answer)))


@each_family
def test_every_method_answers(families, name):
    public = {
        method
        for method in dir(MixtureDistribution)
        if not method.startswith("_") and callable(getattr(MixtureDistribution, method))
    }
    assert public == {*ONE_OUTPUT, *SEVERAL_OUTPUTS, *GAUSSIANS}
    for calls, dist in (
        (ONE_OUTPUT, mixture(name)),
        (SEVERAL_OUTPUTS, mixture(name, n_outputs=2)),
    ):
        for method, call in calls.items():
            answer = call(dist)
            assert is_finite(answer), method
            if isinstance(answer, MixtureDistribution):
                assert answer.family == name, method
    for method, call in GAUSSIANS.items():
        if name == "gaussian":
            assert is_finite(call(dist)), method
        else:
            with pytest.raises(ValueError, match=f"{method} is for .*{name}"):
                call(dist)


HOSTILE = {
    "no rows": lambda dist: dist[:0],
    "tiny": lambda dist: dist.affine(1e-150),
    "huge": lambda dist: dist.affine(1e150),
    "far and narrow": lambda dist: dist.affine(1e-8, 1e8),
    "one component": lambda dist: dist.reweight(np.eye(3)),
}


@each_family
@pytest.mark.parametrize("case", HOSTILE)
def test_every_method_answers_hostile_mixtures(families, name, case):
    for calls, n_outputs in ((ONE_OUTPUT, None), (SEVERAL_OUTPUTS, 2)):
        dist = HOSTILE[case](mixture(name, n_outputs=n_outputs))
        for method, call in calls.items():
            with np.errstate(all="raise"):
                assert is_finite(call(dist)), method


@each_family
def test_the_family_stays(families, name):
    dist = mixture(name)
    assert pickle.loads(pickle.dumps(dist)).family == name
    assert dist[1].family == dist[:2].family == name
    assert (name in repr(dist)) == (name != "gaussian")


def test_families_are_not_mixed():
    parts = [mixture("laplace"), mixture("logistic")]
    for verb in ("concatenate", "independent"):
        with pytest.raises(ValueError, match=r"one family; got .*laplace.*logistic"):
            getattr(MixtureDistribution, verb)(parts)
    with pytest.raises(ValueError, match="one family"):
        MixtureDistribution.mix(parts, [0.5, 0.5])
    with pytest.raises(ValueError, match=r"family must be one of .*laplace.*'cauchy'"):
        MixtureDistribution([[1.0]], [[0.0]], [[1.0]], family="cauchy")
    with pytest.raises(ValueError, match=r"n_samples must be an integer .* 'laplace'"):
        mixture("laplace", n_outputs=2).energy_score([0.0, 0.0])


@pytest.fixture
def gumbel():
    """A family that is not symmetric."""

    def log_density(distance, precision):
        root = sqrt(precision)
        e = exp(-distance * root)
        slope = root * (1 - e)
        return 0.5 * log(precision) - distance * root - e, slope, slope * distance - 1

    yield register(Family("gumbel", loop_helper(log_density), 0.0))
    del FAMILIES["gumbel"]


def test_a_family_need_not_be_symmetric(gumbel):
    dist = MixtureDistribution([[1.0]], [[2.0]], [[3.0]], family="gumbel")
    other = gumbel_r(2, 3)
    found = [f()[0] for f in (dist.mean, dist.std, dist.skew, dist.kurtosis)]
    np.testing.assert_allclose(found, [other.mean(), other.std(), *other.stats("sk")])
    np.testing.assert_allclose(dist.entropy(), other.entropy())
    np.testing.assert_allclose(dist.ppf([[0.1, 0.9]])[0], other.ppf([0.1, 0.9]))
    ends = [-20, -5, 1, 20, 120]
    crps = sum(
        quad(lambda t: (other.cdf(t) - (t >= 1)) ** 2, *piece, epsabs=1e-12)[0]
        for piece in itertools.pairwise(ends)
    )
    np.testing.assert_allclose(dist.crps(1.0), crps)
    np.testing.assert_allclose(dist.mode(), 2.0)
    mixed = MixtureDistribution.mix([dist, dist.affine(2.0)], [0.5, 0.5])
    np.testing.assert_allclose(mixed.reduce(1).mean(), mixed.mean())
    np.testing.assert_allclose(mixed.reduce(1).var(), mixed.var())
    with pytest.raises(ValueError, match=r"scale must be positive for .* 'gumbel'"):
        dist.affine(-1.0)
