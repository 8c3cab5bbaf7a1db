# SPDX-License-Identifier: BSD-3-Clause
"""MixtureDistribution of several outputs."""

import naive
import numpy as np
import pytest
from mixtures import K, N, random_mixture, rows_of

from skmdn import MixtureDistribution

# Elongated mixtures whose highest mode no mean of a component climbs to: 1.4 % of all.
ELONGATED = [5, 26, 400, 518, 525, 573, 599, 642]


@pytest.fixture(scope="module")
def dist():
    return random_mixture(0)


@pytest.fixture(scope="module")
def joint():
    return random_mixture(1, n_outputs=2)


@pytest.fixture(scope="module")
def y():
    return 3 * np.random.RandomState(2).normal(size=N)


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


def test_energy_score_by_draws_of_any_magnitude():
    for unit in (1e-200, 1e200):
        huge = MixtureDistribution([[1.0]], [[[0.0, unit]]], [[[unit, unit]]])
        one = MixtureDistribution([[1.0]], [[[0.0, 1.0]]], [[[1.0, 1.0]]])
        drawn = huge.energy_score([0.0, 0.0], n_samples=9, random_state=0) / unit
        expected = one.energy_score([0.0, 0.0], n_samples=9, random_state=0)
        assert drawn == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("z", "loss"), [(0.0, -np.inf), (3.0, np.inf)])
def test_cde_loss_beyond_float64_has_a_sign(z, loss):
    n_outputs = 4
    narrow = MixtureDistribution(
        [[1.0]], [np.zeros((1, n_outputs))], [np.full((1, n_outputs), 1e-100)]
    )
    assert narrow.cde_loss(np.full(n_outputs, z * 1e-100))[0] == loss


FAR = {
    "beyond the resolution of y": ([[0.0, 0], [1, 0]], np.ones((2, 2)), [1e20, 3]),
    "digits of one part": ([[0.0, 0], [1e-6, 0]], np.ones((2, 2)), [1e6, 0]),
    "halfway": ([[-1e6, 0], [1e6, 0]], np.full((2, 2), 3.0), [1e-6, 0]),
    "almost halfway": ([[-1e9, 0], [0.3, 0]], [[1e3, 1], [1e3, 1]], [-5e8, 0]),
    "at home": ([[0, 0], [1e9, 0]], [[1e-9, 1], [1e3, 1]], [0, 1e3]),
    "narrow and wide": ([[1, 0], [1e9, 1e9]], [[1e-7, 1], [1e-2, 10]], [0, 0]),
    "other scales": ([[0.0, 0], [0, 0]], [[1, 2.0], [1 + 1e-15, 2]], [4e7, 1]),
    "two ways": ([[0.0, 0], [1, 1], [1, 0]], np.ones((3, 2)), [1e20, -1e20]),
    "shared scale": (
        [[0.0, 0], [1e-300, 0], [0, 0]],
        np.full((3, 1), 1e-300),
        [1, 9.0],
    ),
    "squares beyond float64": (
        [[0, 0], [0, 0], [1e-300, 0]],
        [[1e-300, 1], [1.1e-300, 1], [1.1e-300, 1]],
        [5, 3.0],
    ),
    "both squares beyond float64": (
        [[0, 1e290], [1e300, 0]],
        np.full((2, 2), 1e-300),
        [0, 0],
    ),
    "largest numbers": (
        [[-1.7e308, 0], [-1.6e308, 0]],
        np.full((2, 2), 1e300),
        [1.7e308, 0],
    ),
    "smallest scales": ([[0, 0], [1e-300, 0]], np.full((2, 2), 3e-308), [1, 1]),
}


@pytest.mark.parametrize("case", FAR)
def test_far_from_all_components_the_nearest_is_responsible(case):
    means, scales, y = (np.array(part, dtype=float) for part in FAR[case])
    for shares in ([0.6, 0.3, 0.1], [0.02, 0.18, 0.8]):
        weights = np.array(shares[: len(means)]) / sum(shares[: len(means)])
        dist = MixtureDistribution([weights], [means], [scales])
        for known in ([0], [1], [0, 1]):
            part = dist.marginal(known)
            expected = naive.responsibilities(
                *(
                    weights,
                    means[:, known],
                    np.broadcast_to(scales, means.shape)[:, known],
                ),
                y[known],
            )
            at = y[known] if len(known) > 1 else y[known[0]]
            found = part.responsibilities(at)[0]
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-300)
            if len(known) == 1:
                found = dist.condition(known, y[known]).weights[0]
                np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-300)


