# SPDX-License-Identifier: BSD-3-Clause
"""The kernels of GPUs on the CPU: a target of Numba, and a device that runs them."""

import ctypes
import math
import threading
from functools import lru_cache

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from skmdn._engine.cuda.kernels import make
from skmdn._jit.policy import compiled, helper

f4 = np.float32
_sched_yield = types.ExternalFunction("sched_yield", types.int32())
HAS_BARRIER = hasattr(ctypes.CDLL(None), "pthread_barrier_wait")


def new_barrier(team):
    """Return the memory of a barrier for a team of threads."""
    sync = np.zeros(32, dtype=np.int64)
    if team > 1:
        address = ctypes.c_void_p(sync.ctypes.data)
        ctypes.CDLL(None).pthread_barrier_init(address, None, team)
    return sync


@intrinsic
def _wait(typing_context, sync):
    # Of the system: threads by the dozen that spin get nowhere on two cores.
    def generate(context, builder, signature, arguments):
        cells = make_array(signature.args[0])(context, builder, arguments[0]).data
        kind = ir.FunctionType(ir.IntType(32), [cells.type])
        function = cgutils.get_or_insert_function(
            builder.module, kind, "pthread_barrier_wait"
        )
        return builder.call(function, [cells])

    return types.int32(sync), generate


@helper
def _barrier(sync, team):
    if team > 1:
        _wait(sync)


@intrinsic
def _count(typing_context, meeting, amount):
    def generate(context, builder, signature, arguments):
        cell = make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", cell, arguments[1], "seq_cst")

    return types.int64(meeting, types.int64), generate


@helper
def _arrive(meeting):
    return _count(meeting, 1)


@helper
def _has_arrived(meeting, n):
    if _count(meeting, 0) >= n:
        return True
    _sched_yield()
    return False


@helper
def _exp(x):
    return math.exp(x)


@helper
def _log(x):
    return math.log(x)


@helper
def _sqrt(x):
    return math.sqrt(x)


@helper
def _rsqrt(x):
    return f4(1) / math.sqrt(x)


@helper
def _divide(a, b):
    return a / b


def _registers(n):
    """On the stack of the function that asks for them."""

    @intrinsic
    def registers(typing_context):
        def generate(context, builder, signature, arguments):
            numbers = cgutils.alloca_once(builder, ir.ArrayType(ir.FloatType(), n))
            array = make_array(signature.return_type)(context, builder)
            size = ir.Constant(ir.IntType(64), 4)
            length = ir.Constant(ir.IntType(64), n)
            data = builder.bitcast(numbers, ir.FloatType().as_pointer())
            populate_array(array, data, (length,), (size,), size, None)
            return array._getvalue()

        return types.Array(types.float32, 1, "C")(), generate

    return registers


_known = set()


def _device(function):
    # Once each: the primitives are the same for all variants.
    if function not in _known:
        _known.add(function)
        helper(function)
    return function


class Target:
    """Compiled for the CPU; threads of the operating system meet at a barrier."""

    device = staticmethod(_device)
    primitives = {  # noqa: RUF012 (a constant)
        "barrier": _barrier,
        "arrive": _arrive,
        "has_arrived": _has_arrived,
        "exp": _exp,
        "log": _log,
        "sqrt": _sqrt,
        "rsqrt": _rsqrt,
        "divide": _divide,
        "registers8": _registers(8),
        "registers16": _registers(16),
        "registers32": _registers(32),
    }


@lru_cache
def make_entry(variant, name):
    """Compile an entry point of a variant."""
    body = make(variant, Target)[name]

    def entry(t, team, sync, block, n_blocks, sm, tables, n):
        body(t, team, sync, block, n_blocks, sm, tables, n)

    return compiled(entry, cached=False)


def run_team(entry, team, n_blocks, shared_bytes, tables, n, *, together=False):
    """Run an entry point as so many blocks of `team` threads.

    One block after the other, or all together.
    """
    groups = [range(n_blocks)] if together else [[block] for block in range(n_blocks)]
    for blocks in groups:
        calls = []
        for block in blocks:
            shared = np.full(shared_bytes // 4, np.nan, dtype=np.float32)
            sync = new_barrier(team)
            rest = (team, sync, block, n_blocks, shared, tables, n)
            calls += [(t, *rest) for t in range(team)]
        threads = [threading.Thread(target=entry, args=call) for call in calls[1:]]
        for thread in threads:
            thread.start()
        entry(*calls[0])
        for thread in threads:
            thread.join()


class Emulated:
    """A device, see `skmdn._engine.cuda.device`, on the CPU.

    Parameters
    ----------
    team : int, default=1
        Threads of a block.
    """

    shared_bytes, n_blocks = 232_448, 2

    def __init__(self, team=1):
        self.team = team

    def put(self, array):
        return np.array(array)

    def empty(self, n, dtype):
        return np.full(n, 113, dtype=dtype)

    def copy(self, handle):
        return handle.copy()

    def fill(self, handle, array):
        handle[...] = array

    def free_bytes(self):
        return 2**34

    def launch(self, variant, name, n_blocks, shared_bytes, tables, n):
        entry = make_entry(variant, name)
        together = name == "fit_large"
        run_team(entry, self.team, n_blocks, shared_bytes, tables, n, together=together)

    def wait(self):
        pass
