# SPDX-License-Identifier: BSD-3-Clause
"""What an engine takes and gives, the same on every device: jobs, trials, parts."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from skmdn._jit.memory import aligned


class Data(NamedTuple):
    """Scaled rows: X (n, n_features), Y (n, n_outputs), sample_weight (n,)."""

    X: np.ndarray
    Y: np.ndarray
    sample_weight: np.ndarray


class Options(NamedTuple):
    """How to train; `min_scale` (n_scales,) is in units of the scaled targets."""

    learning_rate_init: float
    batch_size: int
    max_iter: int
    alpha: float
    input_noise: float
    min_scale: np.ndarray
    n_iter_no_change: int | None = None
    is_endless: bool = False  # partial_fit: the last epoch is not known
    widen: bool = False  # multiply the scales by what held-out rows ask for
    keep_interrupted: bool = False  # Ctrl-C ends training and not the program
    earlier: tuple | None = None  # parameters and log_widening of an earlier training


class State:
    """Parameters and optimiser state, carried from training to training."""

    def __init__(self, params, m, v, t, n_steps=0):
        self.params, self.m, self.v, self.t = params, m, v, t
        self.n_steps = n_steps  # taken before m and v began
        self.last = None  # parameters after the last step, where `params` are the best

    def optimizer(self):
        """Take apart what training can go on with."""
        return {"params": self.last, "m": self.m, "v": self.v, "t": self.t}

    @classmethod
    def start(cls, params):
        """Return the state before the first step."""
        zeros = (aligned(params.size, params.dtype) for _ in range(2))
        return cls(params, *zeros, 0)


class Job(NamedTuple):
    """What to fit.

    Attributes
    ----------
    network : Network
    encoding : InputEncoding
        Its bins are the inputs of the network beside the scaled ones.
    training : Data
        Jobs that were given the same one share a copy of it.
    validation : Data or None
        With validation rows the parameters of the best epoch are kept, and training
        stops after `options.n_iter_no_change` epochs without a better one.
    options : Options
    state : State
        Where training starts; changed in place.
    seed : int
        Below 2**32, of everything random in the training.
    on_epoch : callable or None, default=None
        Called with an `Epoch` after each; a true answer stops.
    """

    network: Any
    encoding: Any
    training: Data
    validation: Data | None
    options: Options
    state: State
    seed: int
    on_epoch: Callable | None = None


class Epoch(NamedTuple):
    """What a callback learns; copy `params` to keep them."""

    epoch: int
    loss: float
    validation_score: float | None
    params: np.ndarray


class Trial(NamedTuple):
    """What came out, in units of the scaled targets."""

    state: State  # its `params` are those to keep
    losses: list
    scores: list  # of the validation rows, after every epoch
    best_epoch: int  # 0: the start
    best_score: float | None  # of the validation rows, under the kept parameters
    log_widening: float  # logarithm of what all scales were multiplied by afterwards
    interrupted: bool = False


class Part(NamedTuple):
    """A fitted network's share of a mixture, for predictions.

    Attributes
    ----------
    model : skmdn._fit.model.Model
    weight : float
        Of all its components together.
    temperature, sharpness : float, default=1.0
        Factor on the scales; power of the weights within every member.
    floor : float or ndarray of shape (n_outputs,), default=0.0
        Lower bound of the scales after the temperature, in units of the targets.
    """

    model: Any
    weight: float
    temperature: float = 1.0
    sharpness: float = 1.0
    floor: Any = 0.0
