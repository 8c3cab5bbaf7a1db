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
from numba.extending import register_jitable
from scipy.special import softmax
from sklearn.cluster import kmeans_plusplus

from skmdn._kernels.jit import helper
from skmdn._kernels.plan import BLOCK
from skmdn._kernels.vector import exp, log, wide_vectors

_HALF_LOG_TWO_PI = 0.9189385332046727
LOG_SCALE_MIN, LOG_SCALE_MAX = -12.0, 6.0  # of targets of scale 1: exp never overflows
_INITIAL_LOG_SCALE = -0.5


@register_jitable(fastmath={"contract", "nsz", "arcp"}, error_model="numpy")
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
    K, D, S = plan.n_components, plan.n_outputs, plan.n_scales
    rest = plan.scratch + K * BLOCK
    largest, total = ws[rest :], ws[rest + BLOCK :]
    best, evidence = ws[rest + 2 * BLOCK :], ws[rest + 3 * BLOCK :]
    _start(ws[plan.head :], K, largest, total, best, evidence)
    for k in range(K):
        joint = ws[plan.scratch + k * BLOCK :]
        _weigh(
            ws[plan.head + k * BLOCK :],
            largest,
            ws[gradient + k * BLOCK :],
            total,
            joint,
        )
        for d in range(D):
            mean_row = (K + k * D + d) * BLOCK
            scale_row = (K + K * D + k * S + (d if S == D else 0)) * BLOCK
            _measure(
                ws[plan.target + d * BLOCK :],
                ws[plan.head + mean_row :],
                ws[plan.head + scale_row :],
                floor[d if S == D else 0],
                joint,
                ws[gradient + mean_row :],
                ws[gradient + scale_row :],
                S == D or d == 0,
            )
        for b in range(BLOCK):
            best[b] = max(best[b], joint[b])
    for k in range(K):
        _accumulate(ws[plan.scratch + k * BLOCK :], best, evidence)
    weight = ws[plan.weight :]
    _finish(ws[out :], largest, total, best, evidence, weight, D)
    for k in range(K):
        joint = ws[plan.scratch + k * BLOCK :]
        _responsibility(joint, evidence, ws[gradient + k * BLOCK :], total, weight)
        for j in range(k * D, k * D + D):
            _scale_row(ws[gradient + (K + j) * BLOCK :], joint)
        for j in range(k * S, k * S + S):
            _scale_row(ws[gradient + (K + K * D + j) * BLOCK :], joint)


_loop = helper(fastmath={"contract", "nsz", "arcp"})


@_loop
def _start(logits, K, largest, total, best, evidence):
    wide_vectors()
    kind = logits.dtype.type
    for b in range(BLOCK):
        largest[b] = logits[b]
        total[b] = kind(0)
        evidence[b] = kind(0)
        best[b] = kind(-1e37)
    for k in range(1, K):
        row = logits[k * BLOCK :]
        for b in range(BLOCK):
            largest[b] = max(largest[b], row[b])


@_loop
def _weigh(logit, largest, weight, total, joint):
    """Unnormalised softmax, its sum, and the logit as the start of the joint."""
    wide_vectors()
    for b in range(BLOCK):
        joint[b] = logit[b]
        e = exp(logit[b] - largest[b])
        weight[b] = e
        total[b] += e


@_loop
def _measure(target, mean, log_scale, floor, joint, d_mean, d_scale, first):
    """Add one output's log-density; leave d(joint)/d(mean) and d(joint)/d(s)."""
    wide_vectors()
    kind = target.dtype.type
    one, half, two = kind(1), kind(0.5), kind(2)
    low, high = kind(LOG_SCALE_MIN), kind(LOG_SCALE_MAX)
    for b in range(BLOCK):
        s = min(max(log_scale[b], low), high)
        free = exp(two * s)
        precision = one / (free + floor)
        z = target[b] - mean[b]
        distance = z * z * precision
        joint[b] += half * (log(precision) - distance)
        d_mean[b] = z * precision
        inside = one if s == log_scale[b] else kind(0)
        slope = inside * free * precision * (distance - one)
        d_scale[b] = slope if first else slope + d_scale[b]


@_loop
def _accumulate(joint, best, evidence):
    wide_vectors()
    for b in range(BLOCK):
        e = exp(joint[b] - best[b])
        joint[b] = e
        evidence[b] += e


@_loop
def _finish(out, largest, total, best, evidence, weight, n_outputs):
    """Log-likelihoods; then total and evidence become factors of the gradient."""
    wide_vectors()
    kind = out.dtype.type
    constant = kind(n_outputs * _HALF_LOG_TWO_PI)
    for b in range(BLOCK):
        out[b] = best[b] + log(evidence[b]) - largest[b] - log(total[b]) - constant
        total[b] = weight[b] / total[b]
        evidence[b] = -weight[b] / evidence[b]


@_loop
def _responsibility(joint, evidence, d_logit, total, weight):
    """joint := -weight * responsibility; d_logit := weight (pi_k - responsibility)."""
    wide_vectors()
    for b in range(BLOCK):
        joint[b] *= evidence[b]
        d_logit[b] = d_logit[b] * total[b] + joint[b]


@_loop
def _scale_row(row, factor):
    wide_vectors()
    for b in range(BLOCK):
        row[b] *= factor[b]


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
