# SPDX-License-Identifier: BSD-3-Clause
"""Products of matrices: a layer forward, and back to its weights and to its inputs.

A thread has a tile of 4 outputs and `THREAD_ROWS` rows (or 4 outputs and 1 to 4 inputs)
in registers and sums along the third index in order: the same bits for any team.
`weights` and `gradients` are shared memory or a part of the table `state`.
"""

from skmdn._engine.activations import silu as activation
from skmdn._engine.cuda.layout import DELTA, INPUT, LAYER_SIZE, LAYERS, N_HIDDEN
from skmdn._engine.cuda.primitives import (
    LOG_ROWS,
    ROWS,
    STRIDE,
    THREAD_ROWS,
    barrier,
    device,
    f4,
    get,
    load4,
    put,
    registers8,
    registers32,
    store4,
)
from skmdn._engine.layout import BIAS, N_IN, N_OUT, N_PAD, WEIGHT

_ZERO = f4(0)


@device
def load_rows(sm, at, v):
    """Load a thread's rows of a feature: four, and four more half a tile on."""
    a = load4(sm, at)
    for j in range(4):
        v[j] = a[j]
    if THREAD_ROWS == 8:
        a = load4(sm, at + ROWS // 2)
        for j in range(4):
            v[4 + j] = a[j]


@device
def multiply_add(acc, v, a0, a1, a2, a3):
    """Add four numbers times the rows to the tile of a thread."""
    for j in range(THREAD_ROWS):
        acc[j] += a0 * v[j]
        acc[THREAD_ROWS + j] += a1 * v[j]
        acc[2 * THREAD_ROWS + j] += a2 * v[j]
        acc[3 * THREAD_ROWS + j] += a3 * v[j]


@device
def layer_forward(
    t, team, sm, weights, w, b, x, n_pad, n_out, out, slopes, is_hidden
):  # fmt: skip
    """out[o, r] := b[o] + sum_k W[o, k] x[k, r], activated if hidden."""
    shift = LOG_ROWS - (2 if THREAD_ROWS == 4 else 3)
    for tile in range(t, ((n_out + 3) >> 2) << shift, team):
        r, o = (tile & ((1 << shift) - 1)) << 2, (tile >> shift) << 2
        acc, v = registers32(), registers8()
        for i in range(4):
            bias = get(weights, b + o + i)
            for j in range(THREAD_ROWS):
                acc[i * THREAD_ROWS + j] = bias
        # Rows beyond the last are computed from the last, and not kept.
        last = n_out - 1
        w0 = w + o * n_pad
        w1 = w + min(o + 1, last) * n_pad
        w2 = w + min(o + 2, last) * n_pad
        w3 = w + min(o + 3, last) * n_pad
        at = x + r
        for k in range(0, n_pad, 4):
            a0 = load4(weights, w0 + k)
            a1 = load4(weights, w1 + k)
            a2 = load4(weights, w2 + k)
            a3 = load4(weights, w3 + k)
            load_rows(sm, at, v)
            multiply_add(acc, v, a0[0], a1[0], a2[0], a3[0])
            load_rows(sm, at + STRIDE, v)
            multiply_add(acc, v, a0[1], a1[1], a2[1], a3[1])
            load_rows(sm, at + 2 * STRIDE, v)
            multiply_add(acc, v, a0[2], a1[2], a2[2], a3[2])
            load_rows(sm, at + 3 * STRIDE, v)
            multiply_add(acc, v, a0[3], a1[3], a2[3], a3[3])
            at += 4 * STRIDE
        for i in range(4):
            for j in range(0, THREAD_ROWS, 4):
                at = (o + i) * STRIDE + r + (ROWS // 2 if j else 0)
                a = i * THREAD_ROWS + j
                if is_hidden:
                    h0, d0 = activation(acc[a])
                    h1, d1 = activation(acc[a + 1])
                    h2, d2 = activation(acc[a + 2])
                    h3, d3 = activation(acc[a + 3])
                    if o + i > last:
                        h0 = h1 = h2 = h3 = d0 = d1 = d2 = d3 = _ZERO
                    store4(sm, out + at, h0, h1, h2, h3)
                    store4(sm, slopes + at, d0, d1, d2, d3)
                elif o + i <= last:
                    store4(sm, out + at, acc[a], acc[a + 1], acc[a + 2], acc[a + 3])


@device
def forward(t, team, sync, sm, net, weights, start):
    """From the inputs of the first layer to the head, in DELTA of the last layer."""
    n_hidden = get(net, N_HIDDEN)
    for i in range(n_hidden + 1):
        layer = LAYERS + LAYER_SIZE * i
        is_hidden, slopes = i < n_hidden, get(net, layer + DELTA)
        out = get(net, layer + LAYER_SIZE + INPUT) if is_hidden else slopes
        layer_forward(
            t, team, sm, weights, start + get(net, layer + WEIGHT),
            start + get(net, layer + BIAS), get(net, layer + INPUT),
            get(net, layer + N_PAD), get(net, layer + N_OUT), out, slopes, is_hidden,
        )  # fmt: skip
        barrier(sync, team)


@device
def to_inputs(t, team, sm, weights, w, n_in, n_pad, n_out, delta, below):
    """below[k, r] *= sum_o W[o, k] delta[o, r]."""
    for tile in range(t, ((n_in + 3) >> 2) << (LOG_ROWS - 2), team):
        r, k = (tile & (ROWS // 4 - 1)) << 2, (tile >> (LOG_ROWS - 2)) << 2
        acc = registers32()
        for i in range(16):
            acc[i] = _ZERO
        wk, at = w + k, delta + r
        for _ in range(n_out):
            a = load4(weights, wk)
            v = load4(sm, at)
            wk += n_pad
            at += STRIDE
            for j in range(4):
                acc[j] += a[0] * v[j]
                acc[4 + j] += a[1] * v[j]
                acc[8 + j] += a[2] * v[j]
                acc[12 + j] += a[3] * v[j]
        for i in range(4):
            if k + i < n_in:
                at = below + (k + i) * STRIDE + r
                d = load4(sm, at)
                store4(
                    sm, at, d[0] * acc[4 * i], d[1] * acc[4 * i + 1],
                    d[2] * acc[4 * i + 2], d[3] * acc[4 * i + 3],
                )  # fmt: skip


@device
def add_products(acc, a, b, at):
    """acc[at] += the product of two vectors, one term after the other."""
    acc[at] += a[0] * b[0]
    acc[at] += a[1] * b[1]
    acc[at] += a[2] * b[2]
    acc[at] += a[3] * b[3]


@device
def to_weights(
    t, team, sm, width, first, x, n_pad, n_out, delta, gradients, g, is_added
):  # fmt: skip
    """Gradient of 4 rows of W times `width` columns that stand 16 apart."""
    for tile in range(t, ((n_out + 3) >> 2) << 4, team):
        k, o = first + (tile & 15), (tile >> 4) << 2
        acc = registers32()
        for i in range(4 * width):
            acc[i] = _ZERO
        d, xk = delta + o * STRIDE, x + k * STRIDE
        for r in range(0, ROWS, 4):
            g0 = load4(sm, d + r)
            g1 = load4(sm, d + STRIDE + r)
            g2 = load4(sm, d + 2 * STRIDE + r)
            g3 = load4(sm, d + 3 * STRIDE + r)
            for c in range(width):
                v = load4(sm, xk + 16 * c * STRIDE + r)
                add_products(acc, g0, v, c)
                add_products(acc, g1, v, width + c)
                add_products(acc, g2, v, 2 * width + c)
                add_products(acc, g3, v, 3 * width + c)
        for i in range(4):
            if o + i < n_out:
                for c in range(width):
                    at = g + (o + i) * n_pad + k + 16 * c
                    value = acc[i * width + c]
                    put(
                        gradients, at, get(gradients, at) + value if is_added else value
                    )


@device
def to_biases(t, team, sm, n_out, delta, gradients, g, is_added):
    """Sum the gradients of a layer's outputs over the rows."""
    for o in range(team - 1 - t, n_out, team):  # By threads that have less to do.
        s0 = s1 = s2 = s3 = _ZERO
        for r in range(0, ROWS, 4):
            d = load4(sm, delta + o * STRIDE + r)
            s0 += d[0]
            s1 += d[1]
            s2 += d[2]
            s3 += d[3]
        total = (s0 + s1) + (s2 + s3)
        put(gradients, g + o, get(gradients, g + o) + total if is_added else total)


@device
def backward(
    t, team, sync, sm, net, weights, start, gradients, g_start, is_added
):  # fmt: skip
    """Gradient of a plain parameter vector, from that at the head."""
    n_hidden = get(net, N_HIDDEN)
    for back in range(n_hidden + 1):
        layer = LAYERS + LAYER_SIZE * (n_hidden - back)
        x, delta = get(net, layer + INPUT), get(net, layer + DELTA)
        n_pad, n_out = get(net, layer + N_PAD), get(net, layer + N_OUT)
        w, first = get(net, layer + WEIGHT), 0
        g = g_start + w
        while first + 64 <= n_pad:
            to_weights(
                t, team, sm, 4, first, x, n_pad, n_out, delta, gradients, g, is_added
            )
            first += 64
        if first + 32 <= n_pad:
            to_weights(
                t, team, sm, 2, first, x, n_pad, n_out, delta, gradients, g, is_added
            )
            first += 32
        if first < n_pad:
            to_weights(
                t, team, sm, 1, first, x, n_pad, n_out, delta, gradients, g, is_added
            )
        b = g_start + get(net, layer + BIAS)
        to_biases(t, team, sm, n_out, delta, gradients, b, is_added)
        if back < n_hidden:
            to_inputs(
                t, team, sm, weights, start + w, get(net, layer + N_IN), n_pad, n_out,
                delta, get(net, layer - LAYER_SIZE + DELTA),
            )  # fmt: skip
        barrier(sync, team)
