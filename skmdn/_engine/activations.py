# SPDX-License-Identifier: BSD-3-Clause
"""Activation functions: each returns its value and its slope at one point.

A new activation is one function and one entry of `ACTIVATIONS`.
"""

from skmdn._jit.policy import loop_helper
from skmdn._jit.vector import sigmoid, tanh


@loop_helper
def identity(z):
    """The identity: the network is linear."""
    return z, type(z)(1)


@loop_helper
def hyperbolic_tangent(z):
    """tanh(z)."""
    h = tanh(z)
    return h, type(z)(1) - h * h


@loop_helper
def relu(z):
    """max(z, 0); the slope at 0 is 0."""
    zero, one = type(z)(0), type(z)(1)
    return max(z, zero), one if z > zero else zero


@loop_helper
def silu(z):
    """z sigmoid(z) (Elfwing, Uchibe & Doya 2018)."""
    one = type(z)(1)
    s = sigmoid(z)
    return z * s, s * (one + z * (one - s))


@loop_helper
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
