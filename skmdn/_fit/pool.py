# SPDX-License-Identifier: BSD-3-Clause
"""The networks of all folds as one mixture: calibration and experts."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from skmdn._engine.job import Part
from skmdn._fit.chains import heated
from skmdn._fit.model import Model, read_state
from skmdn._fit.stack import Stack, stacking_weights
from skmdn._fit.state import check_list, check_number
from skmdn._fit.tail import with_tail
from skmdn.distribution import MixtureDistribution

_TEMPERATURES = (0.3, 4.0)
_SHARPEST = 3.0  # Little is left on minor components, and more changes nothing.
_ROWS_FOR_TEMPERATURE = 20_000
# Below the first weight linear experts would cost more components than they gain nats;
# the second keeps a little of the networks in any case.
_LINEAR_WEIGHTS = (0.02, 0.98)
# How fast the power of `Pool.pooled` grows with the unshared rows: chosen by the
# log-likelihood of rows that no fold had seen, for 2 to 10 folds and repeated hold-outs
# of a tenth and of a fifth.
_POOLING = 5.0


class _Case(NamedTuple):
    """What the calibration of a fold is judged by."""

    fold: int
    network: MixtureDistribution  # at the held-out rows, sharpened
    y: np.ndarray
    sample_weight: np.ndarray


class Pool(NamedTuple):
    """Folds of equal weights, calibrated, with linear experts.

    Its distributions are without the tail, which the estimator puts around the whole.
    All choices are made with it, as otherwise few outliers would decide.

    Attributes
    ----------
    folds : list of Stack
        The networks of every fold.
    experts : list of Model
        Linear models with Gaussian noise, fitted to the same folds.
    temperature : float
        Factor on the scales of the networks' components; their lower bounds hold.
    linear_weight : float
        Weight of the linear experts.
    sharpness : float
        Power to which the weights within every member are raised.
    """

    folds: list
    experts: list
    temperature: float = 1.0
    linear_weight: float = 0.0
    sharpness: float = 1.0

    def state(self):
        """Take apart into arrays, numbers, strings, lists and dicts."""
        return self._asdict() | {
            "folds": [stack.state() for stack in self.folds],
            "experts": [model.state() for model in self.experts],
        }

    @classmethod
    def of(cls, estimator):
        """Return the pool of a fitted `MDNRegressorCV`."""
        state = read_state(estimator, set(cls._fields))
        folds, experts = state["folds"], state["experts"]
        check_list(folds, "folds")
        check_list(experts, "experts", len(folds))
        numbers = {name: state[name] for name in cls._fields[2:]}
        for name, value in numbers.items():
            check_number(value, name, 0, *[1] * (name == "linear_weight"))
        return cls(
            [Stack.from_state(f, f"folds[{i}]") for i, f in enumerate(folds)],
            [Model.from_state(m, f"experts[{i}].") for i, m in enumerate(experts)],
            **numbers,
        )

    @property
    def size(self):
        """Components of a row's mixture, counted once for each output."""
        return sum(fold.size + 1 for fold in self.folds)

    def distribution(self, X, n_jobs=1):
        """Mixture of the folds' distributions at the rows of `X`."""
        parts = [self.part(fold, X, n_jobs) for fold in range(len(self.folds))]
        return MixtureDistribution.mix(parts, [1 / len(parts)] * len(parts))

    def parts(self):
        """Networks that the distribution is made of, in its order, for a device."""
        parts = []
        for fold, expert in zip(self.folds, self.experts, strict=True):
            share = (1 - self.linear_weight) / len(self.folds)
            parts += [
                Part(
                    model,
                    share * weight,
                    self.temperature,
                    self.sharpness,
                    fold.min_scale,
                )
                for model, weight in zip(fold.models, fold.weights, strict=True)
            ]
            if self.linear_weight > 0:
                parts.append(Part(expert, self.linear_weight / len(self.folds)))
        return parts

    def part(self, fold, X, n_jobs=1):
        """Distribution of one fold's models."""
        core = self._heated(fold, self._network(fold, X, n_jobs))
        if self.linear_weight == 0:
            return core
        line = self.experts[fold].distribution(X, n_jobs)
        shares = [1 - self.linear_weight, self.linear_weight]
        return MixtureDistribution.mix([core, line], shares)

    def _network(self, fold, X, n_jobs=1):
        """Distribution of a fold's networks with sharpened weights."""
        network = self.folds[fold].distribution(X, n_jobs)
        return self.folds[fold].sharpened(network, self.sharpness)

    def _heated(self, fold, network):
        """Distribution of a fold's networks with the temperature applied."""
        min_scale = self.folds[fold].min_scale
        if network.n_outputs == 1:
            min_scale = min_scale[0]
        if network._factors is None:
            scales = np.maximum(network.scales * self.temperature, min_scale)
            return network._replace(scales=scales)
        parts = network.scales, network._factors
        scales, factors = heated(*parts, self.temperature, min_scale)
        return network._replace(scales=scales, factors=factors)

    def calibrated(self, held_out):
        """Choose temperature and sharpness by the likelihood of held-out rows.

        The sharpness is the inverse temperature of a softmax (Guo et al. 2017, eq. 9).
        Softmax never reaches zero: where there is little noise, what it leaves on
        components that are of no use is a per cent of the mass, far away.

        Parameters
        ----------
        held_out : list of Rows, one for each fold
        """
        cases = self._cases(held_out)
        heated = self._replace(temperature=self._best_temperature(cases))
        sharpened = heated._replace(sharpness=heated._best_sharpness(cases))
        cases = sharpened._cases(held_out)
        return sharpened._replace(temperature=sharpened._best_temperature(cases))

    def pooled(self, held_out, unshared):
        """Lower the temperature of calibrated folds to that of their mixture.

        A mixture of calibrated distributions is too wide (Gneiting & Ranjan 2013),
        by an amount that no row can tell here, where only one fold has not seen it. But
        none of that fold's members has: the factor by which the best temperature falls
        from single members to their mixture is applied again, to a power that is
        proportional to how much the folds can differ.

        Parameters
        ----------
        held_out : list of Rows, one for each fold
        unshared : float
            See `skmdn._fit.crossfit.unshared`.
        """
        power = min(1.0, _POOLING * unshared)
        if power == 0.0:
            return self
        members = [self._members(case) for case in self._cases(held_out)]
        factor = min(1.0, self.temperature / self._best_temperature(members))
        return self._replace(temperature=self.temperature * factor**power)

    def _cases(self, held_out):
        """Networks at their held-out rows, with what a temperature is judged by."""
        cases = []
        for fold, rows in enumerate(held_out):
            # Evenly, since merged rows are sorted.
            step = -(-len(rows) * len(self.folds) // _ROWS_FOR_TEMPERATURE)
            rows = rows.take(slice(None, None, step))
            network = self._network(fold, rows.X)
            cases.append(_Case(fold, network, rows.y, rows.weight))
        return cases

    def _members(self, case):
        """The same rows once for every member of the fold's networks."""
        members, shares = self.folds[case.fold].members(case.network)
        y, weight = (np.repeat(a, len(members) // len(a), axis=0) for a in case[2:])
        return _Case(case.fold, members, y, weight * shares)

    def _best_temperature(self, cases):
        """Temperature of the greatest likelihood; 1 if none is better."""

        def loss(log_temperature):
            return self._replace(temperature=np.exp(log_temperature))._loss(cases)

        return _best_factor(loss, *_TEMPERATURES)

    def _best_sharpness(self, cases):
        """Sharpness of the greatest likelihood; 1 if none is better."""

        def loss(log_sharpness):
            sharpness = np.exp(log_sharpness)
            return self._loss(
                case._replace(
                    network=self.folds[case.fold].sharpened(case.network, sharpness)
                )
                for case in cases
            )

        return _best_factor(loss, 1.0, _SHARPEST)

    def _loss(self, cases):
        """Negative log-likelihood of held-out rows."""
        total = 0.0
        for fold, network, y, weight in cases:
            total -= weight @ with_tail(self._heated(fold, network)).logpdf(y)
        return total

    def stacked(self, held_out):
        """Choose the weight of the linear experts by the likelihood of held-out rows.

        Small, noisy tables that a line explains are where networks lose.
        """
        pairs, weights = [], []
        for fold, rows in enumerate(held_out):
            both = (self.part(fold, rows.X), self.experts[fold].distribution(rows.X))
            pairs.append([with_tail(part).logpdf(rows.y) for part in both])
            weights.append(rows.weight)
        logpdf, weight = np.concatenate(pairs, axis=1), np.concatenate(weights)
        share = min(stacking_weights(logpdf, weight)[1], _LINEAR_WEIGHTS[1])
        used = share >= _LINEAR_WEIGHTS[0]
        return self._replace(linear_weight=float(share) if used else 0.0)


def _best_factor(loss, low, high):
    """Minimise over the logarithm of a factor; 1 if none is better."""
    bounds = np.log([low, high])
    found = minimize_scalar(loss, bounds=bounds, method="bounded")
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0
