# SPDX-License-Identifier: BSD-3-Clause
"""`random_state` alone decides the result, bit for bit."""

import os
import pickle
import random
import subprocess
import sys
import threading

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skmdn import MDNRegressor, MixtureDistribution
from skmdn._fit.model import Model

N = 300
QUICK = {"n_components": 3, "hidden_layer_sizes": (16, 16), "max_iter": 8}
KINDS = [
    {},
    {"n_estimators": 3, "batch_size": 128},
    {"hidden_layer_sizes": (), "early_stopping": False},
    {"hidden_layer_sizes": (70,), "batch_size": 300, "activation": "tanh"},
    {"covariance_type": "full"},
]


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(N, 3))
    return X, X[:, 0] + rng.gamma(2.0, size=N)


def _bits(mdn, X):
    samples = mdn.sample(X, 2, random_state=0)
    course = np.array([*mdn.loss_curve_, *(mdn.validation_scores_ or [])])
    parts = (Model.of(mdn).params, mdn.predict(X), samples, course)
    return [part.tobytes() for part in parts]


@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_on_repeat_and_for_any_n_jobs(table, kind):
    mdn = MDNRegressor(random_state=0, **{**QUICK, **kind})
    expected = _bits(mdn.fit(*table), table[0])
    assert _bits(mdn.fit(*table), table[0]) == expected
    for n_jobs in (1, 2, 3):
        again = clone(mdn).set_params(n_jobs=n_jobs).fit(*table)
        assert _bits(again, table[0]) == expected
    other = clone(mdn).set_params(random_state=1).fit(*table)
    assert all(
        one != two for one, two in zip(_bits(other, table[0]), expected, strict=True)
    )


def test_same_bits_in_threads(table):
    mdn = MDNRegressor(random_state=0, **QUICK)
    expected = _bits(clone(mdn).fit(*table), table[0])
    fits = [clone(mdn).set_params(n_jobs=n_jobs) for n_jobs in (1, 2, 1)]
    threads = [threading.Thread(target=fit.fit, args=table) for fit in fits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for fit in fits:
        assert _bits(fit, table[0]) == expected


def test_same_bits_in_another_process_and_from_the_cache(table, tmp_path):
    mdn = MDNRegressor(random_state=0, **QUICK)
    joblib.dump((mdn, table), tmp_path / "task.joblib")
    code = (
        "import joblib, sys; mdn, table = joblib.load(sys.argv[1]); mdn.fit(*table);"
        "joblib.dump((mdn, mdn.predict_dist(table[0]).crps(table[1])), sys.argv[2])"
    )
    expected = _bits(mdn.fit(*table), table[0])
    expected_crps = mdn.predict_dist(table[0]).crps(table[1])
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for state in ("compiled", "cached"):
        paths = [str(tmp_path / name) for name in ("task.joblib", state)]
        subprocess.run([sys.executable, "-c", code, *paths], check=True, env=env)
        fitted, crps = joblib.load(paths[1])
        assert _bits(fitted, table[0]) == expected
        np.testing.assert_array_equal(crps, expected_crps)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_same_bits_under_grid_search(table, backend):
    mdn = MDNRegressor(random_state=0, **QUICK)
    grid = {"n_components": [1, 3]}
    alone = GridSearchCV(mdn, grid, cv=2).fit(*table)
    with joblib.parallel_backend(backend):
        together = GridSearchCV(mdn, grid, cv=2, n_jobs=2).fit(*table)
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(
            alone.cv_results_[name], together.cv_results_[name]
        )
    assert _bits(alone.best_estimator_, table[0]) == _bits(
        together.best_estimator_, table[0]
    )


def test_same_bits_after_a_pickle_round_trip(table):
    X, y = table
    mdn = MDNRegressor(random_state=0, **QUICK).partial_fit(X, y)
    loaded = pickle.loads(pickle.dumps(mdn))
    assert _bits(loaded, X) == _bits(mdn, X)
    assert _bits(loaded.partial_fit(X, y), X) == _bits(mdn.partial_fit(X, y), X)
    for fit in (mdn, loaded):
        fit.set_params(warm_start=True, random_state=3).fit(X, y)
    assert _bits(loaded, X) == _bits(mdn, X)


def test_no_global_random_state_is_touched(table):
    np.random.seed(0)
    random.seed(0)
    state = np.random.get_state()[1].copy(), random.getstate()
    for seed in (None, 0, np.random.RandomState(0)):
        mdn = MDNRegressor(random_state=seed, **QUICK)
        mdn.fit(*table).sample(table[0])
        mdn.partial_fit(*table).sample(table[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state[0])
    assert random.getstate() == state[1]


def test_generator_advances(table):
    mdn = MDNRegressor(random_state=np.random.RandomState(0), **QUICK)
    first = _bits(mdn.fit(*table), table[0])
    assert _bits(mdn.fit(*table), table[0]) != first
    same = MDNRegressor(random_state=np.random.RandomState(0), **QUICK)
    assert _bits(same.fit(*table), table[0]) == first


# --- what must not matter -------------------------------------------------------------


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS))
def test_order_and_repetition_of_rows_do_not_matter(seed, kind):
    rng = np.random.RandomState(seed)
    X, y = rng.randint(-2, 3, size=(120, 2)).astype(float), rng.randint(9, size=120)
    weight = rng.randint(1, 4, size=120)
    mdn = MDNRegressor(random_state=0, **{**QUICK, **kind})
    expected = _bits(clone(mdn).fit(X, y, sample_weight=weight), X)
    rows = rng.permutation(np.repeat(np.arange(120), weight))
    assert _bits(clone(mdn).fit(X[rows], y[rows]), X) == expected


@settings(max_examples=15)
@given(
    st.sampled_from([1e-30, 1e-3, 0.37, 1.0, 12.0, 1e30]),
    st.sampled_from([1, -1]),
    st.floats(-100, 100),
    st.sampled_from(KINDS),
    st.integers(1, 2),
)
def test_unit_of_the_targets_does_not_matter(a, sign, b, kind, n_outputs):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(N, 2))
    Y = X[:, :1] + rng.gamma(2.0, size=(N, n_outputs))
    mdn = MDNRegressor(random_state=0, **{**QUICK, **kind})
    logpdf = clone(mdn).fit(X, Y).logpdf(X, Y)
    moved = sign * a * (Y + b)
    other = clone(mdn).fit(X, moved).logpdf(X, moved)
    np.testing.assert_allclose(other, logpdf - n_outputs * np.log(a), atol=1e-5)


@settings(max_examples=10)
@given(st.permutations(range(3)), st.sampled_from(["diag", "spherical"]))
def test_permuted_outputs_have_the_same_joint_density(order, covariance_type):
    """Of a fitted network: its start differs, so a fit can only be alike."""
    rng = np.random.RandomState(0)
    X, Y = rng.normal(size=(80, 2)), rng.gamma(2.0, size=(80, 3))
    mdn = MDNRegressor(covariance_type=covariance_type, random_state=0, **QUICK)
    mdn.fit(X, Y)
    dist = mdn.predict_dist(X)
    permuted = MixtureDistribution(
        dist.weights, dist.means[..., order], dist.scales[..., order]
    )
    np.testing.assert_allclose(
        permuted.logpdf(Y[:, order]), mdn.logpdf(X, Y), rtol=1e-12
    )
    np.testing.assert_allclose(permuted.mean(), mdn.predict(X)[:, order], rtol=1e-12)
