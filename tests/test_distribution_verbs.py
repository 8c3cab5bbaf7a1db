# SPDX-License-Identifier: BSD-3-Clause
"""Distributions made of distributions, and the names of their outputs."""

import pickle

import numpy as np
import pandas as pd
import pytest
from mixtures import N, random_mixture

from skmdn import MDNRegressor, MixtureDistribution
from skmdn._distribution import checks

ONE = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])


@pytest.fixture(scope="module", params=[None, 2])
def dist(request):
    return random_mixture(0, n_outputs=request.param)


def points(dist, seed=1):
    shape = (N,) if dist.n_outputs == 1 else (N, dist.n_outputs)
    return np.random.RandomState(seed).normal(size=shape)


def test_concatenate_keeps_every_row(dist):
    y = points(dist)
    parts = [dist[:2], dist.reduce(3)[2:5], dist[5:]]
    whole = MixtureDistribution.concatenate(parts)
    assert len(whole) == N
    expected = [dist.logpdf(y)[:2], dist.reduce(3).logpdf(y)[2:5], dist.logpdf(y)[5:]]
    np.testing.assert_array_equal(whole.logpdf(y), np.concatenate(expected))


def test_mix_is_the_mean_density(dist):
    y = points(dist)
    other = random_mixture(3, n_outputs=None if dist.n_outputs == 1 else 2)
    mixture = MixtureDistribution.mix([dist, other], [0.25, 0.75])
    expected = 0.25 * dist.pdf(y) + 0.75 * other.pdf(y)
    np.testing.assert_allclose(mixture.pdf(y), expected, rtol=1e-12)


def test_affine_has_the_jacobian_in_its_density(dist):
    y = points(dist)
    scale, shift = np.array([-3.0, 0.5])[: dist.n_outputs], 7.0
    moved = dist.affine(scale, shift)
    expected = dist.logpdf(y) - np.log(np.abs(scale)).sum()
    np.testing.assert_allclose(moved.logpdf(scale * y + shift), expected, rtol=1e-12)


def test_reweight_changes_only_the_weights(dist):
    weights = random_mixture(5).weights
    changed = dist.reweight(weights)
    np.testing.assert_allclose(changed.weights, weights, rtol=1e-15)
    np.testing.assert_array_equal(changed.means, dist.means)


def test_independent_outputs_multiply_their_densities(dist):
    other = random_mixture(4, n_components=3)
    joint = MixtureDistribution.independent([dist, other])
    assert joint.n_components == 12
    y, z = points(dist), np.random.RandomState(9).normal(size=N)
    both = np.column_stack([y, z])
    expected = dist.logpdf(y) + other.logpdf(z)
    np.testing.assert_allclose(joint.logpdf(both), expected, rtol=1e-12)


def test_spherical_scales_through_the_verbs():
    rng = np.random.RandomState(7)
    weights, means = rng.dirichlet([1, 1], N), rng.normal(size=(N, 2, 2))
    ball = MixtureDistribution(weights, means, np.exp(rng.normal(size=(N, 2, 1))))
    full = random_mixture(0, n_outputs=2)
    y = points(full)
    mixture = MixtureDistribution.mix([ball, full], [0.5, 0.5])
    expected = (ball.pdf(y) + full.pdf(y)) / 2
    np.testing.assert_allclose(mixture.pdf(y), expected, rtol=1e-12)
    np.testing.assert_allclose(ball.affine([2.0, 3.0]).std(), ball.std() * [2, 3])
    joint = MixtureDistribution.independent([ball, full])
    np.testing.assert_allclose(joint.std(), np.hstack([ball.std(), full.std()]))


def test_a_distribution_is_not_validated_again(dist, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("validated again")

    parts = [dist, dist]
    monkeypatch.setattr(checks, "check_mixture", refuse)
    monkeypatch.setattr("skmdn.distribution.check_mixture", refuse)
    MixtureDistribution.concatenate(parts)
    MixtureDistribution.mix(parts, [0.5, 0.5])
    MixtureDistribution.independent(parts)
    dist.affine(2.0).reweight(dist.weights)[1:]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda d: d.concatenate([]), ValueError, "must hold a distribution"),
        (lambda d: d.concatenate([d, 1]), TypeError, "got int"),
        (
            lambda d: d.concatenate([d, d.independent([d, d])]),
            ValueError,
            r"as many outputs; got \[1, 2\]",
        ),
        (lambda d: d.mix([d, d[:0]], [0.5, 0.5]), ValueError, r"rows; got \[0, 1\]"),
        (lambda d: d.mix([d, d], [0.5]), ValueError, r"shape \(2,\).*got \(1,\)"),
        (lambda d: d.mix([d, d], [0.5, 0.6]), ValueError, "sum of 1.1"),
        (lambda d: d.mix([d, d], [1.5, -0.5]), ValueError, "negative; got -0.5"),
        (lambda d: d.independent([d, d[:0]]), ValueError, r"rows; got \[0, 1\]"),
        (lambda d: d.affine([1.0, 2.0]), ValueError, r"scale must be a number.*\(2,\)"),
        (lambda d: d.affine(0.0), ValueError, "scale must leave.*got 0.0"),
        (lambda d: d.affine(np.nan), ValueError, "scale must be finite"),
        (lambda d: d.affine(1e300).affine(1e300), ValueError, "not finite"),
        (lambda d: d.reweight([[0.5, 0.5]]), ValueError, r"shape \(1, 1\)"),
        (lambda d: d.reweight([[0.5]]), ValueError, "sum of 0.5"),
    ],
)
def test_errors_name_the_culprit(make, error, message):
    with pytest.raises(error, match=message):
        make(ONE)


