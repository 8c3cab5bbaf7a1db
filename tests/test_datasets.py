# SPDX-License-Identifier: BSD-3-Clause
"""The classic problems: samples and densities belong together."""

import inspect
import itertools
import pickle

import numpy as np
import pytest
from scipy import integrate, special, stats

from skmdn import datasets

CONTINUOUS = {
    # name: (interval that holds y, inputs to look at)
    "make_inverse_sine": ((0, 1), [-0.7, 0.25, 0.6, 1.3]),
    "make_flipped_wave": ((-10, 10), [-13.0, -4.0, 0.3, 9.0, 15.0]),
    "make_bishop_inverse": ((0, 1), [-0.05, 0.2, 0.5, 0.93]),
    "make_heteroscedastic": ((-15, 15), [0.0, 0.4, 1.0]),
    "make_bimodal": ((-20, 20), [-0.5, 0.8, 2.0]),
    "make_skewed": ((-5, 5), [-1.0, 0.0, 0.7]),
    "make_heavy_tailed": ((-np.inf, np.inf), [0.0, 0.5, 1.0]),
    "make_interactions": ((-40, 80), [0.1, 0.5, 0.9]),
}
NAMES = sorted([*CONTINUOUS, "make_atoms", "make_correlated"])
N_FEATURES = {"make_interactions": 10}
SHAPES = {"make_correlated": (2,)}  # of the target of a row


def draw(name, **kwargs):
    return getattr(datasets, name)(**kwargs)


def row(name, x):
    return np.full((1, N_FEATURES.get(name, 1)), x)


def edges_of(name, logpdf, x, low, high):
    """Where the density jumps, to the last bit: the ends of its pieces."""
    grid = np.linspace(low, high, 2001)
    X = np.repeat(row(name, x), len(grid), axis=0)
    inside = np.isfinite(logpdf(X, grid))
    edges = []
    for i in np.flatnonzero(inside[1:] != inside[:-1]):
        a, b = grid[i], grid[i + 1]
        for _ in range(60):
            middle = (a + b) / 2
            same = np.isfinite(logpdf(X[:1], [middle]))[0] == inside[i]
            a, b = (middle, b) if same else (a, middle)
        edges.append(b)
    return edges


def total_mass(name, logpdf, x):
    """Integral of the density by quadrature between the jumps."""
    (low, high), _ = CONTINUOUS[name]
    if np.isinf(low):
        return integrate.quad(
            lambda t: np.exp(logpdf(row(name, x), [t]))[0], low, high
        )[0]
    cuts = [*edges_of(name, logpdf, x, low, high), *np.linspace(low, high, 33)]
    nodes, weights = np.polynomial.legendre.leggauss(50)
    starts, ends = np.array([*itertools.pairwise(sorted(cuts))]).T[:, :, None]
    t = starts + (ends - starts) * (nodes + 1) / 2
    density = np.exp(logpdf(np.repeat(row(name, x), t.size, axis=0), t.ravel()))
    return np.sum(density.reshape(t.shape) * weights * (ends - starts) / 2)


def test_everything_public_is_tested():
    assert sorted(datasets.__all__) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_third_value(name):
    X, y = draw(name, n_samples=40, random_state=0)
    assert X.shape == (40, N_FEATURES.get(name, 1))
    assert y.shape == (40, *SHAPES.get(name, ()))
    X2, y2, logpdf = draw(name, n_samples=40, random_state=0, return_density=True)
    np.testing.assert_array_equal(X, X2)
    np.testing.assert_array_equal(y, y2)
    value = logpdf(X, y)
    assert value.shape == (40,)
    assert np.isfinite(value).all()
    assert draw(name, n_samples=1, random_state=0)[0].shape == X[:1].shape


@pytest.mark.parametrize("name", NAMES)
def test_default_size_is_the_signature_s(name):
    default = inspect.signature(getattr(datasets, name)).parameters["n_samples"].default
    assert len(draw(name)[0]) == default


