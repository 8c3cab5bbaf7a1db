# SPDX-License-Identifier: BSD-3-Clause
"""A perceptron forward, for a tile of rows: products of 4 outputs by 8 rows a thread.

Weights stay in global memory, as [n_out / 4, n_in, 4]: a thread reads its four outputs'
weights in one stream, the same for the threads next to it, out of the first-level
cache. So a block's shared memory holds nothing but activations, whatever the sizes and
the number of the networks.
"""

from skmdn._engine.cuda.predict_inputs import FIRST_LAYER, N_LAYERS, SECOND
from skmdn._engine.cuda.primitives import (
    ROWS,
    STRIDE,
    barrier,
    device,
    get,
    load4,
    registers8,
    registers32,
    store4,
)

# Of a layer, in the table of integers; numbers of units are multiples of 4.
UNITS_IN, UNITS_OUT, WEIGHTS, BIASES = range(4)


def activation(z):
    """Stand for the activation: value and slope."""
    return z, z


@device
def add_outer(sm, at, a, total, x):
    """Add the product of four weights and eight rows, r.. and r + ROWS / 2 ..."""
    v = load4(sm, at)
    for j in range(4):
        x[j] = v[j]
    v = load4(sm, at + ROWS // 2)
    for j in range(4):
        x[4 + j] = v[j]
    for j in range(8):
        total[j] += a[0] * x[j]
        total[8 + j] += a[1] * x[j]
        total[16 + j] += a[2] * x[j]
        total[24 + j] += a[3] * x[j]


@device
def predict_layer(t, team, sm, x, out, ints, layer, params, hidden):
    """out[o, r] = f(b[o] + sum_k W[o, k] x[k, r]), f the activation if `hidden`."""
    n_in, n_out = get(ints, layer + UNITS_IN), get(ints, layer + UNITS_OUT)
    weights, biases = get(ints, layer + WEIGHTS), get(ints, layer + BIASES)
    for tile in range(t, (n_out // 4) * (ROWS // 8), team):
        r, o = (tile & (ROWS // 8 - 1)) * 4, tile // (ROWS // 8) * 4
        total, v = registers32(), registers8()
        bias = load4(params, biases + o)
        for j in range(8):
            total[j] = bias[0]
            total[8 + j] = bias[1]
            total[16 + j] = bias[2]
            total[24 + j] = bias[3]
        w, at = weights + o * n_in, x + r
        for _ in range(0, n_in, 4):
            add_outer(sm, at, load4(params, w), total, v)
            add_outer(sm, at + STRIDE, load4(params, w + 4), total, v)
            add_outer(sm, at + 2 * STRIDE, load4(params, w + 8), total, v)
            add_outer(sm, at + 3 * STRIDE, load4(params, w + 12), total, v)
            w += 16
            at += 4 * STRIDE
        if hidden:
            for j in range(32):
                total[j], _ = activation(total[j])
        at = out + o * STRIDE + r
        for i in range(4):
            store4(
                sm, at + i * STRIDE,
                total[8 * i], total[8 * i + 1], total[8 * i + 2], total[8 * i + 3],
            )  # fmt: skip
            store4(
                sm, at + i * STRIDE + ROWS // 2,
                total[8 * i + 4], total[8 * i + 5], total[8 * i + 6], total[8 * i + 7],
            )  # fmt: skip


@device
def predict_head(t, team, sync, sm, tables, p):
    """Run the perceptron at p forward from the columns at 0; where its head is."""
    ints = tables.ints
    n_layers, second = get(ints, p + N_LAYERS), get(ints, SECOND)
    x, out = 0, second
    for i in range(n_layers):
        layer = get(ints, p + FIRST_LAYER) + 4 * i
        predict_layer(t, team, sm, x, out, ints, layer, tables.params, i + 1 < n_layers)
        barrier(sync, team)
        x, out = out, x
    return x
