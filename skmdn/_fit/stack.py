# SPDX-License-Identifier: BSD-3-Clause
"""Networks of the same rows as one mixture, weighed by held-out rows."""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from skmdn._fit.model import Model
from skmdn._fit.state import check_list, check_names, check_number, refuse
from skmdn.distribution import MixtureDistribution

_EM_STEPS = 200
# So small a weight that EM leaves it there; the logarithm of zero is avoided.
_LEAST_WEIGHT = 1e-12
# Log-densities below this say no more; their squares are finite.
_LEAST_LOGPDF = -1e9


class Stack(NamedTuple):
    """Networks that were fitted to the same rows, with other sizes and encodings.

    Attributes
    ----------
    models : list of Model
        Of one scaling of the targets, and of as many components in every member.
    weights : list of float
        Their sum is 1.
    """

    models: list
    weights: list

    @property
    def unit(self):
        """Scale of the targets, (n_outputs,)."""
        # Targets may be scaled by a negative number: they are then mirrored.
        return np.abs(self.models[0].scaling.scale)

    @property
    def min_scale(self):
        """Lower bound of the components' scales, (n_outputs,), in units of `y`.

        Of correlated outputs, of every output given the ones before.
        """
        return self.models[0].min_scale * self.unit

    @property
    def size(self):
        """Components of a row's mixture, counted once for each output."""
        return sum(model.size for model in self.models)

    def distribution(self, X, n_jobs=1):
        """Conditional distribution of the targets at the rows of `X`."""
        parts = [model.distribution(X, n_jobs) for model in self.models]
        return MixtureDistribution.mix(parts, self.weights)

    @property
    def n_members(self):
        """Members of all networks."""
        return sum(model.architecture["n_estimators"] for model in self.models)

    def sharpened(self, distribution, sharpness):
        """Raise the weights to a power; those of every member keep their sum.

        Parameters
        ----------
        distribution : MixtureDistribution
            Of this stack, at any rows.
        sharpness : float
            The power, at least 1.

        Returns
        -------
        sharpened : MixtureDistribution
            Same rows, means and scales.
        """
        if sharpness == 1.0:
            return distribution
        weights = distribution.weights.reshape(len(distribution), self.n_members, -1)
        powers = (weights / weights.max(axis=2, keepdims=True)) ** sharpness
        total = weights.sum(axis=2, keepdims=True)
        weights = powers * (total / powers.sum(axis=2, keepdims=True))
        return distribution._replace(
            weights=weights.reshape(distribution.weights.shape)
        )

    def members(self, distribution):
        """Take a distribution of the stack apart into those of all members.

        Returns
        -------
        members : MixtureDistribution
            Its rows, each as often as there are members in all networks.
        weights : ndarray of shape (n_rows * n_members,)
        """

        def split(a):
            return a.reshape(len(a) * self.n_members, -1, *a.shape[2:])

        weights = split(distribution.weights)
        shares, factors = weights.sum(axis=1), distribution._factors
        members = distribution._replace(
            weights=weights / shares[:, None],
            means=split(distribution.means),
            scales=split(distribution.scales),
            factors=None if factors is None else split(factors),
        )
        return members, shares

    def state(self):
        """Take apart into arrays, numbers, strings, lists and dicts."""
        return {
            "models": [model.state() for model in self.models],
            "weights": self.weights,
        }

    @classmethod
    def from_state(cls, state, where):
        """Put together again what `state` took apart, if that is intact."""
        check_names(state, {"models", "weights"}, where)
        models, weights = state["models"], state["weights"]
        check_list(models, f"{where}['models']")
        check_list(weights, f"{where}['weights']", len(models))
        for weight in weights:
            check_number(weight, f"{where}['weights']", 0, 1)
        if not np.isclose(sum(weights), 1):
            refuse(f"{where}['weights']", f"must sum to 1, got {weights}")
        numbered = enumerate(models)
        return cls(
            [Model.from_state(m, f"{where}['models'][{i}].") for i, m in numbered],
            weights,
        )


def stacking_weights(logpdf, sample_weight):
    """Weights of a mixture of densities that make held-out rows most likely.

    By EM (Smyth & Wolpert 1999, Linearly Combining Density Estimators via Stacking,
    Machine Learning 36, section 3): a row counts for at most its own weight,
    however unlikely some density makes it.

    Parameters
    ----------
    logpdf : array-like of shape (n_densities, n_samples)
    sample_weight : ndarray of shape (n_samples,)

    Returns
    -------
    weights : ndarray of shape (n_densities,)
    """
    logpdf = np.maximum(logpdf, _LEAST_LOGPDF)
    weights = np.full(len(logpdf), 1 / len(logpdf))
    for _ in range(_EM_STEPS):
        share = softmax(np.log(weights)[:, None] + logpdf, axis=0)
        weights = np.maximum(share @ sample_weight, _LEAST_WEIGHT * sample_weight.sum())
        weights /= weights.sum()
    return weights


def clearly_best(logpdf, sample_weight):
    """Number of the last density, or of one better by more than a standard error.

    Parameters
    ----------
    logpdf : array-like of shape (n_densities, n_samples)
    sample_weight : ndarray of shape (n_samples,)

    Returns
    -------
    number : int
    """
    logpdf = np.maximum(logpdf, _LEAST_LOGPDF)
    gain = logpdf - logpdf[-1]
    mean = np.average(gain, axis=1, weights=sample_weight)
    variance = np.average((gain - mean[:, None]) ** 2, axis=1, weights=sample_weight)
    surplus = mean - np.sqrt(variance / len(sample_weight))
    best = int(np.argmax(surplus))
    return best if surplus[best] > 0 else len(logpdf) - 1
