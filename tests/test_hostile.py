# SPDX-License-Identifier: BSD-3-Clause
"""Whatever finite data comes in, a fit is finite; anything else is refused by name."""

import copy
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from skmdn import MDNRegressor, MDNRegressorCV
from skmdn._fit.model import Model
from skmdn.calibration import ConformalMDNRegressor
from skmdn.metrics import crps_loss

N = 120
QUICK = {"max_iter": 30, "random_state": 0}


def _table(rng, n=N, d=3):
    X = rng.normal(size=(n, d))
    return X, X[:, 0] + rng.gamma(2.0, size=n)


def _constant_columns(rng):
    X, y = _table(rng)
    X[:, 1], X[:, 2] = 7.0, 0.1 + 0.2
    return X, y


def _one_outlier(rng):
    X, y = _table(rng)
    y[5] += 1e6 * y.std()
    return X, y


def _tiny_column(rng):
    X, y = _table(rng)
    X[:, 1] *= 1e-16
    X[:, 2] = 1.0 + 1e-16 * X[:, 2]
    return X, y


def _heavy_inputs(rng):
    X, y = _table(rng)
    X[:, 0] = rng.standard_cauchy(N) ** 5
    X[0, 1] = 1.7e308
    return X, y


HOSTILE = {
    "constant y": lambda rng: (_table(rng)[0], np.full(N, 3.7)),
    "zero y": lambda rng: (_table(rng)[0], np.zeros(N)),
    "huge constant y": lambda rng: (_table(rng)[0], np.full(N, -1e30)),
    "constant columns": _constant_columns,
    "only constant columns": lambda rng: (np.ones((N, 2)), rng.normal(size=N)),
    "one distinct row": lambda rng: (np.ones((N, 2)), np.full(N, 2.0)),
    "one row": lambda rng: (np.ones((1, 2)), np.array([2.0])),
    "two rows": lambda rng: (np.array([[0.0], [1.0]]), np.array([0.0, 1.0])),
    "discrete y": lambda rng: (_table(rng)[0], rng.randint(3, size=N).astype(float)),
    "two values": lambda rng: (_table(rng)[0], rng.randint(2, size=N).astype(float)),
    "repeated rows": lambda rng: tuple(np.repeat(a, 10, axis=0) for a in _table(rng)),
    "tiny y": lambda rng: (_table(rng)[0], 1e-30 * rng.normal(size=N)),
    "huge y": lambda rng: (_table(rng)[0], 1e30 * rng.normal(size=N)),
    "hugest y": lambda rng: (_table(rng)[0], 1e149 * rng.normal(size=N)),
    "subnormal y": lambda rng: (_table(rng)[0], 1e-310 * rng.normal(size=N)),
    "far away y": lambda rng: (_table(rng)[0], 1e15 + rng.normal(size=N)),
    "one outlier": _one_outlier,
    "almost constant y": lambda rng: (_table(rng)[0], np.append(np.zeros(N - 1), 1.0)),
    "tiny columns": _tiny_column,
    "heavy-tailed inputs": _heavy_inputs,
    "more columns than rows": lambda rng: _table(rng, n=20, d=300),
    "Cauchy y": lambda rng: (_table(rng)[0], rng.standard_cauchy(N)),
    "Cauchy y to the ninth": lambda rng: (_table(rng)[0], rng.standard_cauchy(N) ** 9),
    "integers": lambda rng: (rng.randint(9, size=(N, 2)), rng.randint(9, size=N)),
    "several outputs": lambda rng: (
        _table(rng)[0],
        np.column_stack(
            [np.zeros(N), 1e30 * rng.normal(size=N), rng.randint(2, size=N)]
        ),
    ),
}


def _assert_finite(mdn, X, y):
    assert np.isfinite(Model.of(mdn).params).all()
    assert np.isfinite(mdn.loss_curve_).all()
    if mdn.validation_scores_ is not None:
        assert np.isfinite(mdn.validation_scores_).all()
    _assert_finite_predictions(mdn, X, y)


def _assert_finite_predictions(mdn, X, y):
    distribution = mdn.predict_dist(X)
    for array in (distribution.weights, distribution.means, distribution.scales):
        assert np.isfinite(array).all()
    assert (distribution.scales > 0).all()
    assert np.isfinite(mdn.logpdf(X, y)).all()
    mean, std = mdn.predict(X, return_std=True)
    assert np.isfinite(mean).all()
    assert (std > 0).all()
    assert np.isfinite(mdn.sample(X, 2)).all()


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "options",
    [
        {"n_components": 5},
        {"n_estimators": 3, "covariance_type": "spherical", "early_stopping": True},
        {"hidden_layer_sizes": (), "n_bins": 0, "learning_rate_init": 1.0},
        {"activation": "relu", "learning_rate_init": 0.3, "input_noise": 0.0},
    ],
    ids=["plain", "members", "linear", "reckless"],
)
def test_finite(name, options):
    X, y = HOSTILE[name](np.random.RandomState(0))
    mdn = MDNRegressor(**options, **QUICK).fit(X, y)
    _assert_finite(mdn, X, y)
    mdn = MDNRegressor(**{**options, **QUICK, "early_stopping": False})
    _assert_finite(mdn.partial_fit(X, y).partial_fit(X, y), X, y)


