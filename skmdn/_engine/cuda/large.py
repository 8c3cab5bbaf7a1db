# SPDX-License-Identifier: BSD-3-Clause
"""All blocks train one network: for steps of thousands of rows.

One launch has many steps, and the blocks meet three times in each: when the gradients
of their rows are there, when these are summed, when the parameters are new. Estimated
for an H100, 8192 rows of a network of 2x64 take 19 us (at 30 TFLOPS) and a meeting 1 to
2 us; a launch from Python takes 20 to 50 us, and a step without meetings would need
three. So the launch is a cooperative one, all of whose blocks run at the same time.

The tiles of a step are dealt to `N_PARTS` parts and these to the blocks. Gradients are
summed in the order of the parts: the same bits for any number of blocks.
"""

from typing import Any, NamedTuple

from skmdn._engine.cuda.fit import take_likelihoods, take_step, take_sum
from skmdn._engine.cuda.inputs import first_row, load_tile, n_rows_of_step
from skmdn._engine.cuda.layout import (
    BEST_EPOCH,
    BEST_SCORE,
    CURVE,
    CURVE_SIZE,
    EPOCH,
    GRADIENT,
    IS_NEW,
    LOSS,
    MEMBER_SIZE,
    MIN_SQUARE,
    N_EPOCHS,
    N_HELD,
    N_PARAMS,
    N_PARTS,
    N_ROWS,
    N_SHARED,
    N_SKIPPED,
    N_STEPS,
    NETWORK,
    PATIENCE,
    RATE,
    SCORE,
    SETTINGS,
    STATE,
    SUMS,
)
from skmdn._engine.cuda.mixture import likelihood
from skmdn._engine.cuda.optimiser import LARGEST, squared_norm
from skmdn._engine.cuda.primitives import (
    ROWS,
    SHARED_WEIGHTS,
    STRIDE,
    arrive,
    barrier,
    device,
    divide,
    f4,
    get,
    has_arrived,
    i8,
    put,
    rsqrt,
    u4,
)
from skmdn._engine.cuda.products import backward, forward
from skmdn._engine.limits import CLIP_NORM

_ZERO, _ONE, _HALF = f4(0), f4(1), f4(0.5)
_CLIP_NORM, _CLIP_SQUARE = f4(CLIP_NORM), f4(CLIP_NORM**2)
_LOWEST = f4(float("-inf"))


class LargeTables(NamedTuple):
    """What the kernel takes: the tables of `group`, of one training, and its own."""

    networks: Any
    numbers: Any
    settings: Any
    schedule: Any
    batches: Any
    state: Any
    curves: Any
    x: Any
    y: Any
    weights: Any
    bins: Any
    bin_range: Any
    parts: Any  # float32 (N_PARTS, member_size), gradients of the parts of a step
    sums: Any  # float32 (N_PARTS, 4 * STRIDE), what a block has at SUMS
    totals: Any  # float32 (N_PARTS, 2), of an epoch: log-likelihoods, held-out ones
    meeting: Any  # int64, counts the blocks that arrived; zero at first


