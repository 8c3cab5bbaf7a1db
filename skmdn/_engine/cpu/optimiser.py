# SPDX-License-Identifier: BSD-3-Clause
"""From the blocks' gradients to the next parameters: sum, clip, unfold, Adam, fold.

All arrays are flat. A team shares the work in chunks that do not depend on its size.
"""

import numpy as np

from skmdn._engine.cpu.team import barrier
from skmdn._engine.layout import (
    BIAS,
    COLUMN,
    N_IN,
    N_OUT,
    N_OUT_PAD,
    N_PAD,
    OWN_BIAS,
    OWN_WEIGHT,
    ROW,
    SHARED,
    WEIGHT,
)
from skmdn._engine.training import BETA1, BETA2
from skmdn._jit.memory import tail
from skmdn._jit.policy import helper, loop_helper
from skmdn._jit.vector import compact, rsqrt, wide_vectors

CHUNK = 2048


@loop_helper
def _add(target, source, n):
    wide_vectors()
    for i in range(n):
        target[i] += source[i]


@helper(fastmath={"contract", "reassoc", "nsz"})
def _sum_of_squares(values, n):
    wide_vectors()
    total = values.dtype.type(0)
    for i in range(n):
        total += values[i] * values[i]
    return total


@helper
def sum_groups(gradients, n_groups, n_members, member_size, squares, thread, team):
    """Add the groups' gradients into the first; leave sums of squares by chunk."""
    compact()
    _, n_chunks = squares.shape
    stride = n_members * member_size
    for job in range(thread, n_members * n_chunks, team):
        member, chunk = job // n_chunks, job % n_chunks
        first = chunk * CHUNK
        left = member_size - first
        n = left if left < CHUNK else CHUNK
        target = tail(gradients, member * member_size + first)
        for group in range(1, n_groups):
            _add(
                target,
                tail(gradients, group * stride + member * member_size + first),
                n,
            )
        squares[member, chunk] = _sum_of_squares(target, n)


@helper
def clip_factor(squares, member, clip):
    """Factor that bounds a member's gradient norm by `clip`."""
    total = 0.0
    _, n_chunks = squares.shape
    for chunk in range(n_chunks):
        total += squares[member, chunk]
    norm = np.sqrt(total)
    return clip / norm if norm > clip else 1.0


@loop_helper
def _adam(params, gradient, factor, m, v, decay, n, correction, shrink):
    """One step of Adam with decoupled decay (Loshchilov & Hutter 2019, alg. 2).

    `correction` is the learning rate with the bias correction (Kingma & Ba 2015,
    section 2); `shrink` = learning rate * alpha applies where `decay` is 1. Epsilon =
    1e-8 stands under the root, where one reciprocal root does all the work.
    """
    wide_vectors()
    kind = params.dtype.type
    beta1, beta2, epsilon = kind(BETA1), kind(BETA2), kind(1e-16)
    one = kind(1)
    for i in range(n):
        g = factor * gradient[i]
        mi = beta1 * m[i] + (one - beta1) * g
        vi = beta2 * v[i] + (one - beta2) * g * g
        m[i], v[i] = mi, vi
        p = params[i]
        params[i] = p - correction * mi * rsqrt(vi + epsilon) - shrink * decay[i] * p


@loop_helper
def _fold_row(shared, row, scale, n, target):
    wide_vectors()
    for k in range(n):
        target[k] = shared[k] * scale * row[k]


@loop_helper
def _scaled_copy(source, factor, n, target):
    wide_vectors()
    for k in range(n):
        target[k] = factor * source[k]


@loop_helper
def _add_scaled_product(a, b, factor, n, target):
    wide_vectors()
    for k in range(n):
        target[k] += a[k] * b[k] * factor


@helper
def fold(plan, params, members, thread, team):
    """Plain vectors of the members: W_m = diag(s_m) W diag(r_m), biases and heads."""
    one = params.dtype.type(1)
    for m in range(thread, plan.n_members, team):
        own = tail(params, plan.shared_size + m * plan.own_size)
        target = tail(members, m * plan.member_size)
        for i in range(plan.n_hidden):
            layer = plan.layers[i]
            n_pad = layer[N_PAD]
            for j in range(layer[N_OUT]):
                _fold_row(
                    tail(params, layer[SHARED] + j * n_pad),
                    tail(own, layer[ROW]),
                    own[layer[COLUMN] + j],
                    layer[N_IN],
                    tail(target, layer[WEIGHT] + j * n_pad),
                )
            _scaled_copy(
                tail(own, layer[OWN_BIAS]), one, layer[N_OUT], tail(target, layer[BIAS])
            )
        head = plan.layers[plan.n_hidden]
        size = head[N_OUT] * head[N_PAD] + head[N_OUT_PAD]
        _scaled_copy(tail(own, head[OWN_WEIGHT]), one, size, tail(target, head[WEIGHT]))


