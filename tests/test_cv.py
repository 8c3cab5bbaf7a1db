# SPDX-License-Identifier: BSD-3-Clause
"""MDNRegressorCV: folds, choice of candidates, calibration."""

import pickle

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.model_selection import GroupKFold, KFold, RepeatedKFold, ShuffleSplit
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmdn import MDNRegressor, MDNRegressorCV
from skmdn._fit import crossfit as _crossfit
from skmdn._fit.crossfit import Fold, unshared
from skmdn._fit.holdout import count_units, hold_out_folds, hold_out_part
from skmdn._fit.rows import Rows
from skmdn._fit.splits import given_splits
from skmdn._fit.stack import clearly_best, stacking_weights
from skmdn._fit.tail import N_COMPONENTS as N_TAIL
from skmdn._fit.tail import with_tail
from skmdn.datasets import make_bimodal, make_heteroscedastic, make_interactions

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
    # The first fold has networks of both views.
    assert distribution.n_components == 8 + 5 * (8 + n_experts) + N_TAIL
    np.testing.assert_allclose(distribution.weights.sum(axis=1), 1)
    assert np.isfinite(fitted.oof_logpdf_).all()
    assert len(fitted.oof_logpdf_) == len(X)
    # Out-of-fold densities are honest: a little below those of the training rows.
    assert fitted.oof_logpdf_.mean() < fitted.score(X, y)


def test_density_integrates_to_one(fitted, table):
    row = fitted.predict_dist(table[0][:1])
    total, _ = quad(lambda y: row.pdf(y)[0], -1e3, 1e3, points=[-5, 0, 5], limit=500)
    np.testing.assert_allclose(total, 1, atol=1e-6)  # the tail goes on


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
    mdn.set_params(scoring="neg_mean_squared_error")
    assert -np.var(y) < mdn.fit(X, y).best_score_ < 0


def test_bins_follow_the_shape_of_the_function():
    """Few for a smooth one, many for steps; the first split may keep both kinds."""
    rng = np.random.RandomState(0)
    X = rng.uniform(-2, 2, size=(400, 2))
    steps = np.random.RandomState(1).normal(size=17)
    means = {4: X[:, 0] * X[:, 1], 16: steps[np.floor(4 * X[:, 0]).astype(int) + 8]}
    for n_bins, mean in means.items():
        y = mean + 0.1 * rng.normal(size=400)
        mdn = MDNRegressorCV(1, cv=3, **SMALL | {"max_iter": 80}).fit(X, y)
        assert mdn.n_bins_ == n_bins
        first, *others = mdn._mixture().folds
        np.testing.assert_allclose(np.sum(first.weights), 1)
        kinds = [len(model.encoding.bin_feature) for model in first.models]
        assert set(kinds) <= {8, 32}
        assert min(first.weights) >= 0.02
        assert kinds[int(np.argmax(first.weights))] == 2 * n_bins
        for fold in others:
            assert fold.weights == [1.0]
            assert len(fold.models[0].encoding.bin_feature) == 2 * n_bins


def smooth_table(n):
    """Sines of projections, almost without noise."""
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, size=(n, 6))
    z = (X @ rng.normal(size=(6, 4))).T
    y = np.sin(2 * z[0]) * np.sin(z[1]) + np.sin(2 * z[2]) + z[3] ** 2 / 4
    return X, y + 0.003 * rng.normal(size=n)


def test_no_worse_than_one_network_where_there_is_almost_no_noise():
    """Members with shared weights under-fit there: they lose 0.3 nats."""
    X, y = smooth_table(4000)
    options = {"max_iter": 25, "batch_size": 128, "random_state": 0}
    mdn = MDNRegressorCV(2, **options).fit(X[:3000], y[:3000])
    one = MDNRegressor(2, **options).fit(X[:3000], y[:3000])
    assert mdn.score(X[3000:], y[3000:]) > one.score(X[3000:], y[3000:])
    assert mdn.n_bins_ == 8
    (stack,) = mdn._mixture().folds
    assert [model.architecture["n_estimators"] for model in stack.models] == [1, 1]
    first, second = (model.params for model in stack.models)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("stop", [None, 5, 6])