@pytest.mark.parametrize("name", NAMES)
def test_seed_decides_and_global_state_is_untouched(name):
    before = np.random.get_state()[1].copy()
    first, again = draw(name, random_state=3), draw(name, random_state=3)
    other = draw(name, random_state=4)
    generator = np.random.RandomState(3)
    passed = draw(name, random_state=generator)
    draw(name, random_state=None)
    after = np.random.get_state()[1]
    for a, b, c, d in zip(first, again, other, passed, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, d)
        assert not np.array_equal(a, c)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("name", NAMES)
def test_bad_n_samples_is_named(name):
    with pytest.raises(ValueError, match=r"n_samples == 0, must be >= 1"):
        draw(name, n_samples=0)
    with pytest.raises(TypeError, match=r"n_samples must be an instance of int"):
        draw(name, n_samples=10.0)
    with pytest.raises(ValueError, match=r"seed"):
        draw(name, random_state="zero")


@pytest.mark.parametrize("name", NAMES)
def test_density_checks_its_rows(name):
    X, y, logpdf = draw(name, n_samples=5, random_state=0, return_density=True)
    with pytest.raises(ValueError, match=r"X has \d+ features, but this density"):
        logpdf(np.hstack([X, X]), y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        logpdf(X, y[:-1])
    with pytest.raises(ValueError, match="NaN"):
        logpdf(X, [np.nan * y[0], *y[1:]])
    assert pickle.loads(pickle.dumps(logpdf)) is logpdf


@pytest.mark.parametrize("name", ["make_heteroscedastic", "make_heavy_tailed"])
def test_density_refuses_inputs_without_a_density(name):
    *_, logpdf = draw(name, return_density=True)
    with pytest.raises(ValueError, match=r"X must be within \[0, 1\].*-0.7"):
        logpdf([[0.2], [-0.7]], [0.0, 0.0])


@pytest.mark.parametrize("name", CONTINUOUS)
def test_density_integrates_to_one(name):
    *_, logpdf = draw(name, return_density=True)
    for x in CONTINUOUS[name][1]:
        assert total_mass(name, logpdf, x) == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("name", sorted(set(CONTINUOUS) - {"make_interactions"}))
def test_samples_follow_the_density(name):
    # The probability integral transform of every row must be uniform.
    X, y, logpdf = draw(name, n_samples=300, random_state=1, return_density=True)
    (low, _), _ = CONTINUOUS[name]
    pit = np.empty(len(y))
    for i, x in enumerate(X):
        # Fine below y, where even the heavy tail holds its mass, and coarse beyond.
        start = max(low, y[i] - 1000)
        grid = np.linspace(max(start, y[i] - 20), y[i], 5001)
        grid = np.union1d(np.linspace(start, grid[0], 1001), grid)
        density = np.exp(logpdf(np.repeat([x], len(grid), axis=0), grid))
        pit[i] = integrate.trapezoid(density, grid)
    assert stats.kstest(pit, "uniform").pvalue > 0.01
    # Not only on average: also for the lower and the upper half of the inputs.
    for half in (X[:, 0] < np.median(X), X[:, 0] >= np.median(X)):
        assert stats.kstest(pit[half], "uniform").pvalue > 0.01


def _interactions_by_hand(X):
    location = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2
    location = location + 10 * X[:, 3] + 5 * X[:, 4]
    return location, np.exp(2 * X[:, 0] * X[:, 5] - 1), 20 * X[:, 6] * X[:, 7] - 5


def test_interactions_by_hand():
    X, y, logpdf = datasets.make_interactions(return_density=True, random_state=0)
    location, scale, logit = _interactions_by_hand(X)
    weight = special.expit(logit)
    density = (1 - weight) * stats.norm.pdf(y, location, scale)
    density += weight * stats.norm.pdf(y, location + 10, scale)
    np.testing.assert_allclose(logpdf(X, y), np.log(density), rtol=1e-10)
    assert 0.2 < weight.mean() < 0.8
    pit = (1 - weight) * stats.norm.cdf(y, location, scale)
    pit += weight * stats.norm.cdf(y, location + 10, scale)
    assert stats.kstest(pit, "uniform").pvalue > 0.01


def test_inverse_sine_is_the_issue_s_formula():
    X, y, logpdf = datasets.make_inverse_sine(random_state=0, return_density=True)
    assert len(y) == 500
    noise = (X[:, 0] - np.sin(2 * np.pi * y)) / (0.2 * (np.cos(2 * np.pi * y) + 2))
    assert 0 <= noise.min() < 0.02
    assert 0.98 < noise.max() <= 1
    assert stats.kstest(noise, "uniform").pvalue > 0.01
    assert stats.kstest(y, "uniform").pvalue > 0.01
    # Near x = 0.25 the answers are about 0, 0.5 and 1, with gaps between them.
    answers = [0.0, 0.25, 0.47, 0.75, 1.0]
    possible = np.isfinite(logpdf(np.full((5, 1), 0.25), answers))
    np.testing.assert_array_equal(possible, [True, False, True, False, True])


def test_flipped_wave_is_the_issue_s_formula():
    X, t = datasets.make_flipped_wave(shuffle=False, random_state=0)
    np.testing.assert_array_equal(t, np.linspace(-10, 10, 1000))
    noise = X[:, 0] - 7 * np.sin(0.75 * t) - 0.5 * t
    assert stats.kstest(noise, "norm").pvalue > 0.01
    X_shuffled, t_shuffled = datasets.make_flipped_wave(random_state=0)
    order = np.argsort(t_shuffled)
    np.testing.assert_array_equal(X_shuffled[order], X)
    assert not np.array_equal(t_shuffled, t)


@pytest.mark.parametrize("wave", [-40.0, -12.0, 3.1, 17.0, 40.0])
def test_flipped_wave_normaliser_against_quadrature(wave):
    *_, logpdf = datasets.make_flipped_wave(return_density=True)

    def noise(t, peak):
        return np.exp(stats.norm.logpdf(wave, 7 * np.sin(0.75 * t) + 0.5 * t) - peak)

    grid = np.linspace(-10, 10, 4001)
    peak = stats.norm.logpdf(wave, 7 * np.sin(0.75 * grid) + 0.5 * grid).max()
    cuts = np.linspace(-10, 10, 201)
    total = sum(
        integrate.quad(noise, a, b, args=(peak,), epsabs=0, epsrel=1e-12)[0]
        for a, b in itertools.pairwise(cuts)
    )
    t = 1.3  # any answer: the normaliser is what is tested
    expected = stats.norm.logpdf(wave, 7 * np.sin(0.75 * t) + 0.5 * t)
    expected -= peak + np.log(total)
    assert logpdf([[wave]], [t])[0] == pytest.approx(expected, abs=1e-10)


def test_flipped_wave_density_in_blocks():
    X, y, logpdf = datasets.make_flipped_wave(2500, return_density=True, random_state=0)
    np.testing.assert_array_equal(logpdf(X, y)[1990:], logpdf(X[1990:], y[1990:]))


def test_bishop_inverse_is_the_issue_s_formula():
    X, t, logpdf = datasets.make_bishop_inverse(random_state=0, return_density=True)
    noise = X[:, 0] - t - 0.3 * np.sin(2 * np.pi * t)
    assert stats.kstest(noise, "uniform", args=(-0.1, 0.2)).pvalue > 0.01
    assert stats.kstest(t, "uniform").pvalue > 0.01
    # Uniform over one stretch in the outer parts, over two where a branch is out of
    # reach, over one long stretch in the middle, where the noise joins all branches.
    grid = np.linspace(0, 1, 2001)
    for x, stretches in [(0.05, 1), (0.35, 2), (0.5, 1), (0.65, 2), (0.95, 1)]:
        value = logpdf(np.full((2001, 1), x), grid)
        inside = np.isfinite(value)
        starts = inside & ~np.r_[False, inside[:-1]]
        assert starts.sum() == stretches
        assert np.ptp(value[inside]) == 0


@pytest.mark.parametrize("name", ["make_inverse_sine", "make_bishop_inverse"])
@pytest.mark.parametrize(("x", "y"), [(9.0, 0.5), (-9.0, 0.5), (0.5, 1.5), (0.5, -1)])
def test_impossible_pairs(name, x, y):
    *_, logpdf = draw(name, return_density=True)
    assert logpdf([[x]], [y])[0] == -np.inf


def test_flipped_wave_outside_the_grid():
    *_, logpdf = datasets.make_flipped_wave(return_density=True)
    assert logpdf([[0.0]], [10.5])[0] == -np.inf


@pytest.mark.parametrize("name", ["make_inverse_sine", "make_bishop_inverse"])
def test_density_is_finite_on_many_draws(name):
    # Rounding at the ends of the possible answers must never rule out a drawn one.
    X, y, logpdf = draw(name, n_samples=200_000, random_state=2, return_density=True)
    assert np.isfinite(logpdf(X, y)).all()


def test_named_simulators_against_scipy():
    X, y, logpdf = datasets.make_heteroscedastic(random_state=0, return_density=True)
    x = X[:, 0]
    expected = stats.norm.logpdf(y, 2 * np.sin(2 * np.pi * x), 0.5 + x)
    np.testing.assert_allclose(logpdf(X, y), expected, rtol=1e-12)

    X, y, logpdf = datasets.make_bimodal(random_state=0, return_density=True)
    x = X[:, 0]
    sine, cosine = stats.norm.pdf(y, 10 * np.sin(x)), stats.norm.pdf(y, 10 * np.cos(x))
    np.testing.assert_allclose(np.exp(logpdf(X, y)), (sine + cosine) / 2, rtol=1e-10)

    X, y, logpdf = datasets.make_heavy_tailed(random_state=0, return_density=True)
    x = X[:, 0]
    e = (y - 2 * x - np.sin(2 * np.pi * x)) / (0.1 + 0.2 * x)
    expected = stats.t.logpdf(e, 2) - np.log(0.1 + 0.2 * x)
    np.testing.assert_allclose(logpdf(X, y), expected, rtol=1e-10)

    X, y, logpdf = datasets.make_skewed(random_state=0, return_density=True)
    x = X[:, 0]
    shape = -4 + 3.9 / (1 + np.exp(-x))
    expected = stats.skewnorm.logpdf(y, shape, 0.1 * x, 0.05 + 0.1 * x**2)
    np.testing.assert_allclose(logpdf(X, y), expected, rtol=1e-6)


def test_atoms_probabilities():
    X, y, logpdf = datasets.make_atoms(20_000, random_state=0, return_density=True)
    atoms = np.arange(3, 9)
    for x in (0.0, 0.3, 1.0):
        probability = np.exp(logpdf(np.full((6, 1), x), atoms))
        weight = np.exp(-((atoms - 3 - 5 * x) ** 2) / 2)
        np.testing.assert_allclose(probability, weight / weight.sum(), rtol=1e-12)
    assert logpdf([[0.5]], [4.5])[0] == -np.inf
    # Expected counts from the density, observed ones from the draw.
    expected = [np.exp(logpdf(X, np.full(len(X), atom))).sum() for atom in atoms]
    observed = [np.sum(y == atom) for atom in atoms]
    assert stats.chisquare(observed, expected).pvalue > 0.01


@pytest.mark.parametrize("n_outputs", [2, 3])
def test_correlated_outputs_by_hand(n_outputs):
    X, Y, logpdf = datasets.make_correlated(
        400, n_outputs, return_density=True, random_state=0
    )
    order = np.arange(n_outputs)
    pits = []
    for (x,), y, value in zip(X, Y, logpdf(X, Y), strict=True):
        correlation = (0.95 * np.cos(np.pi * x)) ** np.abs(order - order[:, None])
        mean, cov = 2 * np.sin(2 * np.pi * x + order), (0.5 + x) ** 2 * correlation
        normal = stats.multivariate_normal(mean, cov)
        assert value == pytest.approx(normal.logpdf(y), rel=1e-10)
        square = (y - mean) @ np.linalg.solve(cov, y - mean)
        pits.append(stats.chi2.cdf(square, n_outputs))
    assert stats.kstest(pits, "uniform").pvalue > 0.01
    assert integrate.quad(
        lambda x: -0.5 * np.log1p(-((0.95 * np.cos(np.pi * x)) ** 2)), 0, 1
    )[0] == pytest.approx(0.421, abs=5e-4)
    with pytest.raises(ValueError, match="n_outputs == 1, must be >= 2"):
        datasets.make_correlated(n_outputs=1)
