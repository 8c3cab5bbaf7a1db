# SPDX-License-Identifier: BSD-3-Clause
"""What lies where: a block's shared memory, the numbers of a network and of a training.

A block trains one network. Rows go through it in tiles; the activations of a tile lie
as [features, STRIDE] in shared memory. Weights and gradients lie there too if they fit;
else in the model's part of the table `state`, from where the caches serve them. Shapes
are numbers that kernels read: networks of different widths share a launch.
"""

from typing import NamedTuple

import numpy as np

from skmdn._engine import streams
from skmdn._engine.activations import ACTIVATIONS
from skmdn._engine.cuda.primitives import f4
from skmdn._engine.layout import N_OUT, N_PAD
from skmdn._families.base import Family

TEAM = 256  # Threads of a block.

# A network's numbers (int32): these, then the columns of `Layout.layers` with INPUT and
# DELTA (offsets in shared memory, of a layer's inputs, and of its outputs' slopes and
# gradients) for each layer.
(
    N_FEATURES, N_HIDDEN, N_COMPONENTS, N_OUTPUTS, N_SCALES,
    N_MEMBERS, MEMBER_SIZE, SHARED_SIZE, OWN_SIZE, N_PARAMS,
    PLAIN, GRADIENT, EVIDENCE, TARGETS, ROW_WEIGHTS, SCRATCH, SUMS, PARTS, N_SHARED,
) = range(19)  # fmt: skip
LAYERS, LAYER_SIZE = 19, 13
INPUT, DELTA = 11, 12

# A model's part of the table `state`: parameters, m, v, the best parameters (N_PARAMS
# each). Then, with members, the gradient of the parameters; the plain weights of one
# member and their gradient, if they are not in shared memory (at PLAIN and GRADIENT,
# wherever these are); and, with members, log-likelihoods of the held-out rows
# (EVIDENCE).

# A training's numbers (int64): where its parts of the tables begin, and how much to do.
(
    NETWORK, SETTINGS, STATE, SCHEDULE, BATCHES, CURVE, BINS,
    X, Y, WEIGHTS, N_ROWS, X_HELD, Y_HELD, WEIGHTS_HELD, N_HELD,
    N_STEPS, N_LINES, N_COLUMNS, SEED, EPOCH, N_EPOCHS, BEST_EPOCH, PATIENCE, IS_NEW,
) = range(24)  # fmt: skip
N_NUMBERS = 24

# Its settings (float32), before the squared lower bounds of its scales.
RATE, DECAY, NOISE, BEST_SCORE, MIN_SQUARE = range(5)

# What the curves have of an epoch (the first is the start): -1 skipped steps of one
# that was not run.
LOSS, SCORE, N_SKIPPED, CURVE_SIZE = range(4)

# Sums of squares: of chunks, then of sixteens of these.
N_CHUNKS, N_SIXTEENS = 256, 16


class Variant(NamedTuple):
    """What kernels are compiled for; equal ones share a launch."""

    rows: int  # of a tile
    shared_weights: bool  # whether the weights are in shared memory
    shared_gradients: bool
    has_members: bool
    activation: str
    family: Family
    is_large: bool = False  # all blocks train one network, see `large`

    @property
    def stride(self):
        """Distance between the features of a tile: four more, for the banks."""
        return self.rows + 4

    @property
    def functions(self):
        """Plain functions that kernels call, by name."""
        return {
            **streams.SCALAR,
            "activation": ACTIVATIONS[self.activation],
            "log_density": self.family.log_density,
        }

    @property
    def constants(self):
        """Constants of kernels, see `skmdn._engine.cuda.primitives`."""
        return {
            "LOG_NORMALISER": f4(self.family.log_normaliser),
            "ROWS": self.rows,
            "LOG_ROWS": self.rows.bit_length() - 1,
            "STRIDE": self.stride,
            "SHARED_WEIGHTS": self.shared_weights,
            "SHARED_GRADIENTS": self.shared_gradients,
            "HAS_MEMBERS": self.has_members,
        }


# Rows of a step from which on there is work for all blocks, and parts of a step.
LARGE_BATCH, N_PARTS = 4096, 256

