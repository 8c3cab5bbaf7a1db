# SPDX-License-Identifier: BSD-3-Clause
"""The likelihood of correlated components, or of those that share a shape.

A component is a chain of regressions, see `skmdn._families.head`. Given the outputs
before it, output d has the location m_d + sum_{j<d} b_dj e_j with e_j = y_j - m_j, and
its own log-density: what `likelihood` adds up for independent outputs. With g_d the
derivative of that log-density by this location, the derivative by the slope b_dj is
g_d e_j, and by the location m_j it is g_j - sum_{d>j} b_dj g_d. The head holds slopes
in units of `SLOPE_UNIT`.
"""

from skmdn._engine.cpu.likelihood import (
    add_output,
    copy,
    multiply,
    take_larger,
    take_responsibilities,
)
from skmdn._engine.cpu.plan import BLOCK
from skmdn._families.head import SLOPE_UNIT
from skmdn._jit.memory import tail
from skmdn._jit.policy import helper, loop_helper
from skmdn._jit.vector import compact, wide_vectors


@loop_helper
def _add_regression(regression, slope, target, location):
    """Add slope times the residual of an earlier output."""
    wide_vectors()
    compact()
    unit = slope.dtype.type(SLOPE_UNIT)
    for b in range(BLOCK):
        regression[b] += unit * slope[b] * (target[b] - location[b])


@loop_helper
def _pass_back(pull, slope, target, location, d_location, d_slope, add):
    """Derivatives by a slope, and by the location of the output that it belongs to."""
    wide_vectors()
    compact()
    unit = slope.dtype.type(SLOPE_UNIT)
    for b in range(BLOCK):
        by_regression = unit * pull[b]
        by_slope = by_regression * (target[b] - location[b])
        d_slope[b] = d_slope[b] + by_slope if add else by_slope
        d_location[b] -= slope[b] * by_regression


@loop_helper
def _multiply_into(values, factor, out, add):
    """out := values times factor, or that added to it."""
    wide_vectors()
    compact()
    for b in range(BLOCK):
        product = values[b] * factor[b]
        out[b] = out[b] + product if add else product


@helper
def _first_rows(plan, k):
    """Offsets from the first row of the head: locations, log-scales, slopes of k."""
    K, D, S = plan.n_components, plan.n_outputs, plan.n_scales
    shape = k if plan.n_shapes == K else 0
    scales = K + K * D
    slopes = scales + plan.n_shapes * S + shape * plan.n_slopes
    return (K + k * D) * BLOCK, (scales + shape * S) * BLOCK, slopes * BLOCK


@helper
def _log_joints(log_density, ws, plan, min_square, gradient):
    """Fill the scratch rows: a_k + log f_k(y) = joint_k, then the larger of them.

    Leaves g in the gradient's rows of the locations, and the derivatives by log-scales,
    of every component, behind the other rows of scratch.
    """
    compact()
    K, D = plan.n_components, plan.n_outputs
    best = tail(ws, plan.scratch + K * BLOCK)
    regression, d_scale = tail(best, 4 * BLOCK), tail(best, 5 * BLOCK)
    for k in range(K):
        locations, scales, slopes = _first_rows(plan, k)
        joint = tail(ws, plan.scratch + k * BLOCK)
        copy(tail(ws, plan.head + k * BLOCK), joint)
        slope = plan.head + slopes
        for d in range(D):
            copy(tail(ws, plan.head + locations + d * BLOCK), regression)
            for j in range(d):
                _add_regression(
                    regression,
                    tail(ws, slope),
                    tail(ws, plan.target + j * BLOCK),
                    tail(ws, plan.head + locations + j * BLOCK),
                )
                slope += BLOCK
            add_output(
                log_density,
                tail(ws, plan.target + d * BLOCK),
                regression,
                tail(ws, plan.head + scales + d * BLOCK),
                min_square[d],
                joint,
                tail(ws, gradient + locations + d * BLOCK),
                tail(d_scale, (k * D + d) * BLOCK),
                False,
            )
        take_larger(joint, best, k == 0)


@helper
def log_likelihood_gradient(
    log_density, log_normaliser, ws, plan, min_square, out, gradient
):
    """Log-likelihood of a block of rows and its gradient, as that of `likelihood`."""
    compact()
    _log_joints(log_density, ws, plan, min_square, gradient)
    take_responsibilities(log_normaliser, ws, plan, out, gradient)
    K, D = plan.n_components, plan.n_outputs
    d_scale = tail(ws, plan.scratch + (K + 5) * BLOCK)
    for k in range(K):
        locations, scales, slopes = _first_rows(plan, k)
        joint = tail(ws, plan.scratch + k * BLOCK)
        add = k > 0 and plan.n_shapes < K
        for d in range(D):
            multiply(tail(ws, gradient + locations + d * BLOCK), joint)
            _multiply_into(
                tail(d_scale, (k * D + d) * BLOCK),
                joint,
                tail(ws, gradient + scales + d * BLOCK),
                add,
            )
        for j in range(D):
            # Of the later outputs these are still g.
            for d in range(j + 1, D):
                slope = slopes + (d * (d - 1) // 2 + j) * BLOCK
                _pass_back(
                    tail(ws, gradient + locations + d * BLOCK),
                    tail(ws, plan.head + slope),
                    tail(ws, plan.target + j * BLOCK),
                    tail(ws, plan.head + locations + j * BLOCK),
                    tail(ws, gradient + locations + j * BLOCK),
                    tail(ws, gradient + slope),
                    add,
                )
