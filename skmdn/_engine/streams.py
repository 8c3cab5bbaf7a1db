# SPDX-License-Identifier: BSD-3-Clause
"""Random numbers of a training, as functions of a seed and of counts alone.

Nothing is drawn one after the other: whoever knows the seed and the number of the epoch
knows the order of its rows and the noise of its steps. So every device, in any order
and in any number of threads, follows the same trajectory.

The order of the rows is a keyed permutation: a Feistel network on a rectangle of n
cells or a few more, whose halves are the two coordinates, and cycle walking out of the
cells beyond n. Four rounds leave neighbours adjacent too often; these are six.

References
----------
M. Luby and C. Rackoff, "How to construct pseudorandom permutations from pseudorandom
functions", SIAM J. Comput. 17, 1988 (the network). J. Black and P. Rogaway, "Ciphers
with arbitrary finite domains", CT-RSA 2002 (rectangles and cycle walking).
"""

import math

import numpy as np

from skmdn._jit.policy import compiled, helper, overload
from skmdn._jit.vector import wide_vectors

_MASK = 0xFFFFFFFF
# The sum of two uniform numbers of 2**16 levels has the variance 2**32 / 6.
TRIANGLE_UNIT = 6**0.5 / 65536
_GOLDEN, _MIX_1, _MIX_2 = 0x9E3779B9, 0x7FEB352D, 0x846CA68B


def mix32(x):
    """Hash of a 32-bit number (the "lowbias32" mixer, C. Wellons 2018)."""
    x = ((x ^ (x >> 16)) * _MIX_1) & _MASK
    x = ((x ^ (x >> 15)) * _MIX_2) & _MASK
    return x ^ (x >> 16)


def _mix32(x):
    x = np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(16))) * np.uint32(_MIX_1))
    x = np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(15))) * np.uint32(_MIX_2))
    return np.uint32(x ^ np.uint32(x >> np.uint32(16)))


@overload(mix32)
def _overload_mix32(x):
    return _mix32


def epoch_key(seed, epoch):
    """Key of everything random in an epoch; `seed` and `epoch` are below 2**32."""
    return mix32((int(seed) + int(epoch) * _GOLDEN) & _MASK)


def step_seeds(key, n_steps):
    """Seeds of the noise of every step, an array of uint32."""
    steps = np.arange(1, n_steps + 1, dtype=np.uint64)
    return mix32((key + steps * _MIX_1) & _MASK).astype(np.uint32)


def rectangle(n):
    """Lines and columns of the rectangle whose cells are n rows or a few more."""
    n_lines = math.isqrt(max(n - 1, 0)) + 1
    return n_lines, max(1, -(-n // n_lines))


def permutation(n, key):
    """Order of n rows for a key.

    Parameters
    ----------
    n : int
        At most 2**31: coordinates then have 16 bits, their products with a hash's 32.
    key : int
        From `epoch_key`.

    Returns
    -------
    order : ndarray of shape (n,), uint32
    """
    n_lines, n_columns = rectangle(n)
    order = np.empty(n_lines * n_columns, dtype=np.uint32)
    keys = [mix32((int(key) + number * _GOLDEN) & _MASK) for number in range(1, 7)]
    keys = np.array(keys, dtype=np.uint32)
    _permute(n, np.uint32(n_lines), np.uint32(n_columns), keys, order)
    return order[:n]


def _moved(i, length, other, key):
    """Coordinate i, moved around its `length` by a hash of the other coordinate."""
    hashed = mix32((int(other) * _MIX_2 + int(key)) & _MASK)
    return (int(i) + (((hashed >> 16) * int(length)) >> 16)) % int(length)


def _moved_32(i, length, other, key):
    hashed = mix32(np.uint32(np.uint32(other * np.uint32(_MIX_2)) + key))
    distance = np.uint32(np.uint32(hashed >> np.uint32(16)) * length)
    i = np.uint32(i + np.uint32(distance >> np.uint32(16)))
    return np.uint32(i - length) if i >= length else i


@overload(_moved)
def _overload_moved(i, length, other, key):
    return _moved_32


@helper
def _send(i, j, n_lines, n_columns, k0, k1, k2, k3, k4, k5):
    """Where the six rounds send a cell of the rectangle."""
    i = _moved(i, n_lines, j, k0)
    j = _moved(j, n_columns, i, k1)
    i = _moved(i, n_lines, j, k2)
    j = _moved(j, n_columns, i, k3)
    i = _moved(i, n_lines, j, k4)
    j = _moved(j, n_columns, i, k5)
    return np.uint32(np.uint32(i * n_columns) + j)


@compiled
def _permute(n, n_lines, n_columns, keys, order):
    """Fill `order`; its first n numbers are those below n."""
    wide_vectors()
    k0, k1, k2, k3, k4, k5 = keys[0], keys[1], keys[2], keys[3], keys[4], keys[5]
    width = np.int64(n_columns)
    for i in range(np.int64(n_lines)):
        for j in range(width):
            order[i * width + j] = _send(
                np.uint32(i), np.uint32(j), n_lines, n_columns, k0, k1, k2, k3, k4, k5
            )
    for x in range(n):
        while order[x] >= n:
            i, j = np.uint32(order[x] // n_columns), np.uint32(order[x] % n_columns)
            order[x] = _send(i, j, n_lines, n_columns, k0, k1, k2, k3, k4, k5)


@helper
def triangle(i, seed):
    """Number i of a stream: the sum of the two halves of a hash, centred.

    Its density is triangular; times `TRIANGLE_UNIT` it has a standard deviation of 1.
    """
    h = mix32(np.uint32(np.uint32(np.uint32(i) * np.uint32(_GOLDEN)) + seed))
    total = np.int32(h & np.uint32(0xFFFF)) + np.int32(h >> np.uint32(16))
    return np.int32(total - np.int32(65535))


def _round_key_32(key, number):
    return mix32(np.uint32(key + np.uint32(np.uint32(number + 1) * np.uint32(_GOLDEN))))


def _epoch_key_32(seed, epoch):
    return mix32(np.uint32(seed + np.uint32(epoch * np.uint32(_GOLDEN))))


def _step_seed_32(key, step):
    steps = np.uint32(step + np.uint32(1))
    return mix32(np.uint32(key + np.uint32(steps * np.uint32(_MIX_1))))


# The same for one row, in numbers of 32 bits, by the names that they call each other
# by: for devices that take plain functions.
SCALAR = {
    "mix32": _mix32,
    "_moved": _moved_32,
    "_round_key": _round_key_32,
    "send": _send,
    "triangle": triangle,
    "epoch_key": _epoch_key_32,
    "step_seed": _step_seed_32,
}
