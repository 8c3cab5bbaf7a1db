# SPDX-License-Identifier: BSD-3-Clause
"""A team of plain threads inside one kernel: barriers that spin, then yield.

No threading layer is loaded: the threads are Python's, the kernels hold no lock. The
barrier counts arrivals in `sync[0]` and generations in `sync[ROOM]`, which stand a
cache line apart.
"""

import sys

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from skmdn._kernels.jit import overload

ROOM = 16
_PATIENCE = 4000  # about 2 microseconds a thousand; then leave the core to others
CAN_YIELD = sys.platform != "win32"
_sched_yield = types.ExternalFunction("sched_yield", types.int32())


@intrinsic
def _atomic_add(typingctx, cells, i, amount):
    def codegen(context, builder, signature, args):
        data = make_array(signature.args[0])(context, builder, args[0]).data
        cell = builder.gep(data, [args[1]])
        return builder.atomic_rmw("add", cell, args[2], "seq_cst")

    return types.int64(cells, types.intp, types.int64), codegen


@intrinsic
def _atomic_load(typingctx, cells, i):
    def codegen(context, builder, signature, args):
        data = make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load_atomic(builder.gep(data, [args[1]]), "seq_cst", 8)

    return types.int64(cells, types.intp), codegen


def new_sync():
    """Return the cells of a team's barrier."""
    return np.zeros(2 * ROOM, dtype=np.int64)


def barrier(sync, n_threads):
    """Wait until every thread of the team has come here."""
    if n_threads > 1:
        raise RuntimeError("a team of threads needs compiled kernels")


def _wait(sync, n_threads):
    if n_threads == 1:
        return
    generation = _atomic_load(sync, ROOM)
    if _atomic_add(sync, 0, 1) == n_threads - 1:
        _atomic_add(sync, 0, -n_threads)
        _atomic_add(sync, ROOM, 1)
        return
    spins = 0
    while _atomic_load(sync, ROOM) == generation:
        spins += 1
        if spins > _PATIENCE:
            _sched_yield()


@overload(barrier, forceinline=False)
def _overload_barrier(sync, n_threads):
    return _wait