def test_random_hostile_mixtures_of_several_outputs():
    pytest.importorskip("mpmath")
    from hostile_mixtures import all_faults
    from hostile_outputs import faults

    assert not all_faults(5, faults)


def test_components_without_weight_are_not_the_nearest():
    dist = MixtureDistribution([[0.5, 0.2, 0.3]], [[0.0, 1, 1e20]], [[1.0, 1, 1]])
    dist = dist.reweight([[0.5, 0.5, 0.0]])
    np.testing.assert_array_equal(dist.responsibilities(1e20), [[0, 1, 0]])


def test_far_away_weights_of_equal_components_stay():
    dist = MixtureDistribution([[0.8, 0.2]], np.zeros((1, 2, 2)), np.ones((1, 2, 2)))
    for far in (1e3, 1e9, 1e200):
        found = dist.responsibilities([far, 0.3 * far])
        np.testing.assert_allclose(found, [[0.8, 0.2]], rtol=1e-12)


def test_reduce_keeps_the_variance_of_a_light_component_far_away():
    dist = MixtureDistribution(
        [[0.5, 0.5, 1e-13]], [[[0.0, 0.0], [9.0, 1.0], [1e7, 0.0]]], np.ones((1, 3, 2))
    )
    np.testing.assert_allclose(dist.reduce(1).var(), dist.var(), rtol=1e-12)


def test_reduce_keeps_equal_means_of_components_below_their_resolution():
    rng = np.random.RandomState(0)
    weights = rng.dirichlet(np.ones(9), 50)
    means = np.tile(rng.normal(size=(50, 1, 2)), (1, 9, 1))
    dist = MixtureDistribution(weights, means, 1e-100 * rng.uniform(1, 9, (50, 9, 2)))
    for k in (1, 4):
        reduced = dist.reduce(k)
        assert np.all(reduced.means == means[:, :k])
        np.testing.assert_allclose(reduced.std(), dist.std(), rtol=1e-12)


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


def elongated_mixture(seed):
    rng = np.random.RandomState(seed)
    n, n_outputs = rng.randint(2, 9), 2 if seed % 4 else 3
    weights = rng.dirichlet(np.ones(n))
    means = rng.normal(size=(n, n_outputs)) * rng.uniform(0.3, 2)
    scales = np.exp(rng.uniform(-3.5, 0.7, size=(n, n_outputs)))
    return MixtureDistribution([weights], [means], [scales])


@pytest.mark.parametrize("seed", ELONGATED)
def test_mode_of_elongated_components_is_the_maximum(seed):
    dist = elongated_mixture(seed)
    highest = dist.logpdf(dist.mode())[0]
    # A search that knows nothing of modes: a pattern of shrinking steps, from draws.
    rng = np.random.RandomState(0)
    at = dist.sample(200, random_state=1)[0].T
    step = dist.scales.max() * np.ones((200, 1))
    value = dist.logpdf(at[None])[0]
    for _ in range(400):
        moved = at + step * rng.normal(size=at.shape)
        other = dist.logpdf(moved[None])[0]
        better = other > value
        at[better], value[better] = moved[better], other[better]
        step *= np.where(better, 1.5, 0.9)[:, None]
    assert value.max() <= highest + 1e-9
    assert value.max() >= highest - 1e-3


def test_modes_at_extreme_scales_are_places():
    rng = np.random.RandomState(0)
    for _ in range(60):
        n, n_outputs = rng.randint(1, 6), rng.randint(2, 4)
        weights = rng.dirichlet(np.full(n, 0.1))
        shape = (n, n_outputs)
        means = rng.normal(size=shape) * 10.0 ** rng.uniform(-300, 300, size=shape)
        scales = 10.0 ** rng.uniform(-300, 300, size=shape)
        dist = MixtureDistribution([weights, np.eye(n)[0]], [means] * 2, [scales] * 2)
        with np.errstate(all="raise"):
            locations, _, masses = dist.modes(return_mass=True)
        for places, mass in zip(locations, masses, strict=True):
            assert np.all(np.isfinite(places))
            assert mass.sum() == pytest.approx(1)
        np.testing.assert_allclose(dist.mode()[1], means[0], rtol=1e-15)
