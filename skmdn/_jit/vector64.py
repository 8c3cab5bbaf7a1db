# SPDX-License-Identifier: BSD-3-Clause
"""exp, log and the cosine for float64 loops: branch-free, so that LLVM vectorises them.

At most 1 ulp off. In ordinary Python they are NumPy's functions.

References
----------
W. J. Cody and W. Waite, Software Manual for the Elementary Functions, 1980 (reduction
of the argument of exp). FreeBSD msun, e_log.c, Sun Microsystems 1993 (log).
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from skmdn._jit.policy import overload

_i8 = np.int64


@intrinsic
def double_bits(typingctx, x):
    """Bit pattern of a float64 as int64."""
    return types.int64(
        types.float64
    ), lambda context, builder, signature, args: builder.bitcast(
        args[0], ir.IntType(64)
    )


@intrinsic
def bits_double(typingctx, x):
    """Return the float64 with the bit pattern of an int64."""
    return types.float64(
        types.int64
    ), lambda context, builder, signature, args: builder.bitcast(
        args[0], ir.DoubleType()
    )


# --- exp --------------------------------------------------------------------------

_LOG2E = 1.4426950408889634
# The high part has 20 bits: its product with an exponent is exact.
_LN2_HIGH, _LN2_LOW = 6.93145751953125e-1, 1.42860682030941723212e-6
_ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to the nearest integer
# The power of 2 by -707 leaves room for a mantissa below 1: subnormals are slow.
_EXP_MIN, _EXP_MAX = -707.0, 709.782712893384
_E2, _E3, _E4, _E5, _E6, _E7, _E8, _E9, _E10, _E11, _E12, _E13 = (
    1 / math.factorial(k) for k in range(2, 14)
)


def _exp_parts(x, low):
    # Comparisons, unlike min and max, let NaN through.
    inside = _EXP_MIN if x < _EXP_MIN else x
    inside = _EXP_MAX if inside > _EXP_MAX else inside
    t = inside * _LOG2E + _ROUND
    n = t - _ROUND
    r = inside - n * _LN2_HIGH
    r = r - n * _LN2_LOW + low
    p = _E13
    p = p * r + _E12
    p = p * r + _E11
    p = p * r + _E10
    p = p * r + _E9
    p = p * r + _E8
    p = p * r + _E7
    p = p * r + _E6
    p = p * r + _E5
    p = p * r + _E4
    p = p * r + _E3
    p = p * r + _E2
    y = p * (r * r) + r + 1.0
    # Half of the power first: 2**1024 itself is not a number. The low bits of t are n.
    y = y * bits_double((double_bits(t) + _i8(1022)) << _i8(52)) * 2.0
    y = 0.0 if x < _EXP_MIN else y
    return np.inf if x > _EXP_MAX else y


def exp64(x):
    """Exponential; 0 where it is below 1e-307."""
    return np.exp(x)


@overload(exp64)
def _overload_exp64(x):
    return lambda x: exp_sum64(x, 0.0)


def exp_sum64(x, low):
    """Exponential of ``x + low``, where `low` is the rounding error of `x`."""
    return np.exp(x) * (1.0 + low)


@overload(exp_sum64)
def _overload_exp_sum64(x, low):
    return _exp_parts


# --- log --------------------------------------------------------------------------

_TINY = 2.2250738585072014e-308
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_ROUND_BITS = 0x4338000000000000  # of _ROUND
_LOG_LN2_HIGH, _LOG_LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_L1, _L2, _L3, _L4, _L5, _L6, _L7 = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)


def _log64(x):
    subnormal = x < _TINY
    scaled = x * 18014398509481984.0 if subnormal else x  # 2**54
    bits = double_bits(scaled)
    # Subtracting the bits of sqrt(1/2) puts the mantissa into [sqrt(1/2), sqrt(2)).
    exponent = (bits - _i8(_SQRT_HALF_BITS)) >> _i8(52)
    f = bits_double(bits - (exponent << _i8(52))) - 1.0
    e = bits_double(exponent + _i8(_ROUND_BITS)) - _ROUND
    e = e - 54.0 if subnormal else e
    s = f / (2.0 + f)
    z = s * s
    p = _L7
    p = p * z + _L6
    p = p * z + _L5
    p = p * z + _L4
    p = p * z + _L3
    p = p * z + _L2
    p = p * z + _L1
    half = 0.5 * f * f
    y = e * _LOG_LN2_HIGH - ((half - (s * (half + p * z) + e * _LOG_LN2_LOW)) - f)
    y = -np.inf if x == 0.0 else y
    return y if (x >= 0.0) & (x < np.inf) else (x if x > 0.0 else np.nan)


def log64(x):
    """Natural logarithm; -inf at 0, NaN below."""
    return np.log(x)


@overload(log64)
def _overload_log64(x):
    return _log64


# --- cosine of a turn ----------------------------------------------------------------

_C = [(-1) ** k * math.pi ** (2 * k) / math.factorial(2 * k) for k in range(12)]
_C0, _C1, _C2, _C3, _C4, _C5, _C6, _C7, _C8, _C9, _C10, _C11 = _C


def _cos_turn(x):
    folded = abs(2.0 * x - 1.0)  # 0 .. 1: half turns away from the middle
    near = folded <= 0.5
    a = folded if near else 1.0 - folded
    z = a * a
    p = _C11
    p = p * z + _C10
    p = p * z + _C9
    p = p * z + _C8
    p = p * z + _C7
    p = p * z + _C6
    p = p * z + _C5
    p = p * z + _C4
    p = p * z + _C3
    p = p * z + _C2
    p = p * z + _C1
    p = p * z + _C0
    return -p if near else p


def cos_turn64(x):
    """cos(2 pi x) for 0 <= x < 1; absolute error below 1e-15."""
    return np.cos(2 * np.pi * x)


@overload(cos_turn64)
def _overload_cos_turn64(x):
    return _cos_turn
