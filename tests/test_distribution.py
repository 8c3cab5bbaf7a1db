# SPDX-License-Identifier: BSD-3-Clause
"""MixtureDistribution: against the oracle, its laws, hostile values, messages."""

import pickle
from functools import partial

import naive
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from skmdn import MixtureDistribution

N, K = 7, 4
BIMODAL = MixtureDistribution([[0.5, 0.5]], [[-3.0, 3.0]], [[0.5, 0.5]])


def random_mixture(seed, n=N, n_components=K, n_outputs=None, spread=0.5):
    rng = np.random.RandomState(seed)
    shape = (n, n_components) + (() if n_outputs is None else (n_outputs,))
    return MixtureDistribution(
        rng.dirichlet(np.ones(n_components), n),
        2 * rng.normal(size=shape),
        np.exp(spread * rng.normal(size=shape)),
    )


def rows_of(dist):
    return list(zip(dist.weights, dist.means, dist.scales, strict=True))


@pytest.fixture(scope="module")
def dist():
    return random_mixture(0)


@pytest.fixture(scope="module")
def joint():
    return random_mixture(1, n_outputs=2)


@pytest.fixture(scope="module")
def y():
    return 3 * np.random.RandomState(2).normal(size=N)


@st.composite
def mixtures(draw, max_components=4):
    n = draw(st.integers(1, max_components))
    number = st.floats(-50, 50)
    means = draw(st.lists(number, min_size=n, max_size=n))
    scales = draw(st.lists(st.floats(0.05, 20), min_size=n, max_size=n))
    weights = draw(st.lists(st.floats(0.02, 1), min_size=n, max_size=n))
    return MixtureDistribution([np.array(weights) / sum(weights)], [means], [scales])


# --- against the oracle ---------------------------------------------------------------


def test_density_and_distribution_function_equal_the_oracle(dist, y):
    parts = list(zip(rows_of(dist), y, strict=True))
    pdf = [naive.mixture_pdf(*row, at) for row, at in parts]
    cdf = [naive.mixture_cdf(*row, at) for row, at in parts]
    np.testing.assert_allclose(dist.pdf(y), pdf, rtol=1e-13)
    np.testing.assert_allclose(dist.logpdf(y), np.log(pdf), rtol=1e-12)
    np.testing.assert_allclose(dist.log_loss(y), -np.log(pdf), rtol=1e-12)
    np.testing.assert_allclose(dist.cdf(y), cdf, rtol=1e-13)
    np.testing.assert_allclose(dist.pit(y), cdf, rtol=1e-13)
    np.testing.assert_allclose(dist.sf(y), 1 - np.array(cdf), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("z", [-37.0, -20.0, -8.0, -1.0, 0.0, 1.0, 8.0, 20.0, 37.0])
def test_tails_are_relatively_precise(z):
    one = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])
    assert one.cdf(z)[0] == pytest.approx(special.ndtr(z), rel=1e-13)
    assert one.sf(z)[0] == pytest.approx(special.ndtr(-z), rel=1e-13)


def test_quantiles_equal_the_oracle(dist):
    for q in (0.01, 0.5, 0.95):
        expected = [naive.mixture_quantile(*row, q) for row in rows_of(dist)]
        np.testing.assert_allclose(dist.ppf(q), expected, rtol=1e-9)
        np.testing.assert_allclose(dist.isf(1 - q), expected, rtol=1e-9)
    np.testing.assert_array_equal(dist.median(), dist.ppf(0.5))
    lower, upper = dist.interval(0.9)
    np.testing.assert_allclose(dist.cdf(lower), 0.05, rtol=1e-12)
    np.testing.assert_allclose(dist.sf(upper), 0.05, rtol=1e-12)


def test_moments_equal_the_oracle(dist):
    mean = [naive.mixture_expectation(*row, lambda t: t) for row in rows_of(dist)]
    np.testing.assert_allclose(dist.mean(), mean, rtol=1e-9)

    def central(order):
        return np.array(
            [
                naive.mixture_expectation(*row, lambda t, m=m: (t - m) ** order)
                for row, m in zip(rows_of(dist), mean, strict=True)
            ]
        )

    var = central(2)
    np.testing.assert_allclose(dist.var(), var, rtol=1e-9)
    np.testing.assert_allclose(dist.std(), np.sqrt(var), rtol=1e-9)
    np.testing.assert_allclose(dist.skew(), central(3) / var**1.5, rtol=1e-8)
    np.testing.assert_allclose(dist.kurtosis(), central(4) / var**2 - 3, rtol=1e-8)
    np.testing.assert_allclose(dist.cov()[:, 0, 0], var, rtol=1e-9)


