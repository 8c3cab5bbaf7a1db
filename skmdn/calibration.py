# SPDX-License-Identifier: BSD-3-Clause
"""Split-conformal recalibration: intervals that hold for any model, however bad."""

import numpy as np
from scipy import special
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted

from skmdn._distribution.checks import check_open_unit, new_generator
from skmdn._predict_dist import predict_dist
from skmdn.metrics._checks import check_rows, normalised_weight

__all__ = ["ConformalDistribution", "ConformalMDNRegressor"]

# Beyond +-38.5 the normal cdf is 0 or 1 in float64: such rows count as infinitely far.
_FARTHEST = 40.0
# Cumulated weights are compared with levels up to rounding.
_ROUNDING = 1e-12
# Probabilities between which the density is taken to be linear when regions are
# measured: evenly spaced, and into the tail, where targets are if the model is bad.
_LOWER_NODES = np.concatenate(
    [special.ndtr(np.linspace(-12, -2.7, 48)), np.arange(1, 129) / 256]
)


class ConformalDistribution:
    r"""Predicted distributions, recalibrated by the ranks of held-out rows.

    Made by `ConformalMDNRegressor.predict_dist`.

    Parameters
    ----------
    base : MixtureDistribution
        What the model predicts, one output.
    scores : dict of ndarray
        ``"normal"``: the PIT values of the calibration rows as quantiles of the normal
        distribution; ``"hpd"``: the smallest coverage of a highest-density region that
        holds their target; ``"weight"``: their weights.

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

    Unequal weights are read as the ratio of the densities of new and calibration inputs
    [3]_, and the unknown weight of a new row as the largest one that was seen.

    References
    ----------
    .. [1] V. Chernozhukov, K. Wüthrich and Y. Zhu, "Distributional conformal
       prediction", PNAS 118, 2021.
    .. [2] R. Izbicki, G. Shimizu and R. B. Stern, "CD-split and HPD-split: efficient
       conformal regions in high dimensions", J. Mach. Learn. Res. 23, 2022.
    .. [3] R. J. Tibshirani, R. Foygel Barber, E. J. Candès and A. Ramdas, "Conformal
       prediction under covariate shift", NeurIPS 2019.
    """

    n_outputs = 1

    def __init__(self, base, scores):
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

    def cdf(self, y):
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

    def ppf(self, q):
        """Recalibrated quantiles, the inverse of `cdf`.

        Parameters
        ----------
        q : array-like
            As for ``MixtureDistribution.ppf``.

        Returns
        -------
        quantiles : ndarray

        Raises
        ------
        ValueError
            If a level is not in [0, 1].
        """
        q = np.asarray(q, dtype=np.float64)
        if not np.all((q >= 0) & (q <= 1)):
            raise ValueError(f"q must lie in [0, 1]; got {q}.")
        knots, levels = self._curve()
        with np.errstate(divide="ignore"):  # the logarithm of a level of 0 or 1
            below = np.log(np.minimum(q / levels[0], 1))
            above = np.log(np.minimum((1 - q) / (1 - levels[-1]), 1))
        z = np.interp(q, levels, knots)
        low = special.ndtri_exp(below + special.log_ndtr(knots[0]))
        high = -special.ndtri_exp(above + special.log_ndtr(-knots[-1]))
        return self._quantile(np.where(below < 0, low, np.where(above < 0, high, z)))

    def median(self):
        """Recalibrated median.

        Returns
        -------
        median : ndarray of shape (n_samples,)
        """
        return self.ppf(0.5)

    def interval(self, coverage=0.9):
        """Central interval that holds a new target with at least this probability.

        Parameters
        ----------
        coverage : float, default=0.9
            In (0, 1). Each tail outside has at most half of the rest.

        Returns
        -------
        lower, upper : ndarray of shape (n_samples,)
            Infinite where there are too few calibration rows for this coverage: fewer
            than about ``2 / (1 - coverage)``.

        Raises
        ------
        ValueError
            If `coverage` is not in (0, 1).
        """
        level = (1 + check_open_unit("coverage", coverage)) / 2
        knots, weight = self.scores["normal"], self.scores["weight"]
        upper = conformal_quantile(knots, weight, level)
        lower = -conformal_quantile(-knots, weight, level)
        return self._quantile(lower), self._quantile(upper)

    def hdr(self, coverage=0.9):
        """Highest-density regions that hold a new target with this probability.

        Parameters
        ----------
        coverage : float, default=0.9
            In (0, 1).

        Returns
        -------
        regions : list of ndarray of shape (n_intervals, 2)
            As ``MixtureDistribution.hdr`` returns them; the whole line where there are
            too few calibration rows, fewer than about ``1 / (1 - coverage)``.

        Raises
        ------
        ValueError
            If `coverage` is not in (0, 1).
        """
        coverage = check_open_unit("coverage", coverage)
        level = conformal_quantile(self.scores["hpd"], self.scores["weight"], coverage)
        if level >= 1:
            return [np.array([[-np.inf, np.inf]]) for _ in range(len(self))]
        return self.base.hdr(level)

    def sample(self, size=None, random_state=None):
        """Draw from the recalibrated distributions.

        Parameters
        ----------
        size : int, default=None
            Draws of every row. None: one, without an axis for it.
        random_state : int, RandomState instance or None, default=None
            Seed, or generator to draw from.

        Returns
        -------
        samples : ndarray of shape (n_samples,) or (n_samples, size)
        """
        rng = new_generator(random_state)
        draws = self.ppf(rng.uniform(size=(len(self), 1 if size is None else size)))
        return draws[:, 0] if size is None else draws

    def _curve(self):
        """Points of R: sorted normal scores, and what the cdf is there."""
        order = np.argsort(self.scores["normal"], kind="stable")
        weight = self.scores["weight"][order]
        # The middle between the shares counted from below and from above, one of which
        # includes the weight of the new row: i / (n + 1) for equal weights.
        reached = np.cumsum(weight) - (weight - weight.max()) / 2
        return self.scores["normal"][order], reached / (weight.sum() + weight.max())

    def _quantile(self, z):
        """Turn normal scores into targets; from the nearer tail, to keep precision."""
        z = np.asarray(z)
        lower = self.base.ppf(special.ndtr(np.minimum(z, 0)))
        upper = self.base.isf(special.ndtr(-np.maximum(z, 0)))
        return np.where(z < 0, lower, upper)


