# SPDX-License-Identifier: BSD-3-Clause
"""Correlations within components: moments, scores, boxes, modes, regions."""

import mpmath
import naive
import naive_joint
import numpy as np
import pytest
from mixtures import (
    NEAR_ONE,
    correlated,
    correlated_rows,
    each_shape,
    of_correlation,
)
from numpy.lib.stride_tricks import sliding_window_view
from scipy.optimize import minimize

from skmdn import MixtureDistribution

N = 5  # rows of `correlated`


# --- moments, draws, scores -----------------------------------------------------------


@each_shape
def test_moments_are_those_of_the_draws(n_outputs, shared):
    dist = correlated(20, n_outputs, shared=shared, n=2)
    draws = dist.sample(50_000, random_state=0)
    for row in range(2):
        std = dist.std()[row]
        found = (np.cov(draws[row]) - dist.cov()[row]) / np.outer(std, std)
        assert np.abs(found).max() < 0.05
        error = (draws[row].mean(axis=1) - dist.mean()[row]) / std
        assert np.abs(error).max() < 0.03
        weights, means, covariances = correlated_rows(dist)[row]
        mean, cov = naive_joint.correlated_moments(weights, means, covariances)
        np.testing.assert_allclose(dist.mean()[row], mean, rtol=1e-12)
        np.testing.assert_allclose(dist.cov()[row], cov, rtol=1e-12)
        np.testing.assert_allclose(
            dist.corr()[row] * np.outer(std, std), cov, rtol=1e-12
        )


def test_expectations_and_temperature():
    dist = correlated(21, 3)
    product = dist.expect(lambda t: t[..., 0] * t[..., 2])
    mean = dist.mean()
    np.testing.assert_allclose(product - mean[:, 0] * mean[:, 2], dist.cov()[:, 0, 2])
    cold = dist.sample(4, random_state=0, temperature=(1.0, 1e-18))
    distance = np.abs(cold[:, None] - dist.means[..., None]).sum(axis=2).min(axis=1)
    assert np.all(distance < 1e-6)


def test_entropy_of_one_component():
    dist = correlated(22, 3, n_components=1)
    exact = [
        0.5 * np.linalg.slogdet(2 * np.pi * np.e * C[0])[1] for C in dist.covariances
    ]
    entropy, std = dist.entropy(4000, random_state=0, return_std=True)
    assert np.all(np.abs(entropy - exact) < 4 * std)
    np.testing.assert_allclose(dist.entropy_bounds()[1], exact, rtol=1e-12)


def test_entropy_lies_within_its_bounds():
    dist = correlated(23)
    lower, upper = dist.entropy_bounds()
    draws = np.swapaxes(dist.sample(20_000, random_state=0), 1, 2)
    entropy = -dist.logpdf(draws).mean(axis=1)
    assert np.all((lower < entropy) & (entropy < upper))


@pytest.mark.parametrize("n_outputs", [2, 3])
def test_energy_score_equals_that_of_draws(n_outputs):
    dist = correlated(24, n_outputs)
    Y = np.random.RandomState(25).normal(size=(N, n_outputs))
    drawn = [
        dist.energy_score(Y, n_samples=2000, random_state=seed) for seed in range(20)
    ]
    error = np.std(drawn, axis=0) / np.sqrt(20)
    assert np.all(np.abs(np.mean(drawn, axis=0) - dist.energy_score(Y)) < 4 * error)
    grid = dist.energy_score(Y[None])
    np.testing.assert_allclose(np.diagonal(grid), dist.energy_score(Y), rtol=1e-12)


def test_energy_score_of_a_turned_component_equals_the_oracle():
    s, c = np.array([2.0, 0.3]), np.cos(0.7)
    turn = np.array([[c, -np.sin(0.7)], [np.sin(0.7), c]])
    straight = MixtureDistribution([[1.0]], [[[0.0, 0.0]]], [[s]])
    expected = naive.mean_length_around_zero(s) * (1 - 0.5 * np.sqrt(2))
    assert straight.linear(turn).energy_score([0, 0])[0] == pytest.approx(
        expected, rel=1e-9
    )


