# SPDX-License-Identifier: BSD-3-Clause
"""Where the parameters of a network lie, on whatever device.

Each member of a network computes as a plain multilayer perceptron whose parameters are
one flat vector (`member_size` numbers): per layer a matrix W (n_out rows of the padded
n_in) and a bias. With one member this vector *is* the parameter vector. Several members
share the hidden matrices and scale them, W_m = diag(s_m) W diag(r_m) (BatchEnsemble,
Wen, Tran & Ba 2020, eq. 2); the parameter vector is then

    shared hidden W ... | member 0: r, s, b of every hidden layer, W and b of its head |
    member 1: ... | ...

and the members' plain vectors are derived from it once a step ("folding").
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

PADDING = 16  # Row lengths and row counts are padded to this many elements.

# Columns of Layout.layers: sizes, and offsets in a member's plain vector; then offsets
# in the shared part and in a member's own part of the parameter vector.
N_IN, N_PAD, N_OUT, N_OUT_PAD, WEIGHT, BIAS = range(6)
SHARED, ROW, COLUMN, OWN_WEIGHT, OWN_BIAS = range(6, 11)


class Layout(NamedTuple):
    """Sizes and offsets of the parameters."""

    layers: np.ndarray  # (n_hidden + 1, 11) int64, the columns named above
    n_features: int  # scaled inputs
    n_inputs: int  # columns that the network sees
    n_hidden: int
    n_head: int
    n_members: int
    member_size: int  # length of a member's plain parameter vector
    shared_size: int  # shared part of the parameter vector (several members)
    own_size: int  # a member's part of it
    n_components: int
    n_outputs: int
    n_scales: int  # see `skmdn._families.head.Head`, like the following
    n_shapes: int
    n_slopes: int

    @property
    def n_params(self):
        """Length of the parameter vector."""
        if self.n_members == 1:
            return self.member_size
        return self.shared_size + self.n_members * self.own_size


def pad(n):
    """Round up to a multiple of the padding."""
    return -(-n // PADDING) * PADDING


@lru_cache  # Predictions need it again and again.
def make_layout(n_features, n_inputs, hidden_layer_sizes, head, n_members):
    """Lay out the parameters of a network; `head` is a `skmdn._families.head.Head`."""
    sizes = [n_inputs, *hidden_layer_sizes, head.size]
    layers = np.zeros((len(sizes) - 1, 11), dtype=np.int64)
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
    return Layout(
        layers=layers,
        n_features=n_features,
        n_inputs=n_inputs,
        n_hidden=len(hidden_layer_sizes),
        n_head=head.size,
        n_members=n_members,
        member_size=member,
        shared_size=shared,
        own_size=own,
        n_components=head.n_components,
        n_outputs=head.n_outputs,
        n_scales=head.n_scales,
        n_shapes=head.n_shapes,
        n_slopes=head.n_slopes,
    )