def test_single_networks_in_every_fold_if_they_are_clearly_best(
    stop, table, monkeypatch
):
    """Three networks compete in the first fold; it and the others get two of them."""
    monkeypatch.setattr(_crossfit, "_HANDICAP_OF_SINGLES", -100.0)
    seen = []

    def callback(fit, losses, estimator_copy):
        seen.append((losses["candidate"], losses["split"]))
        return fit == stop

    options = SMALL | {"n_estimators": "auto", "max_iter": 5}
    mdn = MDNRegressorCV(2, cv=2, callback=callback, **options).fit(*table)
    copies = [(0, 0), (0, 1), (0, 1), (None, 1)]
    assert seen == ([(0, 0)] * 3 + [(None, 0)] + copies)[:stop]
    folds = mdn._mixture().folds
    assert len(folds) == (2 if stop != 5 else 1)
    assert mdn.component_weights_.shape == (len(folds), 2)
    assert mdn.n_bins_ == 8
    for stack in folds[1:]:
        assert {model.architecture["n_estimators"] for model in stack.models} == {1}


def test_bins_may_be_given(table):
    mdn = MDNRegressorCV(2, cv=2, n_bins=3, **SMALL).fit(*table)
    assert mdn.n_bins_ == 3
    for fold in mdn._mixture().folds:
        assert [len(model.encoding.bin_feature) for model in fold.models] == [3]


def test_stacking_weights_are_those_of_greatest_likelihood():
    rng = np.random.RandomState(0)
    y = np.where(rng.uniform(size=3000) < 0.3, rng.normal(size=3000), 8.0)
    y[y == 8.0] += rng.normal(size=(y == 8.0).sum())
    sample_weight = rng.uniform(0, 2, size=3000)
    logpdf = norm.logpdf(y, loc=[[0.0], [8.0], [500.0]])
    weights = stacking_weights(logpdf, sample_weight)
    share = np.average(y < 4, weights=sample_weight)
    np.testing.assert_allclose(weights, [share, 1 - share, 0], atol=1e-3)
    # A row that every density excludes has no say.
    with_outlier = np.column_stack([logpdf, np.full(3, -np.inf)])
    again = stacking_weights(with_outlier, np.append(sample_weight, 1.0))
    np.testing.assert_allclose(again, weights, atol=1e-3)


@pytest.mark.parametrize(("gain", "expected"), [(0.06, 0), (0.04, 1), (-0.2, 1)])
def test_clearly_best_needs_more_than_a_standard_error(gain, expected):
    last = np.random.RandomState(0).normal(size=400)
    other = last + gain + np.tile([1.0, -1.0], 200)  # a standard error of 0.05
    assert clearly_best([other, last], np.ones(400)) == expected


def test_clearly_best_survives_densities_of_zero():
    last, zero = np.zeros(5), np.full(5, -np.inf)
    assert clearly_best([zero, zero], np.ones(5)) == 1
    assert clearly_best([zero, last], np.ones(5)) == 1
    assert clearly_best([last, zero], np.ones(5)) == 0


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


def test_splits_may_be_lists_or_masks(table):
    """As in scikit-learn's own cross-validation."""
    X, y = table
    weight = np.arange(150.0) % 5
    inside = np.arange(150) < 100
    rows = Rows.of(X, y[:, None], weight)
    (as_masks,) = given_splits([(inside, ~inside)], rows, None)
    lists = (np.flatnonzero(part).tolist() for part in (inside, ~inside))
    (as_lists,) = given_splits([tuple(lists)], rows, None)
    for part, other in zip(as_masks, as_lists, strict=True):
        for name, expected in vars(other).items():
            np.testing.assert_array_equal(vars(part)[name], expected)
    assert as_masks.held_out.numbers.tolist() == [i for i in range(100, 150) if i % 5]