@device
def meet(t, team, sync, meeting, n_blocks):
    """Wait until all blocks are here; all writes are then seen."""
    barrier(sync, team)
    if t == 0:
        earlier = u4(arrive(meeting))
        rounds = u4(earlier // u4(n_blocks))
        n = i8(rounds + u4(1)) * n_blocks
        while not has_arrived(meeting, n):
            pass
    barrier(sync, team)


@device
def pass_part(t, team, sync, sm, tables, numbers, net, settings, state, weights, start,
              e, s, part):  # fmt: skip
    """Send a part of the rows of a step through the network, as `fit.pass_rows`.

    What it needs is read anew: whoever keeps it takes registers from the products.
    """
    for i in range(t, 4 * STRIDE, team):
        put(sm, get(net, SUMS) + i, get(tables.sums, part * 4 * STRIDE + i))
    row = part * ROWS
    while row < n_rows_of_step(tables, numbers, s):
        load_tile(t, team, sm, tables, numbers, net, row, e, s)
        barrier(sync, team)
        forward(t, team, sync, sm, net, weights, start)
        is_training = s < get(numbers, N_STEPS)
        count = n_rows_of_step(tables, numbers, s)
        scale = divide(_ONE, f4(count))
        likelihood(t, team, sync, sm, net, settings, MIN_SQUARE, scale, is_training)
        first = first_row(tables, numbers, s) + row
        take_likelihoods(t, team, sm, net, state, first, count - row, 0, is_training)
        if is_training:
            backward(
                t, team, sync, sm, net, weights, start, tables.parts,
                part * get(net, MEMBER_SIZE), row >= N_PARTS * ROWS,
            )  # fmt: skip
        row += N_PARTS * ROWS
    barrier(sync, team)
    sums, kept = get(net, SUMS), part * 4 * STRIDE
    if s < get(numbers, N_STEPS):
        for i in range(t, 4 * STRIDE, team):
            put(tables.sums, kept + i, get(sm, sums + i))
    else:
        if t == 0:
            put(tables.totals, 2 * part, take_sum(sm, sums))
            put(tables.totals, 2 * part + 1, take_sum(sm, sums + 2 * STRIDE))
        for i in range(t, 4 * STRIDE, team):
            put(tables.sums, kept + i, _ZERO)
    barrier(sync, team)


@device
def sum_parts(t, team, tables, net, state, count):
    """Sum the parts' gradients, in their order; for `team` threads of all blocks."""
    size, at = get(net, MEMBER_SIZE), get(net, GRADIENT)
    n = min(N_PARTS, (count + ROWS - 1) // ROWS)
    i = t
    while i < size:
        total = get(tables.parts, i)
        for part in range(1, n):
            total += get(tables.parts, part * size + i)
        put(state, at + i, total)
        i += team


@device
def close_large_epoch(t, block, tables, numbers, e, skipped):
    """Leave the epoch's loss and score in the curves; return the score."""
    total = held = _ZERO
    for part in range(N_PARTS):
        total += get(tables.totals, 2 * part)
        held += get(tables.totals, 2 * part + 1)
    loss, score = divide(-total, f4(get(numbers, N_ROWS))), _LOWEST
    if get(numbers, N_HELD) > 0:
        mean = divide(held, f4(get(numbers, N_HELD)))
        score = mean if mean == mean else _LOWEST
    if t == 0 and block == 0:
        at = get(numbers, CURVE) + (e + 1) * CURVE_SIZE
        put(tables.curves, at + LOSS, loss)
        put(tables.curves, at + SCORE, score)
        put(tables.curves, at + N_SKIPPED, f4(skipped))
    return score


@device
def keep_large(t, team, net, state, is_lost, is_best):
    """Do what `fit.keep` does, by all blocks."""
    n, i = get(net, N_PARAMS), t
    while i < n:
        if is_lost:
            put(state, i, get(state, 3 * n + i))
            put(state, n + i, _ZERO)
            put(state, 2 * n + i, _ZERO)
        elif is_best:
            put(state, 3 * n + i, get(state, i))
        i += team


@device
def fit_large(t, team, sync, block, n_blocks, sm, tables, n):
    """Train a network for at most `n` epochs more, as `fit` does."""
    numbers = tables.numbers
    net = tables.networks[get(numbers, NETWORK) :]
    settings = tables.settings[get(numbers, SETTINGS) :]
    state = tables.state[get(numbers, STATE) :]
    weights = sm if SHARED_WEIGHTS else state
    for i in range(t, get(net, N_SHARED), team):
        put(sm, i, _ZERO)
    i = block * team + t  # among the threads of all blocks
    while i < N_PARTS * max(get(net, MEMBER_SIZE), 4 * STRIDE):
        if i < N_PARTS * get(net, MEMBER_SIZE):
            put(tables.parts, i, _ZERO)
        if i < N_PARTS * 4 * STRIDE:
            put(tables.sums, i, _ZERO)
        i += n_blocks * team
    meet(t, team, sync, tables.meeting, n_blocks)
    rate, best_score = get(settings, RATE), get(settings, BEST_SCORE)
    best_epoch = get(numbers, BEST_EPOCH)
    for e in range(-get(numbers, IS_NEW), min(n, get(numbers, N_EPOCHS))):
        skipped, n_steps = 0, get(numbers, N_STEPS)
        for s in range(n_steps if e < 0 else 0, n_steps + 1):
            source = 3 * get(net, N_PARAMS) if e < 0 else 0
            if SHARED_WEIGHTS:
                for i in range(t, get(net, N_PARAMS), team):
                    put(sm, i, get(state, source + i))
                barrier(sync, team)
            part = block
            while part < N_PARTS:
                pass_part(
                    t, team, sync, sm, tables, numbers, net, settings, state, weights,
                    0 if SHARED_WEIGHTS else source, e, s, part,
                )  # fmt: skip
                part += n_blocks
            meet(t, team, sync, tables.meeting, n_blocks)
            if s < get(numbers, N_STEPS):
                count = n_rows_of_step(tables, numbers, s)
                me, everyone = block * team + t, n_blocks * team
                sum_parts(me, everyone, tables, net, state, count)
                meet(t, team, sync, tables.meeting, n_blocks)
                # By every block: cheaper than to meet once more.
                square = squared_norm(
                    t, team, sync, sm, net, state, get(net, GRADIENT),
                    get(net, MEMBER_SIZE),
                )  # fmt: skip
                if square <= LARGEST:  # not inf, not NaN
                    factor = _ONE
                    if square > _CLIP_SQUARE:
                        factor = _CLIP_NORM * rsqrt(square)
                    take_step(
                        block * team + t, n_blocks * team, tables, numbers, net, state,
                        state, state, rate, factor, e, s,
                    )  # fmt: skip
                else:
                    skipped += 1
                meet(t, team, sync, tables.meeting, n_blocks)
        score = close_large_epoch(t, block, tables, numbers, e, skipped)
        if e < 0:
            best_score = score
        else:
            is_best = get(numbers, N_HELD) == 0 or score > best_score
            if skipped > 0:
                rate, is_best = _HALF * rate, False
            if is_best:
                best_score, best_epoch = score, get(numbers, EPOCH) + e + 1
            me, everyone = block * team + t, n_blocks * team
            keep_large(me, everyone, net, state, skipped > 0, is_best)
        meet(t, team, sync, tables.meeting, n_blocks)
        patience = get(numbers, PATIENCE)
        if patience > 0 and get(numbers, EPOCH) + e + 1 - best_epoch >= patience:
            break
