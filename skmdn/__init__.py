# SPDX-License-Identifier: BSD-3-Clause
"""Mixture density networks for scikit-learn."""

from skmdn._estimators.cross_val import cross_val_predict_dist
from skmdn._estimators.cv import MDNRegressorCV
from skmdn._estimators.mdn import MDNRegressor
from skmdn._estimators.unwrap import predict_dist
from skmdn._versions import show_versions
from skmdn.distribution import MixtureDistribution

__all__ = [
    "MDNRegressor",
    "MDNRegressorCV",
    "MixtureDistribution",
    "cross_val_predict_dist",
    "predict_dist",
    "show_versions",
]

__version__ = "0.1.0"
