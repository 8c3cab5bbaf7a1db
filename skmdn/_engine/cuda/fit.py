# SPDX-License-Identifier: BSD-3-Clause
"""A block trains one network: some epochs of a fit, in one launch.

It takes the decisions of `skmdn._engine.training` (the best parameters, patience,
rolling back), which the host repeats from the curves that it leaves.
"""

import math

from skmdn._engine.cuda.inputs import first_row, load_tile, n_rows_of_step, scheduled
from skmdn._engine.cuda.layout import (
    BEST_EPOCH,
    BEST_SCORE,
    CURVE,
    CURVE_SIZE,
    DECAY,
    EPOCH,
    EVIDENCE,
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
    PATIENCE,
    PLAIN,
    RATE,
    ROW_WEIGHTS,
    SCORE,
    SCRATCH,
    SETTINGS,
    STATE,
    SUMS,
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
)
from skmdn._engine.cuda.products import backward, forward
from skmdn._engine.limits import CLIP_NORM

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
def take_likelihoods(t, team, sm, net, state, first, count, m, is_training):
    """Add the weighted log-likelihoods of a tile to the sums.

    Held-out rows have that of the members' equal mixture, after the last member.
    """
    scratch, sums = (
        get(net, SCRATCH) + (get(net, N_COMPONENTS) + 4) * STRIDE,
        get(net, SUMS),
    )
    weights, last = get(net, ROW_WEIGHTS), get(net, N_MEMBERS) - 1
    evidence = get(net, EVIDENCE)
    r = t
    while r < ROWS:
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
        r += team


@device
def pass_rows(
    t, team, sync, sm, tables, numbers, net, state, weights, start, gradients, e, s, m
):  # fmt: skip
    """Send the rows of a step through a member; in training leave its gradient."""
    tile = 0
    while tile < n_rows_of_step(tables, numbers, s):
        # Another member finds the rows where they are.
        if m == 0 or n_rows_of_step(tables, numbers, s) > ROWS:
            load_tile(t, team, sm, tables, numbers, net, tile, e, s)
        barrier(sync, team)
        forward(t, team, sync, sm, net, weights, start)
        count, is_training = (
            n_rows_of_step(tables, numbers, s),
            s < get(numbers, N_STEPS),
        )
        min_square = get(numbers, SETTINGS) + MIN_SQUARE
        likelihood(
            t, team, sync, sm, net, tables.settings, min_square,
            divide(_ONE, f4(count)), is_training,
        )  # fmt: skip
        take_likelihoods(
            t, team, sm, net, state, first_row(tables, numbers, s) + tile, count - tile,
            m, is_training,
        )  # fmt: skip
        if is_training:
            backward(
                t, team, sync, sm, net, weights, start, gradients, get(net, GRADIENT),
                tile > 0,
            )  # fmt: skip
        tile += ROWS


@device
def take_step(
    t, team, tables, numbers, net, state, params, gradients, rate, factor, e, s
):  # fmt: skip
    """One step of Adam with the gradient times `factor`."""
    now = rate * scheduled(tables, numbers, e, s, 0)
    shrink = now * get(tables.settings, get(numbers, SETTINGS) + DECAY)
    shrink = _ONE if shrink > _ONE else shrink
    correction = now * scheduled(tables, numbers, e, s, 1)
    at = get(net, GRADIENT)
    if HAS_MEMBERS:
        at = 4 * get(net, N_PARAMS)
    descend(t, team, net, params, gradients, at, state, factor, correction, shrink)


@device
def close_epoch(t, team, sync, sm, tables, numbers, net, e, skipped):
    """Leave the epoch's loss and score in the curves; return the score."""
    sums, n_held = get(net, SUMS), get(numbers, N_HELD)
    n = get(numbers, N_ROWS) * get(net, N_MEMBERS)
    barrier(sync, team)
    loss, score = divide(-take_sum(sm, sums), f4(n)), _LOWEST
    if n_held > 0:
        mean = divide(take_sum(sm, sums + 2 * STRIDE), f4(n_held))
        score = mean if mean == mean else _LOWEST
    barrier(sync, team)
    r = t
    while r < 4 * STRIDE:
        put(sm, sums + r, _ZERO)
        r += team
    if t == 0:
        at = get(numbers, CURVE) + (e + 1) * CURVE_SIZE
        put(tables.curves, at + LOSS, loss)
        put(tables.curves, at + SCORE, score)
        put(tables.curves, at + N_SKIPPED, f4(skipped))
    return score


