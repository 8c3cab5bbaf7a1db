# SPDX-License-Identifier: BSD-3-Clause
"""Proper scores and calibration of predicted distributions, and scorers for searches.

The functions take ``(y_true, dist)``, `density_report` too, where `dist` is what
``predict_dist`` or ``cross_val_predict_dist`` returned for the same rows. A `_score` is
greater-better, a `_loss` lower-better, as in scikit-learn. The scorers take
``(estimator, X, y)`` and can be passed to ``GridSearchCV(scoring=...)`` or
``cross_val_score``, also for pipelines and searches.
"""

from skmdn.metrics._reliability import (
    calibration_error,
    coverage_score,
    pit_values,
)
from skmdn.metrics._report import density_report
from skmdn.metrics._scorers import (
    log_likelihood_scorer,
    make_coverage_scorer,
    make_dist_scorer,
    make_pinball_scorer,
    neg_crps_scorer,
)
from skmdn.metrics._scores import (
    crps_loss,
    energy_loss,
    interval_loss,
    log_likelihood_score,
    pinball_loss,
)

__all__ = [
    "calibration_error",
    "coverage_score",
    "crps_loss",
    "density_report",
    "energy_loss",
    "interval_loss",
    "log_likelihood_score",
    "log_likelihood_scorer",
    "make_coverage_scorer",
    "make_dist_scorer",
    "make_pinball_scorer",
    "neg_crps_scorer",
    "pinball_loss",
    "pit_values",
]