@pytest.mark.parametrize(
    "split",
    [
        ([], range(5)),
        (range(5), []),
        (range(5), [150]),
        (range(5), [5.0]),
        ([True] * 149, [5]),
        (range(5, 10), range(5)),  # held-out rows without weight
    ],
)
def test_splits_without_rows_are_refused(split, table):
    weight = np.ones(150)
    weight[:5] = 0
    with pytest.raises(ValueError, match="cv must give"):
        MDNRegressorCV(2, cv=[split], **SMALL).fit(*table, sample_weight=weight)


def linear_ensemble(table, n_estimators):
    """Two folds of linear networks, and rows drawn around their predictions."""
    options = SMALL | {"n_estimators": n_estimators, "hidden_layer_sizes": ()}
    options |= {"n_bins": 4}
    ensemble = MDNRegressorCV(1, cv=2, **options).fit(*table)._mixture()

    def held_out(spread):
        z = np.random.RandomState(0).normal(size=len(table[0]))
        for fold in ensemble.folds:
            core = fold.distribution(table[0])
            y = core.mean() + spread * core.std() * z
            yield Rows.of(table[0], y[:, None], np.ones(len(z)))

    return ensemble._replace(temperature=1.0), held_out


@pytest.mark.parametrize("spread", [0.5, 1.0, 1.8])
def test_temperature_follows_held_out_rows(spread, table):
    ensemble, held_out = linear_ensemble(table, n_estimators=1)
    found = ensemble.calibrated(list(held_out(spread))).temperature
    np.testing.assert_allclose(found, spread, rtol=0.12)


def test_weights_on_components_of_no_use_are_sharpened_away(table):
    """Held-out rows that know only the heavier of two components, or both."""
    ensemble = MDNRegressorCV(2, n_bins=4, cv=2, **SMALL).fit(*table)._mixture()
    ensemble = ensemble._replace(temperature=1.0, linear_weight=0.0, sharpness=1.0)
    stacks = []
    for fold in ensemble.folds:
        (model,) = fold.models
        params = model.params.copy()
        coefs, intercepts = model.network.layers(params)
        for coef, intercept in zip(coefs[-2:], intercepts[-2:], strict=True):
            coef[:] = 0.0
            # Logits, means and log-scales of two components: weights 0.9 and 0.1.
            intercept[:] = [np.log(9.0), 0.0, 0.0, 8.0, -1.0, -1.0]
        stacks.append(fold._replace(models=[model._replace(params=params)]))
    ensemble = ensemble._replace(folds=stacks)
    X, weight = table[0], np.ones(len(table[0]))
    found = {}
    for n_far in (0, 15):
        held_out = []
        for fold in stacks:
            mixture = fold.distribution(X)
            chosen = np.where(np.arange(len(X)) < n_far, 1, 0)
            z = np.random.RandomState(0).normal(size=len(X))
            rows = np.arange(len(X))
            y = mixture.means[rows, chosen] + mixture.scales[rows, chosen] * z
            held_out.append(Rows.of(X, y[:, None], weight))
        found[n_far] = ensemble.calibrated(held_out).sharpness
    assert found[0] > 2.5
    assert found[15] < 1.1


def test_sharpening_keeps_the_weights_of_members():
    rng = np.random.RandomState(0)
    X, y = make_heteroscedastic(100, random_state=0)
    fold = MDNRegressorCV(3, cv=2, **SMALL).fit(X, y)._mixture().folds[0]
    plain = fold.distribution(X[rng.permutation(100)[:5]])
    sharp = fold.sharpened(plain, 2.0)
    for before, after in zip(
        np.split(plain.weights, fold.n_members, axis=1),
        np.split(sharp.weights, fold.n_members, axis=1),
        strict=True,
    ):
        squares = before**2
        share = before.sum(axis=1) / squares.sum(axis=1)
        np.testing.assert_allclose(after, squares * share[:, None])


def spread_out(ensemble, distance):
    """Move the members of every network apart, by scaled units of the targets."""
    folds = []
    for fold in ensemble.folds:
        (model,) = fold.models
        params = model.params.copy()
        heads = model.network.layers(params)[1][-2:]
        for sign, intercept in zip((-1, 1), heads, strict=True):
            intercept[1] += sign * distance
        folds.append(fold._replace(models=[model._replace(params=params)]))
    return ensemble._replace(folds=folds)


