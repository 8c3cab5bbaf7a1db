# SPDX-License-Identifier: BSD-3-Clause
"""Nested intervals over an ordered index, such as time."""

import numbers
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skmdn._distribution.checks import check_probabilities
from skmdn._estimators.unwrap import predict_dist
from skmdn.inspection._inputs import (
    columns,
    feature_name,
    one_output,
    target_name,
)
from skmdn.inspection._shapes import bulk_limits
from skmdn.inspection._style import (
    BLACK,
    BLUE,
    legend_above,
    one_axes,
    percent,
    tint,
    title_above,
)


class FanChartDisplay:
    """Fan chart: median and nested central intervals over an ordered index.

    See `from_estimator` and `from_predictions`. All parameters are stored as
    attributes.

    Parameters
    ----------
    dist : MixtureDistribution or ConformalDistribution
        Distribution of every row, one output.
    index : ndarray of shape (n_samples,), default=None
        Numbers or dates that order the rows, in any order; None counts them.
    y_true : ndarray of shape (n_samples,), default=None
        Observations to show.
    index_name, target_name : str, default="row", "y"
        Labels of the axes.

    Attributes
    ----------
    bands_ : list of PolyCollection
        The intervals, widest first.
    median_line_ : Line2D
        The median.
    scatter_ : PathCollection or None
        The observations.
    ax_ : Axes
        The axes.
    figure_ : Figure
        The figure.

    References
    ----------
    .. [1] E. Britton, P. Fisher and J. Whitley, "The Inflation Report projections:
       understanding the fan chart", Bank of England Quarterly Bulletin, 1998.

    Examples
    --------
    >>> import numpy as np
    >>> from skmdn import MixtureDistribution
    >>> from skmdn.inspection import FanChartDisplay
    >>> months = np.arange(12)
    >>> scale = 1 + 0.2 * months[:, None]
    >>> dist = MixtureDistribution(np.ones((12, 1)), np.zeros((12, 1)), scale)
    >>> display = FanChartDisplay(dist, months, index_name="month").plot()
    """

    def __init__(
        self,
        dist: Any,
        index: Any = None,
        *,
        y_true: Any = None,
        index_name: str = "row",
        target_name: str = "y",
    ) -> None:
        self.dist = dist
        self.index = np.arange(len(dist)) if index is None else index
        self.y_true = y_true
        self.index_name = index_name
        self.target_name = target_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        index: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw from a fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted `MDNRegressor`, or pipeline or search around one.
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,), default=None
            Observations to show.
        index : int, str or array-like of shape (n_samples,), default=None
            Column of `X` that orders the rows, by position or name, or numbers or
            dates. None: the column, if there is only one, else the rows are counted.
        **kwargs
            Passed to `from_predictions`.

        Returns
        -------
        display : FanChartDisplay
        """
        dist = predict_dist(estimator, X)
        if index is None and len(columns(X)) == 1:
            index = 0
        if isinstance(index, (str, numbers.Integral)):
            name = feature_name(X, index)
            index, kwargs = columns(X)[name], {"index_name": name} | kwargs
        return cls.from_predictions(y, dist, index=index, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike | None,
        dist: Any,
        *,
        index: Any = None,
        index_name: str | None = None,
        target: int | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw from predicted distributions.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or None
            Observations to show.
        dist : MixtureDistribution or ConformalDistribution
            Distribution of every row.
        index : array-like of shape (n_samples,), default=None
            Numbers or dates that order the rows, in any order; None counts the rows.
        index_name : str, default=None
            Label of the axis. None: the name of `index` if it has one.
        target : int, default=None
            Which output to show; needed if there are several.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : FanChartDisplay

        Raises
        ------
        ValueError
            If the lengths differ or `target` is missing.
        ImportError
            If matplotlib is not installed.
        """
        name = target_name(y_true, target)
        dist, y = one_output(dist, y_true, target)
        place = np.arange(len(dist)) if index is None else np.asarray(index)
        for label, rows in (("y_true", y), ("index", place)):
            if rows is not None and len(rows) != len(dist):
                raise ValueError(f"{label} has {len(rows)} rows, dist has {len(dist)}.")
        if index_name is None:
            index_name = str(getattr(index, "name", None) or "row")
        display = cls(dist, place, y_true=y, index_name=index_name, target_name=name)
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        coverages: Sequence[float] = (0.5, 0.8, 0.95),
        scatter_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        coverages : tuple of floats, default=(0.5, 0.8, 0.95)
            Probabilities of the central intervals.
        scatter_kwargs : dict, default=None
            Passed to ``ax.scatter``.

        Returns
        -------
        display : FanChartDisplay

        Raises
        ------
        ValueError
            If a coverage is not in (0, 1).
        ImportError
            If matplotlib is not installed.
        """
        coverages = np.sort(check_probabilities("coverages", coverages))[::-1]
        ax = one_axes(ax)
        order = np.argsort(self.index, kind="stable")
        index, dist = np.asarray(self.index)[order], self.dist[order]
        y = None if self.y_true is None else np.asarray(self.y_true)[order]
        self.bands_: list[Any] = []
        limits = None
        for coverage, amount in zip(
            coverages, np.linspace(0.2, 0.65, len(coverages)), strict=True
        ):
            lower, upper = dist.interval(coverage)
            limits = limits or bulk_limits(lower, upper, y)
            band = ax.fill_between(
                index,
                *np.clip([lower, upper], *_far(limits)),
                color=tint(BLUE, amount),
                linewidth=0,
                label=percent([coverage]) + ("" if self.bands_ else " interval"),
            )
            self.bands_.append(band)
        (self.median_line_,) = ax.plot(
            index, dist.ppf(0.5), color=BLUE, linewidth=1.2, label="median"
        )
        self.scatter_ = None
        if y is not None:
            style = {"s": 6, "color": BLACK, "linewidths": 0, "zorder": 3}
            style |= scatter_kwargs or {}
            self.scatter_ = ax.scatter(index, y, label="observed", **style)
        ax.set(xlabel=self.index_name, ylabel=self.target_name, ylim=limits)
        ax.margins(x=0.01)
        above = legend_above(ax, n_cols=3, markerscale=1.5)
        title_above(ax, "Median and central intervals", above)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _far(limits):
    """Ends, beyond the axis, for bands without an end of their own."""
    low, high = limits
    return low - 100 * (high - low), high + 100 * (high - low)
