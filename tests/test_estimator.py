# SPDX-License-Identifier: BSD-3-Clause
"""What MDNRegressor learns, returns, remembers and tells; predict_dist."""

import copy
import json
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (its import is its effect)
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    StandardScaler,
)

from skmdn import MDNRegressor, datasets, predict_dist
from skmdn._fit import discrete as _discrete
from skmdn._fit.model import Model

QUICK = {"n_components": 2, "hidden_layer_sizes": 8, "max_iter": 5, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(120, 3))
    return X, X[:, 0] + rng.gamma(2.0, size=120)


@pytest.fixture(scope="module")
def fitted(table):
    return MDNRegressor(**QUICK).fit(*table)


@pytest.fixture(scope="module")
def two_outputs(table):
    X, y = table
    noise = np.random.RandomState(1).normal(size=120)
    return X, np.column_stack([y, 100 * (X[:, 1] + noise)])


# --- what it learns -------------------------------------------------------------------


def test_learns_two_branches():
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, size=(1000, 1))
    y = rng.choice([-1.0, 1.0], 1000) * (2 + X[:, 0]) + 0.3 * rng.normal(size=1000)
    mdn = MDNRegressor(random_state=0).fit(X, y)
    truth = -np.log(0.3) - 0.5 * np.log(2 * np.pi * np.e) - np.log(2)
    assert truth - 0.15 < mdn.score(X, y) < truth + 0.15
    distribution = mdn.predict_dist([[0.5]])
    assert distribution.pdf(2.5)[0] > 0.4  # The truth is 0.66 at both.
    assert distribution.pdf(-2.5)[0] > 0.4
    assert distribution.pdf(0.0)[0] < 0.01
    np.testing.assert_allclose(mdn.predict([[0.5]]), 0.0, atol=1.0)


@pytest.mark.parametrize("covariance_type", ["diag", "spherical"])
def test_several_outputs_have_a_joint_density(two_outputs, covariance_type):
    X, Y = two_outputs
    mdn = MDNRegressor(covariance_type=covariance_type, random_state=0).fit(X, Y)
    apart = sum(
        MDNRegressor(n_components=1, random_state=0).fit(X, y).score(X, y) for y in Y.T
    )
    assert mdn.score(X, Y) > apart - 0.5
    assert mdn.predict(X).shape == Y.shape
    assert mdn.logpdf(X, Y).shape == (120,)
    assert mdn.sample(X[:5], 7).shape == (5, 2, 7)


def test_grid_search_finds_the_number_of_branches():
    X, y = datasets.make_inverse_sine(n_samples=500, random_state=0)
    X = pd.DataFrame(X, columns=["x"])
    model = Pipeline([("scale", StandardScaler()), ("mdn", MDNRegressor())])
    model.set_params(mdn__random_state=0)
    grid = {"mdn__n_components": [1, 3]}
    search = GridSearchCV(model, grid, n_jobs=2, cv=3).fit(X, y)  # loky
    assert search.best_params_ == {"mdn__n_components": 3}
    with joblib.parallel_backend("threading"):
        again = GridSearchCV(model, grid, n_jobs=2, cv=3).fit(X, y)
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], again.cv_results_[name])
    assert list(search.best_estimator_.feature_names_in_) == ["x"]
    assert predict_dist(search, X).weights.shape[0] == 500


def test_cross_validation_approaches_the_truth():
    X, y, logpdf = datasets.make_bimodal(2000, return_density=True, random_state=0)
    scores = cross_val_score(MDNRegressor(random_state=0), X, y, cv=3)
    assert abs(np.mean(scores) - np.mean(logpdf(X, y))) < 0.1


# --- shapes and conventions -----------------------------------------------------------


def test_shapes_follow_y(table):
    X, y = table
    flat = MDNRegressor(**QUICK).fit(X, y)
    column = MDNRegressor(**QUICK).fit(X, y[:, None])
    assert flat.predict(X).shape == (120,)
    assert column.predict(X).shape == (120, 1)
    np.testing.assert_array_equal(column.predict(X)[:, 0], flat.predict(X))
    for mdn in (flat, column):
        mean, std = mdn.predict(X, return_std=True)
        assert mean.shape == std.shape == mdn.predict(X).shape
        np.testing.assert_array_equal(mdn.logpdf(X, y), mdn.logpdf(X, y[:, None]))
        assert mdn.sample(X[:4], 6).shape == (4, 6)
        assert len(mdn.predict_dist(X)) == 120