def test_cde_loss_equals_the_oracle():
    dist = correlated(26, 3)
    y = np.array([0.3, -1.0, 1.0])
    for row, found in zip(correlated_rows(dist), dist.cde_loss(y), strict=True):
        assert found == pytest.approx(
            naive_joint.correlated_cde_loss(*row, y), rel=1e-10
        )


@each_shape
def test_responsibilities_equal_scipy(n_outputs, shared):
    dist = correlated(27, n_outputs, shared=shared)
    Y = np.random.RandomState(28).normal(size=(N, n_outputs))
    for row, y, found in zip(
        correlated_rows(dist), Y, dist.responsibilities(Y), strict=True
    ):
        terms = [
            naive_joint.correlated_logpdf([w], [m], [C], y)
            for w, m, C in zip(*row, strict=True)
        ]
        expected = np.exp(terms - naive_joint.correlated_logpdf(*row, y))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("y", [[1e6, -2e6], [1e9, 1e9], [1e20, 3.0], [-1e12, 1e12]])
def test_far_away_responsibilities_of_a_shared_covariance(y):
    # They differ by a linear function of y, however large the squares.
    rho, means = 0.8, ((0.0, 0.0), (1e-6, 2e-6))
    dist = of_correlation(rho, means, ((1.0, 2.0),) * 2, (0.3, 0.7))
    with mpmath.workdps(60):
        C = mpmath.matrix([[1, 2 * mpmath.mpf(rho)], [2 * mpmath.mpf(rho), 4]])
        distance = [mpmath.matrix(y) - mpmath.matrix(m) for m in means]
        square = [(d.T * mpmath.inverse(C) * d)[0] for d in distance]
        odds = (
            mpmath.mpf(0.7) / mpmath.mpf(0.3) * mpmath.exp((square[0] - square[1]) / 2)
        )
        expected = [float(1 / (1 + odds)), float(odds / (1 + odds))]
    np.testing.assert_allclose(
        dist.responsibilities(y)[0], expected, rtol=1e-9, atol=1e-300
    )


def test_far_away_along_the_ridge_of_a_narrow_component():
    # From it the other mean is 1e28 scales away, y only 1e4.
    dist = MixtureDistribution._of(
        np.array([[0.5, 0.5]]),
        np.array([[[1 / 3, 1 / 7], [1.0, 3.0]]]),
        np.array([[[1.0, 1.0], [1e-3, 1e-3]]]),
        factors=np.array([[np.eye(2), [[1, 0], [1, 1e-25]]]]),
    )
    for along in range(-40, 40, 9):
        y = [1.0 + along, 3.0 + along]
        np.testing.assert_array_equal(dist.responsibilities(y), [[1, 0]])


def test_bounds_and_overlaps_of_near_singular_components():
    tiny = 1e-13
    factors = np.tile([[1, 0, 0], [1, tiny, 0], [1, 1e-4, 1e-9]], (1, 2, 1, 1))
    single = MixtureDistribution._of(
        *(np.ones((1, 1)), np.zeros((1, 1, 3)), np.ones((1, 1, 3))),
        factors=factors[:, :1],
    )
    pair = MixtureDistribution.mix([single, single], [0.5, 0.5])
    log_det = np.log(tiny) + np.log(1e-9)
    exact = 1.5 * np.log(2 * np.pi * np.e) + log_det
    for dist, more in ((single, 0.0), (pair, np.log(2))):
        lower, upper = dist.entropy_bounds()
        np.testing.assert_allclose(upper, exact + more, rtol=1e-13)
        squared = -1.5 * np.log(4 * np.pi) - log_det
        np.testing.assert_allclose(lower, -squared, rtol=1e-13)


