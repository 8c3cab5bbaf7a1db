# SPDX-License-Identifier: BSD-3-Clause
"""A team of plain threads inside one kernel: barriers that spin, then yield.

No threading layer is loaded: the threads are Python's, the kernels hold no lock. The
barrier counts arrivals in `sync[0]` and generations in `sync[ROOM]`, which stand a
cache line apart.

Every wait can be left: whatever ends one thread, it sets `stop[0]`, at which all of the
team look while they wait and before every block of rows. Several teams may share one
such cell; nothing but a thread that has seen it may be waited for.
"""

import sys
from queue import Empty, SimpleQueue
from threading import Thread

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from skmdn._jit.policy import overload

ROOM = 16
_PATIENCE = 4000  # about 2 microseconds a thousand; then leave the core to others
CAN_YIELD = sys.platform != "win32"
_sched_yield = types.ExternalFunction("sched_yield", types.int32())
# Seconds. Where signals do not end a wait (Windows), they are seen as often as this.
_LONGEST_WAIT = 0.2


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


def new_stop():
    """Return the cell that makes threads leave their kernel once it is not 0."""
    return np.zeros(1, dtype=np.int64)


def stopped(stop):
    """Whether all threads are to leave."""
    return stop[0] != 0


@overload(stopped)
def _overload_stopped(stop):
    return lambda stop: _atomic_load(stop, 0) != 0


def barrier(sync, stop, n_threads):
    """Wait until every thread of the team has come here, or `stop` is set."""
    if n_threads > 1:
        raise RuntimeError("a team of threads needs compiled kernels")


def _wait(sync, stop, n_threads):
    if n_threads == 1:
        return
    generation = _atomic_load(sync, ROOM)
    if _atomic_add(sync, 0, 1) == n_threads - 1:
        _atomic_add(sync, 0, -n_threads)
        _atomic_add(sync, ROOM, 1)
        return
    spins = 0
    while _atomic_load(sync, ROOM) == generation and _atomic_load(stop, 0) == 0:
        spins += 1
        if spins > _PATIENCE:
            _sched_yield()


@overload(barrier, forceinline=False)
def _overload_barrier(sync, stop, n_threads):
    return _wait


def _serve(calls, results, stop):
    """Body of a thread: call what comes, until None comes."""
    for kernel, arguments in iter(calls.get, None):
        try:
            results.put((kernel(*arguments), None))
        except BaseException as error:
            stop[0] = 1
            results.put((None, error))


class Team:
    """Threads that run a kernel together; leaving its context ends them.

    Parameters
    ----------
    size : int
    apart : bool
        Whether the calling thread waits for the team instead of being one of it: a
        compiled call hides signals until it ends, a wait does not.
    stop : ndarray or None
        From `new_stop`, of others too; None: one of its own.
    """

    def __init__(self, size, apart, stop=None):
        self.size, self.sync = size, new_sync()
        self.stop = new_stop() if stop is None else stop
        self._own = range(0 if apart else 1, size)  # numbers of the threads made here
        self._calls = [SimpleQueue() for _ in self._own]
        self._results, self._threads = SimpleQueue(), []

    def __enter__(self):
        return self

    def __exit__(self, kind, *error):
        if kind is not None:
            self.stop[0] = 1
        self.close()

    def close(self):
        """Wait until the threads have ended."""
        for calls in self._calls:
            calls.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def run(self, kernel, *arguments):
        """Call ``kernel(thread, size, sync, stop, *arguments)`` in every thread.

        Returns
        -------
        result : what the kernel returned in one of them

        Raises
        ------
        KeyboardInterrupt
            If `stop` was set.
        """
        arguments = (self.size, self.sync, self.stop, *arguments)
        # Only now: a signal that comes here is a matter of the context.
        for calls in self._calls[len(self._threads) :]:
            body = (calls, self._results, self.stop)
            self._threads.append(Thread(target=_serve, args=body, daemon=True))
            self._threads[-1].start()
        for thread, calls in zip(self._own, self._calls, strict=True):
            calls.put((kernel, (thread, *arguments)))
        if 0 not in self._own:
            self._results.put((kernel(0, *arguments), None))
        for _ in range(self.size):
            result, error = self._next_result()
            if error is not None:
                raise error
        if self.stop[0]:
            raise KeyboardInterrupt
        return result

    def _next_result(self):
        while True:
            try:
                return self._results.get(timeout=_LONGEST_WAIT)
            except Empty:
                pass
