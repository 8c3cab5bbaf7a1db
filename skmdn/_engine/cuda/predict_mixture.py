# SPDX-License-Identifier: BSD-3-Clause
"""From the heads of all perceptrons to the mixture of every row, and what is asked.

A block keeps the components of its tile in global memory, in the second-level cache:
[component, field, ROWS] with the fields weight, locations, scales (one for each
output). A thread has one row at a time, next to those of its neighbours.
"""

from skmdn._engine.cuda.predict_inputs import (
    ALL_COMPONENTS,
    FIRST_COMPONENT,
    MIXING,
    N_COMPONENTS,
    N_OUTPUTS,
    N_SCALES,
)
from skmdn._engine.cuda.primitives import (
    ROWS,
    STRIDE,
    device,
    divide,
    exp,
    f4,
    get,
    i4,
    log,
    put,
    sqrt,
    u8,
)
from skmdn._families.head import LOG_SCALE_MAX, LOG_SCALE_MIN

# Of a perceptron, in the table of floats; then for every output the squared lower bound
# of the scale, the lower bound after the temperature, and factor and shift of the
# locations, which are in units that all perceptrons share.
SHARPNESS, SHARE, TEMPERATURE, BOUNDS = 0, 1, 2, 4
# Of the call, at its start; then weights and scales of the tail.
VARIANCE, CONSTANT, N_TAIL, TAIL = 0, 1, 6, 4

# Constants of a variant: uniform numbers that a draw of a component takes, beside
# those that stand for functions of the family.
N_UNIFORM = 2
_LOWEST, _HIGHEST = f4(LOG_SCALE_MIN), f4(LOG_SCALE_MAX)
_WIDEST = f4(-3.0e38)
_GOLDEN, _MIX_1 = u8(0x9E3779B97F4A7C15), u8(0xBF58476D1CE4E5B9)
_MIX_2, _ALL53, _UNIT53 = u8(0x94D049BB133111EB), u8(2**53), f4(2.0**-53)


def log_density(distance, precision):
    """Stand for the family's log-density, see `Family`."""
    return distance, precision, distance


def upper_tail(z):
    """Stand for the family's tail, see `standard`."""
    return z


def standard_draw(u, v, turn):
    """Stand for a draw of the family, see `standard`."""
    return u


@device
def take_components(t, team, sm, head, tables, p, kept):
    """Put the perceptron's components beside those of the others."""
    ints, floats = tables.ints, tables.floats
    K, D = get(ints, p + N_COMPONENTS), get(ints, N_OUTPUTS)
    S, mixing = get(ints, p + N_SCALES), get(ints, p + MIXING)
    sharpness, share = get(floats, mixing + SHARPNESS), get(floats, mixing + SHARE)
    temperature = get(floats, mixing + TEMPERATURE)
    first = kept + get(ints, p + FIRST_COMPONENT) * (1 + 2 * D) * ROWS
    for r in range(t, ROWS, team):
        largest = get(sm, head + r)
        for k in range(1, K):
            largest = max(largest, get(sm, head + k * STRIDE + r))
        total = f4(0)
        for k in range(K):
            total += exp(sharpness * (get(sm, head + k * STRIDE + r) - largest))
        factor = divide(share, total)
        for k in range(K):
            at = first + k * (1 + 2 * D) * ROWS + r
            logit = get(sm, head + k * STRIDE + r)
            put(tables.kept, at, factor * exp(sharpness * (logit - largest)))
            for d in range(D):
                s = d if S == D else 0
                location = get(sm, head + (K + k * D + d) * STRIDE + r)
                log_scale = get(sm, head + (K + K * D + k * S + s) * STRIDE + r)
                log_scale = min(max(log_scale, _LOWEST), _HIGHEST)
                free, bounds = exp(f4(2) * log_scale), mixing + BOUNDS + 4 * d
                scale = temperature * sqrt(free + get(floats, bounds))
                scale = max(scale, get(floats, bounds + 1))
                slope, shift = get(floats, bounds + 2), get(floats, bounds + 3)
                put(tables.kept, at + (1 + d) * ROWS, slope * location + shift)
                put(tables.kept, at + (1 + D + d) * ROWS, abs(slope) * scale)


@device
def moments_of(kept, at, n, width, d, n_outputs, variance):
    """Mean and standard deviation of an output under the first n components at `at`."""
    weights = mean = square = f4(0)
    for c in range(n):
        w = get(kept, at + c * width)
        weights += w
        mean += w * get(kept, at + c * width + (1 + d) * ROWS)
    mean = divide(mean, weights)
    for c in range(n):
        distance = get(kept, at + c * width + (1 + d) * ROWS) - mean
        scale = get(kept, at + c * width + (1 + n_outputs + d) * ROWS)
        square += get(kept, at + c * width) * (
            variance * scale * scale + distance * distance
        )
    return mean, sqrt(divide(square, weights))


