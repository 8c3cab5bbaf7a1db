# SPDX-License-Identifier: BSD-3-Clause
"""Metrics as scorers: ``scorer(estimator, X, y)`` for searches and cross-validation."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.utils import check_array
from sklearn.utils.metadata_routing import MetadataRequest

from skmdn._distribution.checks import check_open_unit, check_probabilities
from skmdn._estimators.unwrap import dist_blocks, predict_dist
from skmdn._sklearn import count_rows
from skmdn.metrics._checks import normalised_weight
from skmdn.metrics._reliability import coverage_score
from skmdn.metrics._scores import (
    crps_loss,
    energy_loss,
    interval_loss,
    log_likelihood_score,
    pinball_loss,
)

# Weighted means over the rows, which can be put together from those of blocks.
_MEANS_OF_ROWS = frozenset(
    {
        coverage_score,
        crps_loss,
        energy_loss,
        interval_loss,
        log_likelihood_score,
        pinball_loss,
    }
)


@dataclass(frozen=True, repr=False, eq=False)
class _DistScorer:
    """Score what ``predict_dist`` gives; see `make_dist_scorer`.

    scikit-learn's own scorers can call a method of the estimator only, which fails for
    pipelines and searches, so this follows their protocol with public names. It never
    changes: the scorers of the package are shared by everyone who imports them.
    """

    score_func: Callable[..., Any]
    sign: int
    kwargs: dict
    request: bool | str | None = None

    def __call__(
        self,
        estimator: Any,
        X: ArrayLike,
        y_true: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Score the distributions that a fitted `estimator` predicts for `X`.

        Parameters
        ----------
        estimator : estimator instance
            Fitted `MDNRegressor`, or pipeline or search around one.
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Observed targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            Greater is better.
        """
        if self.score_func in _MEANS_OF_ROWS:
            score = self._in_blocks(estimator, X, y_true, sample_weight)
        else:
            score = self.score_func(
                y_true,
                predict_dist(estimator, X),
                sample_weight=sample_weight,
                **self.kwargs,
            )
        return self.sign * score

    def _in_blocks(self, estimator, X, y_true, sample_weight):
        """Mean over the rows from those of blocks: all rows may not fit in memory."""
        y_true = check_array(
            y_true, ensure_2d=False, dtype=np.float64, input_name="y_true"
        )
        n_rows = count_rows(X)
        if len(y_true) != n_rows:
            raise ValueError(f"y_true has {len(y_true)} rows, X has {n_rows}.")
        weight = normalised_weight(sample_weight, n_rows)
        start, scores, shares = 0, [], []
        for dist in dist_blocks(estimator, X):
            rows = slice(start, start + len(dist))
            start = rows.stop
            if weight[rows].any():
                scores.append(
                    self.score_func(
                        y_true[rows], dist, sample_weight=weight[rows], **self.kwargs
                    )
                )
                shares.append(weight[rows].sum())
        return float(np.average(scores, weights=shares))

    def set_score_request(self, *, sample_weight: Any) -> Callable[..., float]:
        """Return a scorer that asks for weights when metadata routing is enabled.

        Parameters
        ----------
        sample_weight : bool, str or None
            True: ask for `sample_weight`; False: do without; str: ask for the metadata
            of that name; None: raise an error if weights are passed to the search.

        Returns
        -------
        scorer : callable
            A new scorer; this one stays as it is.

        Raises
        ------
        RuntimeError
            If metadata routing is not enabled.
        """
        if not get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                "This method is only available when metadata routing is enabled. You "
                "can enable it using sklearn.set_config(enable_metadata_routing=True)."
            )
        return replace(self, request=sample_weight)

    def get_metadata_routing(self) -> Any:
        """Tell scikit-learn which metadata this scorer asks for.

        Returns
        -------
        routing : MetadataRequest
        """
        routing = MetadataRequest(owner=self)
        routing.score.add_request(param="sample_weight", alias=self.request)
        return routing

    def _accept_sample_weight(self):
        """Tell searches without metadata routing that weights may be passed."""
        return True

    def __repr__(self):
        sign = "" if self.sign > 0 else ", greater_is_better=False"
        kwargs = "".join(f", {name}={value}" for name, value in self.kwargs.items())
        return f"make_dist_scorer({self.score_func.__name__}{sign}{kwargs})"


def make_dist_scorer(
    score_func: Callable[..., Any], *, greater_is_better: bool = True, **kwargs: Any
) -> Callable[..., float]:
    """Make a scorer of a metric of distributions, like scikit-learn's `make_scorer`.

    Parameters
    ----------
    score_func : callable
        ``score_func(y_true, dist, *, sample_weight=None, **kwargs)`` returning a float.
        A function of a module can be pickled and sent to processes; a lambda cannot.
        The package's own, but for `calibration_error`, are evaluated block by block;
        any other gets the distributions of all rows, which needs memory.
    greater_is_better : bool, default=True
        If False the scorer returns the negative of the metric.
    **kwargs
        Passed to `score_func`.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``. It works for everything that
        `skmdn.predict_dist` works for, and with
        ``scorer.set_score_request(sample_weight=True)`` under metadata routing.

    Examples
    --------
    >>> from skmdn.metrics import interval_loss, make_dist_scorer
    >>> make_dist_scorer(interval_loss, greater_is_better=False, coverage=0.8)
    make_dist_scorer(interval_loss, greater_is_better=False, coverage=0.8)
    """
    if not callable(score_func):
        raise TypeError(
            f"score_func must be callable, got {type(score_func).__name__}."
        )
    return _DistScorer(score_func, 1 if greater_is_better else -1, kwargs)


log_likelihood_scorer = make_dist_scorer(log_likelihood_score)
neg_crps_scorer = make_dist_scorer(crps_loss, greater_is_better=False)


def make_pinball_scorer(q: ArrayLike) -> Callable[..., float]:
    """Make a scorer of the negative pinball loss at level `q`.

    Parameters
    ----------
    q : float or array-like of floats
        Level of the quantile, in (0, 1); the loss is averaged over several.

    Returns
    -------
    scorer : callable
        Greater is better; see `make_dist_scorer`.

    Raises
    ------
    ValueError
        If `q` is not in (0, 1).

    Examples
    --------
    >>> from skmdn.metrics import make_pinball_scorer
    >>> make_pinball_scorer(0.9)
    make_dist_scorer(pinball_loss, greater_is_better=False, q=0.9)
    """
    check_probabilities("q", q)
    return make_dist_scorer(pinball_loss, greater_is_better=False, q=q)


def make_coverage_scorer(coverage: float) -> Callable[..., float]:
    """Make a scorer of the part of observations inside their central interval.

    It reports; it is no criterion to select by, since the widest intervals cover most.
    Use it beside a proper score:
    ``GridSearchCV(..., scoring={"crps": neg_crps_scorer, "coverage":
    make_coverage_scorer(0.9)}, refit="crps")``.

    Parameters
    ----------
    coverage : float
        Probability of the central interval, in (0, 1).

    Returns
    -------
    scorer : callable
        Its value should be near `coverage`; see `make_dist_scorer`.

    Raises
    ------
    ValueError
        If `coverage` is not in (0, 1).

    Examples
    --------
    >>> from skmdn.metrics import make_coverage_scorer
    >>> make_coverage_scorer(0.9)
    make_dist_scorer(coverage_score, coverage=0.9)
    """
    check_open_unit("coverage", coverage)
    return make_dist_scorer(coverage_score, coverage=coverage)
