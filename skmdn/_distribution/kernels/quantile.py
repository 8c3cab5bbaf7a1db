# SPDX-License-Identifier: BSD-3-Clause
"""Quantiles of mixtures by safeguarded Halley steps on the log of the smaller tail.

64 elements are under way at a time, one a lane; a lane whose element is done takes the
next one, so that none waits for the slowest.

References
----------
W. Gander, "On Halley's iteration method", Amer. Math. Monthly 92, 1985.
"""

import numpy as np

from skmdn._distribution.kernels.mixture import LANES
from skmdn._distribution.kernels.normal import INV_ROOT_2PI, gauss, mills
from skmdn._jit.policy import compiled, helper
from skmdn._jit.vector import wide_vectors
from skmdn._jit.vector64 import bits_double, double_bits, log64

_MAX_ITER = 400
# After so many iterations bisect among float64 numbers, not real ones: 64 halvings
# are then enough, whatever the magnitudes.
_PATIENCE = 100
_DEEP = -2.0  # normal quantiles of levels below 2 %
_MOST_BENT = 2.0  # factor between the steps of Halley and Newton
_EXACT = 1e-14  # relative error of the tail: a few roundings of a sum over components
_ROUNDING = 2.3e-16
# Where the step shrinks like this and the tail is as near, the next error, cubic in
# this one, is below rounding.
_NEAR, _SHRINKING = 1e-9, 1e-3


def scratch_rows(n_components):
    """Rows of scratch that `ppf` needs."""
    return 3 * n_components + 10


@helper
def _measure(weights, means, scales, row, moments):
    """Make moments those of a row: its number, mean and standard deviation."""
    mean, var = 0.0, 0.0
    for k in range(weights.shape[1]):
        mean += weights[row, k] * means[row, k]
    for k in range(weights.shape[1]):
        deviation, sigma = means[row, k] - mean, scales[row, k]
        var += weights[row, k] * (sigma * sigma + deviation * deviation)
    moments[0], moments[1], moments[2] = row, mean, np.sqrt(var)


@helper
def _start(e, lane, weights, means, scales, moments, levels, z, side, scratch):
    """Put element e into a lane; return False, with the quantile, if that is trivial.

    Upper quantiles are lower quantiles of the mixture mirrored at 0. The quantile lies
    between the smallest and largest one of the components.
    """
    n, n_columns = weights.shape[1], levels.shape[1]
    row, column = e // n_columns, e % n_columns
    at = row if levels.shape[0] > 1 else 0
    sign, z_level = side[at, column], z[at, column]
    low, high, outermost = np.inf, -np.inf, np.inf
    for k in range(n):
        w, mu, sigma = weights[row, k], sign * means[row, k], scales[row, k]
        scratch[k, lane], scratch[n + k, lane] = w, mu
        scratch[2 * n + k, lane] = sigma
        if w > 0.0:
            end = mu + sigma * z_level
            low, high = min(low, end), max(high, end)
            if w * n > 0.5:
                outermost = min(outermost, end)
    if not low < high:
        scratch[3 * n, lane] = low
        return False
    if moments[0] != row:
        _measure(weights, means, scales, row, moments)
    x = sign * moments[1] + moments[2] * z_level
    if z_level < _DEEP:
        # The tail is that of one component, and the steps go straight up there.
        x = outermost
    if not low <= x < high:
        x = 0.5 * low + 0.5 * high
    state = scratch[3 * n :]
    state[0, lane], state[1, lane], state[2, lane] = low, x, high
    state[3, lane], state[4, lane] = levels[at, column], high - low
    state[5, lane] = 0.0
    return True


