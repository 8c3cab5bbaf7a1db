# SPDX-License-Identifier: BSD-3-Clause
"""Proper scores and calibration of predicted distributions, and scorers for searches.

The functions take ``(y_true, dist)``, where `dist` is what ``predict_dist`` returned
for the same rows. The scorers take ``(estimator, X, y)`` and can be passed to
``GridSearchCV(scoring=...)`` or ``cross_val_score``, also for pipelines and searches.
"""

from skmdn.metrics._calibration import (
    calibration_error,
    coverage_score,
    pit_values,
)
from skmdn.metrics._report import density_report
from skmdn.metrics._scorers import (
    coverage_scorer,
    log_likelihood_scorer,
    make_dist_scorer,
    neg_crps_scorer,
    neg_pinball_scorer,
)
from skmdn.metrics._scores import (
    crps_score,
    energy_score,
    interval_score,
    log_likelihood_score,
    pinball_loss,
)

__all__ = [
    "calibration_error",
    "coverage_score",
    "coverage_scorer",
    "crps_score",
    "density_report",
    "energy_score",
    "interval_score",
    "log_likelihood_score",
    "log_likelihood_scorer",
    "make_dist_scorer",
    "neg_crps_scorer",
    "neg_pinball_scorer",
    "pinball_loss",
    "pit_values",
]