def test_far_away_weights_of_equal_components_stay():
    dist = of_correlation(0.9, ((0, 0), (0, 0)), ((1, 1), (1, 1)), (0.8, 0.2))
    for far in (1e3, 1e9, 1e140):
        np.testing.assert_allclose(dist.responsibilities([far, far]), [[0.8, 0.2]])


# --- boxes, Rosenblatt ----------------------------------------------------------------


@pytest.mark.parametrize(("n_outputs", "tolerance"), [(2, 1e-5), (3, 1e-5), (4, 1e-5)])
def test_boxes_equal_scipy(n_outputs, tolerance):
    dist = correlated(29, n_outputs, n=2)
    low = np.random.RandomState(30).normal(size=(2, n_outputs)) - 1
    for lower, upper in (
        (low, low + 2),
        (np.full((2, n_outputs), -np.inf), low + 1),
        (low, np.full((2, n_outputs), np.inf)),
    ):
        expected = [
            naive_joint.correlated_box(*row, a, b)
            for row, a, b in zip(correlated_rows(dist), lower, upper, strict=True)
        ]
        np.testing.assert_allclose(dist.prob(lower, upper), expected, atol=tolerance)
        grid = dist.prob(lower[:, None], upper[:, None])
        same = dist.prob(lower, upper)  # but for the random numbers of SciPy 1.11
        np.testing.assert_allclose(grid[:, 0], same, atol=tolerance)
    below = dist.prob(np.full(n_outputs, -np.inf), low)
    np.testing.assert_allclose(dist.cdf(low), below, atol=tolerance)


@pytest.mark.parametrize("rho", [NEAR_ONE, -NEAR_ONE, 0.999, 0.0, -0.6])
def test_quadrants(rho):
    # W. F. Sheppard 1899: 1/4 + asin(rho) / (2 pi).
    dist = of_correlation(rho)
    expected = 0.25 + np.arcsin(rho) / (2 * np.pi)
    assert dist.cdf([0.0, 0.0])[0] == pytest.approx(expected, abs=1e-14)
    for lower, upper in (([0, 0], [np.inf] * 2), ([-np.inf] * 2, [0, 0])):
        found = dist.prob(lower, upper)[0]
        assert found == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("rho", [0.8, -0.3, 0.99999])
@pytest.mark.parametrize("corner", [[0.5, -0.2], [2.0, 2.0], [-1.0, 1.5], [0.0, 1e-9]])
def test_quadrants_equal_the_integral(rho, corner):
    found = of_correlation(rho).cdf(corner)[0]
    assert found == pytest.approx(naive_joint.quadrant(rho, *corner), abs=1e-13)


@pytest.mark.parametrize("rhos", [(0.5, 0.3, -0.2), (0.99999, 0.5, 0.5), (0, 0, 0)])
def test_octants(rhos):
    matrix = np.eye(3)
    for (i, j), rho in zip(((0, 1), (0, 2), (1, 2)), rhos, strict=True):
        matrix[i, j] = matrix[j, i] = rho
    dist = MixtureDistribution(
        [[1.0]], [np.zeros((1, 3))], [np.ones((1, 3))], correlations=[[matrix]]
    )
    expected = 1 / 8 + np.sum(np.arcsin(rhos)) / (4 * np.pi)
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        found = dist.marginal(order).cdf([0, 0, 0])[0]
        assert found == pytest.approx(expected, abs=1e-10)


def test_boxes_of_independent_outputs_are_products():
    for family in ("gaussian", "laplace"):
        parts = [
            MixtureDistribution([[0.3, 0.7]], [[d, -1.0]], [[1.0, 2.0]], family=family)
            for d in range(3)
        ]
        joint = MixtureDistribution.independent(parts)
        expected = np.prod([part.prob(-1, d) for d, part in enumerate(parts)])
        assert joint.prob([-1] * 3, [0, 1, 2])[0] == pytest.approx(expected, rel=1e-12)
        far = np.prod([part.cdf(-30) for part in parts])
        assert joint.cdf([-30] * 3)[0] == pytest.approx(far, rel=1e-9)


