# SPDX-License-Identifier: BSD-3-Clause
"""What kernels are written with, and how they become code for a target.

A kernel is a plain function of numbers and flat arrays that a team of threads runs
together. `bind` copies all kernels for a target: in the copies, the names below stand
for what the target has in their place, and the constants for those of a variant. As
they stand here they are Python, where threads meet at a `threading.Barrier`.
"""

from types import FunctionType

import numpy as np

f4, i4, u4, i8, u8 = np.float32, np.int32, np.uint32, np.int64, np.uint64

# Constants of a variant. Rows that go through the network together (a tile), the
# logarithm to base 2 of their number, and the distance between features of a tile in
# memory: four more, for the banks.
ROWS, LOG_ROWS, STRIDE = 64, 6, 68
# Whether weights and gradients are in shared memory; whether members share weights.
SHARED_WEIGHTS, SHARED_GRADIENTS, HAS_MEMBERS = True, True, False
# Of the family's densities (a family is bound to `log_density`).
LOG_NORMALISER = f4(0)
# Rows of a thread's part of a product: 4 or 8.
THREAD_ROWS = 4

_KERNELS = {}


def device(function):
    """Mark a function as a part of the kernels."""
    if function.__name__ in _KERNELS:
        raise ValueError(f"There are two kernels named {function.__name__!r}.")
    _KERNELS[function.__name__] = function
    return function


def bind(target, *, elementwise=None, **constants):
    """Make all kernels for a target.

    Parameters
    ----------
    target : object
        ``target.device(function)`` compiles an inner function; ``target.primitives`` is
        a dict of what stands for the functions below.
    elementwise : dict, default=None
        Functions from elsewhere by the names that kernels call them by: an activation,
        a log-density.
    **constants
        Values of the constants above.

    Returns
    -------
    kernels : dict
        By name.
    """
    primitives = {f.__name__: target.device(f) for f in PRIMITIVES} | target.primitives
    for function in COMPOSED:
        primitives[function.__name__] = _rebound(target, function, primitives)
    bound = primitives | constants
    for name, function in (elementwise or {}).items():
        # One may call those before it.
        bound[name] = primitives[name] = _rebound(target, function, primitives)
    # Each keeps the other names of its own module.
    copies = {
        name: FunctionType(function.__code__, dict(function.__globals__), name)
        for name, function in _KERNELS.items()
    }
    kernels = {name: target.device(copy) for name, copy in copies.items()}
    for copy in copies.values():
        copy.__globals__.update(bound | kernels)
    return kernels


def _rebound(target, function, primitives):
    """Copy a function, and those that it calls, with the target's arithmetic."""
    space = function.__globals__ | primitives
    for name in function.__code__.co_names:
        called = function.__globals__.get(name)
        if isinstance(called, FunctionType) and name not in primitives:
            space[name] = _rebound(target, called, primitives)
    return target.device(FunctionType(function.__code__, space, function.__name__))


def barrier(sync, team):
    """Wait until all `team` threads of a block are here; all writes are then seen."""
    if team > 1:
        sync.wait()


def arrive(meeting):
    """Count one more block in ``meeting[0]``; return how many there were before it."""
    meeting[0] += 1
    return meeting[0] - 1


def has_arrived(meeting, n):
    """Whether `n` were counted; what they wrote is then seen."""
    return meeting[0] >= n


def get(array, i):
    """Return ``array[i]``; i is not negative."""
    return array[i]


def put(array, i, value):
    """Set ``array[i]``."""
    array[i] = value


def load4(array, i):
    """Four elements from i on, which is a multiple of 4."""
    return array[i], array[i + 1], array[i + 2], array[i + 3]


def store4(array, i, a, b, c, d):
    """Set four elements from i on, which is a multiple of 4."""
    array[i] = a
    array[i + 1] = b
    array[i + 2] = c
    array[i + 3] = d


def as_float(bits):
    """Float32 of the given bits (uint32)."""
    return u4(bits).view(f4)


def exp(x):
    """Exponential."""
    return np.exp(f4(x))


def log(x):
    """Logarithm."""
    return np.log(f4(x))


def sqrt(x):
    """Square root."""
    return np.sqrt(f4(x))


def rsqrt(x):
    """Reciprocal square root."""
    return f4(1) / np.sqrt(f4(x))


def divide(a, b):
    """Quotient."""
    return f4(a) / f4(b)


def sigmoid(x):
    """Logistic function."""
    return divide(f4(1), f4(1) + exp(-x))


def tanh(x):
    """Hyperbolic tangent."""
    return f4(2) * sigmoid(x + x) - f4(1)


def registers8():
    """Eight numbers of a thread's own."""
    return np.zeros(8, f4)


def registers16():
    """Sixteen numbers of a thread's own."""
    return np.zeros(16, f4)


def registers32():
    """Thirty-two numbers of a thread's own."""
    return np.zeros(32, f4)


PRIMITIVES = (
    barrier, arrive, has_arrived, get, put, load4, store4, as_float,
    exp, log, sqrt, rsqrt, divide, registers8, registers16, registers32,
)  # fmt: skip
# Of others.
COMPOSED = (sigmoid, tanh)
