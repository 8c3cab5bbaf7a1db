# SPDX-License-Identifier: BSD-3-Clause
"""Proper scores: averages over rows that the true distribution optimises."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skmdn._distribution.checks import check_open_unit, check_probabilities
from skmdn.metrics._checks import (
    check_rows,
    weighted_mean,
)


def log_likelihood_score(
    y_true: ArrayLike, dist: Any, *, sample_weight: ArrayLike | None = None
) -> float:
    """Mean log-likelihood of the observed targets, in nats per row.

    Greater is better. This is what ``MDNRegressor.score`` returns.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Observed targets.
    dist : MixtureDistribution
        Predicted distribution of every row.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; a row of weight 2 counts like two rows.

    Returns
    -------
    score : float
        Mean of ``dist.logpdf(y_true)``.

    Raises
    ------
    ValueError
        If `y_true` is not finite or does not fit `dist`, or no weight is positive.

    References
    ----------
    .. [1] I. J. Good, "Rational decisions", J. R. Stat. Soc. B 14, 1952.

    Examples
    --------
    >>> from skmdn import MixtureDistribution
    >>> from skmdn.metrics import log_likelihood_score
    >>> dist = MixtureDistribution([[1.0], [1.0]], [[0.0], [5.0]], [[1.0], [2.0]])
    >>> round(log_likelihood_score([0.0, 5.0], dist), 4)
    -1.2655
    """
    y_true = check_rows(y_true, dist, "logpdf")
    return weighted_mean(dist.logpdf(y_true), sample_weight)


def crps_loss(
    y_true: ArrayLike, dist: Any, *, sample_weight: ArrayLike | None = None
) -> float:
    r"""Mean continuous ranked probability score, in units of y.

    Lower is better. It generalises the absolute error to distributions and, unlike the
    log-likelihood, stays bounded for rounded targets and forgiving of single rows.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed targets.
    dist : MixtureDistribution
        Predicted distribution of every row, one output.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; a row of weight 2 counts like two rows.

    Returns
    -------
    loss : float
        Mean of :math:`\int (F(t) - 1[y \le t])^2 dt`, exact.

    Raises
    ------
    ValueError
        If `y_true` is not finite or does not fit `dist`, or no weight is positive.

    See Also
    --------
    energy_loss : The same for several outputs.

    References
    ----------
    .. [1] E. P. Grimit, T. Gneiting, V. J. Berrocal and N. A. Johnson, "The continuous
       ranked probability score for circular variables and its application to mesoscale
       forecast ensemble verification", Q. J. R. Meteorol. Soc. 132, 2006.

    Examples
    --------
    >>> from skmdn import MixtureDistribution
    >>> from skmdn.metrics import crps_loss
    >>> dist = MixtureDistribution([[0.5, 0.5]], [[-3.0, 3.0]], [[0.5, 0.5]])
    >>> round(crps_loss([0.0], dist), 4)
    1.359
    """
    y_true = check_rows(y_true, dist, "crps")
    return weighted_mean(dist.crps(y_true), sample_weight)


def energy_loss(
    y_true: ArrayLike,
    dist: Any,
    *,
    sample_weight: ArrayLike | None = None,
    **kwargs: Any,
) -> float:
    r"""Mean energy score, the CRPS of several outputs together, in units of y.

    Lower is better. Scale the outputs to comparable units first: the score measures
    Euclidean distances between them.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_outputs)
        Observed targets.
    dist : MixtureDistribution
        Predicted distribution of every row.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; a row of weight 2 counts like two rows.
    **kwargs
        Passed to ``dist.energy_score``: accuracy of the expectation over the mixture.

    Returns
    -------
    loss : float
        Mean of :math:`E|Y - y| - \frac12 E|Y - Y'|`.

    Raises
    ------
    ValueError
        If `y_true` is not finite or does not fit `dist`, or no weight is positive.

    References
    ----------
    .. [1] T. Gneiting and A. E. Raftery, "Strictly proper scoring rules, prediction,
       and estimation", J. Am. Stat. Assoc. 102, 2007, section 4.3.

    Examples
    --------
    >>> from skmdn import MixtureDistribution
    >>> from skmdn.metrics import energy_loss
    >>> near = MixtureDistribution([[1.0]], [[[0.0, 0.0]]], [[[1.0, 1.0]]])
    >>> far = MixtureDistribution([[1.0]], [[[9.0, 9.0]]], [[[1.0, 1.0]]])
    >>> energy_loss([[0.0, 0.0]], near) < energy_loss([[0.0, 0.0]], far)
    True
    """
    y_true = check_rows(y_true, dist, "energy_score")
    return weighted_mean(dist.energy_score(y_true, **kwargs), sample_weight)


def pinball_loss(
    y_true: ArrayLike,
    dist: Any,
    q: ArrayLike = 0.5,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Mean pinball loss of predicted quantiles, in units of y.

    Lower is better. At ``q=0.5`` it is half the mean absolute error of the median.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed targets.
    dist : MixtureDistribution
        Predicted distribution of every row, one output.
    q : float or array-like of floats, default=0.5
        Level of the quantile, in (0, 1); the loss is averaged over several.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; a row of weight 2 counts like two rows.

    Returns
    -------
    loss : float
        Mean of :math:`(q - 1[y < Q]) (y - Q)` with the predicted quantile Q.

    Raises
    ------
    ValueError
        If `q` is not in (0, 1), `y_true` is not finite or does not fit `dist`, or no
        weight is positive.

    References
    ----------
    .. [1] R. Koenker and G. Bassett, "Regression quantiles", Econometrica 46, 1978.

    Examples
    --------
    >>> from skmdn import MixtureDistribution
    >>> from skmdn.metrics import pinball_loss
    >>> dist = MixtureDistribution([[1.0], [1.0]], [[0.0], [0.0]], [[1.0], [1.0]])
    >>> round(pinball_loss([1.0, -3.0], dist), 6)
    1.0
    """
    levels = check_probabilities("q", q)
    y = check_rows(y_true, dist, "ppf")
    loss = np.zeros(len(y))
    for level in levels:
        error = y - dist.ppf(level)
        loss += np.where(error < 0, level - 1, level) * error
    return weighted_mean(loss / len(levels), sample_weight)


