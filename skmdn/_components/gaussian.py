# SPDX-License-Identifier: BSD-3-Clause
"""Gaussian components, diagonal or spherical, of one or several outputs.

The head gives, per row, logits a_k, means m_kd and log-scales s_kd (one s_k when
spherical). With weights softmax(a) and variances v_kd = exp(2 s_kd) + floor_d^2,

    log p(y) = logsumexp_k [a_k - sum_d (log v_kd + (y_d - m_kd)^2 / v_kd) / 2]
               - logsumexp_k a_k - D log(2 pi) / 2          (Bishop 1994, eqs 21-26).

References
----------
C. M. Bishop, Mixture density networks, technical report NCRG/94/004, 1994.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn.cluster import kmeans_plusplus

from skmdn._kernels.jit import helper, loop_helper
from skmdn._kernels.memory import tail
from skmdn._kernels.plan import BLOCK
from skmdn._kernels.vector import compact, exp, log, wide_vectors

_HALF_LOG_TWO_PI = 0.9189385332046727
LOG_SCALE_MIN, LOG_SCALE_MAX = -12.0, 6.0  # of targets of scale 1: exp never overflows
_INITIAL_LOG_SCALE = -0.5


# The loops over a block's rows are functions of their own: there LLVM knows that the
# arrays do not overlap, and vectorises without checks.


@loop_helper
def _copy(values, out):
    wide_vectors()
    compact()
    for b in range(BLOCK):
        out[b] = values[b]


@loop_helper
def _take_larger(values, largest, first):
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
def _multiply(values, factor):
    wide_vectors()
    compact()
    for b in range(BLOCK):
        values[b] *= factor[b]


@loop_helper
def _add_output(target, mean, log_scale, bound, joint, d_mean, d_scale, add):
    """Add one output's log-density to `joint`; leave its derivatives."""
    wide_vectors()
    compact()
    kind = target.dtype.type
    zero, half, one, two = kind(0), kind(0.5), kind(1), kind(2)
    low, high = kind(LOG_SCALE_MIN), kind(LOG_SCALE_MAX)
    for b in range(BLOCK):
        s = low if log_scale[b] < low else log_scale[b]
        s = high if s > high else s
        free = exp(two * s)
        precision = one / (free + bound)
        z = target[b] - mean[b]
        distance = z * z * precision
        joint[b] += half * (log(precision) - distance)
        d_mean[b] = z * precision
        inside = one if s == log_scale[b] else zero
        slope = inside * free * precision * (distance - one)
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
def _log_joints(ws, plan, floor, gradient):
    """Fill the scratch rows: a_k + log N_k(y) = joint_k, then the larger of them.

    Leaves d log N_k/d m and d log N_k/d s in the gradient's rows.
    """
    compact()
    K, D, S = plan.n_components, plan.n_outputs, plan.n_scales
    best = tail(ws, plan.scratch + K * BLOCK)
    for k in range(K):
        joint = tail(ws, plan.scratch + k * BLOCK)
        _copy(tail(ws, plan.head + k * BLOCK), joint)
        for d in range(D):
            s_row = d if S == D else 0
            mean_row = (K + k * D + d) * BLOCK
            scale_row = (K + K * D + k * S + s_row) * BLOCK
            # Spherical: the derivatives of all outputs add up.
            add = S != D and d > 0
            _add_output(
                tail(ws, plan.target + d * BLOCK),
                tail(ws, plan.head + mean_row),
                tail(ws, plan.head + scale_row),
                floor[s_row],
                joint,
                tail(ws, gradient + mean_row),
                tail(ws, gradient + scale_row),
                add,
            )
        _take_larger(joint, best, k == 0)


