# SPDX-License-Identifier: BSD-3-Clause
"""Elementary functions that LLVM can vectorise, for float32 and float64 kernels.

Numba calls libm for `exp`, `log` and `tanh`, one element at a time. The functions here
are branch-free polynomials, so a plain loop over them becomes vector code. In ordinary
Python they are NumPy's functions.

References
----------
S. L. Moshier, Cephes mathematical library (expf, logf), 1992.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from skmdn._jit import vector64
from skmdn._jit.policy import JIT, LOOP, overload

_f4, _i4 = np.float32, np.int32


@intrinsic
def float_bits(typingctx, x):
    """Bit pattern of a float32 as int32."""
    return types.int32(
        types.float32
    ), lambda context, builder, signature, args: builder.bitcast(
        args[0], ir.IntType(32)
    )


@intrinsic
def bits_float(typingctx, x):
    """Return the float32 with the bit pattern of an int32."""
    return types.float32(
        types.int32
    ), lambda context, builder, signature, args: builder.bitcast(
        args[0], ir.FloatType()
    )


@intrinsic
def _wide_vectors(typingctx):
    """Ask LLVM for 512-bit vectors in the calling function: it prefers 256 on Intel."""

    def codegen(context, builder, signature, args):
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        for argument in builder.function.args:
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _compact(typingctx):
    """Ask LLVM for small code in the calling function: it steers, others compute."""

    def codegen(context, builder, signature, args):
        builder.function.attributes.add("optsize")
        return context.get_dummy_value()

    return types.void(), codegen


def _no_effect(*args):
    """Stand in for an intrinsic in ordinary Python."""


# Called directly: inside another helper the attribute would not reach the kernel.
wide_vectors = _wide_vectors if JIT else _no_effect
compact = _compact if JIT else _no_effect


@intrinsic
def _flush_denormals(typingctx):
    """Set flush-to-zero and denormals-are-zero; return the old control word."""

    def codegen(context, builder, signature, args):
        word = ir.IntType(32)
        if not context.target_data or "x86" not in builder.module.triple:
            return ir.Constant(word, 0)
        pointer = ir.PointerType(ir.IntType(8))
        kind = ir.FunctionType(ir.VoidType(), [pointer])
        store = cgutils.get_or_insert_function(
            builder.module, kind, "llvm.x86.sse.stmxcsr"
        )
        load = cgutils.get_or_insert_function(
            builder.module, kind, "llvm.x86.sse.ldmxcsr"
        )
        cell = cgutils.alloca_once(builder, word)
        builder.call(store, [builder.bitcast(cell, pointer)])
        old = builder.load(cell)
        builder.store(builder.or_(old, ir.Constant(word, 0x8040)), cell)
        builder.call(load, [builder.bitcast(cell, pointer)])
        return old

    return types.uint32(), codegen


@intrinsic
def _restore_denormals(typingctx, old):
    """Put the old floating-point control word back."""

    def codegen(context, builder, signature, args):
        if "x86" in builder.module.triple:
            pointer = ir.PointerType(ir.IntType(8))
            load = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(ir.VoidType(), [pointer]),
                "llvm.x86.sse.ldmxcsr",
            )
            cell = cgutils.alloca_once_value(builder, args[0])
            builder.call(load, [builder.bitcast(cell, pointer)])
        return context.get_dummy_value()

    return types.void(types.uint32), codegen


# Denormals cost an Intel core a factor of 3: zero for this thread until restored.
flush_denormals = _flush_denormals if JIT else _no_effect
restore_denormals = _restore_denormals if JIT else _no_effect


# --- exp --------------------------------------------------------------------------

_LOG2E = _f4(1.44269504088896341)
_LN2_HIGH, _LN2_LOW = _f4(0.693359375), _f4(-2.12194440e-4)
_ROUND = _f4(12582912.0)  # 1.5 * 2**23: adding it rounds to the nearest integer
_EXP_MAX, _EXP_MIN = _f4(88.37626), _f4(-87.336544)
_E0, _E1, _E2, _E3, _E4, _E5 = (
    _f4(c)
    for c in (
        1.9875691500e-4,
        1.3981999507e-3,
        8.3334519073e-3,
        4.1665795894e-2,
        1.6666665459e-1,
        5.0000001201e-1,
    )
)
_ONE = _f4(1)


def _exp32(x):
    x = _EXP_MIN if x < _EXP_MIN else x  # in this order NaN stays
    x = _EXP_MAX if x > _EXP_MAX else x
    n = (x * _LOG2E + _ROUND) - _ROUND
    r = x - n * _LN2_HIGH
    r = r - n * _LN2_LOW
    p = _E0
    p = p * r + _E1
    p = p * r + _E2
    p = p * r + _E3
    p = p * r + _E4
    p = p * r + _E5
    power = bits_float(_i4((_i4(n) + _i4(127)) << _i4(23)))
    return (p * (r * r) + r + _ONE) * power


def exp(x):
    """Exponential; saturates (never 0 or inf) in compiled code; at most 1 ulp off."""
    return np.exp(x)


@overload(exp)
def _overload_exp(x):
    if x == types.float32:
        return _exp32
    return lambda x: vector64.exp64(x)


# --- log --------------------------------------------------------------------------

_TINY = _f4(1.17549435e-38)
_SQRT_HALF_BITS = _i4(0x3F3504F3)
_HALF = _f4(0.5)
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8 = (
    _f4(c)
    for c in (
        7.0376836292e-2,
        -1.1514610310e-1,
        1.1676998740e-1,
        -1.2420140846e-1,
        1.4249322787e-1,
        -1.6668057665e-1,
        2.0000714765e-1,
        -2.4999993993e-1,
        3.3333331174e-1,
    )
)


def _log32(x):
    bits = float_bits(x if x > _TINY else _TINY)
    # Subtracting the bits of sqrt(1/2) puts the mantissa into [sqrt(1/2), sqrt(2)).
    exponent = _i4((bits - _SQRT_HALF_BITS) >> _i4(23))
    m = bits_float(_i4(bits - _i4(exponent << _i4(23)))) - _ONE
    e = _f4(exponent)
    z = m * m
    p = _L0
    p = p * m + _L1
    p = p * m + _L2
    p = p * m + _L3
    p = p * m + _L4
    p = p * m + _L5
    p = p * m + _L6
    p = p * m + _L7
    p = p * m + _L8
    y = p * m * z + e * _LN2_LOW - _HALF * z
    return (m + y) + e * _LN2_HIGH


def log(x):
    """Natural logarithm of a positive number; at most 1 ulp off (float32)."""
    return np.log(x)


@overload(log)
def _overload_log(x):
    if x == types.float32:
        return _log32
    return lambda x: vector64.log64(x)


# --- tanh -------------------------------------------------------------------------


def _sigmoid_any(x):
    one = type(x)(1)
    return one / (one + exp(-x))


def sigmoid(x):
    """Logistic function 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


