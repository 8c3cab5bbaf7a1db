# SPDX-License-Identifier: BSD-3-Clause
"""The report on a fit: its numbers, and what it finds in good and bad fits."""

import numpy as np
import pytest
from scipy import stats
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmdn import (
    MDNRegressor,
    MDNRegressorCV,
    MixtureDistribution,
    metrics,
    predict_dist,
)
from skmdn._fit.discrete import discrete_outputs, point_masses
from skmdn.calibration import ConformalMDNRegressor
from skmdn.datasets import make_atoms, make_heteroscedastic
from skmdn.metrics import density_report

QUICK = {"hidden_layer_sizes": 8, "max_iter": 5, "random_state": 0}


def normal(n, scale=1.0, n_outputs=1):
    shape = (n, 1) if n_outputs == 1 else (n, 1, n_outputs)
    means = np.zeros(shape)
    return MixtureDistribution(np.ones((n, 1)), means, np.full(shape, scale))


def report_of(dist, y, **kwargs):
    return density_report(y, dist, output_dict=True, **kwargs)


@pytest.fixture
def rows():
    rng = np.random.RandomState(0)
    shape = (150, 3)
    weights, scales = rng.dirichlet([2, 1, 0.5], 150), rng.uniform(0.1, 1, shape)
    dist = MixtureDistribution(weights, rng.normal(size=shape), scales)
    return dist, dist.sample(random_state=0)


