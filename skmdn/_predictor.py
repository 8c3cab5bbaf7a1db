# SPDX-License-Identifier: BSD-3-Clause
"""What every regressor of the package predicts, once it has a conditional mixture."""

from abc import abstractmethod

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from skmdn._distribution.checks import new_generator
from skmdn._output_types import check_output_type, summarise
from skmdn._sklearn import check_inputs, check_targets, check_weights

# Numbers of components that are in memory at a time when a summary is asked for.
_COMPONENTS_AT_ONCE = 2**20


class DistributionRegressor(RegressorMixin, BaseEstimator):
    """Abstract: a fitted subclass has a conditional mixture and its attributes."""

    @abstractmethod
    def _mixture(self):
        """Return the fitted model: ``distribution(X, n_jobs)`` and ``size``."""

    def predict(self, X, *, output_type="mean", quantiles=None, return_std=False):
        """Predict the mean, or another summary, of the conditional distribution.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        output_type : {"mean", "median", "mode", "quantiles", "full"}, default="mean"
            "median" and "quantiles" are for one output. "mode" is where the density is
            greatest, of all outputs together. "full" is what `predict_dist` returns.
        quantiles : array-like of shape (n_quantiles,), default=None
            Levels in (0, 1), for ``output_type="quantiles"``. None: 0.1, 0.2, ..., 0.9.
        return_std : bool, default=False
            Whether to return the standard deviation too; for ``output_type="mean"``.

        Returns
        -------
        prediction : ndarray of the shape of `y` in `fit`, or MixtureDistribution
            (n_samples, n_quantiles) for quantiles.
        std : ndarray of the shape of `prediction`
            Only if `return_std`.

        Raises
        ------
        ValueError
            If `output_type` is none of these, or does not go with the other parameters
            or with the number of outputs.
        """
        check_is_fitted(self)
        levels = check_output_type(output_type, quantiles, self.n_outputs_)
        if return_std and output_type != "mean":
            raise ValueError(
                'return_std=True is for output_type="mean"; got '
                f'output_type="{output_type}".'
            )
        if output_type == "full":
            return self.predict_dist(X)
        values, std = [], []
        for part in self._distributions(check_inputs(self, X)):
            values.append(summarise(part, output_type, levels))
            if return_std:
                std.append(part.std())
        prediction = np.concatenate(values)
        if output_type != "quantiles":
            prediction = self._like_y(prediction)
        if return_std:
            return prediction, self._like_y(np.concatenate(std))
        return prediction

    def predict_dist(self, X):
        """Conditional distribution at every row of `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        distribution : MixtureDistribution
            Of `n_samples` rows.
        """
        check_is_fitted(self)
        X = check_inputs(self, X)
        return self._mixture().distribution(X, effective_n_jobs(self.n_jobs))

    def sample(self, X, n_samples=1, random_state=None):
        """Draw targets from the conditional distribution.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Inputs.
        n_samples : int, default=1
            Draws for every row.
        random_state : int, RandomState instance or None, default=None
            None: that of the estimator.

        Returns
        -------
        samples : ndarray of shape (n_rows, n_samples) or (n_rows, n_outputs, n_samples)
            The latter for several outputs.
        """
        rng = new_generator(self.random_state if random_state is None else random_state)
        return self.predict_dist(X).sample(n_samples, random_state=rng)

    def logpdf(self, X, y):
        """Conditional log-density of targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; for several outputs the density is the joint one.

        Returns
        -------
        logpdf : ndarray of shape (n_samples,)
            In nats, for the units of `y`.
        """
        check_is_fitted(self)
        X, Y = check_targets(self, X, y, self.n_outputs_)
        if self.n_outputs_ == 1:
            Y = Y[:, 0]
        parts, done = [], 0
        for part in self._distributions(X):
            parts.append(part.logpdf(Y[done : done + len(part)]))
            done += len(part)
        return np.concatenate(parts)

    def score(self, X, y, sample_weight=None):
        """Mean log-likelihood of the rows, in nats: greater is better.

        It sees the whole distribution, hence `n_components`. The coefficient of
        determination of the mean, which other regressors return, is
        ``sklearn.metrics.r2_score(y, mdn.predict(X))``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
        """
        logpdf = self.logpdf(X, y)
        weight = check_weights(sample_weight, logpdf)
        return float(np.average(logpdf, weights=weight))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True  # The score is a log-likelihood.
        return tags

    def _distributions(self, X):
        """Conditional distributions, a limited number of rows at a time."""
        mixture, n_jobs = self._mixture(), effective_n_jobs(self.n_jobs)
        step = max(64, _COMPONENTS_AT_ONCE // mixture.size)
        for start in range(0, len(X), step):
            yield mixture.distribution(X[start : start + step], n_jobs)

    def _like_y(self, values):
        return values.reshape(len(values), -1) if self._y_ndim == 2 else values

    def _store(self, fitted):
        """Become fitted; nothing of this object changed before."""
        if "feature_names_in_" not in fitted:
            vars(self).pop("feature_names_in_", None)
        vars(self).update(fitted)