def test_pooling_lowers_the_temperature_of_members_that_disagree(table):
    """By the factor from one member to the mixture of all, or less; never above 1."""
    ensemble, held_out = linear_ensemble(table, n_estimators=2)
    held_out = list(held_out(1.0))
    ratios = []
    for distance in (0.0, 0.5):
        calibrated = spread_out(ensemble, distance).calibrated(held_out)
        ratios.append(
            [
                calibrated.pooled(held_out, share).temperature / calibrated.temperature
                for share in (0.2, 0.1, 0.0)
            ]
        )
    assert 0.9 < ratios[0][0] <= 1
    assert ratios[1][0] < 0.7
    # Folds that differ half as much: half of the logarithm.
    np.testing.assert_allclose(ratios[1][1] ** 2, ratios[1][0])
    assert ratios[1][2] == 1


@pytest.mark.parametrize(
    ("cv", "expected"),
    [
        (KFold(5), 0.8 / 5),
        (KFold(2), 0.5 / 2),
        (ShuffleSplit(1, test_size=20, random_state=0), 0.0),
        (RepeatedKFold(n_splits=4, n_repeats=2, random_state=0), None),
        (ShuffleSplit(3, test_size=20, random_state=0), None),
    ],
)
def test_unshared_rows_are_those_that_one_fold_has_seen_and_another_has_not(
    cv, expected
):
    X, y = make_heteroscedastic(100, random_state=0)
    rows = Rows.of(X, y[:, None], np.ones(100))
    held_out = [split.held_out for split in given_splits(cv, rows, None)]
    folds = [Fold(None, None, part) for part in held_out]
    sets = [set(part.numbers) for part in held_out]
    pairs = [len(others - own) / 100 for own in sets for others in sets]
    assert unshared(folds, rows.weight) == pytest.approx(np.mean(pairs))
    if expected is not None:
        assert np.mean(pairs) == pytest.approx(expected)


def test_one_hold_out_shares_its_rows_with_itself():
    """Also if it holds out a part of merged rows only."""
    weight = np.full(10, 4.0)
    held_out = Rows.of(np.zeros((5, 1)), np.zeros((5, 1)), np.ones(5))
    part = Fold(None, None, held_out)
    assert unshared([part], weight) == 0.0


def test_temperature_of_the_fit_is_that_of_the_pooled_folds():
    X, y = make_interactions(300, random_state=0)
    folds = list(KFold(3, shuffle=True, random_state=0).split(X))
    mdn = MDNRegressorCV(4, cv=folds, **SMALL | {"max_iter": 60}).fit(X, y)
    table = Rows.of(X, y[:, None], np.ones(len(X)))
    held_out = [table.take(rows) for _, rows in folds]
    ensemble = mdn._mixture()
    calibrated = ensemble.calibrated(held_out)
    assert calibrated.pooled(held_out, 2 / 9).temperature == mdn.temperature_
    assert mdn.temperature_ < 0.95 * calibrated.temperature
    # Out of fold it is the calibrated fold that counts, not its part in the mixture.
    logpdf = [
        with_tail(calibrated.part(fold, rows.X)).logpdf(rows.y)
        for fold, rows in enumerate(held_out)
    ]
    rows = np.concatenate([rows for _, rows in folds])
    np.testing.assert_allclose(mdn.oof_logpdf_[rows], np.concatenate(logpdf))


def test_bound_of_the_scales_holds_after_calibration(table):
    X, y = table
    mdn = MDNRegressorCV(2, min_scale=1.0, n_bins=4, **SMALL).fit(X, y)
    ensemble = mdn._mixture()._replace(linear_weight=0.0)
    for number, fold in enumerate(ensemble.folds):
        assert np.all(ensemble.part(number, X).scales >= 0.999 * fold.unit)


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
        ({"cv": "loo"}, "cv"),
        ({"cv": []}, "cv"),
        ({"n_bins": "few"}, "n_bins"),
        ({"scoring": "best"}, "scoring"),
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