def test_numbers_are_those_of_the_metrics(rows):
    dist, y = rows
    report = report_of(dist, y)
    logpdf = dist.logpdf(y)
    (output,) = report["outputs"]
    expected = {
        "n_samples": 150,
        "log_likelihood": metrics.log_likelihood_score(y, dist),
        "log_likelihood_error": stats.sem(logpdf),
        "worst_logpdf": logpdf.min(),
        "gaussian_log_likelihood": stats.norm(y.mean(), y.std()).logpdf(y).mean(),
        "n_components": 3,
        "n_effective_components": np.mean(
            [np.exp(stats.entropy(row)) for row in dist.weights]
        ),
        "n_unused_components": 0,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(report[name], value, err_msg=name)
    np.testing.assert_allclose(report["component_weights"], dist.weights.mean(axis=0))
    pit = metrics.pit_values(y, dist)
    expected = {
        "crps": metrics.crps_loss(y, dist),
        "coverage_50": metrics.coverage_score(y, dist, 0.5),
        "coverage_90": metrics.coverage_score(y, dist, 0.9),
        "pit_distance": stats.kstest(pit, "uniform").statistic,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(output[name], value, err_msg=name)
    assert report["findings"] == []


def test_a_weight_of_zero_leaves_the_row_out(rows):
    dist, y = rows
    far = np.where(np.arange(150) < 50, 1e9, y)
    weighted = report_of(dist, far, sample_weight=np.arange(150) >= 50)
    alone = report_of(dist[50:], y[50:])
    assert weighted.pop("findings") == alone.pop("findings") == []
    (output,), (output_alone,) = weighted.pop("outputs"), alone.pop("outputs")
    for one, other in ((weighted, alone), (output, output_alone)):
        assert one.pop("point_masses", {}) == other.pop("point_masses", {}) == {}
        for name, value in one.items():
            np.testing.assert_allclose(value, other[name], err_msg=name)


def test_weights_count_like_repeated_rows(rows):
    dist, y = rows
    counts = np.random.RandomState(2).randint(1, 4, 150)
    index = np.repeat(np.arange(150), counts)
    weighted, repeated = (
        report_of(dist, y, sample_weight=counts),
        report_of(dist[index], y[index]),
    )
    for name in ("log_likelihood", "gaussian_log_likelihood", "n_effective_components"):
        np.testing.assert_allclose(weighted[name], repeated[name])
    (output,), (output_repeated,) = weighted["outputs"], repeated["outputs"]
    assert output.pop("point_masses") == {}
    for name, value in output.items():
        np.testing.assert_allclose(value, output_repeated[name], err_msg=name)
    # ... but bring no new evidence.
    assert weighted["log_likelihood_error"] > 1.2 * repeated["log_likelihood_error"]


def test_components_that_are_not_used():
    n = 50
    weights = np.tile([0.6, 0.3999, 1e-4, 0.0], (n, 1))
    scales = np.tile([1.0, 0.5, 0.1, 1e-9], (n, 1))
    y = np.random.RandomState(0).normal(size=n)
    report = report_of(MixtureDistribution(weights, np.zeros((n, 4)), scales), y)
    assert report["n_unused_components"] == 2
    assert 1.9 < report["n_effective_components"] < 2
    # Of those in use, in units of a spread that is about 1.
    np.testing.assert_allclose(report["outputs"][0]["narrowest_scale"], 0.5, rtol=0.3)


@pytest.mark.parametrize(
    ("scale", "kind"), [(0.5, "over-confident"), (2.0, "under-confident")]
)
def test_finds_wrong_confidence(scale, kind):
    y = np.random.RandomState(0).normal(size=400)
    findings = report_of(normal(400, scale), y)["findings"]
    assert len(findings) == 2
    assert all(kind in finding for finding in findings)
    assert report_of(normal(400), y)["findings"] == []
    # The same coverages of few rows are no evidence.
    few = np.full(400, 1e-9)
    few[:8] = 1.0
    assert report_of(normal(400, 0.8), y, sample_weight=few)["findings"] == []


def test_finds_collapse():
    rng = np.random.RandomState(0)
    y = rng.normal(size=400)
    misses = MixtureDistribution(
        np.full((400, 2), 0.5),
        rng.normal(size=(400, 2)),
        np.tile([1e-3, 0.3], (400, 1)),
    )
    report = report_of(misses, y)
    assert "50 % of the weight" in report["findings"][-1]
    assert "over-fits" in report["findings"][-1]
    np.testing.assert_allclose(report["outputs"][0]["narrow_weight"], 0.5)
    # Noise that is as small as the scales say is no over-fitting.
    means, scales = y[:, None], np.full((400, 1), 1e-3)
    honest = MixtureDistribution(np.ones((400, 1)), means, scales)
    (finding,) = report_of(honest, honest.sample(random_state=0))["findings"]
    assert "almost no noise" in finding
    assert "collapsed" not in finding
    # One component for all rows is no collapse, neither is a constant target.
    assert report_of(normal(400), y)["findings"] == []
    report = report_of(normal(400, 1e-3), np.zeros(400))
    assert report["findings"] == []
    assert report["gaussian_log_likelihood"] == np.inf


def test_an_overfitted_network_is_found_out():
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(300, 30)), rng.normal(size=300)
    mdn = MDNRegressor(early_stopping=False, random_state=0).fit(X[:60], y[:60])
    findings = report_of(mdn.predict_dist(X[60:]), y[60:])["findings"]
    assert "over-confident" in findings[0]
    assert "over-fits" in findings[-1]


def test_discrete_targets_name_the_score_to_read():
    X, y = make_atoms(400, random_state=0)
    with pytest.warns(UserWarning, match="discrete: .*neg_crps_scorer"):
        mdn = MDNRegressor(**QUICK).fit(X, y)
    (finding,) = report_of(mdn.predict_dist(X), y)["findings"]
    assert "neg_crps_scorer" in finding
    text = density_report(y, mdn.predict_dist(X))
    assert " ".join(text.splitlines()[-3:]).startswith("- The target is discrete")
    with pytest.warns(UserWarning, match="discrete: .*neg_crps_scorer") as record:
        MDNRegressorCV(2, cv=2, n_estimators=1, **QUICK).fit(X, y)
    assert len(record) == 1  # not once for every fold


def test_several_outputs():
    rng = np.random.RandomState(0)
    Y = np.column_stack([rng.normal(size=300), 3 * rng.normal(size=300)])
    report = report_of(normal(300, n_outputs=2), Y)
    assert [output["coverage_90"] > 0.8 for output in report["outputs"]] == [
        True,
        False,
    ]
    assert all(f.startswith("Output 1: ") for f in report["findings"])
    assert len(report["findings"]) == 2
    gaussian = stats.norm(Y.mean(axis=0), Y.std(axis=0)).logpdf(Y).sum(axis=1).mean()
    np.testing.assert_allclose(report["gaussian_log_likelihood"], gaussian)
    Y[:, 0] = rng.randint(4, size=300)
    report = report_of(normal(300, n_outputs=2), Y)
    assert "discrete in output 0:" in report["findings"][0]
    assert not any(f.startswith("Output 0: ") for f in report["findings"])


def test_text_has_one_line_a_number(rows):
    dist, y = rows
    lines = density_report(y, dist).splitlines()
    assert lines[0].split() == ["rows", "150"]
    assert len(lines) == 15
    found = density_report(y, normal(150, 0.1))
    assert found.count("\n- ") == 2
    Y = np.column_stack([y, y])
    lines = density_report(Y, normal(150, n_outputs=2)).splitlines()
    assert lines[9].split() == ["output", "0", "output", "1"]
    assert max(map(len, lines)) <= 79


def test_through_pipelines_searches_and_transformed_targets():
    X, y = make_heteroscedastic(120, random_state=0)
    mdn = MDNRegressor(2, **QUICK)
    inner = TransformedTargetRegressor(mdn, transformer=StandardScaler())
    search = GridSearchCV(
        make_pipeline(StandardScaler(), mdn), {"mdnregressor__n_components": [2]}, cv=2
    )
    cv = MDNRegressorCV(2, cv=2, n_estimators=1, **QUICK)
    for model in (inner, search, cv):
        report = report_of(predict_dist(model.fit(X, y), X), y)
        assert np.isfinite(report["log_likelihood"])


def test_bad_input_is_named(rows):
    dist, y = rows
    with pytest.raises(ValueError, match="y_true has 149 rows, dist has 150"):
        density_report(y[1:], dist)
    with pytest.raises(ValueError, match="Input y_true contains NaN"):
        density_report(np.where(y == y[0], np.nan, y), dist)
    with pytest.raises(ValueError, match="sample_weight"):
        density_report(y, dist, sample_weight=-np.ones(150))
    X, y = make_heteroscedastic(60, random_state=0)
    conformal = ConformalMDNRegressor(MDNRegressor(2, **QUICK), random_state=0)
    with pytest.raises(TypeError, match="ConformalDistribution"):
        density_report(y, conformal.fit(X, y).predict_dist(X))


def test_blocks_of_rows_give_the_same_report(monkeypatch):
    rng = np.random.RandomState(0)
    Y, weight = rng.normal(size=(150, 2)), np.arange(150) % 3
    dist = normal(150, n_outputs=2)
    whole = density_report(Y, dist, sample_weight=weight)
    monkeypatch.setattr("skmdn.metrics._report._COMPONENTS_AT_ONCE", 1)  # 64 rows
    assert density_report(Y, dist, sample_weight=weight) == whole


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_point_masses_are_named_and_nothing_is_said_of_calibration(n_outputs):
    rng = np.random.RandomState(0)
    Y = rng.gamma(2.0, size=(500, n_outputs))
    Y[:150, -1], Y[150:, -1] = 0.0, np.minimum(Y[150:, -1], 3.0)
    report = report_of(normal(500, 2.0, n_outputs).affine(1.0, 2.0), Y)
    output = report["outputs"][-1]
    assert list(output["point_masses"]) == [0.0, 3.0]
    np.testing.assert_allclose(output["point_masses"][0.0], 0.3)
    assert np.isnan(output["pit_distance"])
    finding = report["findings"][-1]
    assert "point masses: 0 (30.0 % of the rows), 3 (" in finding
    assert finding.startswith("Output 1: " if n_outputs == 2 else "The target")
    own = [f for f in report["findings"] if n_outputs == 1 or f.startswith("Output 1")]
    assert own == [finding]


@pytest.mark.parametrize("a", [1e-30, -2.0, 1e30])
def test_which_values_are_point_masses(a):
    rng = np.random.RandomState(0)
    continuous = rng.normal(size=4000)
    for y, expected in (
        (continuous, []),
        (np.round(continuous, 2), []),  # measured to two digits
        (np.round(continuous, 1), []),
        (rng.randint(2, size=400), []),  # discrete
        (np.ones(400), []),
        (np.maximum(continuous, 0.0), [0.0]),
        (np.clip(continuous, -2.0, 2.0), [-2.0, 2.0]),
        (np.maximum(np.round(continuous, 2), 0.0), [0.0]),
        (np.r_[continuous, np.zeros(9)], []),
    ):
        values, shares = point_masses(a * y, np.ones(len(y)))
        np.testing.assert_allclose(np.sort(values), np.sort(a * np.array(expected)))
        for value, share in zip(values, shares, strict=True):
            np.testing.assert_allclose(share, np.mean(a * y == value))


@pytest.mark.parametrize("a", [1e-30, -2.0, 1e30])
def test_which_outputs_are_discrete(a):
    rng = np.random.RandomState(0)
    continuous = rng.normal(size=(400, 1))
    for y, discrete in (
        (rng.randint(6, size=200), True),
        (rng.poisson(5, size=400), True),
        (rng.randint(2, size=400), True),
        (rng.randint(6, size=199), False),  # too few rows to say so
        (np.ones(400), False),
        (continuous, False),
        (np.round(rng.normal(size=4000), 2), False),  # measured to two digits
        (np.where(rng.uniform(size=400) < 0.5, 0.0, continuous[:, 0]), False),
    ):
        Y = a * y.reshape(len(y), -1)
        assert len(discrete_outputs(Y, np.ones(len(Y)))) == discrete
    Y = np.column_stack([continuous, rng.randint(3, size=400), continuous])
    assert discrete_outputs(Y, np.ones(400)).tolist() == [1]
