# SPDX-License-Identifier: BSD-3-Clause
"""Inputs as they were given, float64, to the columns that a network sees.

The two words of a number cross the bus as they are: scaling on the host would take
longer than the networks. A kernel takes no float64; it makes a pair of float32 of the
words, in units of a power of 2 next to the scale of the input, and subtracts the pair
of the center: what is left is as good as float32 can hold.
"""

from skmdn._engine.cuda.primitives import (
    ROWS,
    STRIDE,
    as_float,
    device,
    f4,
    get,
    i4,
    load4,
    put,
    rsqrt,
    u4,
)
from skmdn._engine.limits import CLIP, LARGEST_SCALED

# Of a perceptron, in the table of integers. Sizes, and offsets in the other tables.
N_LAYERS, FIRST_LAYER, N_INPUTS, FIRST_BIN, EXPONENTS, INPUT_SCALING, MIXING = range(7)
N_COMPONENTS, N_SCALES, FIRST_COMPONENT = range(7, 10)
PERCEPTRON = 10  # How many there are.
# Of the call.
N_PERCEPTRONS, N_FEATURES, N_OUTPUTS, SECOND, ALL_COMPONENTS, HEADER = range(6)

_SMOOTHNESS = f4(1 / CLIP**2)
_LARGEST = f4(LARGEST_SCALED)


@device
def scaled_input(low_word, high_word, exponent, high, low, factor):
    """(x - center) / scale of the words of x.

    `exponent` is the biased one of the power of 2, less that of float32; `high` and
    `low` make up the center in its units, `factor` is its quotient by the scale.
    """
    sign = u4(high_word & u4(0x80000000))
    e = i4(u4(u4(high_word >> u4(20)) & u4(0x7FF))) - i4(exponent)
    e = min(e, i4(254))
    first = second = f4(0)
    if e > i4(0):
        mantissa = u4(u4(u4(high_word & u4(0xFFFFF)) << u4(3)) | u4(low_word >> u4(29)))
        first = as_float(u4(u4(sign | u4(u4(e) << u4(23))) | mantissa))
    if e > i4(52):
        unit = as_float(u4(sign | u4(u4(e - i4(52)) << u4(23))))
        second = f4(i4(u4(low_word & u4(0x1FFFFFFF)))) * unit
    x = ((first - high) + (second - low)) * factor
    return min(max(x, -_LARGEST), _LARGEST)


@device
def load_inputs(t, team, sm, out, tables, p, start, n):
    """Scaled inputs of a tile, [n_features, STRIDE], for the perceptron at p."""
    n_features = get(tables.ints, N_FEATURES)
    exponents = get(tables.ints, p + EXPONENTS)
    scaling = get(tables.ints, p + INPUT_SCALING)
    for item in range(t, n_features * ROWS, team):
        r, j = item & (ROWS - 1), item // ROWS
        at = 2 * (min(start + r, n - 1) * n_features + j)
        center_high, center_low, factor, _ = load4(tables.floats, scaling + 4 * j)
        x = scaled_input(
            get(tables.X, at), get(tables.X, at + 1),
            get(tables.ints, exponents + j), center_high, center_low, factor,
        )  # fmt: skip
        put(sm, out + j * STRIDE + r, x)


@device
def encode_inputs(t, team, sm, scaled, out, tables, p):
    """Columns of the inputs of a tile: smooth clip, then bins; zeros up to four."""
    n_features, n_inputs = get(tables.ints, N_FEATURES), get(tables.ints, p + N_INPUTS)
    first = get(tables.ints, p + FIRST_BIN)
    for item in range(t, ((n_inputs + 3) & -4) * ROWS, team):
        r, column = item & (ROWS - 1), item // ROWS
        value = f4(0)
        if column < n_features:
            x = get(sm, scaled + column * STRIDE + r)
            value = x * rsqrt(f4(1) + _SMOOTHNESS * x * x)
        elif column < n_inputs:
            i = column - n_features
            j = get(tables.ints, first + i)
            bins = get(tables.ints, p + INPUT_SCALING) + 4 * (n_features + i)
            slope, intercept, low, high = load4(tables.floats, bins)
            ramp = slope * get(sm, scaled + j * STRIDE + r) + intercept
            value = min(max(ramp, low), high)
        put(sm, out + column * STRIDE + r, value)
