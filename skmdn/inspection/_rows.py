# SPDX-License-Identifier: BSD-3-Clause
"""Densities of single rows, one above the other."""

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skmdn._distribution.checks import check_open_unit
from skmdn._estimators.unwrap import predict_dist
from skmdn.inspection._inputs import check_density, one_output, target_name
from skmdn.inspection._shapes import bulk_limits, points_of
from skmdn.inspection._style import (
    BLUE,
    VERMILLION,
    WIDTH,
    legend_above,
    one_axes,
    percent,
    tint,
    title_above,
)

N_POINTS = 300
# Height of a curve and of the mark of an observation; the next row begins at 1.
CURVE, MARK = 0.85, 0.3


class RowDensityDisplay:
    """Densities of chosen rows, with highest-density regions and observations.

    Every density is scaled to the same height: compare shapes and places, not heights.
    See `from_estimator` and `from_predictions`. All parameters are stored as
    attributes.

    Parameters
    ----------
    dist : MixtureDistribution
        Distribution of every row that is shown, one output.
    y_true : ndarray of shape (n_rows,), default=None
        Observations to mark.
    labels : list of str, default=None
        Names of the rows; None counts them.
    target_name : str, default="y"
        Label of the axis.

    Attributes
    ----------
    lines_ : list of Line2D
        The densities, first row first.
    regions_ : list of PolyCollection
        Their highest-density regions.
    observed_ : LineCollection or None
        The observations.
    ax_ : Axes
        The axes.
    figure_ : Figure
        The figure.

    References
    ----------
    .. [1] R. J. Hyndman, "Computing and graphing highest density regions", Am. Stat.
       50, 1996.

    Examples
    --------
    >>> from skmdn import MixtureDistribution
    >>> from skmdn.inspection import RowDensityDisplay
    >>> dist = MixtureDistribution([[0.5, 0.5]], [[-2.0, 2.0]], [[0.5, 1.0]])
    >>> display = RowDensityDisplay(dist).plot()
    """

    def __init__(
        self,
        dist: Any,
        y_true: Any = None,
        *,
        labels: list[str] | None = None,
        target_name: str = "y",
    ) -> None:
        self.dist = dist
        self.y_true = y_true
        self.labels = [str(i) for i in range(len(dist))] if labels is None else labels
        self.target_name = target_name

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike | None = None, **kwargs: Any
    ) -> Self:
        """Draw from a fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted `MDNRegressor`, or pipeline or search around one.
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,), default=None
            Observations to mark.
        **kwargs
            Passed to `from_predictions`.

        Returns
        -------
        display : RowDensityDisplay
        """
        return cls.from_predictions(y, predict_dist(estimator, X), **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike | None,
        dist: Any,
        *,
        rows: Iterable[int] = range(5),
        target: int | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw from predicted distributions.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or None
            Observations to mark.
        dist : MixtureDistribution
            Distribution of every row.
        rows : array-like of int, default=range(5)
            Which rows to show; those beyond the last are left out.
        target : int, default=None
            Which output to show; needed if there are several.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : RowDensityDisplay

        Raises
        ------
        TypeError
            If there is no density.
        ValueError
            If no row is left, the lengths differ, or `target` is missing.
        ImportError
            If matplotlib is not installed.
        """
        name = target_name(y_true, target)
        check_density(dist, cls.__name__)
        dist, y = one_output(dist, y_true, target)
        if y is not None and len(y) != len(dist):
            raise ValueError(f"y_true has {len(y)} rows, dist has {len(dist)}.")
        rows = np.asarray(rows, dtype=np.intp).ravel()
        rows = rows[(rows >= 0) & (rows < len(dist))]
        if not len(rows):
            raise ValueError(f"rows must hold numbers of rows, 0 to {len(dist) - 1}.")
        display = cls(
            dist[rows],
            None if y is None else y[rows],
            labels=[str(row) for row in rows],
            target_name=name,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, coverage: float = 0.9) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        coverage : float, default=0.9
            Probability of the highest-density regions, in (0, 1).

        Returns
        -------
        display : RowDensityDisplay

        Raises
        ------
        ValueError
            If `coverage` is not in (0, 1).
        ImportError
            If matplotlib is not installed.
        """
        coverage = check_open_unit("coverage", coverage)
        n_rows = len(self.dist)
        ax = one_axes(ax, height=max(0.6 * WIDTH, 0.9 + 0.4 * n_rows))
        self.lines_: list[Any] = []
        self.regions_: list[Any] = []
        for place in range(n_rows):
            self._draw_row(ax, place, coverage)
        self.regions_[0].set_label(f"{percent([coverage])} highest density")
        self.lines_[0].set_label("density")
        self.observed_ = None
        if self.y_true is not None:
            bottoms = self._bottom(np.arange(n_rows))
            self.observed_ = ax.vlines(
                self.y_true,
                bottoms - 0.05,
                bottoms + MARK,
                color=VERMILLION,
                linewidth=1.8,
                label="observed",
                zorder=3,
            )
        ax.set(
            xlabel=self.target_name,
            ylabel="row",
            ylim=(-0.1, n_rows),
            yticks=self._bottom(np.arange(n_rows)),
        )
        ax.set_yticklabels(self.labels)
        lows, highs = np.transpose([line.get_xdata()[[0, -1]] for line in self.lines_])
        ax.set_xlim(bulk_limits(lows, highs, self.y_true))
        title_above(ax, "Densities of single rows", legend_above(ax, n_cols=3))
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _bottom(self, place):
        """Height at which a density stands: the first row is the top one."""
        return len(self.dist) - 1 - place

    def _draw_row(self, ax, place, coverage):
        row, bottom = self.dist[place : place + 1], self._bottom(place)
        region = row.hdr(coverage)[0]
        x = points_of(row, N_POINTS, region)
        density = row.pdf(x[None, :])[0]
        height = bottom + CURVE * density / density.max()
        inside = np.any((region[:, :1] <= x) & (x <= region[:, 1:]), axis=0)
        filled = ax.fill_between(
            x, bottom, height, where=inside, color=tint(BLUE, 0.4), linewidth=0
        )
        self.regions_.append(filled)
        self.lines_ += ax.plot(x, height, color=BLUE, linewidth=1.0)
