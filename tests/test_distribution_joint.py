# SPDX-License-Identifier: BSD-3-Clause
"""Correlations within components: density, parts, combinations, verbs."""

import pickle

import mpmath
import naive_joint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import (
    NEAR_ONE,
    correlated,
    correlated_rows,
    each_shape,
    of_correlation,
    random_correlations,
)

from skmdn import MixtureDistribution

N, K = 5, 3  # of `correlated`


def squeezed(points):
    return points if points.shape[1] > 1 else points[:, 0]


# --- the parameters -------------------------------------------------------------------


@each_shape
def test_correlations_come_back(n_outputs, shared):
    rng = np.random.RandomState(0)
    matrices = random_correlations(rng, N, 1 if shared else K, n_outputs)
    dist = correlated(0, n_outputs, shared=shared)
    given = MixtureDistribution(
        dist.weights, dist.means, dist.scales, correlations=matrices
    )
    np.testing.assert_allclose(given.correlations, matrices, atol=1e-14)
    variances = np.einsum("nkii->nki", given.covariances)
    np.testing.assert_allclose(variances, dist.scales**2, rtol=1e-15)


def test_without_correlations_covariances_are_diagonal():
    dist = MixtureDistribution([[1.0]], [[[0.0, 1.0]]], [[[2.0, 3.0]]])
    assert dist.correlations is None
    np.testing.assert_array_equal(dist.covariances, [[np.diag([4.0, 9.0])]])


def test_covariances_beyond_float64():
    with np.errstate(all="raise"):
        huge = of_correlation(0.5, scales=((1e200, 1e-200),)).covariances[0, 0]
    np.testing.assert_allclose(huge, [[np.inf, 0.5], [0.5, 0]])


def test_one_output_has_no_correlations():
    dist = MixtureDistribution([[1.0]], [[0.0]], [[1.0]], correlations=[[[[1.0]]]])
    assert dist.correlations is None


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1, 1], [1, 1]], "correlations must be positive definite; got"),
        ([[1, 0.5], [0.4, 1]], "correlations must be symmetric matrices with ones"),
        ([[2, 0.5], [0.5, 1]], "correlations must be symmetric matrices with ones"),
        ([[1, np.nan], [0, 1]], "correlations must be finite; got nan"),
        ([1, 0], r"correlations must have the shape \(1, 2, 2, 2\) or \(1, 1, 2, 2\)"),
    ],
)
def test_bad_correlations(matrix, message):
    with pytest.raises(ValueError, match=message):
        MixtureDistribution(
            [[0.5, 0.5]], [np.zeros((2, 2))], [np.ones((2, 2))], correlations=[[matrix]]
        )


def test_indefinite_correlations_of_three_outputs():
    matrix = [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]
    with pytest.raises(ValueError, match="correlations must be positive definite"):
        MixtureDistribution(
            [[1.0]], [np.zeros((1, 3))], [np.ones((1, 3))], correlations=[[matrix]]
        )


def test_correlations_are_for_gaussians():
    with pytest.raises(ValueError, match="correlations must be None for another"):
        MixtureDistribution(
            [[1.0]],
            [[[0.0, 0.0]]],
            [[[1.0, 1.0]]],
            correlations=[[np.eye(2)]],
            family="laplace",
        )


# --- density --------------------------------------------------------------------------


@each_shape
def test_density_equals_scipy(n_outputs, shared):
    dist = correlated(1, n_outputs, shared=shared)
    Y = 3 * np.random.RandomState(2).normal(size=(N, n_outputs))
    expected = [
        naive_joint.correlated_logpdf(*row, y)
        for row, y in zip(correlated_rows(dist), Y, strict=True)
    ]
    np.testing.assert_allclose(dist.logpdf(Y), expected, rtol=1e-10)
    np.testing.assert_allclose(np.diagonal(dist.logpdf(Y[None])), expected, rtol=1e-10)
    np.testing.assert_allclose(dist.log_loss(Y), np.negative(expected), rtol=1e-10)