@device
def source(net, e):
    """Where in `state` the parameters are that an epoch begins with, or that judged."""
    return 3 * get(net, N_PARAMS) if e < 0 else 0


@device
def fit(t, team, sync, block, n_blocks, sm, tables, n):
    """Train the block's network for at most `n` epochs more."""
    numbers = tables.numbers[block * N_NUMBERS : (block + 1) * N_NUMBERS]
    net = tables.networks[get(numbers, NETWORK) :]
    state = tables.state[get(numbers, STATE) :]
    in_shared = SHARED_WEIGHTS and not HAS_MEMBERS
    weights = sm if SHARED_WEIGHTS else state
    params = sm if in_shared else state
    gradients = sm if SHARED_GRADIENTS else state
    for i in range(t, get(net, N_SHARED), team):
        put(sm, i, _ZERO)
    barrier(sync, team)
    # The start of a fit is judged first: it is a candidate too. The ends of loops, the
    # rate and the best are read anew: whoever keeps them takes registers from products.
    e = -get(numbers, IS_NEW)
    while e < min(n, get(numbers, N_EPOCHS)):
        if in_shared and e <= 0:
            for i in range(t, get(net, N_PARAMS), team):
                put(sm, i, get(state, source(net, e) + i))
        skipped, s = 0, get(numbers, N_STEPS) if e < 0 else 0
        while s <= get(numbers, N_STEPS):
            is_finite, factor, m = True, _ONE, 0
            while m < get(net, N_MEMBERS):
                start = 0
                if not SHARED_WEIGHTS:
                    start = get(net, PLAIN) if HAS_MEMBERS else source(net, e)
                if HAS_MEMBERS:
                    fold(t, team, net, params, source(net, e), m, weights, start)
                pass_rows(
                    t, team, sync, sm, tables, numbers, net, state, weights, start,
                    gradients, e, s, m,
                )  # fmt: skip
                if s < get(numbers, N_STEPS):
                    at, size = get(net, GRADIENT), get(net, MEMBER_SIZE)
                    square = squared_norm(t, team, sync, sm, net, gradients, at, size)
                    is_finite = is_finite and square <= LARGEST  # not inf, not NaN
                    factor = _ONE
                    if square > _CLIP_SQUARE:
                        factor = _CLIP_NORM * rsqrt(square)
                    if HAS_MEMBERS:
                        unfold(t, team, net, state, m, gradients, at, factor)
                        barrier(sync, team)
                m += 1
            if s < get(numbers, N_STEPS):
                if is_finite:
                    take_step(
                        t, team, tables, numbers, net, state, params,
                        state if HAS_MEMBERS else gradients,
                        get(tables.settings, get(numbers, SETTINGS) + RATE),
                        _ONE if HAS_MEMBERS else factor, e, s,
                    )  # fmt: skip
                else:
                    skipped += 1
                barrier(sync, team)
            s += 1
        score = close_epoch(t, team, sync, sm, tables, numbers, net, e, skipped)
        settings = get(numbers, SETTINGS)
        is_best = get(numbers, N_HELD) == 0
        is_best = is_best or score > get(tables.settings, settings + BEST_SCORE)
        is_best = e < 0 or (skipped == 0 and is_best)
        if e >= 0:
            keep(t, team, net, state, params, skipped > 0, is_best)
        barrier(sync, team)
        e += 1
        if t == 0 and is_best:
            put(tables.settings, settings + BEST_SCORE, score)
            put(numbers, BEST_EPOCH, get(numbers, EPOCH) + e)
        if t == 0 and skipped > 0:
            rate = get(tables.settings, settings + RATE)
            put(tables.settings, settings + RATE, _HALF * rate)
        patience, epoch = get(numbers, PATIENCE), get(numbers, EPOCH) + e
        if not is_best and 0 < patience <= epoch - get(numbers, BEST_EPOCH):
            break
    if in_shared:
        for i in range(t, get(net, N_PARAMS), team):
            put(state, i, get(sm, i))


@device
def keep(t, team, net, state, params, is_lost, is_best):
    """Keep the parameters as the best; or go on from the best, with new moments."""
    n = get(net, N_PARAMS)
    for i in range(t, n, team):
        if is_lost:
            put(params, i, get(state, 3 * n + i))
            put(state, n + i, _ZERO)
            put(state, 2 * n + i, _ZERO)
        elif is_best:
            put(state, 3 * n + i, get(params, i))
