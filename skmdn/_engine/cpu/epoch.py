# SPDX-License-Identifier: BSD-3-Clause
"""The two entry points of the engine: an epoch of training, the heads' outputs.

Each is compiled for one family of components and one floating-point type. An epoch is
one call for each thread of the team; nothing is allocated inside.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from skmdn._engine.cpu import chain, likelihood
from skmdn._engine.cpu.dense import (
    backward,
    encode,
    forward,
    hash_noise,
    load_block,
    weighted_sum,
)
from skmdn._engine.cpu.optimiser import (
    all_finite,
    clip_factor,
    descend,
    fold,
    sum_groups,
    unfold,
)
from skmdn._engine.cpu.plan import BLOCK, DELTA
from skmdn._engine.cpu.team import barrier, stopped
from skmdn._jit.memory import tail
from skmdn._jit.policy import compiled, helper
from skmdn._jit.vector import compact, flush_denormals, restore_denormals


class Rows(NamedTuple):
    """Rows of data; the last one is a dummy of weight 0 that fills up blocks."""

    X: np.ndarray  # (n + 1, n_features) scaled inputs
    Y: np.ndarray  # (n + 1, n_outputs) scaled targets
    weight: np.ndarray  # (n + 1,)
    order: np.ndarray  # (n_blocks * BLOCK,) row numbers: all in turn, then the dummy


class Parameters(NamedTuple):
    """Parameters, their optimiser state, and the members' plain vectors."""

    params: np.ndarray
    members: np.ndarray  # (n_members * member_size,); with one member `params` itself
    gradient: np.ndarray  # of params
    m: np.ndarray
    v: np.ndarray
    decay: np.ndarray  # 1 where weight decay applies, else 0


class Buffers(NamedTuple):
    """Memory of a fit, allocated once."""

    workspace: np.ndarray  # (team * workspace_size,)
    gradients: np.ndarray  # (n_groups * n_members * member_size,)
    squares: np.ndarray  # (n_members, n_chunks)
    factors: np.ndarray  # (n_members,)
    losses: np.ndarray  # (n_groups or n_members, n_steps) float64
    zeros: np.ndarray  # bias of products without one
    logpdf: np.ndarray  # (n_members, n) of the validation rows after the epoch


class Steps(NamedTuple):
    """What changes from step to step of an epoch; arrays of length n_steps."""

    rows: np.ndarray  # (n_steps * batch,) int64 row numbers
    scale: np.ndarray  # factor on the weights: 1 / rows of the batch
    correction: np.ndarray  # learning rate with Adam's bias correction
    shrink: np.ndarray  # learning rate * alpha
    noise: np.ndarray  # standard deviation of the input noise
    seed: np.ndarray  # uint32


# Numba compiles a helper once for all helpers that call it, and again for kernels: what
# a kernel needs more than once is called through one of its helpers. It also compiles
# its own ones, such as `min` and the element of a `shape`, 0.02 s each.


@helper
def _load_encoded(ws, plan, bins, rows, picks, scale, noise, seed):
    """Load a block of rows, add noise, and encode it."""
    load_block(ws, plan, rows, picks, scale)
    if noise > 0:
        hash_noise(tail(ws, plan.raw), plan.n_features * BLOCK, noise, seed)
    encode(ws, plan, bins)


@helper
def _load_step_block(ws, plan, bins, rows, step, s, block):
    n_blocks = len(step.rows) // (len(step.scale) * BLOCK)
    picks = tail(step.rows, (s * n_blocks + block) * BLOCK)
    seed = np.uint32(step.seed[s] + np.uint32(block * 0x9E3779))
    _load_encoded(ws, plan, bins, rows, picks, step.scale[s], step.noise[s], seed)


@helper
def _load_block_in_order(ws, plan, bins, rows, block):
    one, zero = ws.dtype.type(1), ws.dtype.type(0)
    picks = tail(rows.order, block * BLOCK)
    _load_encoded(ws, plan, bins, rows, picks, one, zero, np.uint32(0))


