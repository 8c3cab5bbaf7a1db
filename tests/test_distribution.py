# SPDX-License-Identifier: BSD-3-Clause
"""MixtureDistribution: one output against the oracle; container; messages."""

import pickle
from functools import partial

import naive
import numpy as np
import pandas as pd
import pytest
from mixtures import K, N, random_mixture, rows_of
from scipy import special, stats

from skmdn import MixtureDistribution

BIMODAL = MixtureDistribution([[0.5, 0.5]], [[-3.0, 3.0]], [[0.5, 0.5]])


@pytest.fixture(scope="module")
def dist():
    return random_mixture(0)


@pytest.fixture(scope="module")
def joint():
    return random_mixture(1, n_outputs=2)


@pytest.fixture(scope="module")
def y():
    return 3 * np.random.RandomState(2).normal(size=N)


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


@pytest.mark.parametrize("z", [-1e10, -100.0, -30.0, -1.0, 0.0, 1.0, 8.0, 30.0])
def test_logarithms_of_tails_are_relatively_precise(z):
    one = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])
    assert one.logcdf(z)[0] == pytest.approx(special.log_ndtr(z), rel=1e-13)
    assert one.logsf(-z)[0] == pytest.approx(special.log_ndtr(z), rel=1e-13)


def test_logarithms_of_tails_equal_the_oracle(dist, y):
    cdf = [
        naive.mixture_cdf(*row, at) for row, at in zip(rows_of(dist), y, strict=True)
    ]
    np.testing.assert_allclose(dist.logcdf(y), np.log(cdf), rtol=1e-12, atol=1e-15)
    sf = [
        naive.mixture_cdf(w, -m, s, -at)
        for (w, m, s), at in zip(rows_of(dist), y, strict=True)
    ]
    np.testing.assert_allclose(dist.logsf(y), np.log(sf), rtol=1e-12, atol=1e-15)
    assert dist.logcdf(np.zeros((1, 3))).shape == (N, 3)
    np.testing.assert_array_equal(dist.logcdf([[-np.inf, np.inf]]), [[-np.inf, 0]] * N)


def test_correlations_are_covariances_of_standardised_outputs(joint):
    std = joint.std()
    expected = joint.cov() / (std[:, :, None] * std[:, None])
    np.testing.assert_allclose(joint.corr(), expected, rtol=1e-13)
    np.testing.assert_array_equal(joint.corr()[:, [0, 1], [0, 1]], 1)
    extreme = joint.affine([1e200, 1e-200], 0.0)
    np.testing.assert_allclose(extreme.corr(), joint.corr(), rtol=1e-12)
    np.testing.assert_allclose(extreme.cov()[:, 0, 1], joint.cov()[:, 0, 1], rtol=1e-12)


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


def test_divergence_from_kinked_densities():
    # Far from narrow components log g changes its slope at once. Value by mpmath.
    f = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])
    g = MixtureDistribution([[0.5, 0.5]], [[-0.3, 0.5]], [[0.05, 0.05]])
    assert f.kl_divergence(g)[0] == pytest.approx(102.896068441811, rel=1e-9)


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


def test_reduce_of_many_components_most_of_them_light_equals_the_oracle():
    rng = np.random.RandomState(0)
    weights = rng.dirichlet(np.full(40, 0.1), size=3)
    means, scales = rng.normal(size=(3, 40)), np.exp(rng.normal(size=(3, 40)))
    reduced = MixtureDistribution(weights, means, scales).reduce(4)
    for row in range(3):
        found = np.array(rows_of(reduced)[row])
        oracle = naive.reduce_mixture(weights[row], means[row], scales[row], 4)
        order, wanted = np.argsort(found[1]), np.argsort(oracle[1])
        expected = np.array(oracle)[:, wanted]
        np.testing.assert_allclose(found[:, order], expected, rtol=1e-9)


