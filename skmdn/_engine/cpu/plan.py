# SPDX-License-Identifier: BSD-3-Clause
"""Where everything lies: parameters of a network and the workspace of a thread.

Each member of a network computes as a plain multilayer perceptron whose parameters are
one flat vector (`member_size` numbers): per layer a matrix W (n_out rows of the padded
n_in) and a bias. With one member this vector *is* the parameter vector. Several members
share the hidden matrices and scale them, W_m = diag(s_m) W diag(r_m) (BatchEnsemble,
Wen, Tran & Ba 2020, eq. 2); the parameter vector is then

    shared hidden W ... | member 0: r, s, b of every hidden layer, W and b of its head |
    member 1: ... | ...

and the members' plain vectors are derived from it once a step ("folding").

Activations lie as [features, BLOCK] blocks: every elementwise loop runs over the batch,
and a block of every layer stays in the first-level caches.
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from skmdn._engine.cpu.tile import PADDING

BLOCK = 64  # Columns (rows of the batch) that go through the network together.
MAX_GROUPS = 8  # Partial gradients of a step, summed in order: bits for any team size.

# Columns of Plan.layers.
N_IN, N_PAD, N_OUT, N_OUT_PAD, WEIGHT, BIAS, INPUT, DELTA = range(8)
SHARED, ROW, COLUMN, OWN_WEIGHT, OWN_BIAS = range(8, 13)  # several members


class Plan(NamedTuple):
    """Sizes and offsets of a network; kernels take it as it is."""

    layers: np.ndarray  # (n_hidden + 1, 13) int64, the columns named above
    n_features: int  # scaled inputs
    n_inputs: int  # rows of the input view
    n_hidden: int
    n_head: int
    n_members: int
    member_size: int  # length of a member's plain parameter vector
    shared_size: int  # shared part of the parameter vector (several members)
    own_size: int  # a member's part of it
    n_components: int
    n_outputs: int
    n_scales: int  # scales per component: n_outputs (diag) or 1 (spherical)
    raw: int  # workspace: scaled inputs [n_features, BLOCK]
    target: int  # [n_outputs, BLOCK]
    weight: int  # [BLOCK]
    head: int  # head outputs [n_head, BLOCK]
    likelihood: int  # a member's log-likelihoods [BLOCK]
    scratch: int  # rows for the likelihood [n_components + 4, BLOCK]
    transposed: int  # [BLOCK, transposed_stride]
    transposed_stride: int
    workspace_size: int  # of one thread

    @property
    def n_params(self):
        """Length of the parameter vector."""
        if self.n_members == 1:
            return self.member_size
        return self.shared_size + self.n_members * self.own_size


def pad(n):
    """Round up to a multiple of the padding."""
    return -(-n // PADDING) * PADDING


def _lay_out_parameters(sizes):
    """Return the layer table, the plain length, the shared and the own length."""
    layers = np.zeros((len(sizes) - 1, 13), dtype=np.int64)
    member = shared = own = 0
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        n_pad, n_out_pad = pad(n_in), pad(n_out)
        layer = layers[i]
        layer[[N_IN, N_PAD, N_OUT, N_OUT_PAD]] = n_in, n_pad, n_out, n_out_pad
        layer[[WEIGHT, BIAS]] = member, member + n_out * n_pad
        member += n_out * n_pad + n_out_pad
        if i < len(sizes) - 2:
            layer[[SHARED, ROW, COLUMN]] = shared, own, own + n_pad
            shared += n_out * n_pad
            own += n_pad + n_out_pad
        else:
            layer[OWN_WEIGHT] = own
            own += n_out * n_pad
        layer[OWN_BIAS] = own
        own += n_out_pad
    return layers, member, shared, own


@lru_cache  # Predictions need it again and again.
def make_plan(n_features, n_inputs, hidden_layer_sizes, head, n_members):
    """Lay out the parameters and the workspace of a network.

    `head` is a `skmdn._families.head.Head`.
    """
    sizes = [n_inputs, *hidden_layer_sizes, head.size]
    layers, member_size, shared_size, own_size = _lay_out_parameters(sizes)
    position = 0

    def reserve(n_rows):
        nonlocal position
        start = position
        # One cache line between blocks: addresses equal modulo 4096 stall the core.
        position += n_rows * BLOCK + PADDING
        return start

    for layer in layers:
        layer[INPUT] = reserve(layer[N_PAD])
        layer[DELTA] = reserve(layer[N_OUT_PAD])
    # An odd number of cache lines: a column of the transposed block meets every set.
    stride = int(layers[:, N_PAD].max()) // (2 * PADDING) * 2 * PADDING + PADDING
    return Plan(
        layers=layers,
        n_features=n_features,
        n_inputs=n_inputs,
        n_hidden=len(hidden_layer_sizes),
        n_members=n_members,
        member_size=member_size,
        shared_size=shared_size,
        own_size=own_size,
        n_head=head.size,
        n_components=head.n_components,
        n_outputs=head.n_outputs,
        n_scales=head.n_scales,
        raw=reserve(n_features),
        target=reserve(head.n_outputs),
        weight=reserve(1),
        head=reserve(pad(head.size)),
        likelihood=reserve(1),
        scratch=reserve(head.n_components + 4),
        transposed=reserve(stride),
        transposed_stride=stride,
        workspace_size=position,
    )


def n_groups(n_blocks, n_members):
    """Partial gradients of a step; a team shares several members instead."""
    return min(n_blocks, MAX_GROUPS) if n_members == 1 else 1
