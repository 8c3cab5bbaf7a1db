# SPDX-License-Identifier: BSD-3-Clause
"""The networks of a cross-fit as one mixture: temperature and background."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from skmdn.distribution import MixtureDistribution

# A scale mixture of wide Gaussians, in units of the targets' scale: tails so heavy that
# no row costs much more than ln(1 / weight) nats, and closed forms throughout.
_BACKGROUND_SCALES = 1.5 * 4.0 ** np.arange(7)
_BACKGROUND_WEIGHTS = 2.0 ** -np.arange(7) / np.sum(2.0 ** -np.arange(7))
_TEMPERATURES = (0.3, 2.0)
_ROWS_FOR_TEMPERATURE = 20_000


class Ensemble(NamedTuple):
    """Models with equal weights, their scales times `temperature`, a background.

    Attributes
    ----------
    models : list of Model
    temperature : float
        Factor on the scales of all components; their lower bounds hold.
    background : float
        Weight of the heavy-tailed background.
    """

    models: list
    temperature: float
    background: float

    @property
    def n_background(self):
        """Components of the background, the last ones of a model's mixture."""
        return len(_BACKGROUND_SCALES)

    @property
    def size(self):
        """Components of a row's mixture, counted once for each output."""
        return sum(model.size + len(_BACKGROUND_SCALES) for model in self.models)

    def distribution(self, X, n_jobs=1):
        """Mixture of the models' distributions at the rows of `X`."""
        parts = [self.member(model, X, n_jobs) for model in self.models]
        return MixtureDistribution(
            np.concatenate([part.weights for part in parts], axis=1) / len(parts),
            np.concatenate([part.means for part in parts], axis=1),
            np.concatenate([part.scales for part in parts], axis=1),
        )

    def member(self, model, X, n_jobs=1):
        """Distribution of one model, with temperature and background."""
        core = model.distribution(X, n_jobs)
        return self._finish(core, model)

    def _finish(self, core, model):
        # Targets may be scaled by a negative number: they are then mirrored.
        scale = np.abs(model.scaling.scale)
        shape = (len(core), len(_BACKGROUND_SCALES))
        bound, center = model.min_scale * scale, model.scaling.center
        wide = np.multiply.outer(_BACKGROUND_SCALES, scale)
        if core.n_outputs == 1:
            bound, center, wide = bound[0], center[0], wide[:, 0]
        else:
            shape = (*shape, len(scale))
        heated = np.maximum(core.scales * self.temperature, bound)
        background = np.broadcast_to(self.background * _BACKGROUND_WEIGHTS, shape[:2])
        return MixtureDistribution(
            np.concatenate([core.weights * (1 - self.background), background], axis=1),
            np.concatenate([core.means, np.broadcast_to(center, shape)], axis=1),
            np.concatenate([heated, np.broadcast_to(wide, shape)], axis=1),
        )

    def calibrated(self, held_out, n_jobs=1):
        """Choose the temperature by the likelihood of held-out rows.

        Scales that are too wide are narrowed in full; scales that are too narrow are
        widened by the square root only, because the ensemble of all models is wider
        than its members (Rahaman & Thiery 2021).

        Parameters
        ----------
        held_out : list of (X, y, sample_weight), one for each model
        """
        cores = []
        for model, (X, y, weight) in zip(self.models, held_out, strict=True):
            rows = slice(_ROWS_FOR_TEMPERATURE // len(self.models))
            core = model.distribution(X[rows], n_jobs)
            cores.append((model, core, y[rows], weight[rows]))

        def loss(log_temperature):
            heated = self._replace(temperature=np.exp(log_temperature))
            total = 0.0
            for model, core, y, weight in cores:
                total -= weight @ heated._finish(core, model).logpdf(y)
            return total

        bounds = np.log(_TEMPERATURES)
        found = minimize_scalar(loss, bounds=bounds, method="bounded")
        log_temperature = found.x if found.fun < loss(0.0) else 0.0
        if log_temperature > 0:
            log_temperature /= 2
        return self._replace(temperature=float(np.exp(log_temperature)))