def test_a_box_with_unbounded_outputs_is_one_of_the_others():
    dist = correlated(31, 4, n=2)
    lower, upper = [-1, -np.inf, -1, -np.inf], [0, np.inf, 2, np.inf]
    expected = dist.marginal([0, 2]).prob([-1, -1], [0, 2])
    np.testing.assert_allclose(dist.prob(lower, upper), expected, atol=1e-5)
    with pytest.raises(ValueError, match="lower must not be above upper"):
        dist.prob([0, 0, 0, 0], [1, 1, 1, -1])


@each_shape
def test_rosenblatt_is_the_chain_of_conditionals(n_outputs, shared):
    dist = correlated(32, n_outputs, shared=shared)
    Y = np.random.RandomState(33).normal(size=(N, n_outputs))
    found = dist.pit(Y)
    np.testing.assert_allclose(found[:, 0], dist.marginal(0).cdf(Y[:, 0]), rtol=1e-12)
    for d in range(1, n_outputs):
        given = dist.marginal(list(range(d + 1))).condition(list(range(d)), Y[:, :d])
        np.testing.assert_allclose(found[:, d], given.cdf(Y[:, d]), rtol=1e-10)
    np.testing.assert_allclose(dist.pit(Y[None])[np.arange(N), np.arange(N)], found)


def test_rosenblatt_of_draws_is_uniform_and_independent():
    dist = correlated(34, 3, n=1)
    u = dist.pit(np.swapaxes(dist.sample(4000, random_state=0), 1, 2))[0]
    assert np.abs(np.sort(u, axis=0) - np.linspace(0, 1, 4000)[:, None]).max() < 0.03
    assert np.abs(np.corrcoef(u.T) - np.eye(3)).max() < 0.06


def test_rosenblatt_of_another_family():
    parts = [
        MixtureDistribution([[1.0]], [[m]], [[1.0]], family="logistic") for m in (0, 2)
    ]
    joint = MixtureDistribution.independent(parts)
    expected = [parts[0].cdf(0.5)[0], parts[1].cdf(1.0)[0]]
    np.testing.assert_allclose(joint.pit([0.5, 1.0])[0], expected, rtol=1e-12)


# --- fewer components, modes, regions -------------------------------------------------


