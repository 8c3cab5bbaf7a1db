# SPDX-License-Identifier: BSD-3-Clause
"""MDNRegressorCV: folds, choice of candidates, calibration, background."""

import pickle

import numpy as np
import pytest
from scipy.integrate import quad
from sklearn.model_selection import GroupKFold, KFold
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmdn import MDNRegressor, MDNRegressorCV
from skmdn._holdout import count_units, hold_out_folds, hold_out_part
from skmdn.datasets import make_bimodal, make_heteroscedastic

SMALL = {"hidden_layer_sizes": 8, "n_estimators": 2, "max_iter": 25, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    return make_heteroscedastic(150, random_state=0)


@pytest.fixture(scope="module")
def fitted(table):
    return MDNRegressorCV(4, **SMALL).fit(*table)


@parametrize_with_checks(
    [
        MDNRegressorCV(2, cv=2, **SMALL),
        MDNRegressorCV([1, 2], **SMALL | {"max_iter": 40}),
    ]
)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def test_keeps_every_fold(fitted, table):
    X, y = table
    distribution = fitted.predict_dist(X)
    assert fitted.component_weights_.shape == (5, 8)
    np.testing.assert_allclose(fitted.component_weights_.sum(axis=1), 1)
    n_experts = int(fitted.linear_weight_ > 0)
    assert distribution.n_components == 5 * (8 + n_experts + 7)
    np.testing.assert_allclose(distribution.weights.sum(axis=1), 1)
    assert np.isfinite(fitted.oof_logpdf_).all()
    assert len(fitted.oof_logpdf_) == len(X)
    # Out-of-fold densities are honest: a little below those of the training rows.
    assert fitted.oof_logpdf_.mean() < fitted.score(X, y)


def test_density_integrates_to_one(fitted, table):
    row = fitted.predict_dist(table[0][:1])
    total, _ = quad(lambda y: row.pdf(y)[0], -1e3, 1e3, points=[-5, 0, 5], limit=500)
    np.testing.assert_allclose(total, 1, atol=2e-3)  # the background goes on


def test_chooses_the_number_of_components():
    X, y = make_bimodal(300, random_state=0)
    mdn = MDNRegressorCV([1, 3], **SMALL).fit(X, y)
    assert mdn.best_params_ == {"n_components": 3}
    results = mdn.cv_results_
    assert results["rank_test_score"].tolist() == [2, 1]
    assert results["params"] == [{"n_components": 1}, {"n_components": 3}]
    np.testing.assert_allclose(mdn.best_score_, results["mean_test_score"][1])
    splits = [results[f"split{i}_test_score"][1] for i in range(5)]
    np.testing.assert_allclose(np.mean(splits), mdn.best_score_)


def test_param_grid_and_scoring():
    X, y = make_heteroscedastic(120, random_state=1)

    def few_bins(estimator, X, y):
        assert isinstance(estimator, MDNRegressor)
        assert np.isfinite(estimator.score(X, y))
        return -estimator.coefs_[0].shape[0]

    mdn = MDNRegressorCV(2, param_grid={"n_bins": [0, 8]}, scoring=few_bins, **SMALL)
    assert mdn.fit(X, y).best_params_ == {"n_components": 2, "n_bins": 0}


def test_same_bits_for_every_n_jobs(table, fitted):
    X, y = table
    for n_jobs in (2, 3):
        again = MDNRegressorCV(4, n_jobs=n_jobs, **SMALL).fit(X, y)
        np.testing.assert_array_equal(again.oof_logpdf_, fitted.oof_logpdf_)
        np.testing.assert_array_equal(again.logpdf(X, y), fitted.logpdf(X, y))


def test_pickle_keeps_the_bits(table, fitted):
    X, y = table
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.logpdf(X, y), fitted.logpdf(X, y))


def test_groups_stay_together(table):
    X, y = table
    groups = np.arange(len(y)) // 10
    mdn = MDNRegressorCV(2, cv=GroupKFold(3), **SMALL).fit(X, y, groups=groups)
    assert len(mdn.component_weights_) == 3
    assert np.isfinite(mdn.oof_logpdf_).all()


def test_one_hold_out_leaves_rows_unjudged(table):
    X, y = table
    split = next(KFold(3).split(X))
    mdn = MDNRegressorCV(2, cv=[split], **SMALL).fit(X, y)
    assert np.isnan(mdn.oof_logpdf_[split[0]]).all()
    assert np.isfinite(mdn.oof_logpdf_[split[1]]).all()


@pytest.mark.parametrize(
    ("spread", "temperature"), [(0.5, 0.5), (1.0, 1.0), (1.8, 1.8**0.25)]
)
def test_temperature_follows_held_out_rows(spread, temperature, table):
    """Narrower in full, wider by the fourth root."""
    X, y = table
    options = SMALL | {"n_estimators": 1, "hidden_layer_sizes": ()}
    ensemble = MDNRegressorCV(1, cv=2, **options).fit(X, y)._mixture()
    held_out = []
    for model in ensemble.models:
        core = model.distribution(X)
        z = np.random.RandomState(0).normal(size=len(X))
        held_out.append((X, core.mean() + spread * core.std() * z, np.ones(len(X))))
    found = ensemble._replace(temperature=1.0).calibrated(held_out).temperature
    np.testing.assert_allclose(found, temperature, rtol=0.12)