def normal_scores(dist, y):
    """PIT values as quantiles of the normal distribution, precise in both tails."""
    lower, upper = special.ndtri(dist.cdf(y)), -special.ndtri(dist.sf(y))
    return np.clip(np.where(lower < 0, lower, upper), -_FARTHEST, _FARTHEST)


def conformal_quantile(scores, weight, level):
    """Smallest calibration score that a new score exceeds with at most 1 - `level`.

    For equal weights that of rank ``ceil((n + 1) * level)``; infinite beyond the last.
    """
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weight[order]) / (weight.sum() + weight.max())
    rank = np.searchsorted(reached, level - _ROUNDING)
    return scores[order[rank]] if rank < len(scores) else np.inf


def hpd_scores(dist, y):
    """Conformity to the density: how much mass is less dense than the target.

    With g(p) = pdf(ppf(p)) it is the measure of all p in (0, 1) with g(p) < pdf(y). The
    smallest highest-density region that holds y has the rest of the mass.

    Parameters
    ----------
    dist : MixtureDistribution
        One output.
    y : ndarray of shape (n_samples,)

    Returns
    -------
    scores : ndarray of shape (n_samples,)
        In [0, 1], small for improbable targets.
    """
    lower = _LOWER_NODES
    density = np.zeros((len(dist), 2 * len(lower) + 1))
    density[:, 1 : len(lower) + 1] = dist.pdf(dist.ppf(lower[None, :]))
    density[:, len(lower) : -1] = dist.pdf(dist.isf(lower[None, ::-1]))
    mass = np.diff(lower, prepend=0.0)
    mass = np.concatenate([mass, mass[::-1]])
    level = dist.pdf(y)[:, None]
    low = np.minimum(density[:, :-1], density[:, 1:])
    high = np.maximum(density[:, :-1], density[:, 1:])
    # The part of every piece of a broken line that is below the level.
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.clip((level - low) / (high - low), 0, 1)
    return np.where(high > low, part, low < level) @ mass


