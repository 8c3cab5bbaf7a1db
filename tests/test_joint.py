# SPDX-License-Identifier: BSD-3-Clause
"""Correlated outputs: covariance_type "full" and "tied", from the kernel to answers."""

import copy
import pickle

import naive
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_training import Problem

from skmdn import MDNRegressor, MDNRegressorCV, MixtureDistribution, predict_dist
from skmdn._engine.cpu.predict import raw_outputs
from skmdn._fit.chains import heated, mixture_factor
from skmdn._fit.model import Model
from skmdn._fit.tail import N_COMPONENTS, n_tail_components
from skmdn.datasets import make_correlated

TYPES = ["diag", "spherical", "full", "tied"]


def central_difference(func, x, i, h=3e-4):
    """Derivative by number i, from four points."""

    def at(steps):
        moved = x.copy()
        moved[i] += steps * h
        return func(moved)

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("D", range(1, 6))
def test_gradients_are_central_differences_of_the_oracle(kind, D, monkeypatch):
    """For every number of components up to 7, at outputs of the head."""
    rng = np.random.RandomState(D)
    for K in range(1, 8):
        problem = Problem(n=3, D=D, K=K, kind=kind, hidden=(), n_bins=0)
        loss, gradient = problem.gradient(monkeypatch)
        params = problem.params.astype(np.float64)
        np.testing.assert_allclose(loss, problem.loss(params), rtol=1e-11)
        bias = problem.network.layers(np.arange(len(params)))[1][-1]
        for i in rng.choice(bias, min(4, len(bias)), replace=False):
            slope = central_difference(problem.loss, params, i)
            np.testing.assert_allclose(gradient[i], slope, rtol=1e-6, atol=1e-8)


QUICK = {"hidden_layer_sizes": 8, "max_iter": 20, "random_state": 0}
# The second output is mirrored inside: its longer tail points down.
UNITS = np.array([1.0, -1e3, 1e-3])


def skewed(n=200, seed=0):
    X, Y = make_correlated(n, 3, random_state=seed)
    return X, np.exp(0.5 * Y) * UNITS


@pytest.fixture(scope="module", params=["full", "tied"])
def fitted(request):
    X, Y = skewed()
    mdn = MDNRegressor(3, covariance_type=request.param, n_estimators=2, **QUICK)
    return mdn.fit(X, Y), X, Y


def residual_scales(dist):
    """Standard deviations of every output given the ones before, (n, K, D)."""
    lower = np.linalg.cholesky(dist.covariances)
    return np.einsum("nkdd->nkd", lower)


def slopes(dist):
    """Regression coefficients on the outputs before, (n, K, D, D)."""
    lower = np.linalg.cholesky(dist.covariances)
    return lower / np.einsum("nkdd->nkd", lower)[..., None, :]


def test_distributions_are_those_of_the_oracle(fitted):
    mdn, X, Y = fitted
    model = Model.of(mdn)
    assert model.scaling.scale[1] < 0
    core = model.distribution(X)
    inputs = model.encoding.scale_inputs(X)
    raw = raw_outputs(model.network, model.params, model.encoding, inputs)
    scaled = model.scaling.transform(Y)
    K, _, _, C, _ = model.network.head
    expected = [
        [
            naive.chain_logpdf(row, y, K, C, model.min_scale)
            for row, y in zip(member.T, scaled, strict=True)
        ]
        for member in raw
    ]
    expected = np.logaddexp.reduce(expected) - np.log(2) - model.scaling.log_jacobian
    np.testing.assert_allclose(core.logpdf(Y), expected, rtol=1e-9)
    np.testing.assert_allclose(mdn.logpdf(X, Y), mdn.predict_dist(X).logpdf(Y))
    one_a_row = np.ptp(core.correlations[:, :3], axis=1).max() < 1e-12
    assert one_a_row == (mdn.covariance_type == "tied")


def test_the_tail_has_the_correlations_of_the_mixture(fitted):
    mdn, X, _ = fitted
    core, whole = Model.of(mdn).distribution(X[:50]), mdn.predict_dist(X[:50])
    np.testing.assert_allclose(whole.mean(), core.mean(), rtol=1e-12)
    np.testing.assert_allclose(whole.std(), core.std(), rtol=0.002)
    np.testing.assert_allclose(whole.corr(), core.corr(), atol=1e-9)
    np.testing.assert_allclose(whole.cov(), core.cov(), rtol=0.004)
    last = whole.correlations[:, -N_COMPONENTS:]
    np.testing.assert_allclose(last, np.repeat(core.corr()[:, None], 6, 1), atol=1e-9)
    assert n_tail_components(whole) == N_COMPONENTS


