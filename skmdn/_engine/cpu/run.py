# SPDX-License-Identifier: BSD-3-Clause
"""One training on a CPU: its data, its memory, its team of threads and its kernel."""

import threading

import numpy as np
from scipy.special import logsumexp

from skmdn._engine import streams
from skmdn._engine.activations import ACTIVATIONS
from skmdn._engine.cpu.data import as_bins, as_rows, as_training_rows
from skmdn._engine.cpu.epoch import Buffers, Parameters, Steps, make_train_epoch
from skmdn._engine.cpu.optimiser import CHUNK
from skmdn._engine.cpu.plan import BLOCK, make_plan, n_groups
from skmdn._engine.cpu.team import CAN_YIELD, Team
from skmdn._engine.limits import CLIP_NORM
from skmdn._jit.memory import aligned

# Operations, some hundredths of a second: the main thread only waits for what may take
# longer, so that it sees signals. Handing over costs about 0.00005 s.
_LONG = 1e9


class Run:
    """What `skmdn._engine.training.follow` asks of a device.

    Parameters
    ----------
    job : Job
    course : Course
    rows : Rows
        The training rows, from `as_training_rows`.
    n_jobs : int
    stop : ndarray or None
        From `new_stop`: once it is set, the run ends in a KeyboardInterrupt.
    """

    def __init__(self, job, course, rows, n_jobs, stop=None):
        network, self._job, self._rows = job.network, job, rows
        self.network, self.state = network, job.state
        self.dtype = dtype = job.state.params.dtype
        self.plan = plan = make_plan(network.layout)
        self._bins = as_bins(job.encoding, dtype)
        self._min_square = np.asarray(job.options.min_scale, dtype=dtype) ** 2
        self._validation = as_training_rows(job.validation, dtype)
        if self._validation is None:
            nothing = (part[:0] for part in job.training)
            self._validation = as_rows(*nothing, dtype)
        self._n_blocks = -(-course.largest_batch // BLOCK)
        groups = n_groups(self._n_blocks, plan.n_members)
        shares = max(groups, plan.n_members)
        self._size = min(n_jobs, shares) if CAN_YIELD else 1
        self.team = self.new_team(stop)
        self._train_epoch = make_train_epoch(
            network.family.log_density,
            network.family.log_normaliser,
            ACTIVATIONS[network.activation],
            plan.n_members > 1,
            network.head.is_chain,
        )
        self._allocate(groups, course.n_steps)

    def _allocate(self, groups, n_steps):
        plan, state, dtype = self.plan, self.state, self.dtype
        members = self.network.members(state.params)
        size = plan.n_members * plan.member_size
        n_chunks = -(-plan.member_size // CHUNK)
        n_params = self.network.layout.n_params
        self.parameters = Parameters(
            state.params,
            members,
            aligned(n_params if plan.n_members > 1 else 1, dtype),
            state.m,
            state.v,
            self.network.decay_mask().astype(dtype),
        )
        widest = int(plan.layers[:, :4].max())
        n_validation = len(self._validation.weight) - 1
        self.buffers = Buffers(
            aligned(self._size * plan.workspace_size, dtype),
            aligned(groups * size, dtype),
            np.zeros((plan.n_members, n_chunks)),
            np.zeros(plan.n_members, dtype=dtype),
            np.zeros((max(groups, plan.n_members), n_steps)),
            np.zeros(widest, dtype=dtype),
            np.zeros((plan.n_members, n_validation), dtype=dtype),
        )

    @property
    def is_long(self):
        """Whether an epoch may take longer than a signal should wait."""
        n_products = 6 * len(self._rows.weight) + 2 * len(self._validation.order)
        return n_products * self.plan.n_members * self.plan.member_size > _LONG

    def new_team(self, stop=None):
        """Threads for the kernel."""
        in_main = threading.current_thread() is threading.main_thread()
        return Team(self._size, in_main and self.is_long, stop)

    def compile(self):
        """Run the kernel on nothing: compiled here, a signal ends the compilation."""
        nothing = self._validation._replace(order=self._validation.order[:0])
        arguments = self._arguments(self._no_steps(), nothing)
        self._train_epoch(0, 1, self.team.sync, self.team.stop, *arguments)

    def _steps(self, schedule):
        """Turn a schedule into what the kernel takes: rows of every step, numbers."""
        n, n_steps = len(self._rows.weight) - 1, len(schedule.counts)
        order = streams.permutation(n, schedule.key)
        rows = np.full((n_steps, self._n_blocks * BLOCK), n, dtype=np.int64)
        rows[np.arange(rows.shape[1]) < schedule.counts[:, None]] = order
        return Steps(
            rows.ravel(),
            (1.0 / schedule.counts).astype(self.dtype),
            *(part.astype(self.dtype) for part in schedule[2:5]),
            schedule.seeds,
        )

    def _no_steps(self):
        kinds = (np.int64, *[self.dtype] * 4, np.uint32)
        return Steps(*(np.empty(0, dtype=kind) for kind in kinds))

    def _arguments(self, steps, validation):
        data = (self.plan, self._bins, self._min_square, self._rows, validation)
        return (*data, steps, self.parameters, self.buffers, CLIP_NORM)

    def epoch(self, schedule):
        """Train for one epoch; return its mean loss and whether all was finite."""
        arguments = self._arguments(self._steps(schedule), self._validation)
        skipped = self.team.run(self._train_epoch, *arguments)
        losses = self.buffers.losses.sum(axis=0) / self.plan.n_members
        return float(np.average(losses, weights=schedule.counts)), skipped == 0

    def set_params(self, params):
        """Go on from these parameters."""
        self.state.params[:] = params
        self.parameters.members[:] = self.network.members(self.state.params)

    def judge(self, params):
        """Set parameters and evaluate the log-densities of the validation rows."""
        self.set_params(params)
        arguments = self._arguments(self._no_steps(), self._validation)
        self.team.run(self._train_epoch, *arguments)
        return self._logpdf()

    def _logpdf(self):
        """Log-densities of the validation rows under the members' equal mixture."""
        out = self.buffers.logpdf.astype(np.float64)
        return logsumexp(out, axis=0) - np.log(len(out))

    def score(self):
        """Weighted mean log-likelihood of the validation rows; None without such."""
        if self._job.validation is None:
            return None
        weights = self._validation.weight[:-1]
        score = float(np.average(self._logpdf(), weights=weights))
        return -np.inf if np.isnan(score) else score
