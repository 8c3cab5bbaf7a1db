# SPDX-License-Identifier: BSD-3-Clause
"""The likelihood of a mixture and its gradient at the head, for blocks of rows.

The head gives, per row, logits a_k, locations m_kd and log-scales s_kd (one s_k when
spherical; for slopes and shared shapes see `chain`). With weights softmax(a) and
squared scales exp(2 s_kd) + min_scale_d^2 = v,

    log p(y) = logsumexp_k [a_k + sum_d log f((y_d - m_kd) / sqrt v) - log v / 2]
               - logsumexp_k a_k                            (Bishop 1994, eqs 21-26);

f is the density of the family's standard component.

References
----------
C. M. Bishop, Mixture density networks, technical report NCRG/94/004, 1994.
"""

from skmdn._engine.cpu.plan import BLOCK
from skmdn._families.head import LOG_SCALE_MAX, LOG_SCALE_MIN
from skmdn._jit.memory import tail
from skmdn._jit.policy import helper, loop_helper
from skmdn._jit.vector import compact, exp, log, wide_vectors

# The loops over a block's rows are functions of their own: there LLVM knows that the
# arrays do not overlap, and vectorises without checks.


@loop_helper
def copy(values, out):
    wide_vectors()
    compact()
    for b in range(BLOCK):
        out[b] = values[b]


@loop_helper
def take_larger(values, largest, first):
    """largest := max(values, largest), or the values themselves if they are first."""
    wide_vectors()
    compact()
    for b in range(BLOCK):
        larger = first or values[b] > largest[b]
        largest[b] = values[b] if larger else largest[b]


@loop_helper
def _take_exp(values, shift, total, first):
    """values := exp(values - shift), added to the total; the first ones start it."""
    wide_vectors()
    compact()
    for b in range(BLOCK):
        e = exp(values[b] - shift[b])
        values[b] = e
        total[b] = e if first else total[b] + e


@loop_helper
def multiply(values, factor):
    wide_vectors()
    compact()
    for b in range(BLOCK):
        values[b] *= factor[b]


@loop_helper
def add_output(
    log_density,
    target,
    location,
    log_scale,
    min_square,
    joint,
    d_location,
    d_scale,
    add,
):
    """Add one output's log-density to `joint`; leave its derivatives."""
    wide_vectors()
    compact()
    kind = target.dtype.type
    zero, one, two = kind(0), kind(1), kind(2)
    low, high = kind(LOG_SCALE_MIN), kind(LOG_SCALE_MAX)
    for b in range(BLOCK):
        s = low if log_scale[b] < low else log_scale[b]
        s = high if s > high else s
        free = exp(two * s)
        precision = one / (free + min_square)
        value, by_location, by_log_scale = log_density(
            target[b] - location[b], precision
        )
        joint[b] += value
        d_location[b] = by_location
        inside = one if s == log_scale[b] else zero
        slope = inside * free * precision * by_log_scale
        d_scale[b] = slope + d_scale[b] if add else slope


@loop_helper
def _take_evidence(best, evidence, largest, total, weight, constant, likelihood):
    """Log-likelihoods; evidence := -weight / evidence, total := weight / total."""
    wide_vectors()
    compact()
    for b in range(BLOCK):
        log_evidence = best[b] + log(evidence[b])
        likelihood[b] = log_evidence - largest[b] - log(total[b]) - constant
        total[b] = weight[b] / total[b]
        evidence[b] = -weight[b] / evidence[b]


@loop_helper
def _take_logit(d_logit, total, joint, evidence):
    """joint := -weight times the responsibility, the factor of all derivatives."""
    wide_vectors()
    compact()
    for b in range(BLOCK):
        joint[b] *= evidence[b]
        d_logit[b] = d_logit[b] * total[b] + joint[b]


@helper
def _log_joints(log_density, ws, plan, min_square, gradient):
    """Fill the scratch rows: a_k + log f_k(y) = joint_k, then the larger of them.

    Leaves d log f_k/d m and d log f_k/d s in the gradient's rows.
    """
    compact()
    K, D, S = plan.n_components, plan.n_outputs, plan.n_scales
    best = tail(ws, plan.scratch + K * BLOCK)
    for k in range(K):
        joint = tail(ws, plan.scratch + k * BLOCK)
        copy(tail(ws, plan.head + k * BLOCK), joint)
        for d in range(D):
            s_row = d if S == D else 0
            location_row = (K + k * D + d) * BLOCK
            scale_row = (K + K * D + k * S + s_row) * BLOCK
            # Spherical: the derivatives of all outputs add up.
            add = S != D and d > 0
            add_output(
                log_density,
                tail(ws, plan.target + d * BLOCK),
                tail(ws, plan.head + location_row),
                tail(ws, plan.head + scale_row),
                min_square[s_row],
                joint,
                tail(ws, gradient + location_row),
                tail(ws, gradient + scale_row),
                add,
            )
        take_larger(joint, best, k == 0)


@helper
def take_responsibilities(log_normaliser, ws, plan, out, gradient):
    """From the joint log-densities in scratch to log-likelihoods and responsibilities.

    Leaves -weight times the responsibilities in scratch, and the logits' gradient.
    """
    compact()
    K, D = plan.n_components, plan.n_outputs
    best = tail(ws, plan.scratch + K * BLOCK)
    evidence, largest = tail(best, BLOCK), tail(best, 2 * BLOCK)
    total, weight = tail(best, 3 * BLOCK), tail(ws, plan.weight)
    for k in range(K):
        take_larger(tail(ws, plan.head + k * BLOCK), largest, k == 0)
    for k in range(K):
        _take_exp(tail(ws, plan.scratch + k * BLOCK), best, evidence, k == 0)
        d_logit = tail(ws, gradient + k * BLOCK)
        copy(tail(ws, plan.head + k * BLOCK), d_logit)
        _take_exp(d_logit, largest, total, k == 0)
    constant = ws.dtype.type(D * log_normaliser)
    _take_evidence(best, evidence, largest, total, weight, constant, tail(ws, out))
    for k in range(K):
        joint = tail(ws, plan.scratch + k * BLOCK)
        _take_logit(tail(ws, gradient + k * BLOCK), total, joint, evidence)


@helper
def log_likelihood_gradient(
    log_density, log_normaliser, ws, plan, min_square, out, gradient
):
    """Log-likelihood of a block of rows and the gradient of the loss at the head.

    Parameters
    ----------
    log_density : that of the family; log_normaliser : its constant
    ws : workspace; reads head [n_head, BLOCK], target, weight; uses scratch
    plan : Plan
    min_square : (n_scales,) squared lower bounds of the scales
    out : offset in `ws` where the log-likelihoods of the block's rows go
    gradient : offset in `ws` where d(-weight * log-likelihood)/d(head) goes
    """
    compact()
    _log_joints(log_density, ws, plan, min_square, gradient)
    take_responsibilities(log_normaliser, ws, plan, out, gradient)
    K, D, S = plan.n_components, plan.n_outputs, plan.n_scales
    for k in range(K):
        joint = tail(ws, plan.scratch + k * BLOCK)
        for j in range(D + S):
            row = k * D + j if j < D else K * D + k * S + j - D
            multiply(tail(ws, gradient + (K + row) * BLOCK), joint)