@overload(sigmoid, fastmath=LOOP)
def _overload_sigmoid(x):
    return _sigmoid_any


# Rational approximation of tanh on [-7.9, 7.9], the coefficients of Eigen's ptanh.
_TANH_MAX = _f4(7.90531110763549805)
_A1, _A3, _A5, _A7, _A9, _A11, _A13 = (
    _f4(c)
    for c in (
        4.89352455891786e-03,
        6.37261928875436e-04,
        1.48572235717979e-05,
        5.12229709037114e-08,
        -8.60467152213735e-11,
        2.00018790482477e-13,
        -2.76076847742355e-16,
    )
)
_B0, _B2, _B4, _B6 = (
    _f4(c)
    for c in (
        4.89352518554385e-03,
        2.26843463243900e-03,
        1.18534705686654e-04,
        1.19825839466702e-06,
    )
)


def _tanh32(x):
    x = -_TANH_MAX if x < -_TANH_MAX else x
    x = _TANH_MAX if x > _TANH_MAX else x
    z = x * x
    p = _A13
    p = p * z + _A11
    p = p * z + _A9
    p = p * z + _A7
    p = p * z + _A5
    p = p * z + _A3
    p = p * z + _A1
    q = _B6
    q = q * z + _B4
    q = q * z + _B2
    q = q * z + _B0
    return x * p / q


def _tanh64(x):
    return 1.0 - 2.0 / (vector64.exp64(x + x) + 1.0)


def tanh(x):
    """Hyperbolic tangent; absolute error below 5e-7 (float32), 3e-16 (float64)."""
    return np.tanh(x)


@overload(tanh, fastmath=LOOP)
def _overload_tanh(x):
    return _tanh32 if x == types.float32 else _tanh64


# --- square root --------------------------------------------------------------------

sqrt = np.sqrt  # an instruction on every machine


# --- reciprocal square root --------------------------------------------------------

_RSQRT_SEED = _i4(0x5F375A86)  # Lomont 2003; three Newton steps reach 2 ulp
_THREE_HALVES = _f4(1.5)


def _rsqrt32(x):
    y = bits_float(_i4(_RSQRT_SEED - _i4(float_bits(x) >> _i4(1))))
    h = _HALF * x
    y = y * (_THREE_HALVES - h * y * y)
    y = y * (_THREE_HALVES - h * y * y)
    return y * (_THREE_HALVES - h * y * y)


def rsqrt(x):
    """1 / sqrt(x) of a positive number: a root and a division cost three times it."""
    return 1 / np.sqrt(x)


@overload(rsqrt)
def _overload_rsqrt(x):
    return _rsqrt32 if x == types.float32 else rsqrt
