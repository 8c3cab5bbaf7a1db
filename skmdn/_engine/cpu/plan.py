# SPDX-License-Identifier: BSD-3-Clause
"""Where a thread works: the layout of the parameters, and that of its memory.

Activations lie as [features, BLOCK] blocks: every elementwise loop runs over the batch,
and a block of every layer stays in the first-level caches.
"""

from collections import namedtuple
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from skmdn._engine.layout import N_OUT_PAD, N_PAD, PADDING, Layout, pad

BLOCK = 64  # Columns (rows of the batch) that go through the network together.
MAX_GROUPS = 8  # Partial gradients of a step, summed in order: bits for any team size.

# Columns of Plan.layers after those of Layout.layers: offsets in a thread's memory.
INPUT, DELTA = 11, 12


class Workspace(NamedTuple):
    """Offsets in the memory of a thread."""

    raw: int  # scaled inputs [n_features, BLOCK]
    target: int  # [n_outputs, BLOCK]
    weight: int  # [BLOCK]
    head: int  # head outputs [n_head, BLOCK]
    likelihood: int  # a member's log-likelihoods [BLOCK]
    scratch: int  # rows for the likelihood [scratch_rows(layout), BLOCK]
    transposed: int  # [BLOCK, transposed_stride]
    transposed_stride: int
    workspace_size: int  # of one thread


# What kernels take: the fields of `Layout`, with two more columns of layers, and those
# of `Workspace`.
Plan = namedtuple("Plan", [*Layout._fields, *Workspace._fields])


def scratch_rows(layout):
    """Rows that `likelihood` and `chain` need; the latter more by one, and by K x D."""
    n_rows = layout.n_components + 4
    is_chain = layout.n_slopes > 0 or layout.n_shapes < layout.n_components
    return n_rows + is_chain * (1 + layout.n_components * layout.n_outputs)


def make_plan(layout):
    """Lay out the workspace of a thread for a network."""
    return _make_plan(layout.layers.tobytes(), *layout[1:])


@lru_cache  # Predictions need it again and again.
def _make_plan(layers, *sizes):
    layers = np.frombuffer(layers, dtype=np.int64).reshape(-1, INPUT)
    layout = Layout(np.pad(layers, ((0, 0), (0, 2))), *sizes)
    layers, position = layout.layers, 0

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
    workspace = Workspace(
        raw=reserve(layout.n_features),
        target=reserve(layout.n_outputs),
        weight=reserve(1),
        head=reserve(pad(layout.n_head)),
        likelihood=reserve(1),
        scratch=reserve(scratch_rows(layout)),
        transposed=reserve(stride),
        transposed_stride=stride,
        workspace_size=position,
    )
    return Plan(*layout, *workspace)


def n_groups(n_blocks, n_members):
    """Partial gradients of a step; a team shares several members instead."""
    return min(n_blocks, MAX_GROUPS) if n_members == 1 else 1