@helper
def _middle_number(low, high):
    """Float64 number with as many others below, down to low, as above, up to high."""
    if low < 0.0 and high > 0.0:
        return 0.0
    a, b = double_bits(abs(low)), double_bits(abs(high))
    middle = bits_double(a + (b - a) // 2)
    return middle if high > 0.0 else -middle


@helper
def _step(weights, means, scales, state):
    """Take one step in every lane; state[5] tells in which it was the last."""
    low, x, high = state[0], state[1], state[2]
    level, step, done = state[3], state[4], state[5]
    cdf, pdf, slope = state[6], state[7], state[8]
    for lane in range(LANES):
        cdf[lane], pdf[lane], slope[lane] = 0.0, 0.0, 0.0
    for k in range(weights.shape[0]):
        for lane in range(LANES):
            z = (x[lane] - means[k, lane]) / scales[k, lane]
            precision = 1.0 / scales[k, lane]
            bell = gauss(z)
            tail = bell * mills(abs(z))
            above = 1.0 if z > 0.0 else 0.0
            density = weights[k, lane] * precision * bell
            cdf[lane] += weights[k, lane] * (above + (1.0 - 2.0 * above) * tail)
            pdf[lane] += density
            slope[lane] -= density * (z * precision)
    # Apart from the choices below, which LLVM makes no vectors of.
    for lane in range(LANES):
        error = log64(cdf[lane] / level[lane])
        per_log = cdf[lane] / (pdf[lane] * INV_ROOT_2PI)
        bend = 1.0 - 0.5 * error * (slope[lane] / pdf[lane] * per_log - 1.0)
        # Of narrow components the slope overflows.
        bend = bend if abs(bend) < np.inf else 1.0
        bend = _MOST_BENT if bend > _MOST_BENT else bend
        bend = 1.0 / _MOST_BENT if bend < 1.0 / _MOST_BENT else bend
        cdf[lane], pdf[lane] = error, -error * per_log / bend
    for lane in range(LANES):
        error, change = cdf[lane], pdf[lane]
        lower = x[lane] if error < 0.0 else low[lane]
        upper = high[lane] if error < 0.0 else x[lane]
        low[lane], high[lane] = lower, upper
        target = x[lane] + change
        shrinks = abs(change) <= 0.5 * step[lane]
        # A step below rounding says nothing of the error next to a narrow component:
        # look once just beyond x whether the quantile is between, and halve otherwise.
        ulps = _ROUNDING * abs(x[lane])
        tiny = abs(change) < 0.5 * ulps
        beyond = x[lane] + (ulps if error < 0.0 else -ulps)
        probe = tiny & (step[lane] > ulps) & (beyond > lower) & (beyond < upper)
        halley = (target > lower) & (target < upper) & shrinks & (not tiny)
        quadratic = (
            halley & (abs(error) <= _NEAR) & (abs(change) <= _SHRINKING * step[lane])
        )
        middle = 0.5 * lower + 0.5 * upper
        between = (middle > lower) & (middle < upper)  # else they are neighbours
        exact = (abs(error) <= _EXACT) | (not between)
        halved = 0.5 * upper - 0.5 * lower
        step[lane] = ulps if probe else (abs(change) if halley else halved)
        moved = beyond if probe else (target if halley else middle)
        x[lane] = x[lane] if exact else moved
        done[lane] = 1.0 if exact | quadratic else 0.0


@compiled
def ppf(weights, means, scales, levels, z, side, out, elements, scratch):
    """Quantile of every element.

    levels (n or 1, m) are tails of at most 1/2, z their normal quantiles; side is 1 for
    lower tails, -1 for upper ones. elements (2, LANES) int64 is scratch, too.
    """
    wide_vectors()
    n, n_columns = weights.shape[1], levels.shape[1]
    state = scratch[3 * n :]
    of_lane, age, moments = elements[0], elements[1], state[9]
    following, active = 0, 0
    for lane in range(LANES):
        of_lane[lane], state[5, lane] = -1, 1.0
    # Idle lanes compute as well; with these numbers they are harmless.
    for i in range(scratch.shape[0]):
        for lane in range(LANES):
            if i != 3 * n + 5:
                scratch[i, lane] = 1.0
    moments[0] = -1.0  # of no row yet
    while following < out.size or active > 0:
        for lane in range(LANES):
            if of_lane[lane] >= 0:
                age[lane] += 1
                if state[5, lane] == 0.0 and age[lane] < _MAX_ITER:
                    if age[lane] > _PATIENCE:
                        state[1, lane] = _middle_number(state[0, lane], state[2, lane])
                    continue
                e = of_lane[lane]
                at = e // n_columns if levels.shape[0] > 1 else 0
                out[e] = side[at, e % n_columns] * state[1, lane]
                of_lane[lane] = -1
                active -= 1
            while following < out.size and of_lane[lane] < 0:
                e = following
                following += 1
                if _start(
                    e, lane, weights, means, scales, moments, levels, z, side, scratch
                ):
                    of_lane[lane], age[lane] = e, 0
                    active += 1
                else:
                    at = e // n_columns if levels.shape[0] > 1 else 0
                    out[e] = side[at, e % n_columns] * state[0, lane]
        if active > 0:
            _step(
                scratch[:n],
                scratch[n : 2 * n],
                scratch[2 * n : 3 * n],
                state,
            )
