# SPDX-License-Identifier: BSD-3-Clause
"""Calibration: whether events happen as often as the distributions say."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skmdn._distribution.checks import check_open_unit, check_probabilities
from skmdn._typing import FloatArray
from skmdn.metrics._checks import (
    check_rows,
    normalised_weight,
    weighted_mean,
)

# 5 %, 10 %, ..., 95 %
LEVELS = np.arange(1, 20) / 20


def pit_values(y_true: ArrayLike, dist: Any) -> FloatArray:
    """Probability integral transform: the predicted cdf at the observed targets.

    The values of a calibrated model are uniform on (0, 1). A hump in the middle of
    their histogram says that the predictions are too wide, a dip that they are too
    narrow, a slope that they are biased.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed targets.
    dist : MixtureDistribution
        Predicted distribution of every row, one output.

    Returns
    -------
    pit : ndarray of shape (n_samples,)
        ``dist.cdf(y_true)``.

    Raises
    ------
    ValueError
        If `y_true` is not finite or does not fit `dist`.

    See Also
    --------
    skmdn.inspection.PITDisplay : Their histogram and reliability curve.

    Notes
    -----
    Where values of `y_true` repeat, PIT values say nothing on calibration: those of a
    point mass would have to be drawn from the jump of the cdf there, and the cdf of a
    density has none. `density_report` names such values and judges no PIT then.

    References
    ----------
    .. [1] A. P. Dawid, "Statistical theory: the prequential approach", J. R. Stat. Soc.
       A 147, 1984.

    Examples
    --------
    >>> from skmdn import MixtureDistribution
    >>> from skmdn.metrics import pit_values
    >>> dist = MixtureDistribution([[1.0], [1.0]], [[0.0], [0.0]], [[1.0], [1.0]])
    >>> pit_values([0.0, 1.96], dist).round(3)
    array([0.5  , 0.975])
    """
    y_true = check_rows(y_true, dist, "cdf")
    return dist.cdf(y_true)


def coverage_score(
    y_true: ArrayLike,
    dist: Any,
    coverage: float = 0.9,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Part of the observations that lie in their central interval.

    Best is `coverage` itself: more means that the intervals are too wide.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed targets.
    dist : MixtureDistribution or ConformalDistribution
        Predicted distribution of every row, one output.
    coverage : float, default=0.9
        Probability of the central interval, in (0, 1).
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; a row of weight 2 counts like two rows.

    Returns
    -------
    score : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If `coverage` is not in (0, 1), `y_true` is not finite or does not fit `dist`,
        or no weight is positive.

    See Also
    --------
    interval_loss : Rewards narrow intervals too, and is proper.

    Examples
    --------
    >>> from skmdn import MixtureDistribution
    >>> from skmdn.metrics import coverage_score
    >>> dist = MixtureDistribution([[1.0], [1.0]], [[0.0], [0.0]], [[1.0], [1.0]])
    >>> coverage_score([1.0, 2.0], dist, 0.9)
    0.5
    """
    coverage = check_open_unit("coverage", coverage)
    y_true = check_rows(y_true, dist, "interval")
    lower, upper = dist.interval(coverage)
    inside = (lower <= y_true) & (y_true <= upper)
    return weighted_mean(inside.astype(np.float64), sample_weight)


def calibration_error(
    y_true: ArrayLike,
    dist: Any,
    q: ArrayLike | None = None,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Mean squared distance of the reliability curve from the diagonal.

    Lower is better; zero is perfect calibration. A model that ignores the inputs can be
    perfectly calibrated: look at a proper score as well.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed targets.
    dist : MixtureDistribution or ConformalDistribution
        Predicted distribution of every row, one output.
    q : array-like of floats, default=None
        Quantile levels at which the curve is compared, in (0, 1). None: 0.05, 0.1, ...,
        0.95.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; a row of weight 2 counts like two rows.

    Returns
    -------
    error : float
        Mean over the levels p of :math:`(p - \hat p)^2`, where :math:`\hat p` is the
        part of the rows whose PIT value is at most p.

    Raises
    ------
    ValueError
        If `q` is not in (0, 1), `y_true` is not finite or does not fit `dist`, or
        no weight is positive.

    References
    ----------
    .. [1] V. Kuleshov, N. Fenner and S. Ermon, "Accurate uncertainties for deep
       learning using calibrated regression", ICML 2018, equation 9 with equal weights.

    Examples
    --------
    >>> from skmdn import MixtureDistribution
    >>> from skmdn.metrics import calibration_error
    >>> dist = MixtureDistribution([[1.0], [1.0]], [[0.0], [0.0]], [[1.0], [1.0]])
    >>> round(calibration_error([-1.0, 1.0], dist), 4)
    0.0276
    """
    levels = LEVELS if q is None else check_probabilities("q", q)
    pit = pit_values(y_true, dist)
    weight = normalised_weight(sample_weight, len(pit))
    reached = (pit[:, None] <= levels).T @ weight
    return float(np.mean((levels - reached) ** 2))