@lru_cache
def make_train_epoch(log_density, log_normaliser, activation, has_members, is_chain):
    """Return `train_epoch` for a family of components.

    `log_density`, of a family, and `activation` are module-level functions registered
    with Numba: a closure over such functions can be cached on disk. Only what a fit
    needs is compiled.
    """
    components = chain if is_chain else likelihood
    log_likelihood_gradient = components.log_likelihood_gradient

    def train_epoch(
        thread, team, sync, stop, plan, bins, min_square, rows, validation, step,
        model, buffers, clip,
    ):  # fmt: skip
        """Run the steps of an epoch as one thread of a team, then judge its end.

        Leaves the members' log-likelihoods of the validation rows in `buffers.logpdf`;
        returns the number of skipped steps. Once `stop` is set, what it leaves means
        nothing.
        """
        compact()
        state = flush_denormals()
        ws = tail(buffers.workspace, thread * plan.workspace_size)
        grads, size = buffers.gradients, plan.n_members * plan.member_size
        n_groups, n_steps = len(grads) // size, len(step.scale)
        # No steps: only the end is judged.
        n_blocks = len(step.rows) // (n_steps * BLOCK) if n_steps else 0
        skipped = 0
        # One member: the team shares the blocks, in groups. Several: the members.
        first_member, member_step = (thread, team) if has_members else (0, 1)
        first_group, group_step = (0, 1) if has_members else (thread, team)
        for s in range(n_steps):
            # Member by member, whose parameters and gradient then stay in the cache.
            for m in range(first_member, plan.n_members, member_step):
                start = m * plan.member_size
                for group in range(first_group, n_groups, group_step):
                    gradient = tail(grads, group * size + start)
                    slot = m if has_members else group
                    first = group * n_blocks // n_groups
                    for block in range(first, (group + 1) * n_blocks // n_groups):
                        if stopped(stop):
                            restore_denormals(state)
                            return skipped
                        if m == first_member or n_blocks > 1:
                            _load_step_block(ws, plan, bins, rows, step, s, block)
                        forward(ws, plan, model.members, start, activation)
                        log_likelihood_gradient(
                            log_density, log_normaliser, ws, plan, min_square,
                            plan.likelihood, plan.layers[-1, DELTA],
                        )  # fmt: skip
                        if block == first:
                            buffers.losses[slot, s] = 0
                        buffers.losses[slot, s] -= weighted_sum(ws, plan)
                        backward(
                            ws, plan, model.members, start, buffers.zeros, gradient,
                            block > first,
                        )  # fmt: skip
            barrier(sync, stop, team)
            sum_groups(
                grads, n_groups, plan.n_members, plan.member_size,
                buffers.squares, thread, team,
            )  # fmt: skip
            barrier(sync, stop, team)
            finite = all_finite(buffers.squares)
            if finite and has_members:
                unfold(plan, model, buffers, clip, thread, team, sync, stop)
                descend(model, model.gradient, 1.0, step, s, thread, team)
            elif finite:
                factor = clip_factor(buffers.squares, 0, clip)
                descend(model, grads, factor, step, s, thread, team)
            if not finite:
                skipped += 1
            barrier(sync, stop, team)
            if has_members:
                fold(plan, model.params, model.members, thread, team)
                barrier(sync, stop, team)
        n = len(validation.weight) - 1
        for block in range(thread, len(validation.order) // BLOCK, team):
            if stopped(stop):
                break
            _load_block_in_order(ws, plan, bins, validation, block)
            for m in range(plan.n_members):
                forward(ws, plan, model.members, m * plan.member_size, activation)
                log_likelihood_gradient(
                    log_density, log_normaliser, ws, plan, min_square,
                    plan.likelihood, plan.layers[-1, DELTA],
                )  # fmt: skip
                left = n - block * BLOCK
                for b in range(left if left < BLOCK else BLOCK):
                    buffers.logpdf[m, block * BLOCK + b] = ws[plan.likelihood + b]
        restore_denormals(state)
        return skipped

    return compiled(train_epoch)


@lru_cache
def make_raw_outputs(activation):
    """Return the kernel of the heads' outputs for an activation."""

    def raw_outputs(thread, team, plan, bins, rows, members, workspace, out):
        """Fill `out` (n_members, n_head, n) with the outputs of the members' heads."""
        compact()
        ws = tail(workspace, thread * plan.workspace_size)
        _, _, n = out.shape
        for block in range(thread, len(rows.order) // BLOCK, team):
            picks = tail(rows.order, block * BLOCK)
            load_block(ws, plan, rows, picks, rows.weight.dtype.type(1))
            encode(ws, plan, bins)
            for m in range(plan.n_members):
                forward(ws, plan, members, m * plan.member_size, activation)
                for j in range(plan.n_head):
                    left = n - block * BLOCK
                    for b in range(left if left < BLOCK else BLOCK):
                        out[m, j, block * BLOCK + b] = ws[plan.head + j * BLOCK + b]

    return compiled(raw_outputs)
