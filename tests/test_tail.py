# SPDX-License-Identifier: BSD-3-Clause
"""The tail around every prediction: it bounds losses and leaves moments alone."""

import numpy as np
import pytest
from scipy.stats import norm, t

from skmdn import MDNRegressor, MDNRegressorCV, MixtureDistribution
from skmdn._fit.tail import N_COMPONENTS, WEIGHT, n_tail_components, with_tail
from skmdn.datasets import make_heavy_tailed
from skmdn.metrics import density_report

QUICK = {"hidden_layer_sizes": 8, "max_iter": 60, "random_state": 0}
ESTIMATORS = [MDNRegressor(4, **QUICK), MDNRegressorCV(4, n_estimators=2, **QUICK)]


@pytest.fixture(scope="module", params=ESTIMATORS, ids=lambda e: type(e).__name__)
def line(request):
    """A fitted line with Gaussian noise of scale 0.1."""
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, size=(400, 1))
    y = X[:, 0] + 0.1 * rng.normal(size=400)
    return request.param.fit(X, y), X, y


def core_and_whole(mdn, X):
    return mdn._mixture().distribution(X), mdn.predict_dist(X)


def test_moments_tails_and_draws_are_those_of_the_networks(line):
    mdn, X, _ = line
    core, whole = core_and_whole(mdn, X[:50])
    np.testing.assert_allclose(whole.mean(), core.mean(), rtol=1e-12)
    np.testing.assert_allclose(whole.std(), core.std(), rtol=0.002)
    np.testing.assert_allclose(whole.skew(), core.skew(), rtol=0.005)
    np.testing.assert_allclose(whole.kurtosis(), core.kurtosis(), rtol=0.01, atol=0.3)
    shortfalls = (d.expected_shortfall(0.01) for d in (whole, core))
    np.testing.assert_allclose(*shortfalls, atol=0.05 * core.std().max())
    widths = (np.subtract(*d.interval(0.999)) for d in (whole, core))
    np.testing.assert_allclose(*widths, rtol=0.25)
    assert np.abs(mdn.sample(X, 100, random_state=0)).max() < 6  # not 242
    _, std = mdn.predict(X, return_std=True)
    assert np.median(std) == pytest.approx(0.1, rel=0.5)


def test_a_far_row_costs_no_more_than_under_the_marginal(line):
    """... which is a t distribution of two degrees of freedom, and 30 nats."""
    mdn, _, y = line
    far = y.mean() + y.std() * np.array([-300, -30, -5, 0, 5, 30, 300])
    marginal = t.logpdf(far, 2, y.mean(), y.std())
    whole = mdn.logpdf(np.zeros((7, 1)), far)
    assert np.all(whole > marginal - 30)
    core = mdn._mixture().distribution(np.zeros((7, 1))).logpdf(far)
    assert core.min() < -1000


def test_rows_where_all_is_well_pay_next_to_nothing(line):
    mdn, X, y = line
    core, whole = core_and_whole(mdn, X)
    near = np.abs(y - X[:, 0]) < 0.25
    loss = (core.logpdf(y) - whole.logpdf(y))[near]
    assert np.all(loss <= 1.001 * WEIGHT)


def test_diagnostics_do_not_count_the_tail(line):
    mdn, X, y = line
    core, whole = core_and_whole(mdn, X)
    counted = ("n_components", "n_unused_components")
    found, expected = (density_report(y, d, output_dict=True) for d in (whole, core))
    assert [found[key] for key in counted] == [expected[key] for key in counted]
    assert found["n_effective_components"] == pytest.approx(
        expected["n_effective_components"], rel=0.02
    )
    np.testing.assert_allclose(
        found["component_weights"],
        (1 - WEIGHT) * expected["component_weights"],
    )
    assert n_tail_components(core) == 0
    assert n_tail_components(whole) == N_COMPONENTS


def test_reduced_mixtures_keep_no_component_for_the_tail(line):
    mdn, X, _ = line
    reduced = mdn.predict_dist(X[:20]).reduce(4)
    core = mdn._mixture().distribution(X[:20])
    assert np.all(reduced.scales.max(axis=1) < 3 * core.scales.max(axis=1))
    np.testing.assert_allclose(reduced.std(), core.std(), rtol=0.002)


def test_heavy_tailed_noise_costs_no_fortune():
    X, y = make_heavy_tailed(300, random_state=0)
    X_test, y_test = make_heavy_tailed(3000, random_state=1)
    marginal = t.logpdf(y_test, 2, np.median(y), norm.ppf(0.75) * np.std(y))
    mdn = MDNRegressor(4, **QUICK).fit(X, y)
    assert np.all(mdn.logpdf(X_test, y_test) > marginal - 30)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_tail_is_that_of_plain_loops(n_outputs):
    rng = np.random.RandomState(0)
    shape = (3, 2) if n_outputs == 1 else (3, 2, n_outputs)
    weights = rng.dirichlet([1, 1], size=3)
    means, scales = rng.normal(size=shape), rng.uniform(0.5, 2, size=shape)
    core = MixtureDistribution(weights, means, scales)
    whole = with_tail(core)
    y = rng.normal(size=(3, n_outputs)) * [[1], [30], [3e4]]
    mean, std = core.mean().reshape(3, -1), core.std().reshape(3, -1)
    shares = [8.0 ** (-4 * j) for j in range(N_COMPONENTS)]
    for i in range(3):
        density = (1 - WEIGHT) * np.exp(
            core[i].logpdf(y[i] if n_outputs > 1 else y[i, 0])
        )[0]
        for j, share in enumerate(shares):
            wide = norm.pdf(y[i], mean[i], 2 * 8.0**j * std[i]).prod()
            density += WEIGHT * share / sum(shares) * wide
        found = whole[i].logpdf(y[i] if n_outputs > 1 else y[i, 0])[0]
        np.testing.assert_allclose(found, np.log(density), rtol=1e-9)
    assert whole.n_components == core.n_components + N_COMPONENTS


def test_tail_of_huge_targets_is_finite():
    whole = with_tail(MixtureDistribution([[1.0]], [[0.0]], [[1e150]]))
    assert np.isfinite(whole.std()).all()
    assert np.isfinite(whole.logpdf(1e150)).all()
