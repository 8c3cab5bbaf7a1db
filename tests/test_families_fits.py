# SPDX-License-Identifier: BSD-3-Clause
"""Networks with components of every family: what is trained is what answers."""

import pickle

import naive
import numpy as np
import pytest
from mixtures import each_family

from skmdn import MDNRegressor, MDNRegressorCV
from skmdn._families import FAMILIES

QUICK = {"n_components": 2, "hidden_layer_sizes": 8, "random_state": 0}


@each_family
def test_a_fit_is_judged_as_it_was_trained(families, name):
    # A Laplace network that was evaluated as a Gaussian one passed every other test.
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, (300, 1))
    y = X[:, 0] + 0.2 * rng.laplace(size=300)
    X_val, y_val = X[200:], y[200:]
    mdn = MDNRegressor(family=name, max_iter=20, **QUICK)
    mdn.fit(X[:200], y[:200], X_val=X_val, y_val=y_val)
    score = mdn.score(X_val, y_val)
    assert score == pytest.approx(mdn.best_validation_score_, abs=2e-3)
    dist = mdn.predict_dist(X_val)
    assert dist.family == name
    expected = [
        naive.mixture_pdf(row.weights[0], row.means[0], row.scales[0], t, name)
        for row, t in zip((dist[i] for i in range(100)), y_val, strict=True)
    ]
    np.testing.assert_allclose(dist.pdf(y_val), expected, rtol=1e-10)
    assert np.isfinite(mdn.predict(X_val, output_type="quantiles")).all()
    again = pickle.loads(pickle.dumps(mdn))
    assert again.score(X_val, y_val) == score


def test_cross_fitting_compares_families():
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, (400, 1))
    y = X[:, 0] + 0.2 * rng.laplace(size=400)
    mdn = MDNRegressorCV(
        1, param_grid={"family": list(FAMILIES)}, cv=2, n_estimators=1, n_bins=0,
        hidden_layer_sizes=(), max_iter=60, random_state=0,
    ).fit(X, y)  # fmt: skip
    assert mdn.best_params_["family"] == "laplace"
    assert mdn.predict_dist(X[:2]).family == "laplace"


def test_an_unknown_family_is_refused():
    X, y = np.arange(10.0)[:, None], np.arange(10.0)
    with pytest.raises(ValueError, match="family"):
        MDNRegressor(family="cauchy").fit(X, y)
