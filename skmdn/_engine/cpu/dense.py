# SPDX-License-Identifier: BSD-3-Clause
"""One block of rows through the network, forward and back.

`ws` is the flat workspace of a thread; the offsets come from `Plan`. `W` holds plain
parameter vectors of the members, one after the other; `start` is where one begins.
"""

from typing import NamedTuple

import numpy as np

from skmdn._engine.cpu.plan import BLOCK, DELTA, INPUT
from skmdn._engine.cpu.tile import ADD, MULTIPLY, SET, gemm, row_sums, transpose
from skmdn._engine.layout import BIAS, N_IN, N_OUT, N_OUT_PAD, N_PAD, WEIGHT
from skmdn._engine.limits import CLIP
from skmdn._engine.streams import TRIANGLE_UNIT, triangle
from skmdn._jit.memory import tail
from skmdn._jit.policy import helper, loop_helper
from skmdn._jit.vector import compact, wide_vectors

_SMOOTH_CLIP_FACTOR = 1 / CLIP**2


class Bins(NamedTuple):
    """Piecewise-linear bins, one entry a column of the inputs (see InputEncoding)."""

    bin_feature: np.ndarray
    bin_slope: np.ndarray
    bin_intercept: np.ndarray
    bin_low: np.ndarray
    bin_high: np.ndarray


@helper
def load_block(ws, plan, rows, picks, scale):
    """Gather rows of the data: scaled inputs, scaled targets, weights times `scale`."""
    compact()
    for b in range(BLOCK):
        row = picks[b]
        for j in range(plan.n_features):
            ws[plan.raw + j * BLOCK + b] = rows.X[row, j]
        for j in range(plan.n_outputs):
            ws[plan.target + j * BLOCK + b] = rows.Y[row, j]
        ws[plan.weight + b] = rows.weight[row] * scale


@helper(fastmath={"contract", "reassoc", "nsz"})
def weighted_sum(ws, plan):
    """Sum of weight times log-likelihood over the block."""
    compact()
    total = ws.dtype.type(0)
    for b in range(BLOCK):
        total += ws[plan.weight + b] * ws[plan.likelihood + b]
    return total


@loop_helper
def hash_noise(values, n, std, seed):
    """Add noise of standard deviation `std`, of a triangular density.

    It is a function of the position: no state to share.
    """
    wide_vectors()
    kind = values.dtype.type
    factor = kind(std * TRIANGLE_UNIT)
    for i in range(n):
        values[i] += factor * kind(triangle(i, seed))


@loop_helper
def smooth_clip(values, n, out):
    """x / sqrt(1 + (x / 3)^2): bounded by 3 (RealMLP; Holzmueller et al. 2024)."""
    wide_vectors()
    kind = values.dtype.type
    one, factor = kind(1), kind(_SMOOTH_CLIP_FACTOR)
    for i in range(n):
        x = values[i]
        out[i] = x / np.sqrt(one + factor * x * x)


@loop_helper
def encode(ws, plan, bins):
    """Scaled inputs -> encoded inputs: smooth clip, then piecewise-linear bins."""
    wide_vectors()
    raw, target = tail(ws, plan.raw), tail(ws, plan.layers[0, INPUT])
    smooth_clip(raw, plan.n_features * BLOCK, target)
    for i in range(len(bins.bin_feature)):
        values = tail(raw, bins.bin_feature[i] * BLOCK)
        out = tail(target, (plan.n_features + i) * BLOCK)
        slope, intercept = bins.bin_slope[i], bins.bin_intercept[i]
        low, high = bins.bin_low[i], bins.bin_high[i]
        for b in range(BLOCK):
            ramp = slope * values[b] + intercept
            ramp = low if ramp < low else ramp
            out[b] = high if ramp > high else ramp


@loop_helper
def activate(activation, z, n, out):
    """out := value at z, z := slope at z, for the first n elements."""
    wide_vectors()
    for i in range(n):
        out[i], z[i] = activation(z[i])


@helper
def backward(ws, plan, W, start, zeros, gradient, add):
    """Gradient of one member's parameters from the gradient at its head."""
    compact()
    for i in range(plan.n_hidden, -1, -1):
        layer = plan.layers[i]
        n_out, n_pad, delta = layer[N_OUT], layer[N_PAD], layer[DELTA]
        stride = plan.transposed_stride
        transpose(ws, layer[INPUT], BLOCK, n_pad, BLOCK, ws, plan.transposed, stride)
        gemm(
            gradient, layer[WEIGHT], n_pad, ws, delta, BLOCK, 1,
            ws, plan.transposed, stride, n_out, n_pad, BLOCK,
            zeros, 0, ADD if add else SET,
        )  # fmt: skip
        row_sums(ws, delta, BLOCK, layer[N_OUT_PAD], BLOCK, gradient, layer[BIAS], add)
        if i > 0:
            below = plan.layers[i - 1]
            # The slopes that the forward pass left in DELTA turn into its gradient.
            gemm(
                ws, below[DELTA], BLOCK, W, start + layer[WEIGHT], 1, n_pad,
                ws, delta, BLOCK, layer[N_IN], BLOCK, n_out, zeros, 0, MULTIPLY,
            )  # fmt: skip


@helper
def forward(ws, plan, W, start, activation):
    """One member's outputs in `head`; the hidden layers leave their slopes in DELTA."""
    compact()
    for i in range(plan.n_hidden + 1):
        layer = plan.layers[i]
        target = layer[DELTA] if i < plan.n_hidden else plan.head
        gemm(
            ws, target, BLOCK, W, start + layer[WEIGHT], layer[N_PAD], 1,
            ws, layer[INPUT], BLOCK, layer[N_OUT], BLOCK, layer[N_IN],
            W, start + layer[BIAS], SET,
        )  # fmt: skip
        if i < plan.n_hidden:
            above = plan.layers[i + 1]
            n = layer[N_OUT] * BLOCK
            activate(activation, tail(ws, layer[DELTA]), n, tail(ws, above[INPUT]))
