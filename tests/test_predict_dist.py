# SPDX-License-Identifier: BSD-3-Clause
"""Distributions through pipelines, searches and target transformers."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as imblearn_pipeline
from joblib import parallel_config
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingRegressor,
    StackingRegressor,
    VotingRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (its import is its effect)
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, RANSACRegressor
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    ShuffleSplit,
)
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

from skmdn import (
    MDNRegressor,
    MixtureDistribution,
    cross_val_predict_dist,
    metrics,
    predict_dist,
)
from skmdn.datasets import make_inverse_sine

QUICK = {"n_components": 2, "hidden_layer_sizes": 8, "max_iter": 5, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(120, 3))
    return X, X[:, 0] + rng.gamma(2.0, size=120)


@pytest.fixture(scope="module")
def two_outputs(table):
    X, y = table
    noise = np.random.RandomState(1).normal(size=120)
    return X, np.column_stack([y, 100 * (X[:, 1] + noise)])


@pytest.mark.parametrize(
    "wrap",
    [
        lambda mdn: make_pipeline(StandardScaler(), "passthrough", mdn),
        lambda mdn: GridSearchCV(mdn, {"n_components": [2]}, cv=2),
        lambda mdn: RandomizedSearchCV(mdn, {"n_components": [2]}, n_iter=1, cv=2),
        lambda mdn: HalvingGridSearchCV(mdn, {"n_components": [2]}, cv=2),
        lambda mdn: TransformedTargetRegressor(mdn),
        lambda mdn: GridSearchCV(
            make_pipeline(MinMaxScaler(), TransformedTargetRegressor(mdn)),
            {"transformedtargetregressor__regressor__n_components": [2]},
            cv=2,
        ),
    ],
)
def test_predict_dist_through_meta_estimators(table, wrap):
    X, y = table
    model = wrap(MDNRegressor(**QUICK)).fit(X, y)
    distribution = predict_dist(model, X)
    assert distribution.weights.shape == (120, 2 + 6)  # with the tail
    np.testing.assert_allclose(distribution.mean(), model.predict(X), rtol=1e-10)


@pytest.mark.parametrize(
    "transformer",
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        MinMaxScaler((-1, 5)),
        MaxAbsScaler(),
        RobustScaler(),
        RobustScaler(with_centering=False),
        RobustScaler(with_scaling=False),
        make_pipeline(RobustScaler(), "passthrough", MinMaxScaler(), StandardScaler()),
    ],
)
def test_affine_target_transformers_are_exact(table, two_outputs, transformer):
    for X, y in (table, two_outputs):
        model = TransformedTargetRegressor(
            MDNRegressor(**QUICK), transformer=transformer
        )
        model.fit(X, y)
        scaled = model.transformer_.transform(y.reshape(120, -1))
        slope = np.ptp(scaled, axis=0) / np.ptp(y.reshape(120, -1), axis=0)
        inner = model.regressor_.logpdf(X, scaled) + np.log(slope).sum()
        np.testing.assert_allclose(predict_dist(model, X).logpdf(y), inner, atol=1e-9)


@pytest.mark.parametrize(
    "kind",
    [
        list,
        pd.Series,
        pl.Series,
        lambda y: pd.DataFrame({"y": y}),
        lambda y: y[:, None],
    ],
)
def test_transformed_targets_of_any_kind(table, kind):
    X, y = table
    weight = np.repeat([1.0, 0.0], [90, 30])
    model = TransformedTargetRegressor(
        MDNRegressor(**QUICK),
        transformer=StandardScaler().set_output(transform="pandas"),
    )
    model.fit(pd.DataFrame(X, columns=list("abc")), kind(y), sample_weight=weight)
    expected = TransformedTargetRegressor(
        MDNRegressor(**QUICK), transformer=StandardScaler()
    ).fit(X, y, sample_weight=weight)
    frame = pd.DataFrame(X, columns=list("abc"))
    dist = predict_dist(model, frame)
    np.testing.assert_array_equal(dist.means, predict_dist(expected, X).means)
    score = metrics.log_likelihood_scorer(model, frame, kind(y))
    assert score == pytest.approx(dist.logpdf(y).mean(), rel=1e-12)


def test_transformers_do_not_name_the_outputs(two_outputs):
    X, Y = two_outputs
    scale = StandardScaler().set_output(transform="pandas")
    model = TransformedTargetRegressor(MDNRegressor(**QUICK), transformer=scale)
    assert predict_dist(model.fit(X, Y), X).output_names is None  # were x0, x1


def test_searches_see_the_density_of_transformed_targets_by_the_scorer():
    X, y = make_inverse_sine(300, random_state=0)
    mdn = MDNRegressor(hidden_layer_sizes=16, n_bins=4, max_iter=40, random_state=0)
    model = TransformedTargetRegressor(mdn, transformer=StandardScaler())
    scoring = {"R2": "r2", "density": metrics.log_likelihood_scorer}
    grid = {"regressor__n_components": [1, 3]}
    search = GridSearchCV(model, grid, cv=2, scoring=scoring, refit="density")
    results = search.fit(X, y).cv_results_
    assert search.best_params_ == {"regressor__n_components": 3}
    gain = np.diff(results["mean_test_density"]), np.diff(results["mean_test_R2"])
    assert gain[0] > 0.3  # nats
    assert abs(gain[1]) < 0.05  # no more than the mean has


@pytest.mark.parametrize(
    "target",
    [
        {"transformer": PowerTransformer()},
        {"transformer": MinMaxScaler(clip=True)},
        {"transformer": FunctionTransformer(np.log1p, np.expm1)},
        {"func": np.log1p, "inverse_func": np.expm1},
    ],
)
def test_other_target_transformers_are_refused(table, target):
    X, y = table
    model = TransformedTargetRegressor(MDNRegressor(**QUICK), **target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(X, np.abs(y))
    with pytest.raises(TypeError, match=r"must be affine.*Quantiles pass.*Got"):
        predict_dist(model, X)


def importance(mdn):
    return np.abs(mdn.coefs_[0][:3]).sum(axis=1)


class OtherPipeline:
    """The protocol of a pipeline, from another library."""

    def __init__(self, *steps):
        self.steps = [(str(i), step) for i, step in enumerate(steps)]

    def fit(self, X, y):
        for _, step in self.steps[:-1]:
            X = step.fit(X, y).transform(X)
        self.steps[-1][1].fit(X, y)
        return self

    def predict(self, X):
        for _, step in self.steps[:-1]:
            X = step.transform(X)
        return self.steps[-1][1].predict(X)


class OtherSearch(BaseEstimator):
    """The protocol of a search, from another library."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y):
        self.best_estimator_ = clone(self.estimator).fit(X, y)
        return self

    def predict(self, X):
        return self.best_estimator_.predict(X)