def test_a_far_row_costs_what_its_distance_says(fitted):
    """As the density of the tail falls: like z^-4, and once more for every output."""
    mdn, X, _ = fitted
    core, whole = Model.of(mdn).distribution(X[:1]), mdn.predict_dist(X[:1])
    values, axes = np.linalg.eigh(core.corr()[0])
    for value, axis in zip(values, axes.T, strict=True):
        steps = np.array([0.0, 10.0, 1e3, 1e5])[:, None] * np.sqrt(value) * axis
        points = core.mean() + core.std() * steps
        loss = whole.logpdf(core.mean()) - whole.logpdf(points[None])[0]
        assert np.all(loss < 30 + 7 * np.log([1.0, 10.0, 1e3, 1e5]))
        assert core.logpdf(points[-1])[0] < -1e4


def test_the_factor_of_a_mixture_keeps_its_digits():
    rho = 1 - 1e-12
    dist = MixtureDistribution(
        *([[0.3, 0.7]], [[[1.0, 2.0], [2.0, 4.0]]], [[[1.0, 2.0], [3.0, 6.0]]]),
        correlations=[[[[1.0, rho], [rho, 1.0]]]],
    )
    (factor,) = mixture_factor(dist)
    var, within = 0.3 * 0.7 + 0.3 + 0.7 * 9, 0.3 + 0.7 * 9
    # Of the covariance of y1 and y2 / 2, only (1 - rho) of what is within is missing.
    missing = 2 * (1 - rho) * within / var
    assert factor[1, 1] == pytest.approx(np.sqrt(missing), rel=1e-4)
    np.testing.assert_allclose(factor @ factor.T, dist.corr()[0], rtol=1e-14)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_a_temperature_scales_residuals_above_their_bounds(fitted, temperature):
    mdn, X, _ = fitted
    core = Model.of(mdn).distribution(X[:20])
    residual = residual_scales(core)
    bounds = np.quantile(0.5 * residual, 0.5, axis=(0, 1))
    scales, factors = heated(core.scales, core._factors, temperature, bounds)
    hot = core._replace(scales=scales, factors=factors)
    expected = np.maximum(temperature * residual, bounds)
    np.testing.assert_allclose(residual_scales(hot), expected, rtol=1e-9)
    np.testing.assert_allclose(slopes(hot), slopes(core), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_a_correlation_is_estimated(kind):
    rng = np.random.RandomState(0)
    X, z = rng.uniform(size=(3000, 1)), rng.normal(size=(3000, 2))
    Y = X + np.column_stack([z[:, 0], 0.9 * z[:, 0] + np.sqrt(0.19) * z[:, 1]])
    mdn = MDNRegressor(1, covariance_type=kind, random_state=0, max_iter=40).fit(X, Y)
    correlations = mdn.predict_dist(X[:200]).correlations[:, 0, 0, 1]
    assert np.median(correlations) == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("n_outputs", [2, 3])
def test_correlations_that_depend_on_the_input_are_learned(n_outputs):
    X, Y = make_correlated(2000, n_outputs, random_state=0)
    X_test, Y_test, logpdf = make_correlated(
        4000, n_outputs, return_density=True, random_state=1
    )
    diag, full = (
        MDNRegressor(1, covariance_type=kind, max_iter=100, random_state=0)
        .fit(X, Y)
        .score(X_test, Y_test)
        for kind in ("diag", "full")
    )
    assert full > logpdf(X_test, Y_test).mean() - 0.05
    assert full - diag > 0.8 * 0.421 * (n_outputs - 1)


NEARLY_SINGULAR = {
    "equal": lambda y, rng: y,
    "equal but for rounding": lambda y, rng: y + 1e-9 * rng.normal(size=len(y)),
    "opposite, in other units": lambda y, rng: 5.0 - 1e8 * y,
    "constant": lambda y, rng: np.full(len(y), 3.7),
    "gross outlier": lambda y, rng: np.where(y == y.max(), 1e6, y),
    "two values": lambda y, rng: np.sign(y),
}


@pytest.mark.filterwarnings("ignore:The target")
@pytest.mark.parametrize("kind", ["full", "tied"])
@pytest.mark.parametrize("other", NEARLY_SINGULAR.values(), ids=NEARLY_SINGULAR)
def test_nearly_singular_targets_do_not_fail(other, kind):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(300, 2))
    y = X[:, 0] + rng.normal(size=300)
    Y = np.column_stack([y, other(y, rng), y])
    mdn = MDNRegressor(2, covariance_type=kind, **QUICK).fit(X, Y)
    dist = mdn.predict_dist(X)
    for part in (dist.logpdf(Y), dist.corr(), dist.std(), mdn.sample(X, 2)):
        assert np.isfinite(part).all()


