# SPDX-License-Identifier: BSD-3-Clause
"""A block trains one network: some epochs of a fit, in one launch.

It takes the decisions of `skmdn._engine.training` (the best parameters, patience,
rolling back), which the host repeats from the curves that it leaves.
"""

import math

from skmdn._engine.cuda.inputs import load_tile
from skmdn._engine.cuda.layout import (
    BEST_EPOCH,
    BEST_SCORE,
    CURVE,
    CURVE_SIZE,
    DECAY,
    EPOCH,
    GRADIENT,
    IS_NEW,
    LOSS,
    MEMBER_SIZE,
    MIN_SQUARE,
    N_COMPONENTS,
    N_EPOCHS,
    N_HELD,
    N_MEMBERS,
    N_NUMBERS,
    N_PARAMS,
    N_ROWS,
    N_SHARED,
    N_SKIPPED,
    N_STEPS,
    NETWORK,
    NOISE,
    PATIENCE,
    RATE,
    ROW_WEIGHTS,
    SCHEDULE,
    SCORE,
    SCRATCH,
    SEED,
    SETTINGS,
    STATE,
    SUMS,
    WEIGHTS,
    WEIGHTS_HELD,
    X_HELD,
    Y_HELD,
    X,
    Y,
)
from skmdn._engine.cuda.members import fold, unfold
from skmdn._engine.cuda.mixture import likelihood
from skmdn._engine.cuda.optimiser import LARGEST, descend, squared_norm
from skmdn._engine.cuda.primitives import (
    HAS_MEMBERS,
    ROWS,
    SHARED_GRADIENTS,
    SHARED_WEIGHTS,
    STRIDE,
    barrier,
    device,
    divide,
    exp,
    f4,
    get,
    log,
    put,
    rsqrt,
    u4,
)
from skmdn._engine.cuda.products import backward, forward
from skmdn._engine.limits import CLIP_NORM
from skmdn._engine.streams import _epoch_key_32 as epoch_key
from skmdn._engine.streams import _step_seed_32 as step_seed

_ZERO, _ONE, _HALF = f4(0), f4(1), f4(0.5)
_CLIP_NORM, _CLIP_SQUARE = f4(CLIP_NORM), f4(CLIP_NORM**2)
_LOWEST = f4(-math.inf)


@device
def add_to_sum(sm, at, value):
    """Add to a sum in two parts, without loss (Knuth 1998, theorem 4.2.2 B)."""
    before = get(sm, at)
    total = before + value
    part = total - before
    error = (before - (total - part)) + (value - part)
    put(sm, at, total)
    if error == error:  # not of an infinite sum
        put(sm, at + STRIDE, get(sm, at + STRIDE) + error)


@device
def take_sum(sm, first):
    """Sum over the rows of a tile of what `add_to_sum` left."""
    total = rest = _ZERO
    for r in range(ROWS):
        total += get(sm, first + r)
        rest += get(sm, first + STRIDE + r)
    return total + rest


@device
def take_likelihoods(t, team, sm, net, state, evidence, first, count, m, is_training):
    """Add the weighted log-likelihoods of a tile to the sums.

    Held-out rows have that of the members' equal mixture, after the last member.
    """
    scratch, sums = (
        get(net, SCRATCH) + (get(net, N_COMPONENTS) + 4) * STRIDE,
        get(net, SUMS),
    )
    weights, last = get(net, ROW_WEIGHTS), get(net, N_MEMBERS) - 1
    for r in range(t, ROWS, team):
        if r < count:  # A dummy must not add NaN.
            value, is_last = get(sm, scratch + r), True
            if HAS_MEMBERS and not is_training:
                if m > 0:
                    other = get(state, evidence + first + r)
                    larger = value if value > other else other
                    smaller = other if value > other else value
                    value = larger + log(_ONE + exp(smaller - larger))
                put(state, evidence + first + r, value)
                value -= log(f4(last + 1))
                is_last = m == last
            if is_last:
                into = sums if is_training else sums + 2 * STRIDE
                add_to_sum(sm, into + r, get(sm, weights + r) * value)


