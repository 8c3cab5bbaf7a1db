# SPDX-License-Identifier: BSD-3-Clause
"""A biased and much too narrow model, and what recalibrates it."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.frozen import FrozenEstimator

from skmdn import MixtureDistribution
from skmdn.calibration import ConformalMDNRegressor
from skmdn.datasets import make_heteroscedastic

COVERAGES = (0.5, 0.8, 0.9)


class Bad(RegressorMixin, BaseEstimator):
    """A biased and much too narrow mixture, the same for every row."""

    def __init__(self, shift=0.5):
        self.shift = shift

    def fit(self, X, y, sample_weight=None):
        self.n_features_in_ = np.shape(X)[1]
        self.fit_rows_ = np.asarray(X)[:, 0]
        self.fit_weight_ = sample_weight
        return self

    def predict(self, X):
        return self.predict_dist(X).mean()

    def score(self, X, y, sample_weight=None):
        return float(np.average(self.predict_dist(X).logpdf(y), weights=sample_weight))

    def predict_dist(self, X):
        n = len(X)
        return MixtureDistribution(
            np.tile([0.7, 0.3], (n, 1)),
            np.tile([self.shift, self.shift + 1.0], (n, 1)),
            np.tile([0.6, 0.4], (n, 1)),
        )


def calibrated(n, seed=0, estimator=None, **kwargs):
    X, y = make_heteroscedastic(n, random_state=seed)
    frozen = FrozenEstimator((estimator or Bad()).fit(X, y))
    return ConformalMDNRegressor(frozen).fit(X, y, **kwargs), X, y
