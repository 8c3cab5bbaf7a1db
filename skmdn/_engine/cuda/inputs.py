# SPDX-License-Identifier: BSD-3-Clause
"""Rows of the data to a tile in shared memory: order, noise, encoding."""

import numpy as np

from skmdn._engine.cuda.layout import (
    BATCHES,
    BINS,
    EPOCH,
    INPUT,
    LAYERS,
    N_COLUMNS,
    N_FEATURES,
    N_HELD,
    N_LINES,
    N_OUTPUTS,
    N_ROWS,
    N_STEPS,
    NOISE,
    ROW_WEIGHTS,
    SCHEDULE,
    SEED,
    SETTINGS,
    TARGETS,
    WEIGHTS,
    WEIGHTS_HELD,
    X_HELD,
    Y_HELD,
    X,
    Y,
)
from skmdn._engine.cuda.primitives import (
    LOG_ROWS,
    ROWS,
    STRIDE,
    device,
    f4,
    get,
    load4,
    put,
    rsqrt,
    u4,
)
from skmdn._engine.limits import CLIP
from skmdn._engine.streams import TRIANGLE_UNIT, triangle
from skmdn._engine.streams import _epoch_key_32 as epoch_key
from skmdn._engine.streams import _round_key_32 as _round_key
from skmdn._engine.streams import _send as send
from skmdn._engine.streams import _step_seed_32 as step_seed

_ZERO, _ONE = f4(0), f4(1)
_CLIP_FACTOR = f4(1 / CLIP**2)
_TRIANGLE_UNIT = f4(TRIANGLE_UNIT)
# Rows of a block of the CPU, for each of which it has a stream of noise.
_BLOCK_SEED = u4(0x9E3779)


@device
def shuffled(position, numbers, key):
    """Return the row at a position of the epoch's order, as `streams.permutation`."""
    n = u4(get(numbers, N_ROWS))
    n_lines, n_columns = u4(get(numbers, N_LINES)), u4(get(numbers, N_COLUMNS))
    x = u4(position)
    while True:
        i = u4(x // n_columns)
        j = u4(x - u4(i * n_columns))
        x = send(
            i, j, n_lines, n_columns, _round_key(key, 0), _round_key(key, 1),
            _round_key(key, 2), _round_key(key, 3), _round_key(key, 4),
            _round_key(key, 5),
        )  # fmt: skip
        if x < n:
            return np.int64(x)


@device
def scheduled(tables, numbers, e, s, what):
    """Part of the rate (0) or bias correction (1) of a step."""
    at = get(numbers, SCHEDULE) + 2 * (e * get(numbers, N_STEPS) + s)
    return get(tables.schedule, at + what)


@device
def first_row(tables, numbers, s):
    """Position of the first row of a step; the held-out rows are the last step."""
    if s == get(numbers, N_STEPS):
        return np.int64(0)
    return get(tables.batches, get(numbers, BATCHES) + s)


@device
def n_rows_of_step(tables, numbers, s):
    """Rows of a step."""
    if s == get(numbers, N_STEPS):
        return get(numbers, N_HELD)
    at = get(numbers, BATCHES) + s
    return get(tables.batches, at + 1) - get(tables.batches, at)


@device
def load_tile(t, team, sm, tables, numbers, net, tile, e, s):
    """Gather rows, add noise, encode; those beyond the step's are dummies of weight 0.

    The tile begins with row number `tile` of the step's. The held-out rows come in
    order and without noise.

    What it needs is read and computed anew for each tile: whoever keeps it takes
    registers from the products.
    """
    is_training, noise = s < get(numbers, N_STEPS), _ZERO
    key = epoch_key(u4(get(numbers, SEED)), u4(get(numbers, EPOCH) + e))
    seed = step_seed(key, u4(s))
    if is_training:
        noise = get(tables.settings, get(numbers, SETTINGS) + NOISE)
        noise *= scheduled(tables, numbers, e, s, 0)
    n_features, n_outputs = get(net, N_FEATURES), get(net, N_OUTPUTS)
    target, weight = get(net, TARGETS), get(net, ROW_WEIGHTS)
    view, bins = get(net, LAYERS + INPUT), get(numbers, BINS)
    base = get(tables.bin_range, bins)
    at_x = get(numbers, X if is_training else X_HELD)
    at_y = get(numbers, Y if is_training else Y_HELD)
    at_weight = get(numbers, WEIGHTS if is_training else WEIGHTS_HELD)
    count = n_rows_of_step(tables, numbers, s) - tile
    first = first_row(tables, numbers, s) + tile
    # `team` is below ROWS, or a multiple of it: then a thread has one row.
    r = t & (ROWS - 1)
    while r < ROWS:
        row, is_inside = np.int64(0), r < count
        if is_inside:
            row = np.int64(first + r)
            if is_training:
                row = shuffled(row, numbers, key)
        if t >> LOG_ROWS == 0:
            for d in range(n_outputs):
                y = get(tables.y, at_y + row * n_outputs + d) if is_inside else _ZERO
                put(sm, target + d * STRIDE + r, y)
            w = get(tables.weights, at_weight + row) if is_inside else _ZERO
            put(sm, weight + r, w)
        place = tile + r
        row_seed = u4(seed + u4(u4(place >> 6) * _BLOCK_SEED))
        for j in range(t >> LOG_ROWS, n_features, max(1, team >> LOG_ROWS)):
            x = get(tables.x, at_x + row * n_features + j) if is_inside else _ZERO
            if noise > _ZERO:
                level = triangle(u4(j * 64 + (place & 63)), row_seed)
                x += f4(noise * _TRIANGLE_UNIT) * f4(level)
            put(sm, view + j * STRIDE + r, x * rsqrt(_ONE + _CLIP_FACTOR * x * x))
            end = get(tables.bin_range, bins + j + 1)
            for i in range(get(tables.bin_range, bins + j), end):
                slope, intercept, low, high = load4(tables.bins, 4 * i)
                ramp = slope * x + intercept
                ramp = low if ramp < low else ramp
                ramp = high if ramp > high else ramp
                put(sm, view + (n_features + i - base) * STRIDE + r, ramp)
        r += team
