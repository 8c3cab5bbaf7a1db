# SPDX-License-Identifier: BSD-3-Clause
"""Members that share hidden weights: W_m = diag(s_m) W diag(r_m), and its chain rule.

`skmdn._engine.layout` says where the parameters lie, `skmdn._engine.cpu.optimiser` what
is computed. Sixteen threads share a row of a matrix.
"""

from skmdn._engine.cuda.layout import (
    LAYER_SIZE,
    LAYERS,
    N_HIDDEN,
    N_PARAMS,
    OWN_SIZE,
    SHARED_SIZE,
)
from skmdn._engine.cuda.primitives import device, f4, get, load4, put, store4
from skmdn._engine.layout import (
    BIAS,
    COLUMN,
    N_OUT,
    N_OUT_PAD,
    N_PAD,
    OWN_BIAS,
    OWN_WEIGHT,
    ROW,
    SHARED,
    WEIGHT,
)

_ZERO = f4(0)
_LANES, _LOG_LANES = 16, 4


@device
def copy_scaled(t, team, source, at, factor, n, target, to):
    """target[to + i] := factor * source[at + i]."""
    for i in range(4 * t, n, 4 * team):
        v = load4(source, at + i)
        store4(
            target, to + i, factor * v[0], factor * v[1], factor * v[2], factor * v[3]
        )


@device
def fold(t, team, net, params, params_at, m, weights, start):
    """Plain vector of member m."""
    own = params_at + get(net, SHARED_SIZE) + m * get(net, OWN_SIZE)
    n_hidden, one = get(net, N_HIDDEN), f4(1)
    lanes = min(team, _LANES)
    for i in range(n_hidden):
        layer = LAYERS + LAYER_SIZE * i
        n_pad, n_out = get(net, layer + N_PAD), get(net, layer + N_OUT)
        row, column = own + get(net, layer + ROW), own + get(net, layer + COLUMN)
        shared, target = (
            params_at + get(net, layer + SHARED),
            start + get(net, layer + WEIGHT),
        )
        for j in range(t >> _LOG_LANES, n_out, max(1, team >> _LOG_LANES)):
            s = get(params, column + j)
            for k in range(4 * (t & (_LANES - 1)), n_pad, 4 * lanes):
                w, r = load4(params, shared + j * n_pad + k), load4(params, row + k)
                store4(
                    weights, target + j * n_pad + k, w[0] * s * r[0], w[1] * s * r[1],
                    w[2] * s * r[2], w[3] * s * r[3],
                )  # fmt: skip
        copy_scaled(
            t, team, params, own + get(net, layer + OWN_BIAS), one,
            get(net, layer + N_OUT_PAD), weights, start + get(net, layer + BIAS),
        )  # fmt: skip
    head = LAYERS + LAYER_SIZE * n_hidden
    size = get(net, head + N_OUT) * get(net, head + N_PAD) + get(net, head + N_OUT_PAD)
    copy_scaled(
        t, team, params, own + get(net, head + OWN_WEIGHT), one, size,
        weights, start + get(net, head + WEIGHT),
    )  # fmt: skip


@device
def own_part(net, m):
    """Where member m's own part of the parameter vector begins."""
    return get(net, SHARED_SIZE) + m * get(net, OWN_SIZE)


@device
def unfold_shared(t, team, net, layer, params, m, gradients, start, factor):
    """Add a member to the gradient of a shared matrix; the first one sets it."""
    n_pad, own = get(net, layer + N_PAD), own_part(net, m)
    row, column = own + get(net, layer + ROW), own + get(net, layer + COLUMN)
    source = start + get(net, layer + WEIGHT)
    target = 4 * get(net, N_PARAMS) + get(net, layer + SHARED)
    j = t >> _LOG_LANES
    while j < get(net, layer + N_OUT):
        s, k = factor * get(params, column + j), 4 * (t & (_LANES - 1))
        while k < n_pad:
            g, r = load4(gradients, source + j * n_pad + k), load4(params, row + k)
            at = target + j * n_pad + k
            g0, g1, g2, g3 = g[0] * r[0], g[1] * r[1], g[2] * r[2], g[3] * r[3]
            d0 = d1 = d2 = d3 = _ZERO
            if m > 0:
                d0, d1, d2, d3 = load4(params, at)
            store4(params, at, d0 + g0 * s, d1 + g1 * s, d2 + g2 * s, d3 + g3 * s)
            k += 4 * min(team, _LANES)
        j += max(1, team >> _LOG_LANES)


@device
def unfold_rows(t, team, net, layer, params, m, gradients, start, factor):
    """Gradient of r: a member's matrix summed over its rows."""
    n_pad, n_out = get(net, layer + N_PAD), get(net, layer + N_OUT)
    column = own_part(net, m) + get(net, layer + COLUMN)
    source, shared = start + get(net, layer + WEIGHT), get(net, layer + SHARED)
    k = t
    while k < n_pad:
        total = _ZERO
        for j in range(n_out):
            i = j * n_pad + k
            s = factor * get(params, column + j)
            total += get(gradients, source + i) * get(params, shared + i) * s
        at = 4 * get(net, N_PARAMS) + own_part(net, m) + get(net, layer + ROW)
        put(params, at + k, total)
        k += team


@device
def unfold_columns(t, team, net, layer, params, m, gradients, start, factor):
    """Gradient of s: a member's matrix summed over its columns."""
    n_pad, row = get(net, layer + N_PAD), own_part(net, m) + get(net, layer + ROW)
    source, shared = start + get(net, layer + WEIGHT), get(net, layer + SHARED)
    j = team - 1 - t  # By threads that have less to do.
    while j < get(net, layer + N_OUT):
        total, k = _ZERO, 4 * j  # Threads begin at different banks.
        while k >= n_pad:
            k -= n_pad
        for _ in range(0, n_pad, 4):
            i = j * n_pad + k
            g, w = load4(gradients, source + i), load4(params, shared + i)
            r = load4(params, row + k)
            total += g[0] * w[0] * r[0]
            total += g[1] * w[1] * r[1]
            total += g[2] * w[2] * r[2]
            total += g[3] * w[3] * r[3]
            k += 4
            if k == n_pad:
                k = 0
        at = 4 * get(net, N_PARAMS) + own_part(net, m) + get(net, layer + COLUMN)
        put(params, at + j, factor * total)
        j += team


@device
def unfold(t, team, net, params, m, gradients, start, factor):
    """Gradient of the parameter vector, from member m's plain gradient times `factor`.

    `params` is the model's part of `state`, where the gradient begins at 4 * n_params.
    """
    i = 0
    while i < get(net, N_HIDDEN):
        layer = LAYERS + LAYER_SIZE * i
        unfold_shared(t, team, net, layer, params, m, gradients, start, factor)
        unfold_rows(t, team, net, layer, params, m, gradients, start, factor)
        unfold_columns(t, team, net, layer, params, m, gradients, start, factor)
        copy_scaled(
            t, team, gradients, start + get(net, layer + BIAS), factor,
            get(net, layer + N_OUT_PAD), params,
            4 * get(net, N_PARAMS) + own_part(net, m) + get(net, layer + OWN_BIAS),
        )  # fmt: skip
        i += 1
    head = LAYERS + LAYER_SIZE * get(net, N_HIDDEN)
    size = get(net, head + N_OUT) * get(net, head + N_PAD) + get(net, head + N_OUT_PAD)
    copy_scaled(
        t, team, gradients, start + get(net, head + WEIGHT), factor, size, params,
        4 * get(net, N_PARAMS) + own_part(net, m) + get(net, head + OWN_WEIGHT),
    )  # fmt: skip
