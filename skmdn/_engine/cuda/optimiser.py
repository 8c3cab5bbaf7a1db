# SPDX-License-Identifier: BSD-3-Clause
"""From the gradient to the next parameters: its norm, and Adam."""

from skmdn._engine.cuda.layout import (
    LAYER_SIZE,
    LAYERS,
    N_CHUNKS,
    N_HIDDEN,
    N_MEMBERS,
    N_PARAMS,
    N_SIXTEENS,
    OWN_SIZE,
    PARTS,
    SHARED_SIZE,
)
from skmdn._engine.cuda.primitives import (
    HAS_MEMBERS,
    barrier,
    device,
    f4,
    get,
    load4,
    put,
    rsqrt,
    store4,
)
from skmdn._engine.layout import BIAS, OWN_BIAS, OWN_WEIGHT, WEIGHT
from skmdn._engine.training import BETA1, BETA2

_ZERO, _ONE = f4(0), f4(1)
_BETA1, _BETA2, _EPSILON_SQUARE = f4(BETA1), f4(BETA2), f4(1e-16)
LARGEST = f4(3e38)


@device
def adam(p, g, m, v, correction, shrink):
    """One parameter and its moments after a step, see `skmdn._engine.cpu.optimiser`.

    The formula stands there again: as a function of its own it is not vectorised, and
    training takes a quarter longer.
    """
    m = _BETA1 * m + (_ONE - _BETA1) * g
    v = _BETA2 * v + (_ONE - _BETA2) * g * g
    return p - correction * m * rsqrt(v + _EPSILON_SQUARE) - shrink * p, m, v


@device
def squared_norm(t, team, sync, sm, net, gradients, g, n):
    """Sum of squares, in an order that does not depend on the number of threads."""
    parts, c = get(net, PARTS), t
    # While: the number of turns of a range is computed ahead, and kept in registers.
    while c < N_CHUNKS:
        s0 = s1 = s2 = s3 = _ZERO
        for i in range(4 * c, n, 4 * N_CHUNKS):
            v = load4(gradients, g + i)
            s0 += v[0] * v[0]
            s1 += v[1] * v[1]
            s2 += v[2] * v[2]
            s3 += v[3] * v[3]
        put(sm, parts + c, (s0 + s1) + (s2 + s3))
        c += team
    barrier(sync, team)
    c = t
    while c < N_SIXTEENS:
        total = _ZERO
        for i in range(c, N_CHUNKS, N_SIXTEENS):
            total += get(sm, parts + i)
        put(sm, parts + N_CHUNKS + c, total)
        c += team
    barrier(sync, team)
    total = _ZERO
    for c in range(N_SIXTEENS):
        total += get(sm, parts + N_CHUNKS + c)
    return total


@device
def descend_range(
    t, team, params, gradients, g, state, n_params, first, end, factor, correction,
    shrink,
):  # fmt: skip
    """Take a step of Adam on the parameters from `first` to `end`."""
    m_at, v_at = n_params, 2 * n_params
    # Not a range: one whose step is not known (all blocks together) divides by it.
    i = first + 4 * t
    while i < end:
        p, d = load4(params, i), load4(gradients, g + i)
        m, v = load4(state, m_at + i), load4(state, v_at + i)
        p0, m0, v0 = adam(p[0], factor * d[0], m[0], v[0], correction, shrink)
        p1, m1, v1 = adam(p[1], factor * d[1], m[1], v[1], correction, shrink)
        p2, m2, v2 = adam(p[2], factor * d[2], m[2], v[2], correction, shrink)
        p3, m3, v3 = adam(p[3], factor * d[3], m[3], v[3], correction, shrink)
        store4(params, i, p0, p1, p2, p3)
        store4(state, m_at + i, m0, m1, m2, m3)
        store4(state, v_at + i, v0, v1, v2, v3)
        i += 4 * team


@device
def descend(
    t, team, net, params, gradients, g, state, factor, correction, shrink
):  # fmt: skip
    """Take a step of Adam; weights decay, biases and scaling vectors do not."""
    n, n_hidden = get(net, N_PARAMS), get(net, N_HIDDEN)
    n_ranges = 2 * (n_hidden + 1)
    if HAS_MEMBERS:
        n_ranges = 1 + 3 * get(net, N_MEMBERS)
    for i in range(n_ranges):
        # Weights and biases by turns; of members after the shared weights.
        if HAS_MEMBERS:
            layer = LAYERS + LAYER_SIZE * n_hidden
            weight, bias = get(net, layer + OWN_WEIGHT), get(net, layer + OWN_BIAS)
            own, shared = get(net, OWN_SIZE), get(net, SHARED_SIZE)
            first, end, decays = 0, shared, True
            if i > 0:
                m = (i - 1) // 3
                part = (i - 1) - 3 * m
                start = shared + m * own
                decays = part == 1
                first = start + (0 if part == 0 else weight if part == 1 else bias)
                end = start + (weight if part == 0 else bias if part == 1 else own)
        else:
            layer = LAYERS + LAYER_SIZE * (i >> 1)
            decays = (i & 1) == 0
            first = get(net, layer + (WEIGHT if decays else BIAS))
            end = n
            if decays:
                end = get(net, layer + BIAS)
            elif i + 1 < n_ranges:
                end = get(net, layer + LAYER_SIZE + WEIGHT)
        descend_range(
            t, team, params, gradients, g, state, n, first, end, factor, correction,
            shrink if decays else _ZERO,
        )  # fmt: skip