@device
def fit(t, team, sync, block, n_blocks, sm, tables, n):
    """Train the block's network for at most `n` epochs more."""
    numbers = tables.numbers[block * N_NUMBERS : (block + 1) * N_NUMBERS]
    net = tables.networks[get(numbers, NETWORK) :]
    settings = tables.settings[get(numbers, SETTINGS) :]
    state = tables.state[get(numbers, STATE) :]
    P, n_members = get(net, N_PARAMS), get(net, N_MEMBERS)
    n_rows, n_held = get(numbers, N_ROWS), get(numbers, N_HELD)
    n_steps, patience = get(numbers, N_STEPS), get(numbers, PATIENCE)
    # In `state` are the parameters, m, v, and the best; then, if need be, the gradient
    # of the parameters, a member's weights, and its gradient.
    in_shared = SHARED_WEIGHTS and not HAS_MEMBERS
    weights = sm if SHARED_WEIGHTS else state
    params = sm if in_shared else state
    gradients = sm if SHARED_GRADIENTS else state
    plain, gradient, evidence = 0, get(net, GRADIENT), 0
    if HAS_MEMBERS:
        evidence = 5 * P
        if not SHARED_WEIGHTS:
            plain = evidence
            evidence += get(net, MEMBER_SIZE)
    if not SHARED_GRADIENTS:
        gradient = 5 * P if HAS_MEMBERS else 4 * P
        if HAS_MEMBERS:
            gradient = evidence
            evidence += get(net, MEMBER_SIZE)
    for i in range(t, get(net, N_SHARED), team):
        put(sm, i, _ZERO)
    barrier(sync, team)
    rate, best_score = get(settings, RATE), get(settings, BEST_SCORE)
    best_epoch = get(numbers, BEST_EPOCH)
    # The start of a fit is judged first: it is a candidate too.
    for e in range(-get(numbers, IS_NEW), min(n, get(numbers, N_EPOCHS))):
        is_judged, skipped = e < 0, 0
        source = 3 * P if is_judged else 0
        if in_shared and e <= 0:
            for i in range(t, P, team):
                put(sm, i, get(state, source + i))
            barrier(sync, team)
        epoch = get(numbers, EPOCH) + e
        key = epoch_key(u4(get(numbers, SEED)), u4(epoch))
        # The held-out rows are the last step, without noise and gradient.
        for s in range(n_steps if is_judged else 0, n_steps + 1):
            is_training = s < n_steps
            at_x, at_y = get(numbers, X_HELD), get(numbers, Y_HELD)
            at_weight, first, count = get(numbers, WEIGHTS_HELD), 0 * n_held, n_held
            correction = shrink = noise = _ZERO
            if is_training:
                at_x, at_y = get(numbers, X), get(numbers, Y)
                at_weight, first = get(numbers, WEIGHTS), s * n_rows // n_steps
                count = (s + 1) * n_rows // n_steps - first
                at = get(numbers, SCHEDULE) + 2 * (e * n_steps + s)
                part = get(tables.schedule, at)
                correction = rate * part * get(tables.schedule, at + 1)
                shrink = rate * part * get(settings, DECAY)
                shrink = _ONE if shrink > _ONE else shrink
                noise = get(settings, NOISE) * part
            seed, is_finite, factor = step_seed(key, u4(s)), True, _ONE
            for m in range(n_members):
                if HAS_MEMBERS:
                    fold(t, team, net, params, source, m, weights, plain)
                start = plain if HAS_MEMBERS or SHARED_WEIGHTS else source
                for row in range(0, count, ROWS):
                    if m == 0 or count > ROWS:
                        load_tile(
                            t, team, sm, tables, numbers, net, at_x, at_y, at_weight,
                            first + row, row, count - row, is_training, key, noise,
                            seed,
                        )  # fmt: skip
                    barrier(sync, team)
                    forward(t, team, sync, sm, net, weights, start)
                    scale = divide(_ONE, f4(count))
                    likelihood(
                        t, team, sync, sm, net, settings, MIN_SQUARE, scale, is_training
                    )
                    take_likelihoods(
                        t, team, sm, net, state, evidence, first + row, count - row, m,
                        is_training,
                    )  # fmt: skip
                    if is_training:
                        backward(
                            t, team, sync, sm, net, weights, start, gradients, gradient,
                            row > 0,
                        )  # fmt: skip
                if is_training:
                    square = squared_norm(
                        t, team, sync, sm, net, gradients, gradient,
                        get(net, MEMBER_SIZE),
                    )  # fmt: skip
                    is_finite = is_finite and square <= LARGEST  # not inf, not NaN
                    factor = _ONE
                    if square > _CLIP_SQUARE:
                        factor = _CLIP_NORM * rsqrt(square)
                    if HAS_MEMBERS:
                        unfold(t, team, net, state, m, gradients, gradient, factor)
                        barrier(sync, team)
            if is_training:
                if is_finite and HAS_MEMBERS:
                    descend(
                        t, team, net, params, state, 4 * P, state, _ONE, correction,
                        shrink,
                    )  # fmt: skip
                elif is_finite:
                    descend(
                        t, team, net, params, gradients, gradient, state, factor,
                        correction, shrink,
                    )  # fmt: skip
                else:
                    skipped += 1
                barrier(sync, team)
        loss = divide(-take_sum(sm, get(net, SUMS)), f4(n_rows * n_members))
        score = _LOWEST
        if n_held > 0:
            mean = divide(take_sum(sm, get(net, SUMS) + 2 * STRIDE), f4(n_held))
            score = mean if mean == mean else _LOWEST
        barrier(sync, team)
        for r in range(t, 4 * STRIDE, team):
            put(sm, get(net, SUMS) + r, _ZERO)
        if t == 0:
            at = get(numbers, CURVE) + (e + 1) * CURVE_SIZE
            put(tables.curves, at + LOSS, loss)
            put(tables.curves, at + SCORE, score)
            put(tables.curves, at + N_SKIPPED, f4(skipped))
        if is_judged:
            best_score = score
            barrier(sync, team)
            continue
        is_best = skipped == 0 and (n_held == 0 or score > best_score)
        if is_best:
            best_score, best_epoch = score, epoch + 1
        if skipped > 0:
            rate = _HALF * rate
        for i in range(t, P, team):
            if skipped > 0:  # From the best once more, with smaller steps.
                put(params, i, get(state, 3 * P + i))
                put(state, P + i, _ZERO)
                put(state, 2 * P + i, _ZERO)
            elif is_best:
                put(state, 3 * P + i, get(params, i))
        barrier(sync, team)
        if patience > 0 and epoch + 1 - best_epoch >= patience:
            break
    if in_shared:
        for i in range(t, P, team):
            put(state, i, get(sm, i))