@pytest.mark.parametrize("name", HOSTILE)
def test_cross_fit_is_finite(name):
    X, y = HOSTILE[name](np.random.RandomState(0))
    mdn = MDNRegressorCV(n_estimators=2, **QUICK)
    if name in ("one row", "one distinct row"):
        with pytest.raises(ValueError, match="2 distinct rows"):
            mdn.fit(X, y)
        return
    mdn.fit(X, y)
    assert np.isfinite(mdn.oof_logpdf_).all()
    _assert_finite_predictions(mdn, X, y)


@pytest.mark.parametrize("min_scale", ["auto", 1e-30])
def test_a_target_of_another_magnitude_costs_a_finite_number(min_scale):
    X = _table(np.random.RandomState(0))[0]
    y = np.append(np.zeros(N - 1), 1e30)
    y[: N // 2] = 1e-270
    mdn = MDNRegressor(max_iter=3, min_scale=min_scale, random_state=0).fit(X, y)
    _assert_finite(mdn, X, y)


def _held_out(mdn, X, y):
    """Fit with the last rows for validation."""
    return mdn.fit(X[:-20], y[:-20], X_val=X[-20:], y_val=y[-20:])


@pytest.mark.parametrize(
    ("mdn", "fit"),
    [(MDNRegressor(), _held_out), (MDNRegressorCV(cv=2), MDNRegressorCV.fit)],
)
def test_a_held_out_target_of_another_magnitude_costs_a_finite_number(mdn, fit):
    X = _table(np.random.RandomState(0))[0]
    y = np.append(1e-270 * np.ones(N - 1), 1e30)
    mdn.set_params(max_iter=3, n_estimators=1, random_state=0)
    _assert_finite_predictions(fit(mdn, X, y), X, y)


def test_zero_weights_on_most_rows():
    X, y = _table(np.random.RandomState(0))
    weight = np.zeros(N)
    weight[:3] = 1.0
    mdn = MDNRegressor(**QUICK).fit(X, y, sample_weight=weight)
    _assert_finite(mdn, X, y)
    other = MDNRegressor(**QUICK).fit(X[:3], y[:3])
    np.testing.assert_array_equal(mdn.predict(X), other.predict(X))


@pytest.mark.parametrize("unit", [1e-300, 1e-30, 1e30, 1e300])
def test_any_unit_of_weights(unit):
    X, y = _table(np.random.RandomState(0))
    mdn = MDNRegressor(**QUICK).fit(X, y, sample_weight=np.full(N, unit))
    _assert_finite(mdn, X, y)
    plain = MDNRegressor(**QUICK).fit(X, y)
    np.testing.assert_allclose(mdn.logpdf(X, y), plain.logpdf(X, y), atol=1e-3)


@pytest.mark.parametrize("cv", ["auto", 2])
def test_any_unit_of_weights_in_cross_fits(cv):
    X, y = _table(np.random.RandomState(0))
    mdn = MDNRegressorCV(cv=cv, n_estimators=1, max_iter=3, random_state=0)
    plain = mdn.fit(X, y, sample_weight=np.full(N, 2.0**-1000)).best_score_
    assert mdn.fit(X, y, sample_weight=np.full(N, 2.0**1020)).best_score_ == plain


def test_weights_of_very_different_size():
    X, y = _table(np.random.RandomState(0))
    weight = 10.0 ** -np.arange(N)
    _assert_finite(MDNRegressor(**QUICK).fit(X, y, sample_weight=weight), X, y)


def test_far_outside_the_training_inputs():
    X, y = _table(np.random.RandomState(0))
    mdn = MDNRegressor(**QUICK).fit(X, y)
    far = np.array([[1e300, -1e300, 0.0], [-1e12, 1e12, 1e12], [50.0, -50.0, 50.0]])
    _assert_finite(mdn, far, y[:3])


@settings(max_examples=20)
@given(
    st.integers(1, 12),
    st.integers(1, 3),
    st.sampled_from([1, 2]),
    st.randoms(use_true_random=False),
)
def test_any_small_table(n, d, n_outputs, random):
    extremes = [0.0, -0.0, 1.0, 1 + 2**-52, 1e-16, -1e9, 1e30, 1e-30, 1e100, 3.0]
    X = np.array([random.choice(extremes) for _ in range(n * d)]).reshape(n, d)
    Y = np.array([random.choice(extremes) for _ in range(n * n_outputs)])
    Y = Y.reshape(n, n_outputs)
    mdn = MDNRegressor(n_components=3, hidden_layer_sizes=4, max_iter=5, random_state=0)
    _assert_finite(mdn.fit(X, Y), X, Y)


# --- what is refused ------------------------------------------------------------------


def _with(array, value):
    changed = np.array(array, dtype=float)
    changed.flat[7] = value
    return changed


REFUSED = {
    "NaN in X": (lambda X, y: {"X": _with(X, np.nan)}, "Input X contains NaN"),
    "inf in X": (lambda X, y: {"X": _with(X, np.inf)}, "Input X contains infinity"),
    "NaN in y": (lambda X, y: {"y": _with(y, np.nan)}, "Input y contains NaN"),
    "inf in y": (lambda X, y: {"y": _with(y, -np.inf)}, "Input y contains infinity"),
    "NaN in weights": (
        lambda X, y: {"sample_weight": _with(np.ones(N), np.nan)},
        "Input sample_weight contains NaN",
    ),
    "negative weight": (
        lambda X, y: {"sample_weight": _with(np.ones(N), -0.5)},
        r"sample_weight must not be negative, its smallest value is -0\.5",
    ),
    "all-zero weights": (
        lambda X, y: {"sample_weight": np.zeros(N)},
        "(?i)weights.*zero",
    ),
    "too few weights": (
        lambda X, y: {"sample_weight": np.ones(N - 1)},
        r"sample_weight.shape == \(119,\), expected \(120,\)",
    ),
    "two-dimensional weights": (
        lambda X, y: {"sample_weight": np.ones((N, 1))},
        "(?i)sample.weight.*1D",
    ),
    "y too short": (lambda X, y: {"y": y[1:]}, r"inconsistent.*\[120, 119\]"),
    "y of three dimensions": (lambda X, y: {"y": y[:, None, None]}, "dim 3"),
    "y of no outputs": (lambda X, y: {"y": np.empty((N, 0))}, r"0 feature\(s\)"),
    "no y": (lambda X, y: {"y": None}, "requires y"),
    "y of words": (lambda X, y: {"y": np.full(N, "word")}, "(?i)could not convert"),
    "complex y": (lambda X, y: {"y": y + 1j}, "Complex data"),
    "y too large to square": (
        lambda X, y: {"y": 1e200 * y},
        r"y contains values of magnitude .*e\+200, at most 1e\+150",
    ),
    "one-dimensional X": (lambda X, y: {"X": X[:, 0]}, "Expected 2D array"),
    "no rows": (lambda X, y: {"X": X[:0], "y": y[:0]}, r"0 sample\(s\)"),
    "no columns": (lambda X, y: {"X": X[:, :0]}, r"0 feature\(s\)"),
    "X of words": (
        lambda X, y: {"X": np.full((N, 2), "word")},
        "(?i)could not convert",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_refused_data(name, method):
    change, message = REFUSED[name]
    X, y = _table(np.random.RandomState(0))
    mdn = MDNRegressor(max_iter=2, random_state=0)
    with pytest.raises(ValueError, match=message):
        getattr(mdn, method)(**({"X": X, "y": y} | change(X, y)))
    assert not [name for name in vars(mdn) if name.endswith("_")]


def test_sparse_data_is_refused():
    X, y = _table(np.random.RandomState(0))
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        MDNRegressor().fit(sparse.csr_matrix(X), y)
    with pytest.raises(TypeError, match="y must be a dense array"):
        MDNRegressor().fit(X, sparse.csr_matrix(y[:, None]))


@pytest.mark.parametrize("name", REFUSED)
def test_refused_data_leaves_the_earlier_fit(name):
    X, y = _table(np.random.RandomState(0))
    mdn = MDNRegressor(max_iter=2, random_state=0).fit(X, y)
    before = copy.deepcopy(vars(mdn))
    with pytest.raises(ValueError, match=r"."):
        mdn.fit(**({"X": X, "y": y} | REFUSED[name][0](X, y)))
    np.testing.assert_equal(vars(mdn), before)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((5, 2)), np.zeros(5), "X has 2 features"),
        (np.full((5, 3), np.nan), np.zeros(5), "Input X contains NaN"),
        (np.zeros((5, 3)), np.full(5, np.nan), "Input y contains NaN"),
        (np.zeros((5, 3)), np.zeros((5, 2)), "y has 2 outputs, but MDNRegressor"),
        (np.zeros((5, 3)), np.zeros(4), "inconsistent"),
    ],
)
def test_refused_predictions(X, y, message):
    mdn = MDNRegressor(max_iter=2).fit(*_table(np.random.RandomState(0)))
    for method in (mdn.logpdf, mdn.score):
        with pytest.raises(ValueError, match=message):
            method(X, y)
    if "X" in message:
        for method in (mdn.predict, mdn.predict_dist, mdn.sample):
            with pytest.raises(ValueError, match=message):
                method(X)