class ConformalMDNRegressor(MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    """Intervals and regions with guaranteed coverage around any density regressor.

    Part of the data is held out from training; the ranks of its targets in the
    predicted distributions say what these distributions are worth. See
    `ConformalDistribution` for what is guaranteed.

    Parameters
    ----------
    estimator : estimator instance
        `MDNRegressor`, or a pipeline or search around one. Wrapped in scikit-learn's
        `FrozenEstimator` it must be fitted already, and all data are used to calibrate:
        they must not be those that it was fitted to.
    calibration_fraction : float, default=0.2
        Part of the rows that is held out to calibrate.
    random_state : int, RandomState instance or None, default=None
        Decides which rows.

    Attributes
    ----------
    estimator_ : estimator instance
        The fitted estimator.
    n_calibration_rows_ : int
        Rows of positive weight that were used to calibrate.
    n_features_in_ : int
        Number of inputs, where the estimator knows it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the inputs, where `X` has such.

    See Also
    --------
    sklearn.calibration.CalibratedClassifierCV : Calibration of classifiers.
    skmdn.inspection.CoverageDisplay : Shows whether calibration is needed.

    References
    ----------
    .. [1] V. Chernozhukov, K. Wüthrich and Y. Zhu, "Distributional conformal
       prediction", PNAS 118, 2021.
    .. [2] R. Izbicki, G. Shimizu and R. B. Stern, "CD-split and HPD-split: efficient
       conformal regions in high dimensions", J. Mach. Learn. Res. 23, 2022.

    Examples
    --------
    >>> from skmdn import MDNRegressor
    >>> from skmdn.calibration import ConformalMDNRegressor
    >>> from skmdn.datasets import make_heteroscedastic
    >>> X, y = make_heteroscedastic(500, random_state=0)
    >>> mdn = MDNRegressor(2, max_iter=5, random_state=0)  # stopped much too early
    >>> model = ConformalMDNRegressor(mdn, random_state=0).fit(X, y)
    >>> lower, upper = model.predict_dist(X).interval(0.9)
    >>> lower.shape
    (500,)
    """

    def __init__(self, estimator, *, calibration_fraction=0.2, random_state=None):
        self.estimator = estimator
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        """Fit the estimator to one part of the data and calibrate on the other.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, for the estimator and for calibration.

        Returns
        -------
        self : ConformalMDNRegressor

        Raises
        ------
        ValueError
            If there are several outputs, `calibration_fraction` is not in (0, 1), or
            the data are not what the estimator accepts.
        TypeError
            If the estimator gives no distributions.
        """
        if np.ndim(y) == 2 and np.shape(y)[1] > 1:
            raise ValueError(
                f"y has {np.shape(y)[1]} outputs: quantiles, and hence calibration, "
                "need a single one."
            )
        fraction = check_open_unit("calibration_fraction", self.calibration_fraction)
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
        if isinstance(self.estimator, FrozenEstimator):
            self.estimator_, held_out = self.estimator.estimator, (X, y, weight)
        else:
            parts = train_test_split(
                X, y, weight, test_size=fraction, random_state=self.random_state
            )
            held_out = parts[1::2]
            fit_params = self._fit_params(sample_weight, parts[4])
            self.estimator_ = clone(self.estimator).fit(*parts[:4:2], **fit_params)
        self._calibrate(*held_out)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def _fit_params(self, sample_weight, training_weight):
        """Weights of the training rows, under the name the estimator asks for."""
        if sample_weight is None:
            return {}
        if not get_config()["enable_metadata_routing"]:
            return {"sample_weight": training_weight}
        routed = process_routing(self, "fit", sample_weight=sample_weight)
        return dict.fromkeys(routed.estimator.fit, training_weight)

    def _calibrate(self, X, y, sample_weight):
        weight = normalised_weight(sample_weight, len(y))
        dist = predict_dist(self.estimator_, X)
        y = check_rows(y, dist, "isf")
        dist, y, weight = dist[weight > 0], y[weight > 0], weight[weight > 0]
        self.n_calibration_rows_ = len(y)
        self._scores = {
            "normal": normal_scores(dist, y),
            "hpd": hpd_scores(dist, y),
            "weight": weight,
        }

    def predict_dist(self, X):
        """Recalibrated conditional distributions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        dist : ConformalDistribution
        """
        check_is_fitted(self)
        return ConformalDistribution(predict_dist(self.estimator_, X), self._scores)

    def predict(self, X):
        """Predict as the estimator does; calibration does not change the mean.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def score(self, X, y, sample_weight=None):
        """Score of the estimator; a calibrated distribution has no likelihood.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.estimator_.score(X, y, **weights)

    def get_metadata_routing(self):
        """Tell scikit-learn which metadata this estimator asks for and passes on.

        Returns
        -------
        routing : MetadataRouter
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self):
        """Tags of the estimator inside, for one output."""
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.regressor_tags = inner.regressor_tags
        return tags
