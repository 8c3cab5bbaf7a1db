# SPDX-License-Identifier: BSD-3-Clause
"""Real data: the number of components by cross-validation, and a baseline."""

from typing import NamedTuple

import numpy as np
from joblib import parallel_config
from scipy import stats
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skmdn import MDNRegressor


class Problem(NamedTuple):
    """A data set with the words to show it by."""

    name: str
    X: np.ndarray  # (n_samples, n_features)
    y: np.ndarray  # (n_samples,)
    y_label: str
    x_label: str
    group: np.ndarray  # (n_samples,) of int, which the models never see
    group_names: list


class Fitted(NamedTuple):
    """A finished search on a problem, with the rows it never saw."""

    problem: Problem
    search: GridSearchCV
    train: np.ndarray  # rows of the problem
    test: np.ndarray
    test_score: float
    baseline_score: float


def diabetes():
    """Disease progression one year on, from ten measurements."""
    data = load_diabetes(scaled=False)
    return Problem(
        name="diabetes",
        X=data.data,
        y=data.target,
        y_label="disease progression after one year",
        x_label="age, sex, body mass index, blood pressure, six blood values",
        group=np.zeros(len(data.target), dtype=int),
        group_names=["patient"],
    )


def iris():
    """Petal length from sepal width alone: the species is what is missing."""
    data = load_iris()
    return Problem(
        name="iris",
        X=data.data[:, [1]],
        y=data.data[:, 2],
        y_label="petal length (cm)",
        x_label="sepal width (cm)",
        group=data.target,
        group_names=list(data.target_names),
    )


def fit(problem, *, n_components, n_splits, random_state, **settings):
    """Choose the number of components by cross-validated log-likelihood.

    Parameters
    ----------
    problem : Problem
    n_components : list of int
        Candidates.
    n_splits : int
        Folds of the cross-validation.
    random_state : int
        Seed of the test split, the folds and the networks.
    **settings
        Other parameters of `MDNRegressor`.

    Returns
    -------
    fitted : Fitted
    """
    train, test = train_test_split(
        np.arange(len(problem.y)),
        test_size=0.25,
        stratify=problem.group,
        random_state=random_state,
    )
    mdn = MDNRegressor(random_state=random_state, **settings)
    search = GridSearchCV(
        Pipeline([("scale", StandardScaler()), ("mdn", mdn)]),
        {"mdn__n_components": n_components},
        cv=KFold(n_splits, shuffle=True, random_state=random_state),
        n_jobs=-1,
    )
    X_train, y_train = problem.X[train], problem.y[train]
    X_test, y_test = problem.X[test], problem.y[test]
    # Training runs without the GIL: threads are enough, and share the compiled code.
    with parallel_config("threading"):
        search.fit(X_train, y_train)
    baseline = gaussian_score(LinearRegression(), X_train, y_train, X_test, y_test)
    score = search.score(X_test, y_test)
    return Fitted(problem, search, train, test, score, baseline)


def gaussian_score(regressor, X_train, y_train, X_test, y_test):
    """Test log-likelihood of a regression with normal errors of one size, in nats.

    The standard deviation is that of the training residuals.
    """
    regressor.fit(X_train, y_train)
    scale = np.std(y_train - regressor.predict(X_train))
    return stats.norm.logpdf(y_test, regressor.predict(X_test), scale).mean()