@helper
def log_likelihood_gradient(ws, plan, floor, out, gradient):
    """Log-likelihood of a block of rows and the gradient of the loss at the head.

    Parameters
    ----------
    ws : workspace; reads head [n_head, BLOCK], target, weight; uses scratch
    plan : Plan
    floor : (n_scales,) squared lower bounds of the scales
    out : offset in `ws` where the log-likelihoods of the block's rows go
    gradient : offset in `ws` where d(-weight * log-likelihood)/d(head) goes
    """
    compact()
    _log_joints(ws, plan, floor, gradient)
    K, D, S = plan.n_components, plan.n_outputs, plan.n_scales
    best = tail(ws, plan.scratch + K * BLOCK)
    evidence, largest = tail(best, BLOCK), tail(best, 2 * BLOCK)
    total, weight = tail(best, 3 * BLOCK), tail(ws, plan.weight)
    for k in range(K):
        _take_larger(tail(ws, plan.head + k * BLOCK), largest, k == 0)
    for k in range(K):
        _take_exp(tail(ws, plan.scratch + k * BLOCK), best, evidence, k == 0)
        d_logit = tail(ws, gradient + k * BLOCK)
        _copy(tail(ws, plan.head + k * BLOCK), d_logit)
        _take_exp(d_logit, largest, total, k == 0)
    constant = ws.dtype.type(D * _HALF_LOG_TWO_PI)
    _take_evidence(best, evidence, largest, total, weight, constant, tail(ws, out))
    for k in range(K):
        joint = tail(ws, plan.scratch + k * BLOCK)
        _take_logit(tail(ws, gradient + k * BLOCK), total, joint, evidence)
        for j in range(D + S):
            row = k * D + j if j < D else K * D + k * S + j - D
            _multiply(tail(ws, gradient + (K + row) * BLOCK), joint)


class Gaussian(NamedTuple):
    """Mixture of Gaussians: sizes, the start and the meaning of the head's rows."""

    n_components: int
    n_outputs: int
    n_scales: int

    log_likelihood_gradient = staticmethod(log_likelihood_gradient)

    @classmethod
    def diagonal(cls, n_components, n_outputs):
        """One scale per component and output."""
        return cls(n_components, n_outputs, n_outputs)

    @classmethod
    def spherical(cls, n_components, n_outputs):
        """One scale per component, the same for all outputs."""
        return cls(n_components, n_outputs, 1)

    @property
    def n_head(self):
        """Rows of the head: logits, means, log-scales."""
        return self.n_components * (1 + self.n_outputs + self.n_scales)

    @property
    def log_scale_rows(self):
        """Which rows of the head are log-scales: the last ones."""
        return slice(self.n_components * (1 + self.n_outputs), None)

    def initial_bias(self, Y, sample_weight, rng):
        """Bias of the head: the network starts as a mixture of the targets alone.

        One output: means at the quantiles (k + 1/2) / K of the targets. Several:
        k-means++ seeds (Arthur & Vassilvitskii 2007).
        """
        K = self.n_components
        if self.n_outputs == 1:
            order = np.argsort(Y[:, 0], kind="stable")
            share = np.cumsum(sample_weight[order]) / np.sum(sample_weight)
            rank = np.searchsorted(share, (np.arange(K) + 0.5) / K)
            means = Y[order[np.minimum(rank, len(Y) - 1)]]
        else:
            pick = np.arange(K) % len(Y)
            if len(Y) > K:
                _, pick = kmeans_plusplus(
                    Y, K, sample_weight=sample_weight, random_state=rng
                )
            means = Y[pick]
        scales = np.full(K * self.n_scales, _INITIAL_LOG_SCALE)
        return np.concatenate([np.zeros(K), means.ravel(), scales])

    def unpack(self, raw, min_scale):
        """Turn head outputs into mixture parameters, in units of the scaled targets.

        Parameters
        ----------
        raw : ndarray of shape (n_members, n_head, n_samples), float64
        min_scale : ndarray of shape (n_scales,)

        Returns
        -------
        weights : ndarray of shape (n_samples, n_members * n_components)
        means : ndarray of shape (n_samples, n_members * n_components, n_outputs)
        scales : ndarray of shape (n_samples, n_members * n_components, n_scales)
        """
        M, _, n = raw.shape
        K, D, S = self
        logits, means, log_scales = np.split(raw, [K, K + K * D], axis=1)
        weights = softmax(logits, axis=1) / M
        log_scales = np.clip(log_scales, LOG_SCALE_MIN, LOG_SCALE_MAX)
        scales = np.hypot(np.exp(log_scales).reshape(M, K, S, n), min_scale[:, None])
        return (
            weights.reshape(M * K, n).T,
            means.reshape(M * K, D, n).transpose(2, 0, 1),
            scales.reshape(M * K, S, n).transpose(2, 0, 1),
        )
