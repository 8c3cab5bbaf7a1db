# SPDX-License-Identifier: BSD-3-Clause
"""Roots of many increasing functions at once, by Newton's method within brackets."""

import numpy as np

_MAX_ITER = 200
_ROUNDING = 4e-16


def find_roots(func, low, high, start):
    """One root in each bracket.

    Steps that leave the bracket, or do not halve the one before, are replaced by
    halving the bracket: a kink costs steps, not the answer.

    Parameters
    ----------
    func : callable
        ``func(x, which)`` returns the values and derivatives of the functions number
        `which` at x. A derivative may be anything where it is not known.
    low, high : ndarray of shape (n,)
        func(low) <= 0 <= func(high). Where low is not below high, low is the root.
    start : ndarray of shape (n,)

    Returns
    -------
    x : ndarray of shape (n,)
    """
    low, high = low.copy(), high.copy()
    x = np.where(low < high, _between(low, start, high), low)
    last = high - low
    going = np.flatnonzero(low < high)
    for _ in range(_MAX_ITER):
        if not len(going):
            break
        at = x[going]
        value, slope = func(at, going)
        low[going] = np.where(value < 0, at, low[going])
        high[going] = np.where(value > 0, at, high[going])
        a, b = low[going], high[going]
        with np.errstate(all="ignore"):
            target = at - value / slope
            # Too small a step to see: its end tells on which side the root is.
            is_unseen = target == at
            beside = np.nextafter(at, np.where(value > 0, a, b))
            target = np.where(is_unseen, beside, target)
            is_good = (a < target) & (target < b)
            is_good &= np.abs(target - at) <= 0.5 * last[going]
        target = np.where(is_good, target, 0.5 * a + 0.5 * b)
        target = np.where(value == 0, at, target)
        x[going], last[going] = target, np.abs(target - at)
        is_small = last[going] <= _ROUNDING * np.abs(target)
        is_done = (is_small & is_good & ~is_unseen) | (value == 0)
        going = going[~is_done & (a < target) & (target < b)]
    return x


def _between(low, x, high):
    """Return x, or the middle where it is not inside."""
    return np.where((low < x) & (x < high), x, 0.5 * low + 0.5 * high)