def test_predictions_agree_with_the_distribution(fitted, table):
    X, y = table
    distribution = fitted.predict_dist(X)
    mean, std = fitted.predict(X, return_std=True)
    np.testing.assert_allclose(mean, distribution.mean(), rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(std, distribution.std())
    np.testing.assert_array_equal(fitted.logpdf(X, y), distribution.logpdf(y))
    assert fitted.score(X, y) == np.mean(distribution.logpdf(y))


def test_score_is_weighted(fitted, table):
    X, y = table
    weight = np.arange(120.0)
    expected = np.average(fitted.logpdf(X, y), weights=weight)
    np.testing.assert_allclose(fitted.score(X, y, sample_weight=weight), expected)
    with pytest.raises(ValueError, match=r"(?i)weights.*zero"):
        fitted.score(X, y, sample_weight=np.zeros(120))


def test_large_tables_are_predicted_in_blocks(fitted, table, monkeypatch):
    X, y = table
    expected = fitted.predict(X, return_std=True), fitted.logpdf(X, y)
    monkeypatch.setattr("skmdn._estimators.base._COMPONENTS_AT_ONCE", 1)  # 64 rows
    np.testing.assert_array_equal(fitted.predict(X, return_std=True), expected[0])
    np.testing.assert_array_equal(fitted.logpdf(X, y), expected[1])


def test_samples_follow_random_state(fitted, table):
    X = table[0][:3]
    np.testing.assert_array_equal(fitted.sample(X, 5), fitted.sample(X, 5))
    first = fitted.sample(X, 5, random_state=1)
    np.testing.assert_array_equal(first, fitted.sample(X, 5, random_state=1))
    assert not np.array_equal(first, fitted.sample(X, 5, random_state=2))


def test_score_is_a_log_likelihood(fitted):
    tags = sklearn.utils.get_tags(fitted)
    assert tags.regressor_tags.poor_score
    assert tags.target_tags.multi_output


@pytest.mark.parametrize("polars", [False, True])
def test_data_frames(table, polars):
    X, y = table
    frame_of = pytest.importorskip("polars").DataFrame if polars else pd.DataFrame
    frame = frame_of({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]})
    mdn = MDNRegressor(**QUICK).fit(frame, y)
    assert list(mdn.feature_names_in_) == ["a", "b", "c"]
    expected = MDNRegressor(**QUICK).fit(X, y).predict(X)
    np.testing.assert_array_equal(mdn.predict(frame), expected)
    with pytest.raises(ValueError, match="feature names"):
        mdn.predict(frame[["b", "a", "c"]])
    mdn.fit(X, y)
    assert not hasattr(mdn, "feature_names_in_")


def test_sample_weight_is_routed(table):
    X, y = table
    weight = np.linspace(0, 1, 120)
    with sklearn.config_context(enable_metadata_routing=True):
        mdn = MDNRegressor(**QUICK)
        mdn.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(mdn, {"n_components": [2]}, cv=2)
        search.fit(X, y, sample_weight=weight)
    expected = MDNRegressor(**QUICK).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(search.predict(X), expected.predict(X))


def test_html_repr_and_clone(fitted):
    assert "MDNRegressor" in fitted._repr_html_()
    assert clone(fitted).get_params() == fitted.get_params()


# --- fitted attributes ----------------------------------------------------------------


def test_course_of_training(table):
    X, y = table
    mdn = MDNRegressor(early_stopping=True, **QUICK).fit(X, y)
    assert mdn.n_iter_ == len(mdn.loss_curve_) == len(mdn.validation_scores_) == 5
    # Wider scales may have made the held-out rows more likely still.
    assert mdn.best_validation_score_ >= max(mdn.validation_scores_) - 1e-6
    without = MDNRegressor(early_stopping=False, **QUICK).fit(X, y)
    assert without.validation_scores_ is None
    assert without.best_validation_score_ is None
    assert without.loss_curve_[-1] < without.loss_curve_[0]