@pytest.mark.parametrize(("tail", "sign"), [("lower", 1), ("upper", -1)])
def test_tail_expectations_equal_the_oracle(dist, y, tail, sign):
    def expectations(func, edges):
        return [
            naive.mixture_expectation(*row, lambda t, a=a: func(t, a), [a])
            for row, a in zip(rows_of(dist), edges, strict=True)
        ]

    def power(t, a, order):
        return (sign * (a - t)) ** order if sign * (a - t) > 0 else 0.0

    for order in (0, 1, 2):
        expected = expectations(partial(power, order=order), y)
        actual = dist.partial_moment(y, order, tail=tail)
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-13)
    for q in (0.01, 0.7):
        edges = dist.ppf(q) if tail == "lower" else dist.isf(q)
        expected = expectations(lambda t, a: t * (sign * (a - t) >= 0), edges)
        actual = dist.expected_shortfall(q, tail=tail)
        np.testing.assert_allclose(actual * q, expected, rtol=1e-8)
    np.testing.assert_allclose(dist.expected_shortfall(1.0, tail=tail), dist.mean())


def test_prob_equals_the_oracle(dist, y):
    upper = y + 1.5
    expected = [
        naive.mixture_cdf(*row, b) - naive.mixture_cdf(*row, a)
        for row, a, b in zip(rows_of(dist), y, upper, strict=True)
    ]
    np.testing.assert_allclose(dist.prob(y, upper), expected, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(dist.prob(-np.inf, y), dist.cdf(y), rtol=1e-15)
    np.testing.assert_allclose(dist.prob(y, np.inf), dist.sf(y), rtol=1e-15)
    grid = dist.prob([[0.0, 1.0]], np.inf)
    np.testing.assert_allclose(grid, dist.sf([[0.0, 1.0]]), rtol=1e-15)
    one = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])
    assert one.prob(10.0, 11.0)[0] == pytest.approx(7.61966189e-24, rel=1e-7)


def test_entropy_and_divergence_equal_the_oracle(dist):
    other = random_mixture(9)
    entropy, divergence = [], []
    for f, g in zip(rows_of(dist), rows_of(other), strict=True):
        breaks = np.concatenate([f[1], g[1]])
        entropy.append(
            naive.mixture_expectation(
                *f, lambda t, f=f: -np.log(naive.mixture_pdf(*f, t)), breaks
            )
        )
        divergence.append(
            naive.mixture_expectation(
                *f,
                lambda t, f=f, g=g: np.log(
                    naive.mixture_pdf(*f, t) / max(naive.mixture_pdf(*g, t), 1e-300)
                ),
                breaks,
            )
        )
        if len(entropy) == 2:
            break
    np.testing.assert_allclose(dist[:2].entropy(), entropy, rtol=1e-9)
    np.testing.assert_allclose(dist[:2].kl_divergence(other[:2]), divergence, rtol=1e-9)
    np.testing.assert_allclose(dist.kl_divergence(dist), 0, atol=1e-12)


def test_scores_equal_the_oracle(dist, y):
    parts = list(zip(rows_of(dist), y, strict=True))
    crps = [naive.mixture_crps(*row, at) for row, at in parts]
    np.testing.assert_allclose(dist.crps(y), crps, rtol=1e-8)
    squared = [
        naive.mixture_expectation(*row, lambda t, row=row: naive.mixture_pdf(*row, t))
        for row in rows_of(dist)
    ]
    expected = np.array(squared) - 2 * dist.pdf(y)
    np.testing.assert_allclose(dist.cde_loss(y), expected, rtol=1e-9)


def test_crps_equals_scoringrules():
    scoringrules = pytest.importorskip("scoringrules")
    for n_components, spread in ((1, 1.0), (5, 2.0), (90, 0.3), (90, 3.0)):
        dist = random_mixture(3, 20, n_components, spread=spread)
        y = np.random.RandomState(4).normal(size=20) * 3
        expected = scoringrules.crps_mixnorm(y, dist.means, dist.scales, dist.weights)
        np.testing.assert_allclose(dist.crps(y), expected, rtol=1e-10)
    assert BIMODAL.crps(0.0)[0] == pytest.approx(1.3590, abs=5e-5)


def test_crps_of_a_grid_is_that_of_its_columns(dist):
    grid = np.random.RandomState(5).normal(size=(N, 3))
    for j in range(3):
        np.testing.assert_array_equal(dist.crps(grid)[:, j], dist.crps(grid[:, j]))


