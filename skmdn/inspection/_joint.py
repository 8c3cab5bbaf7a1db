# SPDX-License-Identifier: BSD-3-Clause
"""The joint density of two outputs for one row."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skmdn._distribution.checks import check_probabilities
from skmdn._estimators.unwrap import predict_dist
from skmdn.inspection._inputs import check_density, target_names
from skmdn.inspection._shapes import pair_of_outputs, points_of
from skmdn.inspection._style import (
    BLUE,
    VERMILLION,
    legend_above,
    one_axes,
    percent,
    tint,
    title_above,
)

# Draws that find the density at the edge of a region: its mass is right to 0.2 %.
N_DRAWS = 50_000
N_POINTS = 120


class JointDensityDisplay:
    """Joint density of two outputs for one row, as nested highest-density regions.

    See `from_estimator` and `from_predictions`. All parameters are stored as
    attributes.

    Parameters
    ----------
    dist : MixtureDistribution
        One row, two outputs.
    y_true : array-like of shape (2,), default=None
        The observation to mark.
    target_names : tuple of two str, default=("y0", "y1")
        Labels of the axes.

    Attributes
    ----------
    contours_ : ContourSet
        The regions.
    levels_ : ndarray of float
        Density at their edges, widest region first.
    observed_ : Line2D or None
        The observation.
    ax_ : Axes
        The axes.
    figure_ : Figure
        The figure.

    See Also
    --------
    skmdn.MixtureDistribution.hdr_level : The edges of the regions.

    Examples
    --------
    >>> from skmdn import MixtureDistribution
    >>> from skmdn.inspection import JointDensityDisplay
    >>> means, scales = [[[0.0, 0.0], [3.0, 1.0]]], [[[1.0, 0.5], [0.5, 1.0]]]
    >>> within = [[[[1.0, 0.8], [0.8, 1.0]]]]  # of the outputs, in both components
    >>> dist = MixtureDistribution([[0.5, 0.5]], means, scales, correlations=within)
    >>> display = JointDensityDisplay(dist).plot()
    """

    def __init__(
        self,
        dist: Any,
        y_true: Any = None,
        *,
        target_names: tuple[str, str] = ("y0", "y1"),
    ) -> None:
        self.dist = dist
        self.y_true = y_true
        self.target_names = target_names

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
        y : array-like of shape (n_samples, n_outputs), default=None
            Observations, to mark that of the row.
        **kwargs
            Passed to `from_predictions`.

        Returns
        -------
        display : JointDensityDisplay
        """
        return cls.from_predictions(y, predict_dist(estimator, X), **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike | None,
        dist: Any,
        *,
        row: int = 0,
        targets: tuple[int, int] = (0, 1),
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw from predicted distributions.

        Parameters
        ----------
        y_true : array-like of shape (n_samples, n_outputs) or None
            Observations, to mark that of the row.
        dist : MixtureDistribution
            Distribution of every row, at least two outputs.
        row : int, default=0
            Which row to show.
        targets : tuple of two int, default=(0, 1)
            Which outputs to show; the others are integrated out.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : JointDensityDisplay

        Raises
        ------
        TypeError
            If there is no density.
        ValueError
            If there is no such row or output.
        ImportError
            If matplotlib is not installed.
        """
        check_density(dist, cls.__name__)
        if row not in range(len(dist)):
            raise ValueError(f"row must be from 0 to {len(dist) - 1}; got {row!r}.")
        pair = pair_of_outputs(dist[row : row + 1], targets)
        names = target_names(y_true, dist.n_outputs)
        observed = None
        if y_true is not None:
            observed = np.asarray(y_true, dtype=np.float64)[row, list(targets)]
        display = cls(
            pair, observed, target_names=tuple(names[target] for target in targets)
        )
        return display.plot(ax, **kwargs)

    def plot(
        self, ax: Any = None, *, coverages: Sequence[float] = (0.5, 0.8, 0.95)
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        coverages : tuple of floats, default=(0.5, 0.8, 0.95)
            Probabilities of the highest-density regions.

        Returns
        -------
        display : JointDensityDisplay

        Raises
        ------
        ValueError
            If a coverage is not in (0, 1).
        ImportError
            If matplotlib is not installed.
        """
        coverages = np.unique(check_probabilities("coverages", coverages))[::-1]
        ax = one_axes(ax)
        first, second = (points_of(self.dist.marginal(j), N_POINTS) for j in (0, 1))
        density = self._pdf(np.stack(np.meshgrid(first, second), axis=-1))
        (self.levels_,) = self.dist.hdr_level(
            coverages, n_samples=N_DRAWS, random_state=0
        )
        colors = [
            tint(BLUE, amount) for amount in np.linspace(0.2, 0.75, len(coverages))
        ]
        edges = [*self.levels_, max(density.max(), self.levels_[-1]) * 1.01]
        self.contours_ = ax.contourf(first, second, density, edges, colors=colors)
        handles = [
            ax.fill(np.nan, np.nan, color=color, label=percent([coverage]))[0]
            for coverage, color in zip(coverages, colors, strict=True)
        ]
        self.observed_ = None
        if self.y_true is not None:
            (self.observed_,) = ax.plot(
                *self.y_true,
                "*",
                color=VERMILLION,
                markeredgecolor="white",
                markersize=11,
                label="observed",
            )
            handles.append(self.observed_)
        ax.set(xlabel=self.target_names[0], ylabel=self.target_names[1])
        above = legend_above(ax, handles, n_cols=4)
        title_above(ax, "Joint density: highest-density regions", above)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _pdf(self, points):
        """Density at points of shape (..., 2)."""
        return self.dist.pdf(points.reshape(1, -1, 2)).reshape(points.shape[:-1])
