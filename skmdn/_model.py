# SPDX-License-Identifier: BSD-3-Clause
"""Everything that prediction needs, and how it is kept on a fitted estimator."""

from typing import NamedTuple

import numpy as np

from skmdn import _auto
from skmdn._components import COMPONENTS
from skmdn._network import Network, aligned_copy
from skmdn._scaling import InputView, TargetScaling, atom_spacing
from skmdn._training import Data
from skmdn.distribution import MixtureDistribution


def make_network(architecture):
    """Lay out a network; `architecture` is a dict of numbers and strings.

    Parameters
    ----------
    architecture : dict
        `n_components`, `covariance_type`, `n_outputs`, `n_features`, `n_inputs`,
        `hidden_layer_sizes`, `n_estimators`, `activation`.
    """
    sizes = dict(architecture)
    family = COMPONENTS[sizes.pop("covariance_type")]
    component = family(sizes.pop("n_components"), sizes.pop("n_outputs"))
    return Network(component=component, **sizes)


class Model(NamedTuple):
    """A network's parameters with the scaling of its inputs and targets.

    Attributes
    ----------
    params : ndarray of shape (n_params,), float32
    architecture : dict
        See `make_network`.
    view : InputView
    scaling : TargetScaling
    min_scale : ndarray of shape (n_scales,)
        Lower bound of the component scales, in units of the scaled targets.
    """

    params: np.ndarray
    architecture: dict
    view: InputView
    scaling: TargetScaling
    min_scale: np.ndarray

    @classmethod
    def start(cls, rows, sizes, n_bins, min_scale, rng):
        """Scale, lay out and initialise: the mixture of the targets alone.

        Parameters
        ----------
        rows : tuple of (X, Y, sample_weight)
        sizes : dict
            The architecture without `n_features` and `n_inputs`.
        n_bins : int
        min_scale : float or "auto"
        rng : numpy.random.RandomState
        """
        X, Y, weight = rows
        view = InputView.fit(X, weight, n_bins)
        scaling = TargetScaling.fit(Y, weight)
        if min_scale == "auto":
            min_scale = _auto.min_scale(atom_spacing(Y, weight), scaling.scale)
        architecture = sizes | {
            "n_features": X.shape[1],
            "n_inputs": view.n_features_out,
        }
        network = make_network(architecture)
        bias = network.component.initial_bias(scaling.transform(Y), weight, rng)
        params = network.initialise(bias, rng)
        # One scale for all outputs keeps the largest of their bounds.
        bounds = np.broadcast_to(np.asarray(min_scale, dtype=float), Y.shape[1]).copy()
        if network.component.n_scales == 1:
            bounds = bounds.max(keepdims=True)
        return cls(params, architecture, view, scaling, bounds)

    @property
    def network(self):
        """Layout of the parameters."""
        return make_network(self.architecture)

    @property
    def size(self):
        """Components of a row's mixture, counted once for each output."""
        sizes = self.architecture
        return sizes["n_estimators"] * sizes["n_components"] * sizes["n_outputs"]

    def scaled(self, X, Y, sample_weight):
        """Rows as the network is trained on them."""
        return Data(self.view.scale_inputs(X), self.scaling.transform(Y), sample_weight)

    def distribution(self, X, n_jobs=1):
        """Conditional distribution of the targets at the rows of `X`."""
        network = self.network
        Xs = self.view.scale_inputs(X)
        raw = network.raw_outputs(self.params, self.view, Xs, n_jobs)
        weights, means, scales = network.component.unpack(raw, self.min_scale)
        means, scales = self.scaling.inverse_components(means, scales)
        if means.shape[-1] == 1:
            means, scales = means[..., 0], scales[..., 0]
        return MixtureDistribution._of(weights, means, scales)

    def attributes(self):
        """Take apart into arrays, numbers, strings, lists and dicts."""
        return {
            "_params": self.params,
            "_architecture": self.architecture,
            "_input_view": self.view._asdict(),
            "_target_scaling": self.scaling._asdict(),
            "_min_scale": self.min_scale,
        }

    @classmethod
    def from_attributes(cls, attributes):
        """Put together again what `attributes` took apart."""
        return cls(
            attributes["_params"],
            attributes["_architecture"],
            InputView(**attributes["_input_view"]),
            TargetScaling(**attributes["_target_scaling"]),
            attributes["_min_scale"],
        )

    @classmethod
    def of(cls, estimator):
        """Return the model of a fitted estimator."""
        return cls.from_attributes(vars(estimator))

    def trainable(self):
        """Return a copy whose parameters the kernels may change."""
        return self._replace(params=aligned_copy(self.params, np.float32))


def is_fitted(estimator):
    """Whether `Model.of` finds a model on the estimator."""
    return hasattr(estimator, "_params")
