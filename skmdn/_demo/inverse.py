# SPDX-License-Identifier: BSD-3-Clause
"""Inverse problems: several answers, of which squared error takes the average."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmdn import MDNRegressor, MixtureDistribution


class Inverse(NamedTuple):
    """An inverse problem with the words to show it by."""

    name: str
    make: Callable
    x_label: str
    y_label: str


class Solved(NamedTuple):
    """Both networks on one problem, and what fresh rows say about them."""

    problem: Inverse
    X: np.ndarray  # (n_samples, 1)
    y: np.ndarray  # (n_samples,)
    mdn: MDNRegressor
    mlp: object  # pipeline around MLPRegressor
    samples: np.ndarray  # (n_samples,), drawn from the mixture at X
    test_score: float
    baseline_score: float
    true_score: float


class Frame(NamedTuple):
    """The mixture at one moment of its training."""

    epoch: int
    values: np.ndarray  # (n_points,) of the input
    dist: MixtureDistribution


def solve(problem, *, random_state, **settings):
    """Fit the squared-error network and the mixture to an inverse problem.

    Parameters
    ----------
    problem : Inverse
    random_state : int
        Seed of the data, both networks and the samples.
    **settings
        Other parameters of `MDNRegressor`.

    Returns
    -------
    solved : Solved
    """
    X, y = problem.make(random_state=random_state)
    X_test, y_test, logpdf = problem.make(
        5000, random_state=random_state + 1, return_density=True
    )
    mdn = MDNRegressor(random_state=random_state, **settings)
    mdn.fit(X, y)
    mlp = make_pipeline(
        StandardScaler(),
        MLPRegressor(
            hidden_layer_sizes=(64, 64),
            early_stopping=True,
            learning_rate_init=0.01,
            max_iter=1000,
            random_state=random_state,
        ),
    )
    mlp.fit(X, y)
    # Not the seed of the data: equal seeds would tie the samples to the answers.
    samples = mdn.sample(X, random_state=random_state + 2)[:, 0]
    noise = np.std(y - mlp.predict(X))
    return Solved(
        problem=problem,
        X=X,
        y=y,
        mdn=mdn,
        mlp=mlp,
        samples=samples,
        test_score=mdn.score(X_test, y_test),
        baseline_score=stats.norm.logpdf(y_test, mlp.predict(X_test), noise).mean(),
        true_score=logpdf(X_test, y_test).mean(),
    )


class Recorder:
    """Callback of `MDNRegressor` that keeps a `Frame` of chosen epochs.

    Parameters
    ----------
    values : ndarray of shape (n_points,)
        Values of the input to look at.
    epochs : collection of int
        Epochs to keep.
    """

    def __init__(self, values, epochs):
        self.frames = []
        self._values = values
        self._epochs = set(epochs)

    def __call__(self, epoch, losses, estimator_copy):
        """Keep the frame; never ask to stop."""
        if epoch in self._epochs:
            dist = estimator_copy().predict_dist(self._values[:, None])
            self.frames.append(Frame(epoch, self._values, dist))


def spread_epochs(n_epochs, n_frames):
    """Epochs to look at: dense at first, when most happens, then ever wider apart."""
    return np.unique(np.geomspace(1, n_epochs, n_frames).round().astype(int))