def test_bound_of_the_scales_holds_after_calibration(table):
    X, y = table
    mdn = MDNRegressorCV(2, min_scale=1.0, **SMALL).fit(X, y)
    scales = mdn.predict_dist(X).scales.reshape(len(X), 5, -1)
    unit = scales[..., -1:] / (1.5 * 4**6)  # from the widest of the background
    assert np.all(scales >= 0.999 * unit)


def test_background_bounds_the_loss_of_an_outlier():
    X, y = make_heteroscedastic(150, random_state=0)
    with_background = MDNRegressorCV(2, **SMALL).fit(X, y)
    without = MDNRegressorCV(2, background=0.0, **SMALL).fit(X, y)
    far = [y.mean() + 200 * y.std()]
    assert with_background.logpdf(X[:1], far)[0] > -20
    assert without.logpdf(X[:1], far)[0] < -1000
    # ... at a price of half a per cent of the density.
    typical = with_background.logpdf(X, y) - without.logpdf(X, y)
    assert np.abs(np.median(typical)) < 0.05


def test_a_line_is_left_to_the_linear_experts():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(500, 5))
    y = X[:, 0] - 2 * X[:, 1] + rng.normal(size=500)
    mdn = MDNRegressorCV(4, **SMALL | {"max_iter": 100}).fit(X[:100], y[:100])
    assert mdn.linear_weight_ > 0.3
    noise = -0.5 * np.log(2 * np.pi) - 0.5  # mean log-density of the truth
    assert mdn.score(X[100:], y[100:]) > noise - 0.15


def test_experts_stay_out_where_a_line_is_wrong():
    X, y = make_bimodal(400, random_state=0)
    mdn = MDNRegressorCV(3, **SMALL | {"max_iter": 100}).fit(X, y)
    assert mdn.linear_weight_ < 0.1


def test_gross_outliers_cost_little():
    X, y = make_heteroscedastic(600, random_state=2)
    clean = MDNRegressorCV(2, **SMALL).fit(X[:400], y[:400]).score(X[400:], y[400:])
    spoiled = y[:400].copy()
    spoiled[::200] += 1e4 * y.std()
    score = MDNRegressorCV(2, **SMALL).fit(X[:400], spoiled).score(X[400:], y[400:])
    assert clean - score < 0.1


def test_inputs_far_away_get_finite_wide_densities(fitted, table):
    far = fitted.predict_dist([[1e6], [-1e300]])
    assert np.isfinite(far.std()).all()
    assert np.isfinite(far.logpdf(table[1][:2])).all()


def test_several_outputs():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(120, 2))
    Y = X @ rng.normal(size=(2, 2)) + 0.1 * rng.normal(size=(120, 2))
    mdn = MDNRegressorCV(2, covariance_type="spherical", **SMALL).fit(X, Y)
    assert mdn.predict(X).shape == Y.shape
    assert mdn.sample(X, 3, random_state=0).shape == (120, 2, 3)
    assert np.isfinite(mdn.oof_logpdf_).all()


def test_failed_fit_keeps_the_earlier_one(table):
    X, y = table
    mdn = MDNRegressorCV(2, cv=2, **SMALL).fit(X, y)
    before = mdn.logpdf(X, y)
    with pytest.raises(ValueError, match="NaN"):
        mdn.fit(X, np.where(np.arange(len(y)) == 3, np.nan, y))
    np.testing.assert_array_equal(mdn.logpdf(X, y), before)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": []}, "n_components"),
        ({"n_components": [0, 2]}, "n_components"),
        ({"param_grid": {"depth": [1]}}, "depth"),
        ({"background": 1.5}, "background"),
        ({"cv": "loo"}, "cv"),
        ({"alpha": -1}, "alpha"),
    ],
)
def test_bad_parameters_are_named(parameters, message, table):
    with pytest.raises(ValueError, match=message):
        MDNRegressorCV(**parameters).fit(*table)


def test_units_of_weights():
    assert count_units(np.array([0.5, 1.0, 1.5])).tolist() == [1, 2, 3]
    assert count_units(np.array([0.5, 1.1, 1.5])).tolist() == [1, 1, 1]
    rng = np.random.RandomState(0)
    weight = np.array([1.0, 3.0, 2.0, 1.0])
    folds = list(hold_out_folds(weight, 3, rng))
    np.testing.assert_allclose(np.sum(folds, axis=0), weight)
    assert sorted(np.sum(folds, axis=1)) == [2, 2, 3]
    assert hold_out_part(weight, 4, rng).sum() == 4
    assert hold_out_part(weight, 100, rng).sum() == 6  # something to train on remains