def core_score(mdn, X, y):
    """Mean log-likelihood without the tail, as during training."""
    return mdn._mixture().distribution(X).logpdf(y).mean()


def test_scores_are_in_the_units_of_y(table):
    X, y = table
    mdn = MDNRegressor(**QUICK).fit(X, y, X_val=X, y_val=y)
    # Trained in float32, evaluated in float64.
    assert mdn.best_validation_score_ == pytest.approx(core_score(mdn, X, y), abs=1e-5)
    other = MDNRegressor(**QUICK).fit(X, 1024 * y, X_val=X, y_val=1024 * y)
    moved = np.log(1024)
    np.testing.assert_allclose(
        other.validation_scores_, np.array(mdn.validation_scores_) - moved
    )
    np.testing.assert_allclose(other.loss_curve_, np.array(mdn.loss_curve_) + moved)


@pytest.mark.parametrize("n_estimators", [1, 3])
def test_coefs_are_views_of_the_parameters(table, n_estimators):
    mdn = MDNRegressor(n_estimators=n_estimators, **QUICK).fit(*table)
    for copied in (mdn, copy.deepcopy(mdn), pickle.loads(pickle.dumps(mdn))):
        n_encoded = copied.coefs_[0].shape[0]
        assert n_encoded == 3 + 3 * 8
        assert copied.coefs_[0].shape == (n_encoded, 8)
        assert copied.coefs_[1].shape == (8, 2 * 3)
        assert [b.shape for b in copied.intercepts_] == [(8,)] * n_estimators + [
            (6,)
        ] * n_estimators
        assert np.any(copied.predict(table[0]) != 0)
        for part in copied.coefs_ + copied.intercepts_:
            assert np.shares_memory(part, Model.of(copied).params)
            part[...] = 0
        np.testing.assert_allclose(np.ptp(copied.predict(table[0])), 0, atol=1e-12)
        if copied is mdn:
            mdn.fit(*table)


def _leaves(value):
    if isinstance(value, dict):
        for key, item in value.items():
            assert type(key) is str
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def test_attributes_are_plain(table):
    mdn = MDNRegressor(**QUICK).fit(*table)
    mdn.partial_fit(*table)
    for leaf in _leaves(vars(mdn)):
        assert leaf is None or type(leaf) in (np.ndarray, float, int, str, bool)
    for array in _leaves(vars(mdn)):
        if isinstance(array, np.ndarray):
            assert array.dtype.kind in "fi"
    json.dumps(Model.of(mdn).architecture)


def test_pickle_and_joblib_round_trip(fitted, table, tmp_path):
    X, y = table
    joblib.dump(fitted, tmp_path / "mdn.joblib")
    mapped = joblib.load(tmp_path / "mdn.joblib", mmap_mode="r")
    for loaded in (pickle.loads(pickle.dumps(fitted)), mapped, copy.copy(fitted)):
        np.testing.assert_array_equal(loaded.logpdf(X, y), fitted.logpdf(X, y))


def test_predictions_do_not_depend_on_later_parameters(fitted, table):
    other = copy.deepcopy(fitted)
    other.set_params(n_components=9, hidden_layer_sizes=(3, 3), activation="relu")
    np.testing.assert_array_equal(other.predict(table[0]), fitted.predict(table[0]))


def test_not_fitted(table):
    mdn = MDNRegressor()
    for use in (
        mdn.predict,
        mdn.predict_dist,
        mdn.sample,
        lambda X: mdn.score(*table),
        lambda X: predict_dist(make_pipeline(mdn), X),
        lambda X: predict_dist(GridSearchCV(mdn, {}), X),
    ):
        with pytest.raises(NotFittedError):
            use(table[0])
    assert not hasattr(mdn, "coefs_")


def test_inputs_that_never_varied_do_not_move_predictions(table):
    X, y = table
    mdn = MDNRegressor(**QUICK).fit(np.column_stack([X, np.full(120, 3.0)]), y)
    expected = mdn.predict(np.column_stack([X, np.full(120, 3.0)]))
    moved = mdn.predict(np.column_stack([X, np.linspace(-1e6, 1e6, 120)]))
    np.testing.assert_array_equal(moved, expected)