def test_products_of_many_components_are_refused():
    wide = random_mixture(0, n_components=101)
    with pytest.raises(ValueError, match="10000 components together: reduce"):
        MixtureDistribution.independent([wide, wide])


# --- names of outputs -----------------------------------------------------------------


@pytest.fixture(scope="module")
def named():
    plain = random_mixture(2, n_outputs=3)
    return MixtureDistribution(
        plain.weights, plain.means, plain.scales, output_names=["price", "area", "age"]
    )


def test_outputs_by_name(named):
    area = named.marginal("area")
    np.testing.assert_array_equal(area.means, named.marginal(1).means)
    assert area.output_names == ["area"]
    given = named.condition("price", 3.0)
    np.testing.assert_array_equal(given.weights, named.condition(0, 3.0).weights)
    assert given.output_names == ["area", "age"]
    both = named.condition(["age", 0], [1.0, 2.0])
    np.testing.assert_array_equal(both.weights, named.condition([2, 0], [1, 2]).weights)
    assert both.output_names == ["area"]
    assert named.marginal(["age", "price"]).output_names == ["age", "price"]


def test_names_survive_verbs_rows_and_pickling(named):
    names = named.output_names
    make = [
        lambda d: d[0],
        lambda d: d[::2],
        lambda d: d.reduce(2),
        lambda d: d.affine(2.0),
        lambda d: d.reweight(d.weights),
        lambda d: d.concatenate([d, d.reduce(2)]),
        lambda d: d.mix([d, d], [0.5, 0.5]),
        lambda d: pickle.loads(pickle.dumps(d)),
    ]
    for verb in make:
        assert verb(named).output_names == names
    joint = named.independent([named.marginal("age"), named.marginal(["price"])])
    assert joint.output_names == ["age", "price"]
    plain = random_mixture(2, n_outputs=3)
    assert named.mix([named, plain], [0.5, 0.5]).output_names is None
    assert plain.output_names is None
    assert named.independent([plain, named]).output_names is None


def test_names_in_the_frame(named):
    columns = [
        "weight",
        *(
            f"{part}_{name}"
            for part in ("mean", "scale")
            for name in ("price", "area", "age")
        ),
    ]
    assert list(named.to_frame().columns) == columns
    one = named.marginal("age").to_frame()
    assert list(one.columns) == ["weight", "mean_age", "scale_age"]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda d: d.marginal("rooms"), ValueError, "price, area, age.*got 'rooms'"),
        (lambda d: d.marginal(["age", 2]), ValueError, "different outputs"),
        (lambda d: d.marginal(1.5), ValueError, "j must be an integer.*got 1.5"),
        (lambda d: d.independent([d, d]), ValueError, "6 different names"),
        (
            lambda d: MixtureDistribution([[1]], [[1]], [[1]], output_names=["a", "b"]),
            ValueError,
            r"1 different names.*got \['a', 'b'\]",
        ),
        (
            lambda d: MixtureDistribution([[1]], [[1]], [[1]], output_names=[3]),
            TypeError,
            r"strings or None; got \[3\]",
        ),
    ],
)
def test_errors_about_names(named, make, error, message):
    with pytest.raises(error, match=message):
        make(named)


def test_names_of_the_columns_of_y():
    X = np.random.RandomState(0).normal(size=(60, 2))
    Y = pd.DataFrame(X + 1, columns=["price", "area"])
    mdn = MDNRegressor(1, hidden_layer_sizes=4, max_iter=2, random_state=0).fit(X, Y)
    assert mdn.output_names_ == ["price", "area"]
    dist = mdn.predict_dist(X)
    np.testing.assert_array_equal(dist.marginal("area").means, dist.marginal(1).means)
    assert mdn.fit(X, X).predict_dist(X).output_names is None