@pytest.mark.parametrize("kind", ["full", "tied"])
@pytest.mark.parametrize("family", ["laplace", "logistic"])
def test_other_families_are_refused_by_name(kind, family):
    X, Y = make_correlated(40, random_state=0)
    message = f"covariance_type='{kind}' is for family='gaussian' alone.*'{family}'"
    mdn = MDNRegressor(family=family, covariance_type=kind, **QUICK)
    for use in (mdn.fit, mdn.partial_fit):
        with pytest.raises(ValueError, match=message):
            use(X, Y)
    with pytest.raises(ValueError, match=message):
        MDNRegressorCV(family=family, covariance_type=kind, cv=2, **QUICK).fit(X, Y)


def test_one_output_has_no_correlations():
    X, Y = make_correlated(100, random_state=0)
    diag, full, tied = (
        MDNRegressor(3, covariance_type=kind, **QUICK).fit(X, Y[:, 0])
        for kind in ("diag", "full", "tied")
    )
    np.testing.assert_array_equal(Model.of(diag).params, Model.of(full).params)
    assert tied.predict_dist(X).correlations is None
    assert np.ptp(tied.predict_dist(X).scales[:, :3], axis=1).max() == 0


def test_folds_choose_the_covariance_type():
    X, Y = make_correlated(300, random_state=0)
    grid = {"covariance_type": ["diag", "full", "tied"]}
    mdn = MDNRegressorCV(1, cv=2, n_estimators=2, n_bins=4, param_grid=grid, **QUICK)
    mdn.set_params(max_iter=60).fit(X, Y)
    assert mdn.best_params_["covariance_type"] in ("full", "tied")
    dist = mdn.predict_dist(X)
    assert dist.correlations is not None
    assert np.isfinite(mdn.oof_logpdf_).all()
    core = mdn._mixture().distribution(X)
    np.testing.assert_allclose(dist.corr(), core.corr(), atol=1e-9)
    again = pickle.loads(pickle.dumps(mdn))
    np.testing.assert_array_equal(again.logpdf(X, Y), mdn.logpdf(X, Y))


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_training_goes_on(kind):
    X, Y = make_correlated(200, random_state=0)
    mdn = MDNRegressor(2, covariance_type=kind, warm_start=True, **QUICK).fit(X, Y)
    before = mdn.best_validation_score_
    assert mdn.fit(X, Y).best_validation_score_ >= before
    mdn.partial_fit(X, Y)
    assert np.isfinite(mdn.score(X, Y))
    with pytest.raises(ValueError, match="covariance_type is 'diag', but"):
        mdn.set_params(covariance_type="diag").fit(X, Y)


def test_weights_threads_and_pickles():
    X, Y = make_correlated(150, random_state=0)
    mdn = MDNRegressor(2, covariance_type="full", **QUICK).fit(X, Y)
    bits = Model.of(mdn).params
    for other in (
        clone(mdn).fit(X, Y, sample_weight=np.full(150, 3.0)),
        clone(mdn).set_params(n_jobs=2).fit(X, Y),
        pickle.loads(pickle.dumps(mdn)),
    ):
        np.testing.assert_array_equal(Model.of(other).params, bits)
    weight = np.random.RandomState(0).randint(1, 3, size=150)
    rows = np.repeat(np.arange(150), weight)
    repeated = clone(mdn).fit(X[rows], Y[rows])
    weighted = clone(mdn).fit(X, Y, sample_weight=weight)
    np.testing.assert_array_equal(Model.of(repeated).params, Model.of(weighted).params)


TAMPERINGS = {
    "another family": {"family": "laplace"},
    "another covariance": {"covariance_type": "diag"},
    "another number of outputs": {"n_outputs": 2},
    "another number of components": {"n_components": 4},
}


@pytest.mark.parametrize("change", TAMPERINGS.values(), ids=TAMPERINGS)
def test_a_tampered_network_is_refused(fitted, change):
    damaged = copy.deepcopy(fitted[0])
    damaged._state["model"]["architecture"].update(change)
    with pytest.raises(ValueError, match="fitted state is damaged"):
        damaged.predict(fitted[1])


def test_scaled_targets_in_a_pipeline():
    X, Y = make_correlated(150, random_state=0)
    mdn = MDNRegressor(2, covariance_type="full", **QUICK)
    scaled = TransformedTargetRegressor(mdn, transformer=StandardScaler())
    model = make_pipeline(StandardScaler(), scaled).fit(X, Y)
    dist = predict_dist(model, X)
    scaling = StandardScaler().fit(Y)
    inner = model[0].transform(X), scaling.transform(Y)
    logpdf = model[-1].regressor_.logpdf(*inner) - np.log(scaling.scale_).sum()
    np.testing.assert_allclose(dist.logpdf(Y), logpdf, rtol=1e-9)
