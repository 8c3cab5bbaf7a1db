# SPDX-License-Identifier: BSD-3-Clause
"""Predictions: from inputs straight to answers, tile by tile of ROWS rows.

One entry point for each question. A block takes every `n_blocks`-th tile through all
perceptrons (members of networks, and networks of a pool), puts the tail around their
mixture, and answers: nothing but answers leaves the device.
"""

from typing import Any, NamedTuple

from skmdn._engine.cuda.predict_inputs import (
    ALL_COMPONENTS,
    HEADER,
    N_OUTPUTS,
    N_PERCEPTRONS,
    PERCEPTRON,
    SECOND,
    encode_inputs,
    load_inputs,
)
from skmdn._engine.cuda.predict_mixture import (
    N_TAIL,
    VARIANCE,
    add_tail,
    cdf_of,
    draw_of,
    logpdf_of,
    moments_of,
    quantile_of,
    take_components,
)
from skmdn._engine.cuda.predict_network import predict_head
from skmdn._engine.cuda.primitives import ROWS, barrier, device, f4, get, i8, put, u8


class Tables(NamedTuple):
    """Flat arrays of a prediction kernel, on the device."""

    X: Any  # words of the inputs, two for a number, uint32
    Y: Any  # targets in the units of the answers, float32
    ints: Any  # int64, see `predict_inputs`
    floats: Any  # float32: of the call, then of the perceptrons
    params: Any  # float32, see `predict_network`
    question: Any  # int64: how many answers a row has, first row, seed
    levels: Any  # float32: three for each quantile, see `predict_quantiles`
    kept: Any  # float32, see `predict_mixture`
    out: Any  # float32


@device
def mixture_of_tile(t, team, sync, sm, tables, kept, start, n):
    """Components of the rows of a tile, with the tail."""
    second = get(tables.ints, SECOND)
    for i in range(get(tables.ints, N_PERCEPTRONS)):
        p = HEADER + PERCEPTRON * i
        load_inputs(t, team, sm, second, tables, p, start, n)
        barrier(sync, team)
        encode_inputs(t, team, sm, second, 0, tables, p)
        barrier(sync, team)
        head = predict_head(t, team, sync, sm, tables, p)
        take_components(t, team, sm, head, tables, p, kept)
        barrier(sync, team)
    add_tail(t, team, tables, kept)
    barrier(sync, team)


@device
def components_at(tables, block):
    """Where a block keeps the components of its tile."""
    n = get(tables.ints, ALL_COMPONENTS) + N_TAIL
    return i8(block) * n * (1 + 2 * get(tables.ints, N_OUTPUTS)) * ROWS


@device
def predict_logpdf(t, team, sync, block, n_blocks, sm, tables, n):
    """Log-densities (n,) of targets (n, n_outputs)."""
    kept, start = components_at(tables, block), i8(block) * ROWS
    while start < n:
        mixture_of_tile(t, team, sync, sm, tables, kept, start, n)
        for r in range(t, min(ROWS, n - start), team):
            put(tables.out, start + r, logpdf_of(tables, kept + r, start + r))
        start += i8(n_blocks) * ROWS


@device
def predict_cdf(t, team, sync, block, n_blocks, sm, tables, n):
    """P(Y <= y) (n,) of one output at (n,)."""
    kept, start = components_at(tables, block), i8(block) * ROWS
    while start < n:
        mixture_of_tile(t, team, sync, sm, tables, kept, start, n)
        n_components = get(tables.ints, ALL_COMPONENTS) + N_TAIL
        for r in range(t, min(ROWS, n - start), team):
            y = get(tables.Y, start + r)
            total = cdf_of(tables.kept, kept + r, n_components, y, f4(1))
            put(tables.out, start + r, min(total, f4(1)))
        start += i8(n_blocks) * ROWS


@device
def predict_moments(t, team, sync, block, n_blocks, sm, tables, n):
    """Means and standard deviations (n, n_outputs, 2), without the tail."""
    kept, start = components_at(tables, block), i8(block) * ROWS
    while start < n:
        mixture_of_tile(t, team, sync, sm, tables, kept, start, n)
        D, n_components = get(tables.ints, N_OUTPUTS), get(tables.ints, ALL_COMPONENTS)
        width, variance = (1 + 2 * D) * ROWS, get(tables.floats, VARIANCE)
        for item in range(t, D * ROWS, team):
            r, d = item & (ROWS - 1), item // ROWS
            if r < n - start:
                mean, std = moments_of(
                    tables.kept, kept + r, n_components, width, d, D, variance
                )
                at = 2 * ((start + r) * D + d)
                put(tables.out, at, mean)
                put(tables.out, at + 1, std)
        start += i8(n_blocks) * ROWS


@device
def predict_quantiles(t, team, sync, block, n_blocks, sm, tables, n):
    """Quantiles (n, n_levels) of one output.

    A level is the smaller of its tails, that quantile of the standard component, and 1
    for the lower tail or -1 for the upper one.
    """
    kept, start = components_at(tables, block), i8(block) * ROWS
    while start < n:
        mixture_of_tile(t, team, sync, sm, tables, kept, start, n)
        # What is read here takes no registers from the products.
        n_components = get(tables.ints, ALL_COMPONENTS) + N_TAIL
        n_levels = get(tables.question, 0)
        for item in range(t, n_levels * ROWS, team):
            r, q = item & (ROWS - 1), item // ROWS
            if r < n - start:
                sign = get(tables.levels, 3 * q + 2)
                y = quantile_of(
                    tables.kept, kept + r, n_components, get(tables.levels, 3 * q),
                    get(tables.levels, 3 * q + 1), sign,
                )  # fmt: skip
                put(tables.out, (start + r) * n_levels + q, sign * y)
        start += i8(n_blocks) * ROWS


@device
def predict_draws(t, team, sync, block, n_blocks, sm, tables, n):
    """Draws (n, n_outputs, n_draws)."""
    kept, start = components_at(tables, block), i8(block) * ROWS
    while start < n:
        mixture_of_tile(t, team, sync, sm, tables, kept, start, n)
        n_draws, D = get(tables.question, 0), get(tables.ints, N_OUTPUTS)
        first, seed = get(tables.question, 1), u8(get(tables.question, 2))
        for item in range(t, n_draws * ROWS, team):
            r, i = item & (ROWS - 1), item // ROWS
            if r < n - start:
                number = (first + start + r) * n_draws + i
                out = (start + r) * D * n_draws + i
                draw_of(tables, kept + r, seed, number, out, n_draws)
        start += i8(n_blocks) * ROWS