def test_density_integrates_to_one():
    dist = correlated(3, n=2)
    axis = np.linspace(-16, 16, 641)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(1, -1, 2)
    total = dist.pdf(grid).sum(axis=1) * (axis[1] - axis[0]) ** 2
    np.testing.assert_allclose(total, 1, rtol=1e-9)


def test_identity_is_independence():
    dist = correlated(4, 3)
    plain = MixtureDistribution(dist.weights, dist.means, dist.scales)
    same = MixtureDistribution(
        *(dist.weights, dist.means, dist.scales),
        correlations=np.tile(np.eye(3), (N, 1, 1, 1)),
    )
    Y = np.random.RandomState(5).normal(size=(N, 3))
    for method in ("logpdf", "cdf", "pit", "energy_score", "cde_loss"):
        found, expected = (getattr(part, method)(Y) for part in (same, plain))
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    shares = same.responsibilities(Y)
    np.testing.assert_allclose(shares, plain.responsibilities(Y), rtol=1e-9)
    for method in ("mean", "std", "skew", "kurtosis", "cov", "entropy_bounds"):
        np.testing.assert_allclose(getattr(same, method)(), getattr(plain, method)())
    np.testing.assert_array_equal(same.sample(9, 0), plain.sample(9, 0))
    for found, expected in zip(same.modes(), plain.modes(), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("rho", [NEAR_ONE, -NEAR_ONE])
def test_correlation_near_one_keeps_its_digits(rho):
    y = [0.3, 0.3 + 2e-7]
    with mpmath.workdps(60):
        r, (a, b) = mpmath.mpf(rho), map(mpmath.mpf, y)
        rest = (1 - r) * (1 + r)
        square = (a * a - 2 * r * a * b + b * b) / rest
        exact = -square / 2 - mpmath.log(2 * mpmath.pi) - mpmath.log(rest) / 2
        slope, spread = float(r * b), float(mpmath.sqrt(rest))
    dist = of_correlation(rho)
    for order, point in (([0, 1], y), ([1, 0], y[::-1])):
        found = dist.marginal(order).logpdf(point)[0]
        assert found == pytest.approx(float(exact), rel=1e-8)
    conditional = dist.condition(1, y[1])
    assert conditional.means[0, 0] == pytest.approx(slope, rel=1e-15)
    assert conditional.scales[0, 0] == pytest.approx(spread, rel=1e-14)
    along, across = dist.linear([[1, 1], [1, -1]]).std()[0] ** 2 / 2
    assert min(along, across) == pytest.approx(1e-14, rel=1e-2)
    assert max(along, across) == pytest.approx(2, rel=1e-12)


def test_factors_hold_more_than_correlations():
    tiny = 1e-30  # 1 - correlation is 5e-61
    factors = np.array([[[[1.0, 0.0], [1.0, tiny]]]])
    dist = MixtureDistribution._of(
        np.ones((1, 1)), np.zeros((1, 1, 2)), np.ones((1, 1, 2)), factors=factors
    )
    for part in (dist, dist.marginal([1, 0]), dist.affine([2.0, -3.0]), dist.reduce(1)):
        expected = -np.log(2 * np.pi) - np.log(tiny * np.prod(part.scales))
        np.testing.assert_allclose(part.logpdf([0.0, 0.0]), expected, rtol=1e-14)
    np.testing.assert_allclose(dist.condition(1, 2.0).scales, tiny, rtol=1e-14)


def test_density_of_huge_and_tiny_scales():
    for unit in (1e-150, 1e150):
        dist = of_correlation(0.5, scales=((unit, unit),))
        one = of_correlation(0.5).logpdf([1.0, 2.0]) - 2 * np.log(unit)
        np.testing.assert_allclose(dist.logpdf([unit, 2 * unit]), one, rtol=1e-13)
        assert dist.cov()[0, 0, 1] == pytest.approx(0.5 * unit * unit, rel=1e-12)
        np.testing.assert_allclose(dist.linear([1, -1]).std(), unit, rtol=1e-12)


def test_infinitely_far_away():
    dist = correlated(6, 3)
    with np.errstate(all="raise"):
        for far in ([np.inf, 0, 0], [np.inf] * 3, [np.inf, -np.inf, 0], [1e300] * 3):
            assert np.all(dist.logpdf(far) == -np.inf)
            assert np.all(dist.pdf(far) == 0)
        assert np.all(np.isfinite(dist.logpdf([1e140, -1e140, 0])))
        assert np.all(dist.cdf([np.inf] * 3) == pytest.approx(1))
        assert np.all(dist.cdf([-np.inf, 0, 0]) == 0)
    with pytest.raises(ValueError, match="y must not be NaN"):
        dist.logpdf([np.nan, 0, 0])


# --- parts and combinations -----------------------------------------------------------


@each_shape
def test_conditional_times_marginal_is_joint(n_outputs, shared):
    dist = correlated(7, n_outputs, shared=shared)
    Y = 2 * np.random.RandomState(8).normal(size=(N, n_outputs))
    for known in ([0], [n_outputs - 1], list(range(1, n_outputs))[::-1]):
        rest = [d for d in range(n_outputs) if d not in known]
        conditional = dist.condition(known, Y[:, known])
        total = conditional.logpdf(squeezed(Y[:, rest]))
        total += dist.marginal(known).logpdf(squeezed(Y[:, known]))
        np.testing.assert_allclose(total, dist.logpdf(Y), rtol=1e-12)


def test_conditional_equals_the_formula():
    dist = correlated(9, 4, n_components=1)
    known, rest, y = [3, 1], [0, 2], np.array([0.5, -2.0])
    conditional = dist.condition(known, y)
    for row in range(N):
        C, m = dist.covariances[row, 0], dist.means[row, 0]
        gain = C[np.ix_(rest, known)] @ np.linalg.inv(C[np.ix_(known, known)])
        mean = m[rest] + gain @ (y - m[known])
        cov = C[np.ix_(rest, rest)] - gain @ C[np.ix_(known, rest)]
        np.testing.assert_allclose(conditional.means[row, 0], mean, rtol=1e-9)
        np.testing.assert_allclose(conditional.covariances[row, 0], cov, rtol=1e-9)
    by_name = dist._replace(output_names=list("abcd")).condition(["d", "b"], y)
    assert by_name.output_names == ["a", "c"]
    np.testing.assert_array_equal(by_name.means, conditional.means)


@each_shape
def test_linear_combinations(n_outputs, shared):
    dist = correlated(10, n_outputs, shared=shared)
    rng = np.random.RandomState(11)
    A, b = rng.normal(size=(n_outputs, n_outputs)), rng.normal(size=n_outputs)
    turned = dist.linear(A, b, output_names=[f"z{d}" for d in range(n_outputs)])
    np.testing.assert_allclose(turned.mean(), dist.mean() @ A.T + b, rtol=1e-11)
    np.testing.assert_allclose(
        turned.cov(), A @ dist.cov() @ A.T, rtol=1e-9, atol=1e-12
    )
    Y = rng.normal(size=(N, n_outputs))
    density = dist.logpdf(Y) - np.linalg.slogdet(A)[1]
    np.testing.assert_allclose(turned.logpdf(Y @ A.T + b), density, rtol=1e-9)
    one = dist.linear(A[0], b[0])
    np.testing.assert_allclose(
        one.logpdf(Y @ A[0] + b[0]), turned.marginal("z0").logpdf(Y @ A[0] + b[0])
    )


def test_linear_of_independent_outputs_and_its_units():
    dist = MixtureDistribution([[1.0]], [[[1.0, 2.0]]], [[[1e-9, 1e9]]])
    A = np.array([[1e9, 1e-9], [1e9, -1e-9]])
    found = dist.linear(A)
    np.testing.assert_allclose(found.scales[0, 0], np.sqrt(2), rtol=1e-14)
    np.testing.assert_allclose(found.corr()[0], np.eye(2), atol=1e-14)


@pytest.mark.parametrize(
    ("a", "message"),
    [
        ([1.0, 2, 3], r"a must have the shape \(2,\) or \(n_combinations, 2\)"),
        ([0.0, 0], "a must have linearly independent rows"),
        ([[1, 2], [2, 4]], "a must have linearly independent rows"),
        ([[1, 0], [0, 1], [1, 1]], "a must have linearly independent rows"),
        ([np.inf, 1], "a must be finite"),
        ([1e308, 1e308], "a @ Y \\+ b must be finite"),
    ],
)
def test_bad_combinations(a, message):
    with pytest.raises(ValueError, match=message):
        of_correlation(0.5, scales=((9.0, 9.0),)).linear(a)


def test_linear_is_for_gaussians():
    laplace = MixtureDistribution([[1.0]], [[[0.0, 0]]], [[[1, 1]]], family="laplace")
    with pytest.raises(ValueError, match="linear is for Gaussians"):
        laplace.linear([1, 1])


@given(st.permutations(range(4)), st.integers(0, 9), st.booleans())
def test_the_order_of_outputs_does_not_matter(order, seed, shared):
    dist = correlated(seed, 4, n=1, shared=shared)
    y = np.random.RandomState(seed).normal(size=4)
    other = dist.marginal(order)
    for method in ("logpdf", "energy_score", "cde_loss", "responsibilities"):
        found = getattr(other, method)(y[order])
        np.testing.assert_allclose(found, getattr(dist, method)(y), rtol=1e-8)
    for method in ("mean", "std"):
        np.testing.assert_allclose(
            getattr(other, method)()[0], getattr(dist, method)()[0, order]
        )
    for method in ("cov", "corr"):
        expected = getattr(dist, method)()[0][np.ix_(order, order)]
        np.testing.assert_allclose(
            getattr(other, method)()[0], expected, rtol=1e-11, atol=1e-14
        )
    np.testing.assert_allclose(other.mode()[0], dist.mode()[0, order], atol=1e-5)
    bounds = np.transpose(dist.entropy_bounds())
    np.testing.assert_allclose(np.transpose(other.entropy_bounds()), bounds, rtol=1e-9)
    back = other.marginal([list(order).index(d) for d in range(4)])
    np.testing.assert_allclose(back._factors, dist._factors, rtol=1e-9, atol=1e-13)


# --- verbs ----------------------------------------------------------------------------


def test_verbs_keep_correlations():
    a, b = correlated(12), correlated(13, n_components=2, shared=True)
    plain = MixtureDistribution(b.weights, b.means, b.scales)
    Y = np.random.RandomState(14).normal(size=(N, 2))
    for other in (b, plain, correlated(15)):
        both = MixtureDistribution.concatenate([a, other])
        expected = np.concatenate([a.logpdf(Y), other.logpdf(Y)])
        np.testing.assert_allclose(
            both.logpdf(np.tile(Y, (2, 1))), expected, rtol=1e-12
        )
        mixed = MixtureDistribution.mix([a, other], [0.25, 0.75])
        expected = 0.25 * a.pdf(Y) + 0.75 * other.pdf(Y)
        np.testing.assert_allclose(mixed.pdf(Y), expected, rtol=1e-12)
    shared = MixtureDistribution.concatenate([b, b[:2]])
    assert shared.correlations.shape == (N + 2, 1, 2, 2)
    joint = MixtureDistribution.independent([a, b, plain.marginal(0)])
    expected = a.logpdf(Y) + b.logpdf(Y) + plain.marginal(0).logpdf(Y[:, 0])
    np.testing.assert_allclose(joint.logpdf(np.c_[Y, Y, Y[:, 0]]), expected, rtol=1e-12)
    turned = a.affine([-2.0, 0.5], [1.0, -1.0])
    at = Y * [-2.0, 0.5] + [1.0, -1.0]
    np.testing.assert_allclose(turned.logpdf(at), a.logpdf(Y), rtol=1e-12)
    weights = np.random.RandomState(16).dirichlet(np.ones(K), N)
    expected = [
        naive_joint.correlated_logpdf(w, *row[1:], y)
        for w, row, y in zip(weights, correlated_rows(a), Y, strict=True)
    ]
    np.testing.assert_allclose(a.reweight(weights).logpdf(Y), expected, rtol=1e-12)


def test_rows_table_and_pickle():
    dist = correlated(17, 3)._replace(output_names=["a", "b", "c"])
    Y = np.random.RandomState(18).normal(size=(N, 3))
    for rows in (2, slice(1, 4), [3, 0], np.arange(N) % 2 == 0):
        index = [rows] if isinstance(rows, int) else rows
        np.testing.assert_array_equal(
            dist[rows].logpdf(Y[index]), dist.logpdf(Y)[index]
        )
    again = pickle.loads(pickle.dumps(dist))
    np.testing.assert_array_equal(again.logpdf(Y), dist.logpdf(Y))
    frame = dist.to_frame()
    assert list(frame.columns[-3:]) == ["corr_a_b", "corr_a_c", "corr_b_c"]
    np.testing.assert_array_equal(
        frame["corr_b_c"], dist.correlations[..., 1, 2].ravel()
    )
    assert "n_outputs=3, correlated)" in repr(dist)


def test_components_without_weight_have_no_influence():
    dist = correlated(19)
    means, scales, weights = dist.means.copy(), dist.scales.copy(), dist.weights.copy()
    weights[:, 1] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    means[:, 1], scales[:, 1] = 1e300, 1e-300
    matrices = dist.correlations
    matrices[:, 1] = [[1, 0.999], [0.999, 1]]
    idle = MixtureDistribution(weights, means, scales, correlations=matrices)
    keep = [0, 2]
    rest = MixtureDistribution(
        *(weights[:, keep], means[:, keep], scales[:, keep]),
        correlations=matrices[:, keep],
    )
    y = [0.5, -0.5]
    with np.errstate(all="raise"):
        for method in ("logpdf", "cdf", "pit", "energy_score", "cde_loss"):
            found, expected = (getattr(part, method)(y) for part in (idle, rest))
            np.testing.assert_allclose(found, expected, rtol=1e-9)
        for method in ("mean", "cov", "corr", "mode", "entropy_bounds"):
            found, expected = (getattr(part, method)() for part in (idle, rest))
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(
            idle.condition(0, 0.5).mean(), rest.condition(0, 0.5).mean()
        )
        np.testing.assert_allclose(idle.linear([1, 2]).std(), rest.linear([1, 2]).std())
        np.testing.assert_allclose(idle.reduce(1).cov(), rest.reduce(1).cov())


def test_spherical_scales_are_the_same_for_all_outputs():
    dist = correlated(40, 3)
    scales = dist.scales[..., :1]
    ball, full = (
        dist._replace(scales=part) for part in (scales, np.repeat(scales, 3, axis=2))
    )
    y = [0.5, -1.0, 0.0]
    for method in ("logpdf", "pit", "energy_score", "cde_loss", "responsibilities"):
        found, expected = (getattr(part, method)(y) for part in (ball, full))
        np.testing.assert_allclose(found, expected, rtol=1e-13)
    for method in ("cov", "covariances", "mode", "entropy_bounds"):
        found, expected = (getattr(part, method) for part in (ball, full))
        if callable(found):
            found, expected = found(), expected()
        np.testing.assert_allclose(found, expected, rtol=1e-13)
    made = [
        [
            part.condition(1, 0.5),
            part.linear(np.eye(3)),
            part.reduce(1),
            part.affine(2.0),
            part.marginal([2, 0]),
        ]
        for part in (ball, full)
    ]
    for found, expected in zip(*made, strict=True):
        np.testing.assert_allclose(found.covariances, expected.covariances, rtol=1e-12)
    np.testing.assert_array_equal(ball.sample(5, 0), full.sample(5, 0))
    assert ball.to_frame().equals(full.to_frame())


def test_no_rows():
    none, y = correlated(41, 3)[:0], [0.0, 0.0, 0.0]
    for method in ("logpdf", "cdf", "energy_score", "cde_loss", "hdr_level"):
        argument = 0.5 if method == "hdr_level" else y
        assert getattr(none, method)(argument).shape == (0,)
    assert none.pit(y).shape == (0, 3)
    assert none.responsibilities(y).shape == (0, 3)
    assert none.modes() == []
    for part in (none.reduce(1), none.condition(0, 1.0), none.linear([1, 2, 3])):
        assert len(part) == 0
    assert none.cov().shape == none.corr().shape == (0, 3, 3)
    assert none.sample(2).shape == (0, 3, 2)
