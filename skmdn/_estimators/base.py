# SPDX-License-Identifier: BSD-3-Clause
"""What every regressor of the package predicts, once it has a conditional mixture."""

from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from skmdn._distribution.checks import check_integer
from skmdn._distribution.errstate import own_errstate
from skmdn._distribution.sampling import new_seed
from skmdn._estimators.output_types import ask, check_output_type, summarise
from skmdn._estimators.watch import without_unpicklable_callback
from skmdn._fit import tail
from skmdn._fit.model import is_fitted
from skmdn._fit.tail import with_tail, with_tails
from skmdn._sklearn import check_inputs, check_targets, check_weights
from skmdn._typing import FloatArray, Seed
from skmdn.distribution import MixtureDistribution

# Numbers of components that are in memory at a time: some ten arrays of 4 MB. Small
# networks take fewer: fresh memory is what most of their time would go to.
_COMPONENTS_AT_ONCE, _ROWS_AT_ONCE = 2**19, 2**14


@own_errstate(
    ["predict", "predict_dist", "sample", "logpdf", "score"], all="warn", under="ignore"
)
class DistributionRegressor(RegressorMixin, BaseEstimator, ABC):
    """Abstract: a fitted subclass has a conditional mixture and its attributes."""

    @abstractmethod
    def _mixture(self):
        """Return the fitted model: ``distribution(X, n_jobs)`` and ``size``.

        A prediction asks once: whoever fits again meanwhile, it is made from one fit.
        """

    def __getstate__(self):
        state = super().__getstate__()
        return without_unpicklable_callback(state) if is_fitted(self) else state

    def predict(
        self,
        X: ArrayLike,
        *,
        output_type: Literal["mean", "median", "mode", "quantiles", "full"] = "mean",
        quantiles: ArrayLike | None = None,
        return_std: bool = False,
    ) -> Any:
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
        X = check_inputs(self, X)
        prediction, std = self._summaries(X, output_type, levels, return_std)
        if output_type != "quantiles":
            prediction = self._like_y(prediction)
        return (prediction, self._like_y(std)) if return_std else prediction

    def predict_dist(self, X: ArrayLike) -> MixtureDistribution:
        """Conditional distribution at every row of `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        distribution : MixtureDistribution
            Of `n_samples` rows. The last 6 components, of weight 0.0002 together, are
            the tail: they lie around the mean, and bound what a row can cost that is
            unlike any seen before. They make `std` 0.03 % wider. Its outputs have the
            names of the columns of `y` where that was a DataFrame.
        """
        check_is_fitted(self)
        X = check_inputs(self, X)
        whole = with_tails(self._cores(X), len(X))
        whole.output_names = getattr(self, "output_names_", None)
        return whole

    def sample(
        self, X: ArrayLike, n_samples: int = 1, random_state: Seed = None
    ) -> FloatArray:
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
        check_is_fitted(self)
        n_samples = check_integer("n_samples", n_samples, 0)
        seed = new_seed(self.random_state if random_state is None else random_state)
        X = check_inputs(self, X)
        found = self._ask_gpu(X, lambda answers: answers.draws(X, n_samples, seed))
        if found is not None:
            return found
        return np.concatenate(
            [
                part._draw(n_samples, seed, rows.start)
                for rows, part in self._distributions(X)
            ]
        )

    def logpdf(self, X: ArrayLike, y: ArrayLike) -> FloatArray:
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
        found = self._ask_gpu(X, lambda answers: answers.logpdf(X, Y))
        if found is not None:
            return found
        if self.n_outputs_ == 1:
            Y = Y[:, 0]
        return np.concatenate(
            [part.logpdf(Y[rows]) for rows, part in self._distributions(X)]
        )

    def score(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
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
        # Dividing by the greatest first: sums of huge weights would overflow.
        return float(np.average(logpdf, weights=weight / weight.max()))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True  # The score is a log-likelihood.
        return tags

    def _summaries(self, X, output_type, levels, return_std):
        """Summary of every row, and standard deviations (None: not asked for)."""
        found = self._ask_gpu(X, lambda answers: ask(answers, X, output_type, levels))
        if found is not None:
            return found
        values, std = [], []
        for _, core in self._cores(X):
            # The tail has the mean of what it is put around.
            part = core if output_type == "mean" else with_tail(core)
            values.append(summarise(part, output_type, levels))
            if return_std:
                std.append(with_tail(core).std())
        return np.concatenate(values), np.concatenate(std) if return_std else None

    def _ask_gpu(self, X, question):
        """Answer of a GPU, see `skmdn._engine.cuda.answers`; None: ask the CPU."""
        if self.device == "cpu":
            return None
        from skmdn._engine.cuda.answers import answer  # Others need not load it.

        return answer(self._mixture, (tail.WEIGHTS, tail.SCALES), len(X), question)

    def _distributions(self, X):
        """Conditional distributions, a limited number of rows at a time.

        Yields
        ------
        rows : slice
        distribution : MixtureDistribution
            At these rows.
        """
        for rows, core in self._cores(X):
            yield rows, with_tail(core)

    def _cores(self, X):
        """Distributions as `_distributions` yields them, without their tails."""
        mixture, n_jobs = self._mixture(), effective_n_jobs(self.n_jobs)
        step = min(_ROWS_AT_ONCE, max(64, _COMPONENTS_AT_ONCE // mixture.size))
        for start in range(0, len(X), step):
            rows = slice(start, min(start + step, len(X)))
            yield rows, mixture.distribution(X[rows], n_jobs)

    def _like_y(self, values):
        return values.reshape(len(values), -1) if self._y_ndim == 2 else values

    def _store(self, fitted):
        """Become fitted; nothing of this object changed before."""
        for names in ("feature_names_in_", "output_names_"):
            if names not in fitted:
                vars(self).pop(names, None)
        vars(self).update(fitted)