WRONG = {
    "n_components": [0, 1.5, "many", None],
    "hidden_layer_sizes": [0, -1, (3, 0), (3, 2.5), ("a",), "wide", None, ((3, 4),)],
    "activation": ["swish", None, 1],
    "family": ["cauchy", None],
    "covariance_type": ["banded", None],
    "n_estimators": [0, 2.0],
    "n_bins": [-1, 2.5, "auto"],
    "alpha": [-0.1, np.nan, np.inf, "auto"],
    "input_noise": [-0.1, np.nan, np.inf],
    "learning_rate_init": [0.0, -1.0, np.nan, np.inf, "slow"],
    "batch_size": [0, 1.5, "all"],
    "max_iter": [0, -1, 1.5, None],
    "early_stopping": ["yes", 2, None],
    "validation_fraction": [0.0, 1.0, -0.1, np.nan, "half"],
    "n_iter_no_change": [0, 2.5, "never"],
    "min_scale": [0.0, -1.0, np.nan, np.inf, 1e7, "small"],
    "warm_start": ["yes", None],
    "device": ["gpu", None, 0],
    "n_jobs": [0, 1.5, "all"],
    "random_state": [-1, "seed", 1.5],
    "verbose": [-1, "loud", None],
    "callback": ["print", 1],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]]
)
def test_wrong_parameters_are_named(name, value):
    X, y = _table(np.random.RandomState(0), n=20)
    with pytest.raises(ValueError, match=name):
        MDNRegressor(**({"max_iter": 2} | {name: value})).fit(X, y)