@device
def add_tail(t, team, tables, kept):
    """Put the tail behind the components: around the mean, in units of the std."""
    D, n = get(tables.ints, N_OUTPUTS), get(tables.ints, ALL_COMPONENTS)
    width, variance = (1 + 2 * D) * ROWS, get(tables.floats, VARIANCE)
    for r in range(t, ROWS, team):
        for d in range(D):
            at = kept + r
            mean, std = moments_of(tables.kept, at, n, width, d, D, variance)
            at += n * width
            for c in range(N_TAIL):
                put(tables.kept, at, get(tables.floats, TAIL + 2 * c))
                scale = std * get(tables.floats, TAIL + 2 * c + 1)
                put(tables.kept, at + (1 + d) * ROWS, mean)
                put(tables.kept, at + (1 + D + d) * ROWS, scale)
                at += width


@device
def logpdf_of(tables, at, row):
    """Joint log-density of the row's targets: a sum of exponentials, term by term."""
    D = get(tables.ints, N_OUTPUTS)
    n, width = get(tables.ints, ALL_COMPONENTS) + N_TAIL, (1 + 2 * D) * ROWS
    largest, total = _WIDEST, f4(0)
    for _ in range(n):
        weight = get(tables.kept, at)
        if weight > f4(0):
            term = log(weight)
            for d in range(D):
                location = get(tables.kept, at + (1 + d) * ROWS)
                scale = get(tables.kept, at + (1 + D + d) * ROWS)
                distance = get(tables.Y, row * D + d) - location
                value, _, _ = log_density(distance, divide(f4(1), scale * scale))
                term += value
            if term > largest:
                total = total * exp(largest - term) + f4(1)
                largest = term
            else:
                total += exp(term - largest)
        at += width
    return largest + log(total) - get(tables.floats, CONSTANT)


@device
def cdf_of(kept, at, n, y, sign):
    """P(sign Y <= y) of one output."""
    total = f4(0)
    for _ in range(n):
        z = divide(y - sign * get(kept, at + ROWS), get(kept, at + 2 * ROWS))
        tail = upper_tail(abs(z))
        total += get(kept, at) * (tail if z < f4(0) else f4(1) - tail)
        at += 3 * ROWS
    return total


@device
def quantile_of(kept, at, n, tail, z, sign):
    """Where P(sign Y <= y) = tail, by bisection down to neighbouring numbers.

    `z` is that quantile of the standard component: the mixture's lies between those of
    its components.
    """
    low, high = f4(3.0e38), f4(-3.0e38)
    for c in range(n):
        own = sign * get(kept, at + (3 * c + 1) * ROWS)
        own += z * get(kept, at + (3 * c + 2) * ROWS)
        low, high = min(low, own), max(high, own)
    middle = f4(0.5) * low + f4(0.5) * high
    while low < middle < high:
        if cdf_of(kept, at, n, middle, sign) < tail:
            low = middle
        else:
            high = middle
        middle = f4(0.5) * low + f4(0.5) * high
    return high


@device
def split_uniform(seed, count):
    """Uniform number u in [0, 1), and 1 - u, that `count` of a stream is.

    SplitMix64 (Steele, Lea & Flood 2014): the same bits as the draws of a CPU.
    """
    x = u8(seed + u8(u8(count + u8(1)) * _GOLDEN))
    x = u8(u8(x ^ u8(x >> u8(30))) * _MIX_1)
    x = u8(u8(x ^ u8(x >> u8(27))) * _MIX_2)
    x = u8(u8(x ^ u8(x >> u8(31))) >> u8(11))
    return f4(x) * _UNIT53, f4(u8(_ALL53 - x)) * _UNIT53


@device
def draw_of(tables, at, seed, number, out, step):
    """One draw of a row, by the numbers of the stream that belong to `number`."""
    D = get(tables.ints, N_OUTPUTS)
    n, width = get(tables.ints, ALL_COMPONENTS) + N_TAIL, (1 + 2 * D) * ROWS
    count = u8(number) * u8(1 + N_UNIFORM * D)
    u, _ = split_uniform(seed, count)
    total, chosen = f4(0), i4(0)
    for c in range(n - 1):
        total += get(tables.kept, at + c * width)
        if u >= total:
            chosen += i4(1)
    at += chosen * width
    for d in range(D):
        count = u8(count + u8(1))
        u, v = split_uniform(seed, count)
        turn = f4(0)
        if N_UNIFORM > 1:
            count = u8(count + u8(1))
            turn, _ = split_uniform(seed, count)
        scale = get(tables.kept, at + (1 + D + d) * ROWS)
        z = standard_draw(u, v, turn)
        put(
            tables.out,
            out + d * step,
            get(tables.kept, at + (1 + d) * ROWS) + scale * z,
        )
