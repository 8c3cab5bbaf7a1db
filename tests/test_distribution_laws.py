# SPDX-License-Identifier: BSD-3-Clause
"""MixtureDistribution: modes, regions, laws, draws, hostile values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import N, mixtures, random_mixture
from scipy import stats

from skmdn import MixtureDistribution
from skmdn._distribution.grid import dyadic_grid, grid_size


@pytest.fixture(scope="module")
def dist():
    return random_mixture(0)


@pytest.fixture(scope="module")
def joint():
    return random_mixture(1, n_outputs=2)


@pytest.fixture(scope="module")
def y():
    return 3 * np.random.RandomState(2).normal(size=N)


# --- modes and regions ----------------------------------------------------------------


@given(mixtures(), st.sampled_from([0.5, 1.0]), st.floats(0.1, 9.5))
def test_grid_is_fine_enough_around_every_component(dist, spacing, reach):
    (points,) = dyadic_grid(dist.means, dist.scales, spacing, reach)
    assert np.all(np.diff(points) > 0)
    assert len(points) <= grid_size(dist.n_components, spacing, reach)
    for mean, scale in zip(dist.means[0], dist.scales[0], strict=True):
        # The points at or beyond both ends.
        first = np.searchsorted(points, mean - reach * scale, side="right") - 1
        last = np.searchsorted(points, mean + reach * scale)
        assert 0 <= first < last < len(points)
        gaps = np.diff(points[first : last + 1])
        assert gaps.max() <= 1.0001 * np.sqrt(2) * spacing * scale


def test_modes_where_scales_are_below_the_resolution_of_their_means():
    dist = MixtureDistribution([[0.5, 0.5]], [[1e200, 1.0]], [[1e-200, 1.0]])
    assert dist.mode()[0] in (1.0, 1e200)


def test_grid_rows_that_are_shorter_repeat_their_last_point():
    means, scales = np.array([[0.0, 0.0], [0.0, 100.0]]), np.ones((2, 2))
    points = dyadic_grid(means, scales, 1.0, 3.0)
    assert np.all(np.diff(points) >= 0)
    np.testing.assert_array_equal(points[0, 6:], 3)
    assert len(np.unique(points[1])) == points.shape[1] == 14


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


@pytest.mark.parametrize("exponent", [-900, -600, 600])
def test_quantiles_in_any_unit(dist, exponent):
    """Squares of the precision overflow, or vanish."""
    q, unit = [[0.001, 0.05, 0.3, 0.5, 0.95]], 2.0**exponent
    scaled = MixtureDistribution(dist.weights, unit * dist.means, unit * dist.scales)
    np.testing.assert_allclose(scaled.ppf(q) / unit, dist.ppf(q), rtol=1e-12)


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


@pytest.mark.parametrize(
    ("weights", "means", "scales", "q", "expected"),
    [
        ([0.1, 0.6, 0.3], [-2, -1, 0], [0.1, 1e-18, 0.1], 0.01, -2.1281551565544600),
        (
            *([0.1, 0.6, 0.3], [1e6 - 1, 1e6, 1e6 + 1], [0.1, 1e-11, 0.1]),
            *(0.001, 1e6 - 1 - 0.23263478740408411),
        ),
        ([0.5, 0.5], [1e-300, 1e300], [1e-305, 1e-3], 0.25, 1e-300),
        ([0.5, 0.5], [-1e300, 1e-300], [1e-3, 1e-305], 0.75, 1e-300),
    ],
)
def test_quantiles_next_to_narrow_heavy_components(weights, means, scales, q, expected):
    dist = MixtureDistribution([weights], [means], [scales])
    assert dist.ppf(q)[0] == pytest.approx(expected, rel=1e-13)
    assert dist.isf(1 - q)[0] == pytest.approx(expected, rel=1e-13)
    if q < 0.1:
        # The mean beyond a quantile of a normal distribution, in units of its scale.
        share = q / weights[0]
        z = stats.norm.ppf(share)
        shortfall = means[0] - scales[0] * stats.norm.pdf(z) / share
        assert dist.expected_shortfall(q)[0] == pytest.approx(shortfall, rel=1e-12)


def test_huge_components_without_weight_spoil_nothing():
    dist = MixtureDistribution([[1, 0]], [[0, 1e200]], [[1, 1]])
    one = MixtureDistribution([[1]], [[0]], [[1]])
    for name in ("mean", "std", "var", "skew", "entropy", "median", "mode", "cov"):
        np.testing.assert_array_equal(getattr(dist, name)(), getattr(one, name)())
    assert dist.std()[0] == dist.var()[0] == 1
    assert dist.entropy()[0] == pytest.approx(0.5 * np.log(2 * np.pi * np.e), rel=1e-12)
    np.testing.assert_array_equal(dist.hdr(), one.hdr())
    assert dist.expect(np.square)[0] == pytest.approx(1, rel=1e-12)
    assert dist.crps(0.5)[0] == pytest.approx(one.crps(0.5)[0], rel=1e-15)
    # Weights can become 0 later, too.
    joint = MixtureDistribution(
        [[0.5, 0.5]], [[[0, 0], [50, 1e200]]], np.ones((1, 2, 2))
    )
    assert joint.condition(0, 0.0).std()[0] == 1


def test_moments_of_means_beyond_the_resolution_of_scales():
    same = MixtureDistribution([[0.1, 0.9]], [[1e17, 1e17]], [[1.0, 1.0]])
    np.testing.assert_array_equal(same.std(), 1)
    same = MixtureDistribution([[0.1, 0.2, 0.7]], [[0.1] * 3], [[1e-100] * 3])
    assert same.std()[0] == pytest.approx(1e-100, rel=1e-14)
    far = MixtureDistribution([[1 - 1e-300, 1e-300]], [[0, 1e200]], [[1, 1]])
    assert far.std()[0] == pytest.approx(1e50, rel=1e-12)
    assert far.skew()[0] == pytest.approx(1e150, rel=1e-12)
    assert far.kurtosis()[0] == pytest.approx(1e300, rel=1e-12)
    assert MixtureDistribution([[1]], [[0]], [[1e300]]).std()[0] == 1e300
    assert MixtureDistribution([[1]], [[0]], [[1e-300]]).std()[0] == 1e-300


def test_distances_very_far_away():
    dist = MixtureDistribution([[0.5, 0.5]], [[0, 1]], [[1e-8, 1e-8]])
    np.testing.assert_allclose(dist.crps([[1e301, -1e301]]), 1e301)
    many = MixtureDistribution(
        np.full((1, 100), 0.01), [np.linspace(0, 1e300, 100)], np.full((1, 100), 1e-8)
    )
    assert many.crps(1e301)[0] == pytest.approx(9.5e300 - 0.5e300 / 3, rel=1e-2)
    assert dist.partial_moment(1e301)[0] == pytest.approx(1e301)


def test_random_hostile_mixtures():
    pytest.importorskip("mpmath")
    from hostile_mixtures import all_faults

    assert not all_faults(30)


def test_light_and_wide_components_count():
    dist = MixtureDistribution([[1, 1e-300]], [[0, 0]], [[1, 1e300]])
    expected = -600 * np.log(10) - 0.5 * np.log(2 * np.pi)
    assert dist.logpdf(1e100)[0] == pytest.approx(expected, rel=1e-14)


def test_entropy_beyond_the_resolution_of_means():
    normal = 0.5 * np.log(2 * np.pi * np.e)
    assert MixtureDistribution([[1]], [[1e17]], [[1]]).entropy()[0] == pytest.approx(
        normal
    )
    # A narrow component far out in a wide one, another in its middle, one far away.
    w, scales = np.array([0.5, 0.2, 0.2, 0.1]), np.array([1.0, 1e-30, 1e-25, 1e-3])
    dist = MixtureDistribution([w], [[0, 1, 1e-5, 1e17]], [scales])
    # No overlap to speak of: the entropy of the choice and that of the components.
    expected = normal + w @ (np.log(scales) - np.log(w))
    assert dist.entropy()[0] == pytest.approx(expected, rel=1e-9)


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
