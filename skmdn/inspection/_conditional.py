# SPDX-License-Identifier: BSD-3-Clause
"""The conditional density along one input, as a heat map."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skmdn._typing import FloatArray, Seed
from skmdn.inspection._inputs import columns, one_output, target_name, vary
from skmdn.inspection._shapes import bulk_limits, mode_points
from skmdn.inspection._style import (
    BLACK,
    ORANGE,
    VERMILLION,
    legend_above,
    one_axes,
    percent,
    title_above,
)

N_Y = 300  # rows of pixels
# Probability that a mode must hold to be shown.
LEAST_MASS = 0.02


class ConditionalDensityDisplay:
    """Heat map of p(y | x) along one input, with data, mean, modes and quantiles.

    See `from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    values : ndarray of shape (n_points,)
        Increasing values of the input.
    dist : MixtureDistribution
        Distribution at each of them, one output.
    feature_name, target_name : str, default="x0", "y"
        Labels of the axes.
    others : str, default=""
        What the other inputs are, in words, to show below the title.
    x_data, y_data : ndarray of shape (n_samples,), default=None
        Observations to show.

    Attributes
    ----------
    mesh_ : QuadMesh
        The heat map.
    colorbar_ : Colorbar
        Its scale: density, in one over units of y.
    scatter_ : PathCollection or None
        The observations.
    mean_line_ : Line2D or None
        The mean.
    quantile_lines_ : list of Line2D
        The quantiles.
    modes_ : PathCollection or None
        The maxima of the densities.
    ax_ : Axes
        The axes.
    figure_ : Figure
        The figure.

    See Also
    --------
    ComponentDisplay : The components that make up the density.

    Examples
    --------
    >>> from skmdn import MDNRegressor
    >>> from skmdn.datasets import make_inverse_sine
    >>> from skmdn.inspection import ConditionalDensityDisplay
    >>> X, y = make_inverse_sine(random_state=0)
    >>> mdn = MDNRegressor(max_iter=20, random_state=0).fit(X, y)
    >>> display = ConditionalDensityDisplay.from_estimator(mdn, X, 0, y)
    """

    def __init__(
        self,
        values: FloatArray,
        dist: Any,
        *,
        feature_name: str = "x0",
        target_name: str = "y",
        others: str = "",
        x_data: FloatArray | None = None,
        y_data: FloatArray | None = None,
    ) -> None:
        self.values = values
        self.dist = dist
        self.feature_name = feature_name
        self.target_name = target_name
        self.others = others
        self.x_data = x_data
        self.y_data = y_data

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        features: int | str,
        y: ArrayLike | None = None,
        *,
        others: Any = "median",
        target: int | None = None,
        grid_resolution: int = 150,
        subsample: int = 50,
        random_state: Seed = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw from a fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted `MDNRegressor`, or pipeline or search around one.
        X : array or data frame of shape (n_samples, n_features)
            Gives the range of the input and the values of the others.
        features : int or str
            The input to vary, by position or name.
        y : array-like of shape (n_samples,), default=None
            Observations to show.
        others : {"median", "average"} or array-like of shape (n_features,), \
                default="median"
            "median": hold the other inputs at an observed value near the middle, or at
            the most frequent one where they are categories; "average": average the
            densities over rows of `X`, a partial dependence; an array: hold them at the
            values of this row.
        target : int, default=None
            Which output to show; needed if there are several.
        grid_resolution : int, default=150
            Number of values of the input.
        subsample : int, default=50
            Rows to average over, drawn at random.
        random_state : int, RandomState instance or None, default=None
            Decides which rows.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : ConditionalDensityDisplay

        Raises
        ------
        ValueError
            If there is no such feature, output or way to treat the others.
        TypeError
            If the estimator gives no density.
        ImportError
            If matplotlib is not installed.
        """
        values, dist, name, words = vary(
            estimator,
            X,
            features,
            cls.__name__,
            others=others,
            grid_resolution=grid_resolution,
            subsample=subsample,
            random_state=random_state,
        )
        dist, y_data = one_output(dist, y, target)
        display = cls(
            values,
            dist,
            feature_name=name,
            target_name=target_name(y, target),
            others=words,
            x_data=None if y is None else columns(X)[name],
            y_data=y_data,
        )
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        quantiles: Sequence[float] = (0.05, 0.5, 0.95),
        mean: bool = True,
        modes: bool = True,
        mesh_kwargs: dict[str, Any] | None = None,
        scatter_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        quantiles : tuple of floats, default=(0.05, 0.5, 0.95)
            Levels of the quantile lines; () for none.
        mean, modes : bool, default=True
            Whether to draw the mean, and the maxima of the densities that hold at
            least 2 % of the probability.
        mesh_kwargs, scatter_kwargs : dict, default=None
            Passed to ``ax.pcolormesh`` and ``ax.scatter``.

        Returns
        -------
        display : ConditionalDensityDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = one_axes(ax)
        self.ax_, self.figure_ = ax, ax.figure
        lows, highs = self.dist.ppf(0.01), self.dist.ppf(0.99)
        low, high = bulk_limits(lows, highs, self.y_data)
        y_grid = np.linspace(low, high, N_Y)
        self._draw_density(y_grid, mesh_kwargs or {})
        self._draw_lines(quantiles, mean, modes)
        self.scatter_ = None
        if self.y_data is not None:
            style = {"s": 4, "color": BLACK, "alpha": 0.3, "linewidths": 0}
            style |= scatter_kwargs or {}
            self.scatter_ = ax.scatter(self.x_data, self.y_data, label="data", **style)
        ax.set(
            xlabel=self.feature_name,
            ylabel=self.target_name,
            xlim=(self.values[0], self.values[-1]),
            ylim=(y_grid[0], y_grid[-1]),
        )
        above = legend_above(ax, markerscale=2)
        title_above(ax, "Conditional density", above, self.others)
        return self

    def _draw_density(self, y_grid, kwargs):
        density = self.dist.pdf(y_grid[None, :])
        # A few sharp peaks would leave the rest of the picture white.
        style = {"cmap": "Blues", "shading": "gouraud", "rasterized": True}
        style |= {"vmin": 0, "vmax": np.quantile(density, 0.99)}
        self.mesh_ = self.ax_.pcolormesh(
            self.values, y_grid, density.T, **(style | kwargs)
        )
        self.colorbar_ = self.figure_.colorbar(
            self.mesh_, ax=self.ax_, label="density", extend="max"
        )

    def _draw_lines(self, quantiles, mean, modes):
        ax, values, dist = self.ax_, self.values, self.dist
        self.mean_line_ = self.modes_ = None
        style = {"color": BLACK, "linewidth": 0.9, "linestyle": (0, (4, 2))}
        self.quantile_lines_ = [
            ax.plot(values, dist.ppf(level), **style)[0] for level in quantiles
        ]
        if self.quantile_lines_:
            self.quantile_lines_[0].set_label(f"quantiles {percent(quantiles)}")
        if mean:
            (self.mean_line_,) = ax.plot(
                values, dist.mean(), color=VERMILLION, linewidth=1.5, label="mean"
            )
        if modes:
            rows, locations = mode_points(dist, LEAST_MASS)
            self.modes_ = ax.scatter(
                values[rows], locations, s=5, color=ORANGE, linewidths=0, label="modes"
            )
