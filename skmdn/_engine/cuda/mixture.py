# SPDX-License-Identifier: BSD-3-Clause
"""The likelihood of a mixture and its gradient at the head, for a tile of rows.

The formulas are those of `skmdn._engine.cpu.likelihood`; here a thread has a component
of a row, then a row, then a component of a row again.
"""

from skmdn._engine.cuda.layout import (
    DELTA,
    LAYER_SIZE,
    LAYERS,
    N_COMPONENTS,
    N_HIDDEN,
    N_OUTPUTS,
    N_SCALES,
    ROW_WEIGHTS,
    SCRATCH,
    TARGETS,
)
from skmdn._engine.cuda.primitives import (
    LOG_NORMALISER,
    LOG_ROWS,
    ROWS,
    STRIDE,
    barrier,
    device,
    divide,
    exp,
    f4,
    get,
    log,
    put,
)
from skmdn._families.gaussian import log_density
from skmdn._families.head import LOG_SCALE_MAX, LOG_SCALE_MIN

_ZERO, _ONE, _TWO = f4(0), f4(1), f4(2)
_LOW, _HIGH = f4(LOG_SCALE_MIN), f4(LOG_SCALE_MAX)
# Rows of the scratch after the components' joint densities.
_BEST, _EVIDENCE, _LARGEST, _TOTAL = range(4)


@device
def component_density(sm, net, floors, min_square, head, k, r, with_gradient):
    """Return a_k + log f_k(y); leave its derivatives by m and s at the head."""
    K, D, S = get(net, N_COMPONENTS), get(net, N_OUTPUTS), get(net, N_SCALES)
    joint, log_scale, slope = get(sm, head + k * STRIDE + r), _ZERO, _ZERO
    for d in range(D):
        e = d if S == D else 0
        location_at = head + (K + k * D + d) * STRIDE + r
        scale_at = head + (K + K * D + k * S + e) * STRIDE + r
        if d == 0 or S == D:
            log_scale, slope = get(sm, scale_at), _ZERO
        s = _LOW if log_scale < _LOW else log_scale
        s = _HIGH if s > _HIGH else s
        free = exp(_TWO * s)
        precision = divide(_ONE, free + get(floors, min_square + e))
        y = get(sm, get(net, TARGETS) + d * STRIDE + r)
        value, by_location, by_log_scale = log_density(
            y - get(sm, location_at), precision
        )
        joint += value
        if with_gradient:
            put(sm, location_at, by_location)
            is_inside = _ONE if s == log_scale else _ZERO
            slope += is_inside * free * precision * by_log_scale
            # Spherical: the derivatives of all outputs add up.
            if S == D or d == D - 1:
                put(sm, scale_at, slope)
    return joint


@device
def row_likelihood(sm, net, head, scratch, r, scale):
    """Return a row's log-likelihood; leave what its components' gradients need."""
    K = get(net, N_COMPONENTS)
    best, largest = get(sm, scratch + r), get(sm, head + r)
    for k in range(1, K):
        joint, logit = get(sm, scratch + k * STRIDE + r), get(sm, head + k * STRIDE + r)
        best = joint if joint > best else best
        largest = logit if logit > largest else largest
    evidence = total = _ZERO
    for k in range(K):
        evidence += exp(get(sm, scratch + k * STRIDE + r) - best)
        total += exp(get(sm, head + k * STRIDE + r) - largest)
    weight = scale * get(sm, get(net, ROW_WEIGHTS) + r)
    put(sm, scratch + (K + _BEST) * STRIDE + r, best)
    put(sm, scratch + (K + _EVIDENCE) * STRIDE + r, divide(-weight, evidence))
    put(sm, scratch + (K + _LARGEST) * STRIDE + r, largest)
    put(sm, scratch + (K + _TOTAL) * STRIDE + r, divide(weight, total))
    constant = f4(get(net, N_OUTPUTS)) * LOG_NORMALISER
    return best + log(evidence) - largest - log(total) - constant


@device
def component_gradient(sm, net, head, scratch, k, r):
    """Turn what `component_density` left into the gradient of the loss."""
    K, D, S = get(net, N_COMPONENTS), get(net, N_OUTPUTS), get(net, N_SCALES)
    at = scratch + K * STRIDE + r
    share = exp(get(sm, scratch + k * STRIDE + r) - get(sm, at + _BEST * STRIDE))
    share *= get(sm, at + _EVIDENCE * STRIDE)
    logit = head + k * STRIDE + r
    prior = exp(get(sm, logit) - get(sm, at + _LARGEST * STRIDE))
    put(sm, logit, prior * get(sm, at + _TOTAL * STRIDE) + share)
    for j in range(D + S):
        row = k * D + j if j < D else K * D + k * S + j - D
        i = head + (K + row) * STRIDE + r
        put(sm, i, get(sm, i) * share)


@device
def likelihood(t, team, sync, sm, net, floors, min_square, scale, with_gradient):
    """Log-likelihoods of the rows, to the first row of the scratch.

    With `with_gradient`, the head turns into the gradient of minus their weighted sum,
    the weights times `scale`.
    """
    K = get(net, N_COMPONENTS)
    head = get(net, LAYERS + LAYER_SIZE * get(net, N_HIDDEN) + DELTA)
    scratch = get(net, SCRATCH)
    for item in range(t, K << LOG_ROWS, team):
        r, k = item & (ROWS - 1), item >> LOG_ROWS
        joint = component_density(
            sm, net, floors, min_square, head, k, r, with_gradient
        )
        put(sm, scratch + k * STRIDE + r, joint)
    barrier(sync, team)
    r = t
    while r < ROWS:
        value = row_likelihood(sm, net, head, scratch, r, scale)
        put(sm, scratch + (K + 4) * STRIDE + r, value)
        r += team
    barrier(sync, team)
    if with_gradient:
        for item in range(t, K << LOG_ROWS, team):
            r, k = item & (ROWS - 1), item >> LOG_ROWS
            component_gradient(sm, net, head, scratch, k, r)
        barrier(sync, team)
