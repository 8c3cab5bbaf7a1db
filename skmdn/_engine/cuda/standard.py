# SPDX-License-Identifier: BSD-3-Clause
"""The standard component of every family, in float32: its tail, and a draw of it.

Components are symmetric, so one tail is enough. A family that is not in `STANDARDS` has
its quantiles and draws from the CPU.

References
----------
W. H. Press et al., Numerical Recipes, Cambridge 1992, section 6.2 (erfcc: erfc with a
relative error of 1.2e-7).
"""

from skmdn._engine.cuda.primitives import divide, exp, f4, log, sqrt

_ROOT_HALF = f4(0.5**0.5)


def gaussian_tail(z):
    """P(Z > z) of a z that is not negative."""
    x = z * _ROOT_HALF
    t = divide(f4(1), f4(1) + f4(0.5) * x)
    p = f4(0.17087277)
    p = p * t - f4(0.82215223)
    p = p * t + f4(1.48851587)
    p = p * t - f4(1.13520398)
    p = p * t + f4(0.27886807)
    p = p * t - f4(0.18628806)
    p = p * t + f4(0.09678418)
    p = p * t + f4(0.37409196)
    p = p * t + f4(1.00002368)
    p = p * t - f4(1.26551223)
    return f4(0.5) * t * exp(p - x * x)


def laplace_tail(z):
    """P(Z > z) of a z that is not negative."""
    return f4(0.5) * exp(-z)


def logistic_tail(z):
    """P(Z > z) of a z that is not negative."""
    e = exp(-z)
    return divide(e, f4(1) + e)


def gaussian_draw(u, v, turn):
    """Component from a uniform number u, v = 1 - u, and another one (Box, Muller)."""
    # cos(2 pi turn) is the sine of what is left of a quarter.
    x = f4(6.2831853) * (abs(turn - f4(0.5)) - f4(0.25))
    square = x * x
    p = f4(-2.5052108e-8)
    p = p * square + f4(2.7557319e-6)
    p = p * square - f4(1.9841270e-4)
    p = p * square + f4(8.3333333e-3)
    p = p * square - f4(1.6666667e-1)
    p = p * square + f4(1)
    return sqrt(max(f4(-2) * log(v), f4(0))) * (p * x)


def laplace_draw(u, v, turn):
    """Component from a uniform number u and v = 1 - u, by inversion."""
    size = -log(max(min(u, v) + min(u, v), f4(2.0**-53)))
    return size if u >= v else -size


def logistic_draw(u, v, turn):
    """Component from a uniform number u and v = 1 - u, by inversion."""
    least = f4(2.0**-54)
    return log(divide(max(u, least), max(v, least)))


class Standard:
    """What kernels know of a family: its tail, its draw of `n_uniform` numbers."""

    def __init__(self, upper_tail, standard_draw, n_uniform):
        self.upper_tail, self.standard_draw = upper_tail, standard_draw
        self.n_uniform = n_uniform


STANDARDS = {
    "gaussian": Standard(gaussian_tail, gaussian_draw, 2),
    "laplace": Standard(laplace_tail, laplace_draw, 1),
    "logistic": Standard(logistic_tail, logistic_draw, 1),
}