def test_interval_of_a_constant_target_is_relative_to_it(table):
    y = np.full(120, 1e-6)
    low, high = (
        MDNRegressor(**QUICK).fit(table[0], y).predict_dist([[0] * 3]).interval()
    )
    assert -1e-6 < low[0] < high[0] < 3e-6  # After five epochs.


# --- validation rows ------------------------------------------------------------------


def test_given_validation_rows_are_used(table):
    X, y = table
    mdn = MDNRegressor(**QUICK).fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    score = core_score(mdn, X[80:], y[80:])
    assert mdn.best_validation_score_ == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        ({"X_val": [[0.0] * 3]}, "X_val is given without y_val"),
        ({"y_val": [0.0]}, "y_val is given without X_val"),
        ({"X_val": [[0.0] * 2], "y_val": [0.0]}, "X_val, y_val: X has 2 features"),
        ({"X_val": [[0.0] * 3], "y_val": [np.nan]}, "X_val, y_val: Input y contains"),
        (
            {"X_val": [[0.0] * 3], "y_val": [[0.0, 1.0]]},
            "X_val, y_val: y has 2 outputs",
        ),
        ({"X_val": [[0.0] * 3] * 2, "y_val": [0.0]}, "X_val, y_val: Found input"),
    ],
)
def test_bad_validation_rows(table, held_out, message):
    with pytest.raises(ValueError, match=message):
        MDNRegressor(**QUICK).fit(*table, **held_out)
    with pytest.raises(ValueError, match="early_stopping=False"):
        MDNRegressor(early_stopping=False).fit(*table, **held_out)


def test_best_epoch_is_kept(table):
    """A learning rate that ruins the fit: the first epochs were better."""
    X, y = table
    mdn = MDNRegressor(
        hidden_layer_sizes=(), learning_rate_init=0.5, max_iter=40, random_state=0
    ).fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    assert mdn.best_validation_score_ > mdn.validation_scores_[-1]
    score = core_score(mdn, X[60:], y[60:])
    assert mdn.best_validation_score_ == pytest.approx(score, abs=1e-4)


def test_patience(table):
    X, y = table
    options = {**QUICK, "max_iter": 60, "learning_rate_init": 0.1}
    held_out = {"X_val": X[60:], "y_val": y[60:]}
    patient = MDNRegressor(n_iter_no_change=None, **options)
    assert patient.fit(X[:60], y[:60], **held_out).n_iter_ == 60
    hasty = MDNRegressor(n_iter_no_change=3, **options).fit(X[:60], y[:60], **held_out)
    best = int(np.argmax(hasty.validation_scores_)) + 1
    assert hasty.n_iter_ == best + 3 < 60


def test_one_point_mass_is_told_once_in_a_search(monkeypatch):
    monkeypatch.setattr(_discrete, "_told", set())
    rng = np.random.RandomState(0)
    X = rng.normal(size=(320, 1))
    y = np.where(rng.uniform(size=320) < 0.1, 0.0, rng.normal(size=320))
    mdn = MDNRegressor(**{**QUICK, "max_iter": 1})
    search = GridSearchCV(mdn, {"min_scale": ["auto", 0.1]}, cv=3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(X, y)
    assert ["point masses" in str(w.message) for w in caught] == [True]
    for _ in range(2):
        with pytest.warns(UserWarning, match="point masses"):
            mdn.fit(X, y)
    mdn.fit(X, X[:, 0])


@pytest.mark.parametrize("n", [20, 60])
def test_few_rows_do_not_over_fit(n):
    """Hardly worse than one Gaussian for all rows; by several nats without held-out."""
    excesses = []
    for seed in range(5):
        X, y = datasets.make_heteroscedastic(n, random_state=seed)
        X_new, y_new = datasets.make_heteroscedastic(1000, random_state=100 + seed)
        score = MDNRegressor(random_state=seed).fit(X, y).score(X_new, y_new)
        excesses.append(norm.logpdf(y_new, y.mean(), y.std()).mean() - score)
    assert np.mean(excesses) < 0.3