def test_responsibilities_and_expect(dist, y):
    r = dist.responsibilities(y)
    density = dist.weights * stats.norm.pdf(y[:, None], dist.means, dist.scales)
    np.testing.assert_allclose(r, density / density.sum(1, keepdims=True), rtol=1e-10)
    assert dist.responsibilities(np.zeros((1, 5))).shape == (N, 5, K)
    expected = [naive.mixture_expectation(*row, np.cos) for row in rows_of(dist)]
    np.testing.assert_allclose(dist.expect(np.cos), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(dist.expect(np.square), dist.var() + dist.mean() ** 2)


def test_reduce_equals_the_oracle(dist):
    for k in (1, 2, 3):
        reduced = dist.reduce(k)
        assert reduced.n_components == k
        np.testing.assert_allclose(reduced.mean(), dist.mean(), rtol=1e-12)
        np.testing.assert_allclose(reduced.var(), dist.var(), rtol=1e-12)
        for row, expected in zip(rows_of(reduced), rows_of(dist), strict=True):
            oracle = np.array(naive.reduce_mixture(*expected, k))
            order, wanted = np.argsort(row[1]), np.argsort(oracle[1])
            actual = np.array(row)[:, order]
            np.testing.assert_allclose(actual, oracle[:, wanted], rtol=1e-10)
    assert dist.reduce(K) is dist


# --- several outputs ------------------------------------------------------------------


def test_joint_density_equals_the_oracle(joint):
    Y = np.random.RandomState(6).normal(size=(N, 2))
    parts = zip(rows_of(joint), Y, strict=True)
    expected = [naive.joint_logpdf(*row, at) for row, at in parts]
    np.testing.assert_allclose(joint.logpdf(Y), expected, rtol=1e-12)
    grid = joint.logpdf(Y[None])
    np.testing.assert_allclose(np.diagonal(grid), expected, rtol=1e-12)
    np.testing.assert_allclose(joint.logpdf(Y[0])[0], expected[0], rtol=1e-12)


def test_spherical_scales_are_the_same_for_all_outputs():
    rng = np.random.RandomState(7)
    weights, means = rng.dirichlet([1, 1, 1], N), rng.normal(size=(N, 3, 2))
    scales = np.exp(rng.normal(size=(N, 3, 1)))
    ball = MixtureDistribution(weights, means, scales)
    full = MixtureDistribution(weights, means, np.repeat(scales, 2, axis=2))
    Y = rng.normal(size=(N, 2))
    for method in ("logpdf", "cde_loss", "energy_score", "responsibilities"):
        np.testing.assert_allclose(
            getattr(ball, method)(Y), getattr(full, method)(Y), rtol=1e-13
        )
    for method in ("var", "cov", "skew", "kurtosis", "mode", "entropy_bounds"):
        np.testing.assert_allclose(
            getattr(ball, method)(), getattr(full, method)(), rtol=1e-13
        )
    np.testing.assert_array_equal(
        ball.sample(9, random_state=0), full.sample(9, random_state=0)
    )
    np.testing.assert_allclose(ball.reduce(2).means, full.reduce(2).means)
    np.testing.assert_array_equal(ball.marginal(1).scales, full.marginal(1).scales)
    assert ball.to_frame().equals(full.to_frame())


def test_energy_score_equals_the_oracle():
    rng = np.random.RandomState(0)
    w, m, s = rng.dirichlet(np.ones(K)), rng.normal(size=(K, 3)), rng.uniform(size=K)
    ball = MixtureDistribution([w], [m], [s[:, None]])
    at = np.array([0.5, -1.0, 3.0])
    expected = sum(
        w * [naive.mean_length(*part) for part in zip(m - at, s, strict=True)]
    )
    for i in range(K):
        for j in range(K):
            within = naive.mean_length(m[i] - m[j], np.hypot(s[i], s[j]))
            expected -= 0.5 * w[i] * w[j] * within
    assert ball.energy_score(at)[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("scales", [[1.0, 1.0], [1.0, 1e-3], [1e-3, 5.0], [1e-6, 1e6]])
def test_energy_score_with_unequal_scales_equals_the_oracle(scales):
    m, s = np.array([1.0, -2.0]), np.array(scales)
    one = MixtureDistribution([[1.0]], [[m]], [[s]])
    expected = naive.mean_length_around_zero(s) * (1 - 0.5 * np.sqrt(2))
    assert one.energy_score(m)[0] == pytest.approx(expected, rel=1e-9)


def test_energy_score_of_one_output_is_the_crps(dist, y):
    np.testing.assert_array_equal(dist.energy_score(y), dist.crps(y))


def test_energy_score_by_draws_agrees(joint):
    exact = joint.energy_score([1.0, 0.0])
    drawn = [
        joint.energy_score([1.0, 0.0], n_samples=200, random_state=seed)
        for seed in range(50)
    ]
    error = np.std(drawn, axis=0) / np.sqrt(50)
    assert np.all(np.abs(np.mean(drawn, axis=0) - exact) < 4 * error)


def test_conditional_times_marginal_is_joint():
    dist = random_mixture(8, n_outputs=3)
    Y = np.random.RandomState(9).normal(size=(N, 3))
    for known, rest in (([0], [1, 2]), ([2, 0], [1]), ([1], [0, 2])):
        conditional = dist.condition(known, Y[:, known])
        at = Y[:, rest] if len(rest) > 1 else Y[:, rest[0]]
        given_known = Y[:, known] if len(known) > 1 else Y[:, known[0]]
        total = conditional.logpdf(at) + dist.marginal(known).logpdf(given_known)
        np.testing.assert_allclose(total, dist.logpdf(Y), rtol=1e-10)
    by_number = dist.condition(1, Y[:, 1])
    by_list = dist.condition([1], Y[:, [1]])
    np.testing.assert_array_equal(by_number.weights, by_list.weights)
    np.testing.assert_array_equal(dist.marginal(-1).means, dist.marginal(2).means)


def test_moments_and_expectations_of_several_outputs(joint):
    for j in range(2):
        alone = joint.marginal(j)
        for method in ("mean", "var", "std", "skew", "kurtosis"):
            np.testing.assert_allclose(
                getattr(joint, method)()[:, j], getattr(alone, method)(), rtol=1e-12
            )
    product = joint.expect(lambda t: t[..., 0] * t[..., 1])
    mean = joint.mean()
    np.testing.assert_allclose(
        joint.cov()[:, 0, 1], product - mean[:, 0] * mean[:, 1], rtol=1e-9, atol=1e-12
    )


def test_entropy_of_several_outputs(joint):
    entropy, std = joint.entropy(4000, random_state=0, return_std=True)
    lower, upper = joint.entropy_bounds()
    assert np.all((lower <= entropy) & (entropy <= upper))
    again = joint.entropy(4000, random_state=1)
    assert np.all(np.abs(entropy - again) < 4 * np.sqrt(2) * std)
    single = random_mixture(3, n_components=1, n_outputs=2)
    exact = np.log(single.scales).sum(axis=(1, 2)) + 1 + np.log(2 * np.pi)
    entropy, std = single.entropy(4000, random_state=0, return_std=True)
    assert np.all(np.abs(entropy - exact) < 4 * std)
    np.testing.assert_allclose(single.entropy_bounds()[1], exact, rtol=1e-12)


def test_modes_of_several_outputs_are_maxima(joint):
    locations, densities, masses = joint.modes(return_mass=True)
    for row, (places, heights, mass) in enumerate(
        zip(locations, densities, masses, strict=True)
    ):
        dist = joint[row]
        np.testing.assert_allclose(dist.pdf(places[None])[0], heights, rtol=1e-12)
        assert np.all(np.diff(heights) <= 0)
        assert mass.sum() == pytest.approx(1)
        turn = np.linspace(0, 2 * np.pi, 12)
        circle = 1e-3 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        for place, height in zip(places, heights, strict=True):
            assert np.all(dist.pdf((place + circle)[None]) < height)
        axis = np.linspace(-8, 8, 161)
        grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(1, -1, 2)
        assert dist.pdf(grid).max() <= heights[0] * (1 + 1e-12)
    np.testing.assert_array_equal(joint.mode(), [found[0] for found in locations])


# --- modes and regions ----------------------------------------------------------------


@given(mixtures())
def test_modes_are_all_the_maxima(dist):
    (places,), (heights,), (masses,) = dist.modes(return_mass=True)
    np.testing.assert_allclose(dist.pdf(places[None])[0], heights, rtol=1e-12)
    np.testing.assert_allclose(masses.sum(), 1, rtol=1e-12)
    near = np.min(dist.scales) * 1e-4
    for side in (-near, near):
        assert np.all(dist.logpdf((places + side)[None])[0] < np.log(heights) + 1e-15)
    grid = dist.means[0][:, None] + dist.scales[0][:, None] * np.linspace(-4, 4, 801)
    density = dist.logpdf(np.sort(grid.ravel())[None])[0]
    inner = density[1:-1]
    peaks = (inner > density[:-2] + 1e-12) & (inner > density[2:] + 1e-12)
    assert len(places) >= peaks.sum()
    assert dist.mode()[0] == places[np.argmax(heights)]


def test_modes_of_a_shoulder_and_of_far_components():
    # A minimum and a maximum closer together than any grid would see.
    a = np.linspace(1.9, 2.1, 41)
    means = np.stack([-a / 2, a / 2], axis=1)
    pairs = MixtureDistribution(np.full((41, 2), 0.5), means, np.ones((41, 2)))
    numbers = [len(found) for found in pairs.modes()]
    assert numbers == [1 if distance <= 2 + 1e-9 else 2 for distance in a]
    far = MixtureDistribution([[1 - 1e-9, 1e-9]], [[0.0, 1e9]], [[1.0, 1e-3]])
    (places,), _, (masses,) = far.modes(return_mass=True)
    np.testing.assert_allclose(places, [0, 1e9], atol=1e-6)
    np.testing.assert_allclose(masses, [1 - 1e-9, 1e-9], rtol=1e-6)


@given(mixtures(), st.floats(0.01, 0.999))
def test_region_has_the_mass_and_no_other_is_shorter(dist, coverage):
    (region,) = dist.hdr(coverage)
    assert np.all(np.diff(region.ravel()) > 0)
    mass = dist.prob(region[:, :1].T, region[:, 1:].T).sum()
    assert mass == pytest.approx(coverage, abs=1e-6)
    # The shortest set of cells of a fine grid with the coverage.
    low, high = dist.ppf(1e-9)[0], dist.isf(1e-9)[0]
    edges = np.linspace(low, high, 200_001)
    cells = np.sort(np.diff(dist.cdf(edges[None])[0]))[::-1]
    needed = 1 + np.searchsorted(np.cumsum(cells), coverage - 1e-6)
    width = edges[1] - edges[0]
    length = np.sum(region[:, 1] - region[:, 0])
    assert length <= (needed + 2) * width * (1 + 1e-3)
    lower, upper = dist.interval(coverage)
    assert length <= (upper - lower)[0] * (1 + 1e-9)


def test_regions_of_many_rows():
    dist = random_mixture(11, 300, 5)
    for coverage in (0.05, 0.5, 0.95):
        regions = dist.hdr(coverage)
        for row, region in enumerate(regions):
            mass = dist[row].prob(region[:, :1].T, region[:, 1:].T).sum()
            assert mass == pytest.approx(coverage, abs=1e-9)


# --- laws -----------------------------------------------------------------------------


@given(mixtures(), st.floats(-100, 100), st.floats(0.01, 100))
def test_shift_and_scale_equivariance(dist, shift, scale):
    moved = MixtureDistribution(
        dist.weights, shift + scale * dist.means, scale * dist.scales
    )
    size = scale * (np.abs(dist.means).max() + dist.scales.max()) + abs(shift)
    y = dist.ppf([[0.01, 0.3, 0.9]])
    close = {"rtol": 1e-8, "atol": 1e-10 * size}
    np.testing.assert_allclose(
        moved.ppf([[0.01, 0.3, 0.9]]), shift + scale * y, **close
    )
    np.testing.assert_allclose(
        moved.crps(shift + scale * y), scale * dist.crps(y), **close
    )
    np.testing.assert_allclose(moved.mean(), shift + scale * dist.mean(), **close)
    np.testing.assert_allclose(moved.std(), scale * dist.std(), **close)
    np.testing.assert_allclose(
        moved.entropy(), dist.entropy() + np.log(scale), atol=1e-7
    )
    np.testing.assert_allclose(
        moved.expected_shortfall(0.1),
        shift + scale * dist.expected_shortfall(0.1),
        **close,
    )


@given(mixtures(), st.randoms(use_true_random=False))
def test_order_and_splitting_of_components_do_not_matter(dist, random):
    order = list(range(dist.n_components))
    random.shuffle(order)
    share = random.random()
    weights = dist.weights[:, order]
    split = MixtureDistribution(
        np.concatenate(
            [weights[:, :-1], share * weights[:, -1:], (1 - share) * weights[:, -1:]], 1
        ),
        np.concatenate([dist.means[:, order], dist.means[:, order[-1:]]], 1),
        np.concatenate([dist.scales[:, order], dist.scales[:, order[-1:]]], 1),
    )
    y = dist.ppf([[0.001, 0.2, 0.5, 0.99]])
    for method in ("logpdf", "cdf", "sf", "crps", "cde_loss"):
        np.testing.assert_allclose(
            getattr(split, method)(y), getattr(dist, method)(y), rtol=1e-9, atol=1e-11
        )
    np.testing.assert_allclose(
        split.hdr(0.8)[0], dist.hdr(0.8)[0], rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(split.mode(), dist.mode(), rtol=1e-6, atol=1e-6)
    merged = split.reduce(dist.n_components)
    np.testing.assert_allclose(merged.logpdf(y), dist.logpdf(y), rtol=1e-9, atol=1e-11)


@given(mixtures())
def test_distribution_function_is_monotone_and_quantiles_invert_it(dist):
    y = np.sort(np.random.RandomState(0).normal(size=200)) * 60
    cdf, sf = dist.cdf(y[None])[0], dist.sf(y[None])[0]
    assert np.all(np.diff(cdf) >= -1e-15)
    np.testing.assert_allclose(cdf + sf, 1, rtol=1e-14)
    q = np.concatenate([np.logspace(-12, -0.31, 20), 1 - np.logspace(-12, -0.31, 20)])
    np.testing.assert_allclose(dist.cdf(dist.ppf(q[None]))[0], q, rtol=1e-10)
    np.testing.assert_allclose(dist.sf(dist.isf(q[None]))[0], q, rtol=1e-10)


def test_quantiles_with_scales_and_weights_of_all_sizes():
    rng = np.random.RandomState(0)
    n = 300
    scales = 10.0 ** rng.uniform(-6, 6, size=(n, 5))
    means = rng.normal(size=(n, 5)) * 10.0 ** rng.uniform(-3, 3, size=(n, 1))
    weights = 10.0 ** rng.uniform(-15, 0, size=(n, 5))
    dist = MixtureDistribution(weights / weights.sum(1, keepdims=True), means, scales)
    q = np.array([1e-12, 1e-6, 0.01, 0.3, 0.5, 0.8, 0.999, 1 - 1e-9, 1 - 1e-12])
    x = dist.ppf(q[None])
    cdf, sf = dist.cdf(x), dist.sf(x)
    error = np.minimum(np.abs(cdf - q), np.abs(sf - (1 - q)))
    # A float64 step of x can be worth more than that next to a scale of 1e-6.
    step = np.spacing(np.abs(x)) * dist.pdf(x)
    assert np.all(error <= np.maximum(1e-10 * np.minimum(q, 1 - q), 2 * step))
    assert np.all(np.diff(x, axis=1) >= 0)


def test_extreme_levels(dist):
    assert np.all(dist.ppf(0.0) == -np.inf)
    assert np.all(dist.ppf(1.0) == np.inf)
    assert np.all(dist.isf(0.0) == np.inf)
    tiny = dist.isf(1e-300)
    np.testing.assert_allclose(dist.sf(tiny), 1e-300, rtol=1e-9)


# --- draws ----------------------------------------------------------------------------


def test_draws_have_the_distribution(dist, joint):
    n = 20_000
    draws = dist.sample(n, random_state=0)
    error = np.abs(draws.mean(axis=1) - dist.mean()) / (dist.std() / np.sqrt(n))
    assert np.all(error < 4)
    for row in range(N):
        p = stats.kstest(dist[row].cdf(draws[row : row + 1])[0], "uniform").pvalue
        assert p > 1e-4
    pairs = joint.sample(n, random_state=1)
    assert pairs.shape == (N, 2, n)
    cov = np.array([np.cov(row) for row in pairs])
    scale = np.sqrt(np.einsum("ni,nj->nij", joint.var(), joint.var()))
    assert np.all(np.abs(cov - joint.cov()) < 12 * scale / np.sqrt(n))
    log_loss = -joint.logpdf(np.swapaxes(pairs, 1, 2))
    error = log_loss.std(axis=1) / np.sqrt(n)
    entropy, std = joint.entropy(n, random_state=2, return_std=True)
    assert np.all(np.abs(log_loss.mean(axis=1) - entropy) < 4 * np.hypot(error, std))


def test_draws_are_independent_across_rows_and_columns():
    dist = MixtureDistribution(
        np.ones((2000, 1)), np.zeros((2000, 1)), np.ones((2000, 1))
    )
    draws = dist.sample(3, random_state=0)
    assert len(np.unique(draws)) == draws.size
    assert np.all(np.abs(np.corrcoef(draws.T) - np.eye(3)) < 4 / np.sqrt(2000))
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 4 / np.sqrt(2000)


def test_seeds_decide_the_draws(dist):
    first = dist.sample(5, random_state=3)
    np.testing.assert_array_equal(first, dist.sample(5, random_state=3))
    rng = np.random.RandomState(3)
    np.testing.assert_array_equal(first, dist.sample(5, random_state=rng))
    assert not np.array_equal(first, dist.sample(5, random_state=rng))
    assert not np.array_equal(dist.sample(5), dist.sample(5))
    assert dist.sample(random_state=0).shape == (N,)
    assert dist.sample(0).shape == (N, 0)


def test_temperature_sharpens_and_flattens():
    dist = MixtureDistribution([[0.6, 0.4]], [[-10.0, 10.0]], [[1.0, 1.0]])
    n = 20_000
    for pair in ((0.5, 0.5), (2.0, 2.0), (0.25, 4.0)):
        value = pair[0] if pair[0] == pair[1] else pair
        draws = dist.sample(n, random_state=0, temperature=value)[0]
        weights = np.array([0.6, 0.4]) ** (1 / pair[0])
        share = weights[0] / weights.sum()
        assert abs(np.mean(draws < 0) - share) < 4 * np.sqrt(share / n)
        within = draws[draws < 0].std() / np.sqrt(pair[1])
        assert within == pytest.approx(1, abs=4 / np.sqrt(n * share))
    cold = dist.sample(100, random_state=0, temperature=1e-3)
    assert np.all(np.abs(cold + 10) < 0.2)


# --- hostile values -------------------------------------------------------------------


def test_log_density_is_finite_very_far_away():
    dist = MixtureDistribution([[0.5, 0.5]], [[0.0, 1.0]], [[1.0, 1e-3]])
    y = np.array([[1e10, -1e100, 1e150, -1e150]])
    np.testing.assert_allclose(dist.logpdf(y), -0.5 * y**2, rtol=1e-9)
    assert np.all(dist.pdf(y) == 0)
    ends = np.array([[-np.inf, np.inf]])
    np.testing.assert_array_equal(dist.logpdf(ends), [[-np.inf, -np.inf]])
    np.testing.assert_array_equal(dist.cdf(ends), [[0, 1]])
    np.testing.assert_array_equal(dist.sf(ends), [[1, 0]])


@pytest.mark.parametrize("size", [1e-150, 1e-30, 1e30, 1e150])
def test_units_of_any_size(dist, size):
    scaled = MixtureDistribution(dist.weights, dist.means * size, dist.scales * size)
    y = dist.ppf([[0.1, 0.7]])
    np.testing.assert_allclose(scaled.cdf(y * size), dist.cdf(y), rtol=1e-12)
    np.testing.assert_allclose(scaled.ppf([[0.1, 0.7]]), y * size, rtol=1e-9)
    np.testing.assert_allclose(
        scaled.logpdf(y * size), dist.logpdf(y) - np.log(size), rtol=1e-9
    )
    np.testing.assert_allclose(scaled.crps(y * size), dist.crps(y) * size, rtol=1e-9)
    np.testing.assert_allclose(scaled.mode(), dist.mode() * size, rtol=1e-9)
    np.testing.assert_allclose(
        scaled.entropy(), dist.entropy() + np.log(size), rtol=1e-9
    )


def test_components_without_weight_do_not_matter(dist, y):
    zeros = np.zeros((N, 1))
    padded = MixtureDistribution(
        np.concatenate([zeros, dist.weights, zeros], axis=1),
        np.concatenate([zeros + 500, dist.means, zeros - 1e9], axis=1),
        np.concatenate([zeros + 1e-6, dist.scales, zeros + 1e6], axis=1),
    )
    for method in ("logpdf", "cdf", "crps", "cde_loss"):
        np.testing.assert_allclose(
            getattr(padded, method)(y), getattr(dist, method)(y), rtol=1e-10
        )
    np.testing.assert_allclose(padded.ppf(0.9), dist.ppf(0.9), rtol=1e-10)
    np.testing.assert_allclose(padded.mode(), dist.mode(), rtol=1e-8)
    np.testing.assert_allclose(padded.entropy(), dist.entropy(), rtol=1e-8)
    for found, expected in zip(padded.hdr(0.9), dist.hdr(0.9), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-7)
    draws = padded.sample(1000, random_state=0)
    assert np.all(np.abs(draws) < 100)
    np.testing.assert_allclose(padded.reduce(1).var(), dist.var(), rtol=1e-8)


def test_no_rows_and_one_component():
    empty = random_mixture(0)[:0]
    assert len(empty) == 0
    for method in ("mean", "median", "mode", "entropy", "std"):
        assert getattr(empty, method)().shape == (0,)
    assert empty.crps(0.0).shape == empty.logpdf(np.zeros(0)).shape == (0,)
    assert empty.modes() == empty.hdr() == []
    assert empty.sample(3).shape == (0, 3)
    one = MixtureDistribution([[1.0]], [[2.0]], [[3.0]])
    np.testing.assert_allclose(one.ppf(0.975), stats.norm.ppf(0.975, 2, 3), rtol=1e-12)
    np.testing.assert_allclose(one.hdr(0.95)[0], [stats.norm.interval(0.95, 2, 3)])


# --- container ------------------------------------------------------------------------


def test_shapes_of_values(dist):
    assert dist.cdf(0).shape == dist.cdf(np.zeros(N)).shape == (N,)
    assert (
        dist.cdf(np.zeros((1, 3))).shape == dist.cdf(np.zeros((N, 3))).shape == (N, 3)
    )
    np.testing.assert_array_equal(dist.cdf(np.arange(3.0)[None])[:, 2], dist.cdf(2.0))
    grid = np.random.RandomState(0).normal(size=(N, 70))
    for method in (dist.cdf, dist.logpdf, dist.crps):
        np.testing.assert_array_equal(method(grid)[:, 64], method(grid[:, 64]))
    q = np.random.RandomState(0).uniform(size=(N, 70))
    np.testing.assert_array_equal(dist.ppf(q)[:, 64], dist.ppf(q[:, 64]))


def test_rows_are_selected(dist, joint, y):
    np.testing.assert_array_equal(dist[2].cdf(0), dist.cdf(0)[2:3])
    np.testing.assert_array_equal(dist[-1].means, dist.means[-1:])
    np.testing.assert_array_equal(dist[y > 0].means, dist.means[y > 0])
    np.testing.assert_array_equal(joint[[3, 1]].means, joint.means[[3, 1]])
    np.testing.assert_array_equal(dist[::2].ppf(0.2), dist.ppf(0.2)[::2])
    with pytest.raises(IndexError, match="out of bounds"):
        dist[N]
    with pytest.raises(IndexError, match="Rows must be"):
        dist[:, 0]
    assert len(list(dist)) == N


def test_repr_frame_and_pickle(dist, joint):
    assert repr(joint) == "MixtureDistribution(n_rows=7, n_components=4, n_outputs=2)"
    frame = dist.to_frame()
    assert list(frame.columns) == ["weight", "mean", "scale"]
    assert frame.loc[(2, 3), "mean"] == dist.means[2, 3]
    assert list(joint.to_frame().columns) == [
        "weight",
        "mean_0",
        "mean_1",
        "scale_0",
        "scale_1",
    ]
    assert isinstance(frame.index, pd.MultiIndex)
    copy = pickle.loads(pickle.dumps(dist))
    np.testing.assert_array_equal(copy.means, dist.means)


def test_parameters_are_taken_as_they_come():
    lists = MixtureDistribution([[1]], [[2]], [[3]])
    assert lists.means.dtype == np.float64
    column = MixtureDistribution([[1.0]], [[[2.0]]], [[[3.0]]])
    assert column.n_outputs == 1
    assert column.mean().shape == (1,)
    frozen = np.zeros((2, 1))
    frozen.flags.writeable = False
    dist = MixtureDistribution(frozen + 1, frozen, frozen + 1)
    np.testing.assert_allclose(dist.cdf(frozen[:, 0]), 0.5)
    float32 = np.float32([[0.1, 0.2, 0.7]])
    dist = MixtureDistribution(float32, [[0, 1, 2]], [[1, 1, 1]])
    assert dist.cdf(np.inf)[0] == pytest.approx(1, abs=1e-15)


# --- messages -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "means", "scales", "message"),
    [
        ([0.5, 0.5], [0, 1], [1, 1], "weights must have the shape"),
        ([[0.5, 0.5]], [[0]], [[1]], "means must have the shape"),
        ([[0.5, 0.5]], [[0, 1]], [[1]], "scales must have the shape"),
        ([[0.5, 0.4]], [[0, 1]], [[1, 1]], "weights must sum to 1 .* 0.9"),
        ([[1.5, -0.5]], [[0, 1]], [[1, 1]], "weights must not be negative; got -0.5"),
        ([[0.5, 0.5]], [[0, 1]], [[1, 0]], "scales must be positive.*got 0.0"),
        ([[0.5, 0.5]], [[0, np.nan]], [[1, 1]], "means must be finite; got nan"),
        ([[0.5, 0.5]], [[0, 1]], [[1, np.inf]], "scales must be finite; got inf"),
        ([[]], [[]], [[]], "at least one component"),
    ],
)
def test_bad_parameters(weights, means, scales, message):
    with pytest.raises(ValueError, match=message):
        MixtureDistribution(weights, means, scales)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.cdf(np.zeros(3)), r"y must be a number.*\(7,\).*got \(3,\)"),
        (lambda d: d.logpdf(np.nan), "y must not be NaN"),
        (lambda d: d.crps(np.inf), "y must be finite; got inf"),
        (lambda d: d.ppf(1.5), r"q must lie in \[0, 1\]; got 1.5"),
        (lambda d: d.interval(1.0), "coverage must be .* between 0 and 1; got 1.0"),
        (lambda d: d.hdr(90), "coverage must be .* got 90"),
        (lambda d: d.sample(-1), "size must be an integer, at least 0; got -1"),
        (lambda d: d.sample(2.5), "size must be an integer.*got 2.5"),
        (lambda d: d.sample(1, temperature=0), "temperature must be a positive"),
        (lambda d: d.sample(1, temperature=(1, 2, 3)), "one or two numbers"),
        (lambda d: d.prob(1, 0), "lower must not be above upper"),
        (lambda d: d.partial_moment(0, 3), "order must be an integer, 0 to 2; got 3"),
        (lambda d: d.partial_moment(0, tail="both"), "tail must be one of.*'both'"),
        (lambda d: d.expected_shortfall(0), "q must be above 0; got 0"),
        (lambda d: d.reduce(0), "k must be an integer, at least 1; got 0"),
        (lambda d: d.marginal(1), "j must be an integer, -1 to 0; got 1"),
        (lambda d: d.condition(0, 0.0), "j must leave an output"),
        (lambda d: d.kl_divergence(d[:2]), "other must have 7 rows; got 2"),
        (lambda d: d.expect(lambda t: t.sum()), "func must return the shape"),
        (lambda d: d.expect(lambda t: t * np.nan), "func must be finite"),
        (lambda d: d.expect(np.cos, n_nodes=0), "n_nodes must be an integer"),
        (lambda d: d.entropy(1), "n_samples must be an integer, at least 2; got 1"),
    ],
)
def test_bad_arguments(dist, call, message):
    with pytest.raises(ValueError, match=message):
        call(dist)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.cdf(0), "cdf is for one output, this distribution has 2"),
        (lambda d: d.hdr(), "hdr is for one output"),
        (lambda d: d.crps(0), "crps is for one output"),
        (lambda d: d.logpdf(0), r"y must have the shape \(2,\)"),
        (lambda d: d.marginal([0, 0]), "j must name different outputs"),
        (lambda d: d.marginal([]), "j must name different outputs"),
        (lambda d: d.condition(0, np.zeros((N, 2))), "value must be one for every row"),
        (lambda d: d.condition(0, np.inf), "value must be finite"),
        (lambda d: d.expect(lambda t: t[..., 0], n_nodes=200), None),
    ],
)
def test_bad_arguments_for_several_outputs(joint, call, message):
    if message is None:
        call(joint[:1])
        return
    with pytest.raises(ValueError, match=message):
        call(joint)


def test_kl_divergence_wants_a_mixture(dist):
    with pytest.raises(TypeError, match="other must be a MixtureDistribution; got str"):
        dist.kl_divergence("normal")
