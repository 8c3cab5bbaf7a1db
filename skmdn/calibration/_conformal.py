# SPDX-License-Identifier: BSD-3-Clause
"""Predicted distributions that were recalibrated by the ranks of held-out rows."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from skmdn._distribution.checks import (
    check_integer,
    check_levels,
    check_open_unit,
    new_generator,
)
from skmdn._distribution.errstate import own_errstate
from skmdn._typing import FloatArray, Seed
from skmdn.calibration._scores import conformal_quantile, normal_scores

# Regions of less mass are enlarged. Those of more become the whole line: their mass is
# not exact enough.
_LEAST_MASS, _GREATEST_MASS = 1e-9, 1 - 1e-9
# The normal cdf there is just above the smallest number of full precision.
_END = 37.5
# What a density would be needed for.
_OF_DENSITIES = ("pdf", "logpdf", "modes", "entropy", "mean", "std", "weights", "means")


@own_errstate(all="ignore")
class ConformalDistribution:
    r"""Predicted distributions, recalibrated by the ranks of held-out rows.

    Made by `ConformalMDNRegressor.predict_dist`.

    Parameters
    ----------
    base : MixtureDistribution
        What the model predicts, one output.
    scores : dict of ndarray
        ``"normal"``: the PIT values of the calibration rows as quantiles of the normal
        distribution; ``"hpd"``: the mass that is less dense than their targets;
        ``"weight"``: their weights; ``"unit"``: the weight of a new row.

    Notes
    -----
    With the predicted cdf :math:`F_x` and the calibration rows' :math:`U_i =
    F_{x_i}(y_i)` in increasing order, the recalibrated cdf at :math:`y` is
    :math:`R(F_x(y))` [1]_, where R runs through the points :math:`(U_i, i / (n + 1))`.
    Between the points R is linear in the normal quantile of :math:`F_x(y)`, outside it
    keeps the shape of the model's tails: R is continuous and increasing, so that `ppf`
    is its inverse. There is no `pdf`: it would jump at every calibration row.

    `interval` and `hdr` round outwards to a calibration row. Then they hold a new
    target with at least the probability that was asked for, whatever the model, if the
    new row and the calibration rows are exchangeable; on average over calibration sets
    and rows, not for every input. For `hdr` the rank is that of the highest-density
    region [2]_.

    Weights that are whole multiples of the smallest count rows: one of weight 2 is two
    rows. Others are read as the ratio of the densities of new and calibration inputs
    [3]_, and the unknown weight of a new row as the largest one that was seen.

    References
    ----------
    .. [1] V. Chernozhukov, K. Wüthrich and Y. Zhu, "Distributional conformal
       prediction", PNAS 118, 2021.
    .. [2] R. Izbicki, G. Shimizu and R. B. Stern, "CD-split and HPD-split: efficient
       conformal regions in high dimensions", J. Mach. Learn. Res. 23, 2022.
    .. [3] R. J. Tibshirani, R. Foygel Barber, E. J. Candès and A. Ramdas, "Conformal
       prediction under covariate shift", NeurIPS 2019.

    Examples
    --------
    >>> from skmdn import MDNRegressor
    >>> from skmdn.calibration import ConformalMDNRegressor
    >>> from skmdn.datasets import make_heteroscedastic
    >>> X, y = make_heteroscedastic(500, random_state=0)
    >>> mdn = MDNRegressor(2, max_iter=5, random_state=0)
    >>> dist = ConformalMDNRegressor(mdn, random_state=0).fit(X, y).predict_dist(X)
    >>> dist
    ConformalDistribution(rows=500, calibration_rows=100)
    >>> bool((dist.ppf(0.1) < dist.ppf(0.9)).all())
    True
    """

    n_outputs = 1

    def __init__(self, base: Any, scores: Any) -> None:
        self.base = base
        self.scores = scores

    def __len__(self):
        return len(self.base)

    def __getitem__(self, rows):
        """Select rows, as a distribution again."""
        return ConformalDistribution(self.base[rows], self.scores)

    def __repr__(self):
        return (
            f"ConformalDistribution(rows={len(self)}, "
            f"calibration_rows={len(self.scores['normal'])})"
        )

    def cdf(self, y: ArrayLike) -> FloatArray:
        """Recalibrated P(Y <= y).

        Parameters
        ----------
        y : array-like
            As for ``MixtureDistribution.cdf``.

        Returns
        -------
        cdf : ndarray
            Strictly between 0 and 1 unless the model's own cdf is 0 or 1.
        """
        knots, levels = self._curve()
        z = normal_scores(self.base, y)
        first, last = knots[0], knots[-1]
        below = np.exp(special.log_ndtr(np.minimum(z, first)) - special.log_ndtr(first))
        above = np.exp(special.log_ndtr(-np.maximum(z, last)) - special.log_ndtr(-last))
        inside = np.interp(z, knots, levels)
        outside = np.where(z < first, below * levels[0], 1 - above * (1 - levels[-1]))
        return np.where((z < first) | (z > last), outside, inside)

    def ppf(self, q: ArrayLike) -> FloatArray:
        """Recalibrated quantiles, the inverse of `cdf`.

        Parameters
        ----------
        q : array-like
            As for ``MixtureDistribution.ppf``: a number, levels for every row (m,), or
            one level a row (n_samples, 1).

        Returns
        -------
        quantiles : ndarray of shape (n_rows,) for a number, else (n_rows, m)

        Raises
        ------
        ValueError
            If `q` has another shape or leaves [0, 1].
        """
        q, shape = check_levels("q", q, len(self))
        return self._quantile(self._score(q)).reshape(shape)

    def median(self) -> FloatArray:
        """Recalibrated median.

        Returns
        -------
        median : ndarray of shape (n_samples,)
        """
        return self.ppf(0.5)

    def interval(self, coverage: ArrayLike = 0.9) -> tuple[FloatArray, FloatArray]:
        """Central interval that holds a new target with at least this probability.

        Parameters
        ----------
        coverage : float or array-like, default=0.9
            In (0, 1); shapes as for ``MixtureDistribution.interval``. Each tail outside
            has at most half of the rest.

        Returns
        -------
        lower, upper : ndarray of shape (n_samples,) for a number, else (n_samples, m)
            Infinite where there are too few calibration rows for this coverage: fewer
            than about ``2 / (1 - coverage)``.

        Raises
        ------
        ValueError
            If `coverage` is not in (0, 1).
        """
        coverage, shape = check_levels("coverage", coverage, len(self), inside=True)
        level, knots = (1 + coverage) / 2, self.scores["normal"]
        weight, unit = self._weights()
        upper = conformal_quantile(knots, weight, unit, level)
        lower = -conformal_quantile(-knots, weight, unit, level)
        lower, upper = self._quantile(lower), self._quantile(upper)
        return lower.reshape(shape), upper.reshape(shape)

    def hdr(self, coverage: float = 0.9) -> list[FloatArray]:
        """Highest-density regions that hold a new target with this probability.

        Parameters
        ----------
        coverage : float, default=0.9
            In (0, 1).

        Returns
        -------
        regions : list of ndarray of shape (n_intervals, 2)
            As ``MixtureDistribution.hdr`` returns them. The whole line if there are too
            few calibration rows, fewer than about ``1 / (1 - coverage)``, or the model
            gives the targets so little probability that 1 - 1e-9 would be needed.

        Raises
        ------
        ValueError
            If `coverage` is not in (0, 1).
        """
        coverage = check_open_unit("coverage", coverage)
        # A region of the mass that is denser than the least dense row it must include.
        weight, unit = self._weights()
        mass = 1 + conformal_quantile(-self.scores["hpd"], weight, unit, coverage)
        if mass > _GREATEST_MASS:
            return [np.array([[-np.inf, np.inf]]) for _ in range(len(self))]
        return self.base.hdr(max(mass, _LEAST_MASS))

    def mode(self) -> FloatArray:
        """Where the density of the model is greatest: calibration leaves it there.

        Returns
        -------
        mode : ndarray of shape (n_samples,)
        """
        return self.base.mode()

    def sample(
        self, n_samples: int | None = None, random_state: Seed = None
    ) -> FloatArray:
        """Draw from the recalibrated distributions.

        Parameters
        ----------
        n_samples : int, default=None
            Draws of every row. None: one, without an axis for it.
        random_state : int, RandomState instance or None, default=None
            Seed, or generator to draw from.

        Returns
        -------
        samples : ndarray of shape (n_rows,) or (n_rows, n_samples)
            Always finite. Where calibration rows lay so far out that the model's cdf
            there is 0 or 1 in float64, nobody knows how far the next one lies: `ppf`
            says infinity, and the draw is where the model leaves a probability of
            4.6e-308, 37.5 standard deviations out for a Gaussian.
        """
        n_draws = 1 if n_samples is None else check_integer("n_samples", n_samples, 0)
        q = new_generator(random_state).uniform(size=(len(self), n_draws))
        draws = self._quantile(np.clip(self._score(q), -_END, _END))
        return draws[:, 0] if n_samples is None else draws

    def affine(self, scale: float, shift: float = 0.0) -> "ConformalDistribution":
        """Distribution of ``scale * Y + shift``, as `TransformedTargetRegressor` needs.

        Parameters
        ----------
        scale : float
            Not 0; may be negative.
        shift : float, default=0.0
            In the units of the result.

        Returns
        -------
        dist : ConformalDistribution
        """
        base, scores = self.base.affine(scale, shift), self.scores
        if np.all(np.asarray(scale) < 0):  # What was below is above.
            scores = scores | {"normal": -scores["normal"]}
        return ConformalDistribution(base, scores)

    def __getattr__(self, name):
        """Say why there is no density."""
        if name in _OF_DENSITIES:
            raise AttributeError(
                f"ConformalDistribution has no {name}: recalibrated by ranks, it has "
                "cdf, ppf, interval, hdr and sample, but no density: that of the model "
                f"is dist.base.{name}."
            )
        raise AttributeError(f"ConformalDistribution has no attribute {name!r}.")

    def _weights(self):
        return self.scores["weight"], self.scores["unit"]

    def _curve(self):
        """Points of R: distinct normal scores, and what the cdf is there."""
        knots, place = np.unique(self.scores["normal"], return_inverse=True)
        weight, unit = self._weights()
        weight = np.bincount(place, weights=weight)
        # The middle between the shares counted from below and from above, one of which
        # includes the weight of the new row: i / (n + 1) for equal weights.
        reached = np.cumsum(weight) - (weight - unit) / 2
        return knots, reached / (weight.sum() + unit)

    def _score(self, q):
        """Turn levels of R into normal scores."""
        knots, levels = self._curve()
        with np.errstate(divide="ignore"):  # the logarithm of a level of 0 or 1
            below = np.log(np.minimum(q / levels[0], 1))
            above = np.log(np.minimum((1 - q) / (1 - levels[-1]), 1))
        z = np.interp(q, levels, knots)
        low = special.ndtri_exp(below + special.log_ndtr(knots[0]))
        high = -special.ndtri_exp(above + special.log_ndtr(-knots[-1]))
        return np.where(below < 0, low, np.where(above < 0, high, z))

    def _quantile(self, z):
        """Turn normal scores into targets; from the nearer tail, to keep precision."""
        z = np.asarray(z)
        lower = self.base.ppf(special.ndtr(np.minimum(z, 0)))
        upper = self.base.isf(special.ndtr(-np.maximum(z, 0)))
        return np.where(z < 0, lower, upper)