@helper
def _unfold_own(plan, params, grads, factors, gradient, thread, team):
    """Chain rule from the members' plain gradients to r, s, biases and heads."""
    for m in range(thread, plan.n_members, team):
        start = plan.shared_size + m * plan.own_size
        own, target = tail(params, start), tail(gradient, start)
        source, factor = tail(grads, m * plan.member_size), factors[m]
        for i in range(plan.n_hidden):
            layer = plan.layers[i]
            n_pad = layer[N_PAD]
            row, d_row = tail(own, layer[ROW]), tail(target, layer[ROW])
            for k in range(n_pad):
                d_row[k] = params.dtype.type(0)
            for j in range(layer[N_OUT]):
                shared = tail(params, layer[SHARED] + j * n_pad)
                d_plain = tail(source, layer[WEIGHT] + j * n_pad)
                scale = factor * own[layer[COLUMN] + j]
                _add_scaled_product(d_plain, shared, scale, n_pad, d_row)
                target[layer[COLUMN] + j] = factor * _triple(
                    d_plain, shared, row, n_pad
                )
            _scaled_copy(
                tail(source, layer[BIAS]),
                factor,
                layer[N_OUT],
                tail(target, layer[OWN_BIAS]),
            )
        head = plan.layers[plan.n_hidden]
        size = head[N_OUT] * head[N_PAD] + head[N_OUT_PAD]
        _scaled_copy(
            tail(source, head[WEIGHT]), factor, size, tail(target, head[OWN_WEIGHT])
        )


@helper(fastmath={"contract", "reassoc", "nsz"})
def _triple(a, b, c, n):
    wide_vectors()
    total = a.dtype.type(0)
    for i in range(n):
        total += a[i] * b[i] * c[i]
    return total


@helper
def _unfold_shared(plan, params, grads, factors, gradient, thread, team):
    """Chain rule to the shared matrices: dW = sum_m diag(s_m) dW_m diag(r_m)."""
    for i in range(plan.n_hidden):
        layer = plan.layers[i]
        n_pad = layer[N_PAD]
        for j in range(thread, layer[N_OUT], team):
            target = tail(gradient, layer[SHARED] + j * n_pad)
            for k in range(n_pad):
                target[k] = params.dtype.type(0)
            for m in range(plan.n_members):
                own = tail(params, plan.shared_size + m * plan.own_size)
                source = tail(grads, m * plan.member_size + layer[WEIGHT] + j * n_pad)
                scale = factors[m] * own[layer[COLUMN] + j]
                _add_scaled_product(source, tail(own, layer[ROW]), scale, n_pad, target)


@helper
def all_finite(squares):
    """Whether every gradient of the step is finite."""
    n_members, n_chunks = squares.shape
    for m in range(n_members):
        for chunk in range(n_chunks):
            if not np.isfinite(squares[m, chunk]):
                return False
    return True


@helper
def unfold(plan, model, buffers, clip, thread, team, sync, stop):
    """Gradient of the parameter vector from the members' plain gradients, clipped."""
    for m in range(thread, plan.n_members, team):
        buffers.factors[m] = clip_factor(buffers.squares, m, clip)
    barrier(sync, stop, team)
    grads = buffers.gradients
    _unfold_own(
        plan, model.params, grads, buffers.factors, model.gradient, thread, team
    )
    _unfold_shared(
        plan, model.params, grads, buffers.factors, model.gradient, thread, team
    )
    barrier(sync, stop, team)


@helper
def descend(model, gradient, factor, step, s, thread, team):
    """Take one step of Adam on this thread's chunks of the parameters."""
    compact()
    kind, n_params = model.params.dtype.type, len(model.params)
    for chunk in range(thread, (n_params + CHUNK - 1) // CHUNK, team):
        first = chunk * CHUNK
        left = n_params - first
        _adam(
            tail(model.params, first), tail(gradient, first), kind(factor),
            tail(model.m, first), tail(model.v, first), tail(model.decay, first),
            left if left < CHUNK else CHUNK,
            kind(step.correction[s]), kind(step.shrink[s]),
        )  # fmt: skip