@pytest.mark.parametrize("far", [1e155, 1e300])
def test_reduce_loses_no_component_however_far_apart(far):
    dist = MixtureDistribution([[0.5, 0.3, 0.2]], [[-far, 0, far]], [[1, 1e-300, 1]])
    for k in (1, 2):
        reduced = dist.reduce(k)
        np.testing.assert_allclose(reduced.weights.sum(axis=1), 1)
        np.testing.assert_allclose(reduced.mean(), -0.3 * far)
        np.testing.assert_allclose(reduced.std(), np.sqrt(0.61) * far)


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
    np.testing.assert_array_equal(dist.ppf(q)[:, 64:65], dist.ppf(q[:, 64:65]))


@pytest.mark.parametrize("n", [N, 2])
def test_a_list_of_levels_is_for_every_row(dist, n):
    levels = np.linspace(0.1, 0.9, n)  # as many as rows
    for method in ("ppf", "isf", "expected_shortfall"):
        call = getattr(dist[:n], method)
        expected = np.stack([call(level) for level in levels], axis=1)
        np.testing.assert_array_equal(call(levels), expected)
        np.testing.assert_array_equal(call(levels[None]), expected)
        each = call(levels[:, None])
        assert each.shape == (n, 1)
        np.testing.assert_array_equal(each[:, 0], np.diag(expected))
        assert call(0.5).shape == (n,)
        assert call([0.5]).shape == (n, 1)
    ends = np.array([dist[:n].interval(level) for level in levels])
    np.testing.assert_array_equal(dist[:n].interval(levels), ends.transpose(1, 2, 0))


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


# --- error state of the caller --------------------------------------------------------


def test_errstate_of_the_caller_does_not_leak(dist):
    weights = [[1.0, 1e-300]]
    with np.errstate(all="raise"):
        one = MixtureDistribution(weights, [[1e-310, 1e300]], [[1e-300, 1e300]])
        two = MixtureDistribution(weights, [[[0, 1], [99, 1e9]]], [[[1e-3], [1e-200]]])
        for name in ("mean", "std", "var", "skew", "kurtosis", "cov", "corr", "mode"):
            getattr(one, name)()
            getattr(two, name)()
        for name in ("pdf", "logpdf", "cdf", "logcdf", "logsf", "crps", "log_loss"):
            getattr(one, name)([[1e-310, 1e200, -np.inf][: 2 if name == "crps" else 3]])
        one.ppf([0.0, 1e-300, 0.5])
        one.expected_shortfall([1e-300, 1.0])
        one.partial_moment(1e200, 2)
        one.cde_loss(0.0)
        one.entropy()
        one.hdr()
        one[0].kl_divergence(dist[0])
        two.condition(0, 1e-310)
        two.entropy(8, random_state=0)
        two.energy_score([1e-310, 1.0])
        two.responsibilities([1e-310, 1.0])
        MixtureDistribution.mix([one, one], [1.0 - 1e-300, 1e-300])
    assert np.all(np.isfinite(one.std()))


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
        (lambda d: d.ppf(np.full((3, 2), 0.5)), r"q must be a number.*got \(3, 2\)"),
        (lambda d: d.interval(1.0), "coverage must lie strictly .*; got 1.0"),
        (lambda d: d.hdr(90), "coverage must be .* got 90"),
        (lambda d: d.sample(-1), "n_samples must be an integer, at least 0; got -1"),
        (lambda d: d.sample(2.5), "n_samples must be an integer.*got 2.5"),
        (lambda d: d.sample(1, temperature=0), "temperature must be a positive"),
        (lambda d: d.sample(1, temperature=(1, 2, 3)), "one or two numbers"),
        (lambda d: d.prob(1, 0), "lower must not be above upper"),
        (lambda d: d.partial_moment(0, 3), "order must be an integer, 0 to 2; got 3"),
        (lambda d: d.partial_moment(0, tail="both"), "tail must be one of.*'both'"),
        (lambda d: d.expected_shortfall(0), "q must be above 0; got 0"),
        (lambda d: d.reduce(0), "k must be an integer, at least 1; got 0"),
        (lambda d: d.marginal(1), "j must be an integer, -1 to 0.*got 1"),
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
        (lambda d: d.sf(0), "sf is for one output, this distribution has 2"),
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
