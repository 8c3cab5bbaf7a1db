# SPDX-License-Identifier: BSD-3-Clause
"""The networks of a cross-fit as one mixture: temperature, experts, background."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit

from skmdn.distribution import MixtureDistribution

# A scale mixture of wide Gaussians, in units of the targets' scale: tails so heavy that
# no row costs much more than ln(1 / weight) nats, and closed forms throughout.
_BACKGROUND_SCALES = 1.5 * 4.0 ** np.arange(7)
_BACKGROUND_WEIGHTS = 2.0 ** -np.arange(7) / np.sum(2.0 ** -np.arange(7))
_TEMPERATURES = (0.3, 4.0)
_ROWS_FOR_TEMPERATURE = 20_000


# Below the first weight linear experts would cost more components than they gain nats;
# the second keeps a little of the networks in any case.
_LINEAR_WEIGHTS = (0.02, 0.98)
_EM_STEPS = 200


class _Case(NamedTuple):
    """What the temperature of a fold is judged by."""

    fold: int
    network: MixtureDistribution  # at the held-out rows
    y: np.ndarray
    sample_weight: np.ndarray
    wide: np.ndarray  # log-densities of `y` under the background


class Ensemble(NamedTuple):
    """Models of equal weights, calibrated, with linear experts and a background.

    Attributes
    ----------
    models : list of Model
        The networks of the folds.
    experts : list of Model
        Linear models with Gaussian noise, fitted to the same folds.
    temperature : float
        Factor on the scales of the networks' components; their lower bounds hold.
    background : float
        Weight of the heavy-tailed background.
    linear_weight : float
        Weight of the linear experts.
    """

    models: list
    experts: list
    background: float
    temperature: float = 1.0
    linear_weight: float = 0.0

    @property
    def size(self):
        """Components of a row's mixture, counted once for each output."""
        return sum(model.size + 1 + len(_BACKGROUND_SCALES) for model in self.models)

    def distribution(self, X, n_jobs=1):
        """Mixture of the folds' distributions at the rows of `X`."""
        folds = range(len(self.models))
        parts = [self.member(fold, X, n_jobs) for fold in folds]
        return _mix(parts, [1 / len(parts)] * len(parts))

    def member(self, fold, X, n_jobs=1):
        """Distribution of one fold's models; the background's components stand last."""
        network = self.models[fold].distribution(X, n_jobs)
        core = self._heated(fold, network)
        if self.linear_weight > 0:
            line = self.experts[fold].distribution(X, n_jobs)
            core = _mix([core, line], [1 - self.linear_weight, self.linear_weight])
        parts = [core, self._wide(fold, core.mean())]
        return _mix(parts, [1 - self.background, self.background])

    def _heated(self, fold, network):
        """Distribution of a network with the temperature applied."""
        model = self.models[fold]
        bound = model.min_scale * np.abs(model.scaling.scale)
        if network.n_outputs == 1:
            bound = bound[0]
        scales = np.maximum(network.scales * self.temperature, bound)
        return MixtureDistribution(network.weights, network.means, scales)

    def _wide(self, fold, means):
        """Background around `means`, which remain those of the whole."""
        # Targets may be scaled by a negative number: they are then mirrored.
        unit = np.abs(self.models[fold].scaling.scale)
        shape = (len(means), len(_BACKGROUND_SCALES), len(unit))
        scales = np.broadcast_to(np.multiply.outer(_BACKGROUND_SCALES, unit), shape)
        means = np.broadcast_to(means.reshape(-1, 1, len(unit)), shape)
        weights = np.broadcast_to(_BACKGROUND_WEIGHTS, shape[:2])
        if len(unit) == 1:
            means, scales = means[..., 0], scales[..., 0]
        return MixtureDistribution(weights, means, scales)

    def calibrated(self, held_out):
        """Choose the temperature of single folds by the likelihood of held-out rows.

        Parameters
        ----------
        held_out : list of (X, y, sample_weight), one for each model
        """
        cases = self._cases(held_out)
        return self._replace(temperature=self._best_temperature(cases))

    def pooled(self, held_out):
        """Lower the temperature of calibrated folds to that of their mixture.

        A mixture of calibrated distributions is too wide (Gneiting & Ranjan 2013),
        by an amount that no row can tell here, since only one fold has not seen it. But
        none of that fold's members has: the factor by which the best temperature falls
        from single members to their mixture is applied once more.
        """
        if len(self.models) == 1:
            return self
        members = [self._members(case) for case in self._cases(held_out)]
        factor = self.temperature / self._best_temperature(members)
        return self._replace(temperature=self.temperature * min(1.0, factor))

    def _cases(self, held_out):
        """Networks at their held-out rows, with what a temperature is judged by."""
        cases = []
        for fold, (X, y, weight) in enumerate(held_out):
            # Evenly, since merged rows are sorted.
            step = -(-len(X) * len(self.models) // _ROWS_FOR_TEMPERATURE)
            rows = slice(None, None, step)
            network = self.models[fold].distribution(X[rows])
            wide = self._wide(fold, network.mean()).logpdf(y[rows])
            cases.append(_Case(fold, network, y[rows], weight[rows], wide))
        return cases

    def _members(self, case):
        """The same rows once for every member of the fold's network."""
        n_members = self.models[case.fold].architecture["n_estimators"]

        def split(a):
            return a.reshape(len(a) * n_members, -1, *a.shape[2:])

        network = case.network
        weights = split(network.weights) * n_members
        members = MixtureDistribution(
            weights, split(network.means), split(network.scales)
        )
        others = (np.repeat(a, n_members, axis=0) for a in case[2:])
        return _Case(case.fold, members, *others)

    def _best_temperature(self, cases):
        """Temperature of the greatest likelihood; 1 if none is better."""
        with np.errstate(divide="ignore"):  # There may be no background.
            shares = np.log([1 - self.background, self.background])

        def loss(log_temperature):
            heated = self._replace(temperature=np.exp(log_temperature))
            total = 0.0
            for fold, network, y, weight, wide in cases:
                core = heated._heated(fold, network).logpdf(y)
                total -= weight @ np.logaddexp(shares[0] + core, shares[1] + wide)
            return total

        bounds = np.log(_TEMPERATURES)
        found = minimize_scalar(loss, bounds=bounds, method="bounded")
        return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0

    def stacked(self, held_out):
        """Choose the weight of the linear experts by the likelihood of held-out rows.

        One step of EM after the other (Smyth & Wolpert 1999, section 3): small, noisy
        tables that a line explains are where networks lose.
        """
        pairs, weights = [], []
        for fold, (X, y, weight) in enumerate(held_out):
            both = (self.member(fold, X), self.experts[fold].distribution(X))
            pairs.append([part.logpdf(y) for part in both])
            weights.append(weight)
        network, line = np.concatenate(pairs, axis=1)
        weight, share = np.concatenate(weights), 0.5
        for _ in range(_EM_STEPS):
            odds = np.log(1 - share) - np.log(share) + network - line
            share = np.average(expit(-odds), weights=weight)
            share = np.clip(share, _LINEAR_WEIGHTS[0] / 2, _LINEAR_WEIGHTS[1])
        used = share >= _LINEAR_WEIGHTS[0]
        return self._replace(linear_weight=float(share) if used else 0.0)


def _mix(parts, shares):
    """Mixture of distributions of the same rows."""
    pairs = zip(parts, shares, strict=True)
    return MixtureDistribution(
        np.concatenate([part.weights * share for part, share in pairs], axis=1),
        np.concatenate([part.means for part in parts], axis=1),
        np.concatenate([part.scales for part in parts], axis=1),
    )