def test_every_parameter_is_constrained():
    assert WRONG.keys() == MDNRegressor().get_params().keys()
    assert WRONG.keys() == MDNRegressor._parameter_constraints.keys()


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_layer_sizes": 7},
        {"hidden_layer_sizes": [7, 3, 5]},
        {"hidden_layer_sizes": np.array([4, 4])},
        {"hidden_layer_sizes": ()},
        {"n_components": np.int64(3), "n_estimators": np.int32(2)},
        {"batch_size": 10**6},
        {"batch_size": 1},
        {"min_scale": 0.5},
        {"learning_rate_init": 1},
        {"verbose": False, "warm_start": True},
        {"n_jobs": -1},
        {"activation": "gelu"},
        {"activation": "identity", "alpha": 0, "input_noise": 0},
    ],
)
def test_right_parameters(options):
    X, y = _table(np.random.RandomState(0), n=30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mdn = MDNRegressor(**{"max_iter": 3, "random_state": 0, **options}).fit(X, y)
    _assert_finite(mdn, X, y)
    if "min_scale" in options:
        assert mdn.predict_dist(X).scales.min() >= 0.5 * abs(
            Model.of(mdn).scaling.scale[0]
        )


@pytest.mark.parametrize(
    ("size", "weight"), [(1.0, 10.0 ** np.linspace(-300, 300, N)), (1e-310, None)]
)
def test_errstate_of_the_caller_does_not_leak(size, weight):
    X, y = _table(np.random.RandomState(0))
    with np.errstate(under="ignore"):
        y = y * size
    mdn = MDNRegressor(max_iter=2, random_state=0)
    mdn.fit(X, y, weight)
    expected = mdn.score(X, y, weight)
    with np.errstate(all="raise"):
        mdn.fit(X, y, weight)
        assert mdn.score(X, y, weight) == expected
        mdn.partial_fit(X, y, weight)
        mdn.predict(X, output_type="mode")
        mdn.logpdf(X, y)
        mdn.sample(X, 2, random_state=0)


def test_errstate_of_the_caller_does_not_leak_into_calibration():
    X, y = _table(np.random.RandomState(0))
    weight = 10.0 ** np.linspace(-300, 300, N)
    mdn = ConformalMDNRegressor(MDNRegressor(max_iter=2, random_state=0))
    with np.errstate(all="raise"):
        mdn.fit(X, y, weight)
        dist = mdn.predict_dist(X)
        for answer in (dist.cdf(y), dist.ppf(1e-300), dist.sample(2, random_state=0)):
            assert not np.isnan(answer).any()
        assert np.isfinite(mdn.score(X, y, weight))
        assert np.isfinite(crps_loss(y, dist.base, sample_weight=weight))


def test_huge_weights_of_a_score():
    X, y = _table(np.random.RandomState(0))
    mdn = MDNRegressor(max_iter=2, random_state=0).fit(X, y)
    assert mdn.score(X, y, np.full(N, 1e306)) == pytest.approx(mdn.score(X, y))
