# SPDX-License-Identifier: BSD-3-Clause
"""Activation functions: each returns its value and its slope at one point.

A new activation is one function and one entry of `ACTIVATIONS`.
"""

from numba.extending import register_jitable

from skmdn._kernels.jit import helper
from skmdn._kernels.vector import sigmoid, tanh, wide_vectors

_jitable = register_jitable(fastmath={"contract", "arcp"}, error_model="numpy")


@_jitable
def identity(z):
    """The identity: the network is linear."""
    return z, type(z)(1)


@_jitable
def hyperbolic_tangent(z):
    """tanh(z)."""
    h = tanh(z)
    return h, type(z)(1) - h * h


@_jitable
def relu(z):
    """max(z, 0); the slope at 0 is 0."""
    zero, one = type(z)(0), type(z)(1)
    return max(z, zero), one if z > zero else zero


@_jitable
def silu(z):
    """z sigmoid(z) (Elfwing, Uchibe & Doya 2018)."""
    one = type(z)(1)
    s = sigmoid(z)
    return z * s, s * (one + z * (one - s))


@_jitable
def gelu(z):
    """z Phi(z) in its tanh form (Hendrycks & Gimpel 2016, section 2)."""
    kind = type(z)
    half, one = kind(0.5), kind(1)
    root, cubic = kind(0.7978845608028654), kind(0.044715)
    t = tanh(root * (z + cubic * z * z * z))
    slope = root * (one + kind(3) * cubic * z * z)
    return half * z * (one + t), half * (one + t) + half * z * (one - t * t) * slope


ACTIVATIONS = {
    "identity": identity,
    "tanh": hyperbolic_tangent,
    "relu": relu,
    "silu": silu,
    "gelu": gelu,
}


@helper(fastmath={"contract", "nsz", "arcp"})
def activate(activation, z, n, out):
    """out := value at z, z := slope at z, for the first n elements."""
    wide_vectors()
    for i in range(n):
        out[i], z[i] = activation(z[i])
