# SPDX-License-Identifier: BSD-3-Clause
"""An estimator whose distributions are known, and data from it, for the pictures."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin

from skmdn import MixtureDistribution


class Branches(RegressorMixin, BaseEstimator):
    """Two branches, y = +-(1 + first input) + second input, for 1 or 2 outputs."""

    def __init__(self, n_outputs=1):
        self.n_outputs = n_outputs

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return self.predict_dist(X).mean()

    def predict_dist(self, X):
        X = np.asarray(X, dtype=float)
        second = X[:, 1] if X.shape[1] > 1 else 0 * X[:, 0]
        means = np.stack([1 + X[:, 0] + second, -1 - X[:, 0] + second], axis=1)
        weights = np.stack([0.3 + 0 * second, 0.7 + 0 * second], axis=1)
        scales = np.full_like(means, 0.2) * [1, 2]
        if self.n_outputs == 2:
            means = np.stack([means, 10 - means[:, ::-1]], axis=2)
            scales = np.stack([scales, 0.5 * scales], axis=2)
        return MixtureDistribution(weights, means, scales)


def make_branches():
    """Return an estimator, a frame of two inputs and a series of targets."""
    rng = np.random.RandomState(0)
    age, dose = rng.uniform(0, 2, 80), rng.normal(size=80)
    X = pd.DataFrame({"age (years)": age, "dose": dose})
    dist = Branches().predict_dist(X)
    y = pd.Series(dist.sample(random_state=1), name="response (mm)")
    return Branches().fit(X, y), X, y