def interval_loss(
    y_true: ArrayLike,
    dist: Any,
    coverage: float = 0.9,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Mean interval score (Winkler score) of central intervals, in units of y.

    Lower is better: the width of the interval, plus a penalty for each observation
    outside it.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed targets.
    dist : MixtureDistribution
        Predicted distribution of every row, one output.
    coverage : float, default=0.9
        Probability of the central interval, in (0, 1).
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; a row of weight 2 counts like two rows.

    Returns
    -------
    loss : float
        Mean of :math:`(u - l) + \frac{2}{\alpha}((l - y)_+ + (y - u)_+)` with
        :math:`\alpha` = 1 - `coverage`.

    Raises
    ------
    ValueError
        If `coverage` is not in (0, 1), `y_true` is not finite or does not fit `dist`,
        or no weight is positive.

    References
    ----------
    .. [1] T. Gneiting and A. E. Raftery, "Strictly proper scoring rules, prediction,
       and estimation", J. Am. Stat. Assoc. 102, 2007, section 6.2.

    Examples
    --------
    >>> from skmdn import MixtureDistribution
    >>> from skmdn.metrics import interval_loss
    >>> dist = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])
    >>> round(interval_loss([0.0], dist, 0.95), 4)
    3.9199
    """
    coverage = check_open_unit("coverage", coverage)
    y_true = check_rows(y_true, dist, "interval")
    lower, upper = dist.interval(coverage)
    outside = np.maximum(lower - y_true, 0) + np.maximum(y_true - upper, 0)
    return weighted_mean(upper - lower + 2 / (1 - coverage) * outside, sample_weight)
