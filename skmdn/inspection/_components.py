# SPDX-License-Identifier: BSD-3-Clause
"""Weights, means and scales of the components along one input."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skmdn._typing import FloatArray
from skmdn.inspection._inputs import columns, one_output, target_name, vary
from skmdn.inspection._shapes import bulk_limits
from skmdn.inspection._style import (
    BLACK,
    CYCLE,
    legend_above,
    scale_axis,
    several_axes,
    title_above,
)

# Of another length than the colours: told apart in grey as well.
LINE_STYLES = ("-", "--", "-.", ":")


class ComponentDisplay:
    """Weights, means and scales of the components along one input.

    The means and scales of a component are drawn where it carries weight, since they
    mean nothing elsewhere. See `from_estimator`. All parameters are stored as
    attributes.

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
        Observations to show behind the means.

    Attributes
    ----------
    components_ : ndarray of int
        Which components are shown.
    weight_lines_, mean_lines_, scale_lines_ : list of Line2D
        Their lines.
    scatter_ : PathCollection or None
        The observations.
    axes_ : ndarray of shape (3,)
        Axes of weights, means and scales.
    ax_ : Axes
        The first of them.
    figure_ : Figure
        The figure.

    See Also
    --------
    ConditionalDensityDisplay : The density that the components make up.

    Examples
    --------
    >>> from skmdn import MDNRegressor
    >>> from skmdn.datasets import make_inverse_sine
    >>> from skmdn.inspection import ComponentDisplay
    >>> X, y = make_inverse_sine(random_state=0)
    >>> mdn = MDNRegressor(3, max_iter=20, random_state=0).fit(X, y)
    >>> display = ComponentDisplay.from_estimator(mdn, X, 0, y)
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
        grid_resolution: int = 200,
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
            Observations to show behind the means.
        others : "median" or array-like of shape (n_features,), default="median"
            "median": hold the other inputs at an observed value near the middle, or at
            the most frequent one where they are categories; an array: at the values of
            this row.
        target : int, default=None
            Which output to show; needed if there are several.
        grid_resolution : int, default=200
            Number of values of the input.
        ax : matplotlib Axes or array of three, default=None
            One gives its place to the three panels; None makes a figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : ComponentDisplay

        Raises
        ------
        ValueError
            If there is no such feature, output or way to treat the others.
        TypeError
            If the estimator gives no density.
        ImportError
            If matplotlib is not installed.
        """
        if isinstance(others, str) and others != "median":
            raise ValueError(
                f'others must be "median" or the values of a row; got {others!r}: '
                "components have no average."
            )
        values, dist, name, words = vary(
            estimator,
            X,
            features,
            cls.__name__,
            others=others,
            grid_resolution=grid_resolution,
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
        self, ax: Any = None, *, max_components: int = 8, min_weight: float = 0.02
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or array of three, default=None
            One gives its place to the three panels; None makes a figure.
        max_components : int, default=8
            Only those with the greatest average weight are shown, 14 at most, and none
            that never reaches `min_weight`.
        min_weight : float, default=0.02
            Means and scales are drawn where the weight is at least this, or half of
            the greatest one if that is less.

        Returns
        -------
        display : ComponentDisplay

        Raises
        ------
        ValueError
            If `max_components` is not between 1 and 14.
        ImportError
            If matplotlib is not installed.
        """
        limit = 2 * len(CYCLE)
        if max_components not in range(1, limit + 1):
            raise ValueError(
                f"max_components must be an integer from 1 to {limit}; "
                f"got {max_components!r}."
            )
        self.axes_ = several_axes(ax, 3, 1, height=4.2, sharex=True)
        top, middle, bottom = self.axes_
        weights = self.dist.weights
        min_weight = min(min_weight, weights.max() / 2)  # something is always shown
        self.components_ = self._heaviest(max_components, min_weight)
        self.scatter_ = None
        if self.y_data is not None:
            style = {"s": 4, "color": BLACK, "alpha": 0.2, "linewidths": 0}
            self.scatter_ = middle.scatter(self.x_data, self.y_data, **style)
        means, scales = (
            np.where(weights < min_weight, np.nan, parameter)
            for parameter in (self.dist.means, self.dist.scales)
        )
        self.weight_lines_ = self._draw_lines(top, weights)
        self.mean_lines_ = self._draw_lines(middle, means)
        self.scale_lines_ = self._draw_lines(bottom, scales)
        top.set(ylabel="weight", ylim=(0, 1.05 * weights.max()))
        middle.set(ylabel=f"mean of {self.target_name}")
        means, scales = means[:, self.components_], scales[:, self.components_]
        middle.set_ylim(bulk_limits(means, means, self.y_data))
        bottom.set(ylabel="scale", xlabel=self.feature_name)
        scale_axis(bottom, scales)
        for axes in (top, middle):
            axes.tick_params(labelbottom=False)
        top.set_xlim(self.values[0], self.values[-1])
        top.figure.align_ylabels(self.axes_)
        above = legend_above(top, n_cols=6, handlelength=2.2, columnspacing=0.8)
        n_shown, n_all = len(self.components_), self.dist.n_components
        shown = "" if n_shown == n_all else f", the heaviest {n_shown} of {n_all}"
        title_above(top, f"Components{shown}", above, self.others)
        self.ax_, self.figure_ = top, top.figure
        return self

    def _heaviest(self, max_components, min_weight):
        """Components to show: never those that are light everywhere, as of a tail."""
        weights = self.dist.weights
        order = np.argsort(-weights.mean(axis=0), kind="stable")
        heavy = weights.max(axis=0)[order] >= min_weight
        return np.sort(order[heavy][:max_components])

    def _draw_lines(self, ax, parameter):
        """Draw a parameter of the components that are shown."""
        lines = []
        for place, component in enumerate(self.components_):
            lines += ax.plot(
                self.values,
                parameter[:, component],
                color=CYCLE[place % len(CYCLE)],
                linestyle=LINE_STYLES[place % len(LINE_STYLES)],
                linewidth=1.2,
                label=str(component),
            )
        return lines