PROTOCOLS = {
    "frozen": lambda mdn, X, y: FrozenEstimator(mdn.fit(X, y)),
    "frozen pipeline": lambda mdn, X, y: FrozenEstimator(
        make_pipeline(StandardScaler(), mdn).fit(X, y)
    ),
    "frozen vote in a pipeline": lambda mdn, X, y: make_pipeline(
        StandardScaler(), FrozenEstimator(VotingRegressor([("a", mdn)]).fit(X, y))
    ),
    "other pipeline": lambda mdn, X, y: OtherPipeline(StandardScaler(), mdn),
    "other search": lambda mdn, X, y: OtherSearch(make_pipeline(RobustScaler(), mdn)),
    "chosen inputs": lambda mdn, X, y: RFE(
        mdn, n_features_to_select=2, importance_getter=importance
    ),
    "consensus": lambda mdn, X, y: RANSACRegressor(
        mdn, min_samples=0.9, max_trials=2, random_state=0
    ),
    "vote": lambda mdn, X, y: VotingRegressor(
        [("a", mdn), ("no", "drop"), ("b", make_pipeline(StandardScaler(), mdn))],
        weights=[3, 5, 1],
    ),
    "equal vote": lambda mdn, X, y: VotingRegressor(
        [("a", mdn), ("b", clone(mdn).set_params(n_components=3))]
    ),
    "bag": lambda mdn, X, y: BaggingRegressor(
        mdn, n_estimators=3, max_features=2, bootstrap_features=True, random_state=0
    ),
    "bag of pipelines": lambda mdn, X, y: BaggingRegressor(
        make_pipeline(StandardScaler(), mdn), n_estimators=2, random_state=0
    ),
    "stack": lambda mdn, X, y: StackingRegressor(
        [("line", LinearRegression())], final_estimator=mdn, passthrough=True, cv=2
    ),
}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_predict_dist_by_protocol(table, name):
    X, y = table
    model = PROTOCOLS[name](MDNRegressor(**QUICK), X, y).fit(X, y)
    dist = predict_dist(model, X)
    np.testing.assert_allclose(dist.mean(), model.predict(X), rtol=1e-9)
    score = metrics.log_likelihood_scorer(model, X, y)
    assert score == pytest.approx(dist.logpdf(y).mean(), rel=1e-12)


def test_a_vote_is_the_mixture_of_its_members(table):
    X, y = table
    model = PROTOCOLS["vote"](MDNRegressor(**QUICK), X, y).fit(X, y)
    first, second = (predict_dist(member, X) for member in model.estimators_)
    expected = 0.75 * first.pdf(y) + 0.25 * second.pdf(y)
    np.testing.assert_allclose(predict_dist(model, X).pdf(y), expected, rtol=1e-12)


