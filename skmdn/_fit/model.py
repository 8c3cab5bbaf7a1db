# SPDX-License-Identifier: BSD-3-Clause
"""Everything that prediction needs, and how it is kept on a fitted estimator."""

from typing import NamedTuple

import numpy as np

from skmdn._engine.cpu.predict import raw_outputs
from skmdn._engine.job import Data, Part, State
from skmdn._engine.network import aligned_copy
from skmdn._fit import auto as _auto
from skmdn._fit.chains import scales_and_factors
from skmdn._fit.inputs import InputEncoding
from skmdn._fit.state import (
    FORMAT,
    check_columns,
    check_model,
    check_progress,
    make_network,
    opened,
)
from skmdn._fit.targets import TargetScaling
from skmdn.distribution import MixtureDistribution

# Steps of a training that ended count for no more than this in the rate and the average
# of `partial_fit`: as many again, and it has followed where new rows lead.
_MOST_STEPS_KNOWN = 500


class Model(NamedTuple):
    """A network's parameters with the scaling of its inputs and targets.

    Attributes
    ----------
    params : ndarray of shape (n_params,), float32
    architecture : dict
        See `make_network`.
    encoding : InputEncoding
    scaling : TargetScaling
    min_scale : ndarray of shape (n_scales,)
        Lower bound of the component scales, in units of the scaled targets; of
        correlated outputs, of every output given the ones before.
    """

    params: np.ndarray
    architecture: dict
    encoding: InputEncoding
    scaling: TargetScaling
    min_scale: np.ndarray

    @classmethod
    def start(cls, prepared, sizes, n_bins, min_scale, rng):
        """Lay out and initialise: the mixture of the targets alone.

        Parameters
        ----------
        prepared : Prepared
            The training rows.
        sizes : dict
            The architecture without `n_features` and `n_inputs`.
        n_bins : int
        min_scale : float or "auto"
        rng : numpy.random.RandomState
        """
        rows, encoding = prepared.rows, prepared.encoding(n_bins)
        architecture = sizes | {
            "n_features": rows.X.shape[1],
            "n_inputs": encoding.n_features_out,
        }
        network = make_network(architecture)
        bias = prepared.initial_bias(network.head, rng)
        params = network.initialise(bias, rng)
        model = cls(params, architecture, encoding, prepared.scaling, None)
        return model.with_min_scale(min_scale, prepared)

    def with_min_scale(self, min_scale, prepared):
        """Copy with the lower bounds that `min_scale` means for these targets."""
        if min_scale == "auto":
            min_scale = _auto.min_scale(prepared.spacing, self.scaling.scale)
        # One scale for all outputs keeps the largest of their bounds.
        n_outputs = self.architecture["n_outputs"]
        bounds = np.broadcast_to(np.asarray(min_scale, dtype=float), n_outputs).copy()
        if self.network.head.n_scales == 1:
            bounds = bounds.max(keepdims=True)
        return self._replace(min_scale=bounds)

    @property
    def network(self):
        """Layout of the parameters."""
        return make_network(self.architecture)

    @property
    def size(self):
        """Components of a row's mixture, counted once for each output.

        Once for each pair of them where they are correlated.
        """
        head = self.network.head
        n_numbers = head.n_outputs ** (2 if head.n_slopes else 1)
        return self.architecture["n_estimators"] * head.n_components * n_numbers

    def scaled(self, rows):
        """Rows as the network is trained on them."""
        X, Y = self.encoding.scale_inputs(rows.X), self.scaling.transform(rows.Y)
        return Data(X, Y, rows.weight)

    def distribution(self, X, n_jobs=1):
        """Conditional distribution of the targets at the rows of `X`."""
        check_columns(X, self.architecture["n_features"])
        network = self.network
        Xs = self.encoding.scale_inputs(X)
        raw = raw_outputs(network, self.params, self.encoding, Xs, n_jobs)
        weights, means, scales, slopes = network.head.unpack(raw, self.min_scale)
        factors = None
        if slopes is not None:
            scales, factors = scales_and_factors(scales, slopes)
        means, scales, factors = self.scaling.inverse_components(means, scales, factors)
        if means.shape[-1] == 1:
            means, scales = means[..., 0], scales[..., 0]
        family = self.architecture["family"]
        return MixtureDistribution._of(weights, means, scales, factors, family=family)

    def parts(self):
        """Networks that the distribution is made of, for a device."""
        return [Part(self, 1.0)]

    def state(self):
        """Take apart into arrays, numbers, strings, lists and dicts."""
        return {
            "params": self.params,
            "architecture": dict(self.architecture),
            "input_encoding": self.encoding._asdict(),
            "target_scaling": self.scaling._asdict(),
            "min_scale": self.min_scale,
        }

    @classmethod
    def from_state(cls, state, where=""):
        """Put together again what `state` took apart, if that is intact."""
        check_model(state, where)
        return cls(
            state["params"],
            state["architecture"],
            InputEncoding(**state["input_encoding"]),
            TargetScaling(**state["target_scaling"]),
            state["min_scale"],
        )

    @classmethod
    def of(cls, estimator):
        """Return the model of a fitted `MDNRegressor`."""
        return cls.from_state(read_state(estimator, _PARTS)["model"], "model.")

    def widened(self, log_factor):
        """Copy with scales that are ``exp(log_factor)`` times as wide."""
        return self._replace(params=self.network.widened(self.params, log_factor))


class Progress(NamedTuple):
    """What later training goes on with, and predictions do not need.

    Attributes
    ----------
    n_bins : int or None
        What `Model.start` was given; None: not known.
    seed : int
        Decides which rows are held out: later fits hold out the same.
    n_steps : int
        Of all trainings so far.
    log_widening : float
        Logarithm of the factor on all scales, a part of the model's parameters.
    optimizer : dict or None
        Parameters and moments that `partial_fit` goes on with; the model's are then the
        average of such parameters.
    """

    n_bins: int | None = None
    seed: int = 0
    n_steps: int = 0
    log_widening: float = 0.0
    optimizer: dict | None = None

    @classmethod
    def of(cls, estimator):
        """Return the progress of a fitted `MDNRegressor`."""
        state = read_state(estimator, _PARTS)
        check_progress(state["progress"], state["model"]["params"])
        return cls(**state["progress"])

    def training_state(self, model):
        """Where training goes on."""
        state = State.start(aligned_copy(model.params, np.float32))
        kept = self.optimizer
        state.n_steps = self.n_steps
        if kept is None:
            state.n_steps = min(self.n_steps, _MOST_STEPS_KNOWN)
        else:
            for name in ("params", "m", "v"):
                getattr(state, name)[:] = kept[name]
            state.t = kept["t"]
            state.n_steps -= state.t
        return state


_PARTS = {"model", "progress"}  # what `MDNRegressor` keeps


def fitted_network(model, progress=None):
    """State of a fitted `MDNRegressor`."""
    progress = Progress() if progress is None else progress
    return fitted_state(model=model.state(), progress=progress._asdict())


def fitted_state(**parts):
    """The one attribute that all predictions of a fitted estimator are made from.

    A prediction reads it once: whoever fits the estimator again meanwhile, it is made
    from one fit.
    """
    return {"_state": {"format": FORMAT, **parts}}


def read_state(estimator, names):
    """Read the parts that `fitted_state` was given.

    Raises
    ------
    ValueError
        If they are of another format, or others.
    """
    return opened(vars(estimator).get("_state"), names)


def is_fitted(estimator):
    """Whether there is a state to read on the estimator."""
    return "_state" in vars(estimator)