# By preference; the second is for networks of 128 units, the third for those of 256.
_TILINGS = ((64, True, True), (32, True, False), (32, False, False), (16, False, False))
# Of all blocks: their gradients meet outside shared memory.
_LARGE_TILINGS = ((64, True, False), *_TILINGS[1:2], (64, False, False), *_TILINGS[2:])


class _Region:
    """Memory that is given out in parts, which begin at multiples of four numbers."""

    size = 0

    def reserve(self, n):
        start = self.size
        self.size += -(-n // 4) * 4
        return start


class Numbers(NamedTuple):
    """A network as kernels take it, and the memory that it needs."""

    network: np.ndarray  # (LAYERS + n_layers * LAYER_SIZE,) int32
    shared_bytes: int
    state_size: int  # in the table `state`, but for EVIDENCE


def lay_out(layout, variant):
    """Return the `Numbers` of a network.

    Parameters
    ----------
    layout : skmdn._engine.layout.Layout
    variant : Variant
    """
    layers = np.pad(layout.layers, ((0, 0), (0, 2)))
    shared, state = _Region(), _Region()
    reserve = shared.reserve
    state.reserve((5 if variant.has_members else 4) * layout.n_params)
    plain = gradient = 0
    if variant.shared_weights:
        reserve(layout.member_size)  # at 0
    elif variant.has_members:
        plain = state.reserve(layout.member_size)
    where = shared if variant.shared_gradients else state
    gradient = where.reserve(layout.member_size)
    for layer in layers:
        layer[INPUT] = reserve(layer[N_PAD] * variant.stride)
        layer[DELTA] = reserve(-(-layer[N_OUT] // 4) * 4 * variant.stride)
    header = {
        N_FEATURES: layout.n_features,
        N_HIDDEN: layout.n_hidden,
        N_COMPONENTS: layout.n_components,
        N_OUTPUTS: layout.n_outputs,
        N_SCALES: layout.n_scales,
        N_MEMBERS: layout.n_members,
        MEMBER_SIZE: layout.member_size,
        SHARED_SIZE: layout.shared_size,
        OWN_SIZE: layout.own_size,
        N_PARAMS: layout.n_params,
        PLAIN: plain,
        GRADIENT: gradient,
        EVIDENCE: state.size,
        TARGETS: reserve(layout.n_outputs * variant.stride),
        ROW_WEIGHTS: reserve(variant.stride),
        SCRATCH: reserve((layout.n_components + 5) * variant.stride),
        SUMS: reserve(4 * variant.stride),
        PARTS: reserve(N_CHUNKS + N_SIXTEENS),
        N_SHARED: shared.size,
    }
    network = np.array([header[i] for i in range(LAYERS)] + layers.ravel().tolist())
    return Numbers(network.astype(np.int32), 4 * shared.size, state.size)


def variant_of(job, device):
    """Return the `Variant` that trains a job's network fastest, of those that fit.

    Parameters
    ----------
    job : Job
    device : object
        Its `shared_bytes` are the most that a block can have.

    Raises
    ------
    ValueError
        If none fits, or the kernels do not know the covariances.
    """
    network = job.network
    if network.head.is_chain:
        raise ValueError(
            "covariance_type='full' and 'tied' are not available with device='cuda' "
            "in this version; use 'diag' or 'spherical', or device='cpu'."
        )
    least, is_ensemble = 0, network.n_estimators > 1
    batch = min(job.options.batch_size, len(job.training.X))
    is_large = batch >= LARGE_BATCH and not is_ensemble
    for tiling in _LARGE_TILINGS if is_large else _TILINGS:
        kind = (is_ensemble, network.activation, network.family, is_large)
        variant = Variant(*tiling, *kind)
        least = lay_out(network.layout, variant).shared_bytes
        if least <= device.shared_bytes:
            return variant
    raise ValueError(
        f"A network with {network.n_inputs} inputs (features and bins of features) and "
        f"hidden_layer_sizes={network.hidden_layer_sizes} needs {least} bytes of a "
        f"GPU's shared memory, which has {device.shared_bytes}; use smaller layers, "
        "fewer bins, or device='cpu'."
    )