def test_a_bag_is_the_mixture_of_its_members_on_their_inputs(table):
    X, y = table
    frame = pd.DataFrame(X, columns=list("abc"))
    model = PROTOCOLS["bag"](MDNRegressor(**QUICK), X, y).fit(frame, y)
    pdfs = [
        member.predict_dist(X[:, columns]).pdf(y)
        for member, columns in zip(
            model.estimators_, model.estimators_features_, strict=True
        )
    ]
    actual = predict_dist(model, frame).pdf(y)
    np.testing.assert_allclose(actual, np.mean(pdfs, axis=0), rtol=1e-12)


def test_multioutput_regressor_has_independent_outputs(two_outputs):
    X, Y = two_outputs
    model = MultiOutputRegressor(MDNRegressor(**QUICK)).fit(X, Y)
    dist = predict_dist(model, X)
    np.testing.assert_allclose(dist.mean(), model.predict(X), rtol=1e-9)
    apart = sum(
        member.logpdf(X, y) for member, y in zip(model.estimators_, Y.T, strict=True)
    )
    np.testing.assert_allclose(dist.logpdf(Y), apart, rtol=1e-9)


def test_samplers_of_imbalanced_learn_act_in_fit_only(table):
    X, _ = table
    y = np.repeat([0.0, 1.0], [90, 30])
    over = RandomOverSampler(random_state=0)
    model = imblearn_pipeline(StandardScaler(), over, MDNRegressor(**QUICK)).fit(X, y)
    np.testing.assert_allclose(predict_dist(model, X).mean(), model.predict(X))


def test_models_without_distribution_are_refused(table, two_outputs):
    X, y = table
    line, mdn = LinearRegression(), MDNRegressor(**QUICK)
    for model, name in (
        (make_pipeline(line), "LinearRegression"),
        (VotingRegressor([("a", mdn), ("b", line)]), "LinearRegression"),
        (StackingRegressor([("a", mdn)], cv=2, final_estimator=line), "LinearReg"),
        (AdaBoostRegressor(mdn, n_estimators=1), "AdaBoostRegressor"),
    ):
        with pytest.raises(TypeError, match=f"{name}.* gives no distribution"):
            predict_dist(model.fit(X, y), X)
    chain = RegressorChain(mdn).fit(*two_outputs)
    with pytest.raises(TypeError, match="RegressorChain gives no distribution"):
        predict_dist(chain, X)
    with pytest.raises(TypeError, match="not an estimator"):
        predict_dist("passthrough", X)
    for model in (mdn, GridSearchCV(mdn, {}), VotingRegressor([("a", mdn)])):
        with pytest.raises(NotFittedError):
            predict_dist(clone(model), X)
    search = GridSearchCV(mdn, {}, cv=2, refit=False).fit(X, y)
    with pytest.raises(AttributeError, match="refit=False"):
        predict_dist(search, X)


# --- out of fold ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame])
def test_out_of_fold_distributions_are_those_of_the_folds(table, kind):
    X, y = table
    model = make_pipeline(StandardScaler(), MDNRegressor(**QUICK))
    folds = KFold(3, shuffle=True, random_state=0)
    X = kind(X)
    dist = cross_val_predict_dist(model, X, y, cv=folds)
    at = getattr(X, "iloc", X)
    assert isinstance(dist, MixtureDistribution)
    assert not hasattr(model[-1], "n_iter_")  # a clone was fitted
    for train, test in folds.split(X):
        expected = predict_dist(model.fit(at[train], y[train]), at[test])
        np.testing.assert_array_equal(dist[test].means, expected.means)


def test_out_of_fold_by_groups_weights_and_in_parallel(table):
    X, y = table
    mdn, groups = MDNRegressor(**QUICK), np.arange(120) % 4
    weight = np.arange(120) % 3.0
    options = {"cv": GroupKFold(2), "params": {"sample_weight": weight}}
    with parallel_config(backend="threading"):
        one = cross_val_predict_dist(mdn, X, y, groups=groups, n_jobs=2, **options)
    for train, test in GroupKFold(2).split(X, y, groups):
        mdn.fit(X[train], y[train], sample_weight=weight[train])
        np.testing.assert_array_equal(one[test].means, mdn.predict_dist(X[test]).means)
    with config_context(enable_metadata_routing=True):
        routed = cross_val_predict_dist(
            MDNRegressor(**QUICK).set_fit_request(sample_weight=True),
            X,
            y,
            cv=GroupKFold(2),
            params={"sample_weight": weight, "groups": groups},
        )
    np.testing.assert_array_equal(routed.means, one.means)


def test_out_of_fold_needs_a_partition_and_says_so_before_it_fits(table):
    X, y = table
    never = OtherSearch(None)  # its fit would fail
    for cv in (ShuffleSplit(2, random_state=0), [(np.arange(60), np.arange(60, 119))]):
        with pytest.raises(ValueError, match="every row into exactly one test fold"):
            cross_val_predict_dist(never, X, y, cv=cv)
    with pytest.raises(TypeError, match="LinearRegression gives no distribution"):
        cross_val_predict_dist(LinearRegression(), X, y)
