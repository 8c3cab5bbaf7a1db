# SPDX-License-Identifier: BSD-3-Clause
"""Calibration at a glance: PIT histogram, reliability curve, interval coverage."""

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from skmdn._distribution.checks import check_open_unit
from skmdn._estimators.unwrap import predict_dist
from skmdn._fit.discrete import discrete_outputs, point_masses
from skmdn._typing import FloatArray
from skmdn.inspection._inputs import one_output
from skmdn.inspection._style import (
    BLACK,
    BLUE,
    GREY,
    WIDTH,
    legend_above,
    one_axes,
    percent,
    several_axes,
    tint,
    title_above,
)
from skmdn.metrics import pit_values
from skmdn.metrics._checks import normalised_weight

N_LEVELS = 101
BAND_COLOR = tint(GREY, 0.45)


class _PITPicture(ABC):
    """What the pictures of PIT values share: where the values come from."""

    def __init__(
        self, pit: FloatArray, *, sample_weight: ArrayLike | None = None, note: str = ""
    ) -> None:
        self.pit = pit
        self.sample_weight = sample_weight
        self.note = note

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike, **kwargs: Any
    ) -> Self:
        """Draw from a fitted estimator and held-out data.

        Parameters
        ----------
        estimator : estimator instance
            Fitted `MDNRegressor`, or pipeline or search around one.
        X : array-like of shape (n_samples, n_features)
            Inputs that the estimator was not fitted to.
        y : array-like of shape (n_samples,)
            Observed targets.
        **kwargs
            Passed to `from_predictions`.

        Returns
        -------
        display : PITDisplay or CoverageDisplay
        """
        return cls.from_predictions(y, predict_dist(estimator, X), **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        dist: Any,
        *,
        sample_weight: ArrayLike | None = None,
        target: int | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw from predicted distributions.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Observed targets.
        dist : MixtureDistribution or ConformalDistribution
            Distribution of every row.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        target : int, default=None
            Which output to show; needed if there are several.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : PITDisplay or CoverageDisplay

        Raises
        ------
        ValueError
            If the lengths differ or `target` is missing.
        ImportError
            If matplotlib is not installed.
        """
        dist, y = one_output(dist, y_true, target)
        weight = normalised_weight(sample_weight, len(y))
        display: Any = cls(
            pit_values(y, dist),
            sample_weight=sample_weight,
            note=note_on_repetition(y, weight),
        )
        return display.plot(ax, **kwargs)

    @abstractmethod
    def plot(self, ax=None):
        """Draw and return self."""


def note_on_repetition(y, weight):
    """Words on targets that repeat, whose PIT values are not uniform; "" for none."""
    values, shares = point_masses(y, weight)
    if len(values):
        places = ", ".join(f"{value:.4g}" for value in values[:3])
        return (
            f"{percent([shares.sum()])} of the targets are {places}: not continuous, "
            "hence not uniform"
        )
    if len(discrete_outputs(y[:, None], weight)):
        return "the targets repeat: not continuous, hence not uniform"
    return ""


def share_below(values, weight, levels):
    """Weighted empirical distribution function."""
    return (values[:, None] <= levels).T @ weight


def binomial_band(probability, weight, confidence):
    """Range of the weighted share of rows in an event of this probability.

    Binomial with the effective number of rows of L. Kish, "Survey Sampling", 1965.
    """
    n_rows = max(1, round(1 / np.sum(weight**2)))
    low, high = stats.binom.interval(confidence, n_rows, probability)
    return low / n_rows, high / n_rows


def draw_reliability(ax, observed, weight, confidence):
    """Draw a curve of observed against nominal shares, with its band and diagonal."""
    levels = np.linspace(0, 1, N_LEVELS)
    band = ax.fill_between(
        levels,
        *binomial_band(levels, weight, confidence),
        color=BAND_COLOR,
        linewidth=0,
        label=f"{percent([confidence])} band",
    )
    ax.plot([0, 1], [0, 1], color=BLACK, linewidth=0.8, linestyle="--")
    (line,) = ax.plot(
        levels,
        share_below(observed, weight, levels),
        color=BLUE,
        linewidth=1.4,
        label="observed",
    )
    ax.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    return band, line


class PITDisplay(_PITPicture):
    """PIT histogram with its confidence band, and reliability curve.

    For a calibrated model the bars and the curve stay inside their bands, up to the
    chance the band allows: it holds for each bar, and each point of the curve, alone.
    See `from_estimator` and `from_predictions`. All parameters are stored as
    attributes.

    Parameters
    ----------
    pit : ndarray of shape (n_samples,)
        Predicted cdf at the observed targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    note : str, default=""
        What to show below the title: `from_predictions` says whether targets repeat.

    Attributes
    ----------
    histogram_ : StepPatch
        The histogram, of mean height 1.
    line_ : Line2D
        Part of the rows whose PIT value is at most p, against p.
    axes_ : ndarray of shape (2,)
        Axes of the histogram and of the curve.
    ax_ : Axes
        The first of them.
    figure_ : Figure
        The figure.

    See Also
    --------
    skmdn.metrics.pit_values : How to read the values.
    skmdn.metrics.calibration_error : The distance of the curve from the diagonal.

    References
    ----------
    .. [1] T. Gneiting, F. Balabdaoui and A. E. Raftery, "Probabilistic forecasts,
       calibration and sharpness", J. R. Stat. Soc. B 69, 2007.
    .. [2] V. Kuleshov, N. Fenner and S. Ermon, "Accurate uncertainties for deep
       learning using calibrated regression", ICML 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skmdn.inspection import PITDisplay
    >>> display = PITDisplay(np.random.RandomState(0).uniform(size=200)).plot()
    """

    def plot(
        self, ax: Any = None, *, n_bins: int = 10, confidence: float = 0.9
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or array of two, default=None
            One gives its place to the two panels; None makes a figure.
        n_bins : int, default=10
            Bars of the histogram.
        confidence : float, default=0.9
            Probability with which each bar, and each point of the curve, of a
            calibrated model lies in the band.

        Returns
        -------
        display : PITDisplay

        Raises
        ------
        ValueError
            If `confidence` is not in (0, 1).
        ImportError
            If matplotlib is not installed.
        """
        confidence = check_open_unit("confidence", confidence)
        weight = normalised_weight(self.sample_weight, len(self.pit))
        self.axes_ = several_axes(ax, 1, 2, height=0.6 * WIDTH)
        histogram, curve = self.axes_
        self._draw_histogram(histogram, weight, n_bins, confidence)
        band, self.line_ = draw_reliability(curve, self.pit, weight, confidence)
        curve.set(xlabel="expected share", ylabel="observed share")
        above = legend_above(histogram, [self.line_])
        legend_above(curve, [band])
        title_above(histogram, "PIT values and reliability", above, self.note)
        self.ax_, self.figure_ = histogram, histogram.figure
        return self

    def _draw_histogram(self, ax, weight, n_bins, confidence):
        edges = np.linspace(0, 1, n_bins + 1)
        share, _ = np.histogram(self.pit, edges, weights=weight)
        low, high = binomial_band(1 / n_bins, weight, confidence)
        ax.axhspan(low * n_bins, high * n_bins, color=BAND_COLOR, linewidth=0)
        ax.axhline(1, color=BLACK, linewidth=0.8, linestyle="--")
        self.histogram_ = ax.stairs(share * n_bins, edges, color=BLUE, linewidth=1.4)
        ax.set(xlim=(0, 1), ylim=(0, None), xticks=(0, 0.5, 1))
        ax.set(xlabel="PIT value", ylabel="density")


class CoverageDisplay(_PITPicture):
    """Coverage of central intervals against their nominal probability.

    Above the diagonal the intervals are too wide, below too narrow. See
    `from_estimator` and `from_predictions`. All parameters are stored as attributes.

    Parameters
    ----------
    pit : ndarray of shape (n_samples,)
        Predicted cdf at the observed targets. A target lies in the central interval of
        probability c where ``abs(2 * pit - 1) <= c``.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    note : str, default=""
        What to show below the title: `from_predictions` says whether targets repeat.

    Attributes
    ----------
    line_ : Line2D
        Part of the rows inside the interval of probability c, against c.
    ax_ : Axes
        The axes.
    figure_ : Figure
        The figure.

    See Also
    --------
    skmdn.metrics.coverage_score : The number at one probability.

    Examples
    --------
    >>> import numpy as np
    >>> from skmdn.inspection import CoverageDisplay
    >>> display = CoverageDisplay(np.random.RandomState(0).uniform(size=200)).plot()
    """

    def plot(self, ax: Any = None, *, confidence: float = 0.9) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        confidence : float, default=0.9
            Probability with which each point of the curve of a calibrated model lies in
            the band.

        Returns
        -------
        display : CoverageDisplay

        Raises
        ------
        ValueError
            If `confidence` is not in (0, 1).
        ImportError
            If matplotlib is not installed.
        """
        confidence = check_open_unit("confidence", confidence)
        weight = normalised_weight(self.sample_weight, len(self.pit))
        ax = one_axes(ax)
        needed = np.abs(2 * np.asarray(self.pit) - 1)
        band, self.line_ = draw_reliability(ax, needed, weight, confidence)
        ax.set(xlabel="nominal coverage", ylabel="observed coverage")
        above = legend_above(ax, [self.line_, band])
        title_above(ax, "Coverage of central intervals", above, self.note)
        self.ax_, self.figure_ = ax, ax.figure
        return self