def test_reduce_keeps_the_moments_and_merges_what_is_alike():
    dist = correlated(35, 3, n_components=6)
    for k in (1, 2, 5, 6):
        reduced = dist.reduce(k)
        assert reduced.n_components == k
        np.testing.assert_allclose(reduced.mean(), dist.mean(), rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(reduced.cov(), dist.cov(), rtol=1e-11, atol=1e-12)
    twice = MixtureDistribution.mix([dist, dist], [0.3, 0.7]).reduce(6)
    y = [0.1, 0.2, 0.3]
    np.testing.assert_allclose(twice.logpdf(y), dist.logpdf(y), rtol=1e-10)


def test_reduce_equals_the_oracle():
    dist = correlated(36, n_components=5)
    y = [0.1, 0.2]
    for row, found in zip(correlated_rows(dist), dist.reduce(2).logpdf(y), strict=True):
        expected = naive_joint.correlated_logpdf(
            *naive_joint.reduce_correlated(*row, 2), y
        )
        assert found == pytest.approx(expected, rel=1e-10)


def test_modes_are_maxima_and_none_is_missing():
    dist = correlated(37, n=4, n_components=5)
    locations, densities, masses = dist.modes(return_mass=True)
    axis = np.linspace(-8, 8, 81)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    turn = np.linspace(0, 2 * np.pi, 12)
    circle = 1e-3 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for row, (places, heights, mass) in enumerate(
        zip(locations, densities, masses, strict=True)
    ):
        one = dist[row]
        np.testing.assert_allclose(one.pdf(places[None])[0], heights, rtol=1e-12)
        assert np.all(np.diff(heights) <= 0)
        assert mass.sum() == pytest.approx(1)
        for place, height in zip(places, heights, strict=True):
            assert np.all(one.pdf((place + circle)[None]) < height)
        # A search that knows nothing of modes, from every maximum of a grid.
        on_grid = one.logpdf(grid.reshape(1, -1, 2)).reshape(81, 81)
        around = sliding_window_view(on_grid, (3, 3)).max(axis=(2, 3))
        is_top = (on_grid[1:-1, 1:-1] == around) & (around > -9)
        assert is_top.any()
        for start in grid[1:-1, 1:-1][is_top]:
            found = minimize(
                lambda y, one=one: -one.logpdf(y)[0],
                start,
                method="Nelder-Mead",
                options={"xatol": 1e-6, "fatol": 1e-9, "maxiter": 2000},
            )
            assert np.min(np.linalg.norm(places - found.x, axis=1)) < 1e-3
    np.testing.assert_array_equal(dist.mode(), [found[0] for found in locations])


def test_modes_of_near_singular_and_extreme_components():
    dist = of_correlation(NEAR_ONE, ((0, 0), (3, 3)), ((1, 1), (1, 1)), (0.6, 0.4))
    np.testing.assert_allclose(dist.mode(), [[0.0, 0.0]], atol=0.2)
    np.testing.assert_allclose(dist.modes(return_mass=True)[2][0].sum(), 1)
    with np.errstate(all="raise"):
        for unit in (1e-140, 1e140):
            means, scales = ((0, 0), (unit, unit)), ((unit, unit), (1.0, 1.0))
            wide = of_correlation(0.5, means, scales, (0.5, 0.5))
            locations, _, masses = wide.modes(return_mass=True)
            assert np.all(np.isfinite(locations[0]))
            assert masses[0].sum() == pytest.approx(1)


def test_mode_of_a_component_of_which_only_the_mean_is_a_number():
    n, rng = 20, np.random.RandomState(0)
    factors = np.array([np.eye(2), [[1, 0], [1, 1e-20]]])
    dist = MixtureDistribution._of(
        *(np.tile([0.9, 0.1], (n, 1)), rng.normal(size=(n, 2, 2))),
        *(rng.uniform(0.3, 0.8, size=(n, 2, 2)), np.tile(factors, (n, 1, 1, 1))),
    )
    assert np.all(dist.logpdf(dist.mode()) >= dist.logpdf(dist.means[:, 1]))


def test_level_of_a_region():
    one = of_correlation(0.7, scales=((1.0, 3.0),))
    for coverage in (0.5, 0.9):
        inside = one.pdf(np.swapaxes(one.sample(20_000, random_state=0), 1, 2))
        share = np.mean(inside >= one.hdr_level(coverage))
        assert share == pytest.approx(coverage, abs=0.015)
        edge = one.pdf(one.ellipses(coverage)[0])
        np.testing.assert_allclose(edge[0], one.hdr_level(coverage)[0], rtol=1e-10)
    dist = correlated(38)
    levels = dist.hdr_level([0.5, 0.9], random_state=0)
    fresh = dist.pdf(np.swapaxes(dist.sample(20_000, random_state=1), 1, 2))
    share = np.mean(fresh[:, None] >= levels[..., None], axis=2)
    np.testing.assert_allclose(share, np.tile([0.5, 0.9], (N, 1)), atol=0.02)
    line = dist.marginal(0)
    for row, level in zip(range(N), line.hdr_level(0.8, random_state=0), strict=True):
        region = line[row].hdr(0.8)[0]
        assert level == pytest.approx(line[row].pdf(region[0, 0])[0], rel=0.1)


def test_ellipses_are_for_two_gaussian_outputs():
    with pytest.raises(ValueError, match="ellipses is for two outputs and Gaussians"):
        correlated(39, 3).ellipses()


def test_random_hostile_mixtures():
    # Of 500, `python tests/hostile_joint.py` finds none.
    from hostile_joint import all_faults

    assert all_faults(8) == {}
