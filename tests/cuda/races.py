# SPDX-License-Identifier: BSD-3-Clause
"""Kernels as plain Python threads, over arrays that note who touches what.

Between two barriers no word may be written by one thread and touched by another: what
is found does not depend on how the threads happen to run. A barrier can be left out, to
see that this is noticed.
"""

import sys
import threading
from itertools import combinations
from typing import NamedTuple

import numpy as np
from host_device import HostDevice

_LONGEST = 60  # seconds between two barriers, before somebody waits in vain
_WAITING = "barrier", "has_arrived", "meet"  # between a kernel and a barrier
_START = "the start"  # in place of a barrier
_here = threading.local()  # `mine`: the `_Thread` that runs


class Plain:
    """Target of `bind`: the primitives as they are written."""

    device = staticmethod(lambda function: function)
    primitives = {}  # noqa: RUF012 (a constant)


class Race(NamedTuple):
    """Two threads (or two blocks) at one word, and one of them writes."""

    after: str  # the barrier before: function and line
    array: str
    index: int


class _Thread:
    def __init__(self):
        self.reads, self.writes = set(), set()
        self.site = _START


class _Array:
    """One-dimensional, as kernels see it; unlike NumPy's it knows its bounds."""

    def __init__(self, name, values, first=0):
        self._name, self._values, self._first = name, values, first

    def __getitem__(self, i):
        if isinstance(i, slice):
            start = self._first + i.start
            stop = len(self._values) if i.stop is None else self._first + i.stop
            return _Array(self._name, self._values[:stop], start)
        i = self._place(i)
        _here.mine.reads.add((self._name, i))
        return self._values[i]

    def __setitem__(self, i, value):
        i = self._place(i)
        _here.mine.writes.add((self._name, i))
        self._values[i] = value

    def _place(self, i):
        place = self._first + int(i)
        if i < 0 or place >= len(self._values):
            raise IndexError(f"{self._name}[{place}] of {len(self._values)}")
        return place


class _Block:
    """The threads of a block, and what they have touched since the last barrier."""

    def __init__(self, team, dropped):
        self.threads = [_Thread() for _ in range(team)]
        self.races, self.errors, self.sites = [], [], [_START]
        self.reads, self.writes = set(), set()
        self._dropped = dropped
        self._barrier = threading.Barrier(team, self._close, _LONGEST)

    def wait(self):
        """Called by the primitive, which a kernel has called."""
        caller, mine = sys._getframe(1), _here.mine
        while caller.f_code.co_name in _WAITING:
            caller = caller.f_back
        mine.site = f"{caller.f_code.co_name}, line {caller.f_lineno}"
        if mine.site != self._dropped:
            self._barrier.wait()

    def run(self, work):
        threads = [
            threading.Thread(target=self._work, args=(work, t))
            for t in range(len(self.threads))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._close()

    def _work(self, work, t):
        _here.mine = self.threads[t]
        try:
            with np.errstate(all="ignore"):  # as on a GPU
                work(t)
        except threading.BrokenBarrierError:
            self.errors.append(f"a barrier that not all reach: {_here.mine.site}")
        except Exception as error:
            self.errors.append(f"{type(error).__name__}: {error}")
            self._barrier.abort()

    def _close(self):
        """Look at what was touched; all threads stand still."""
        after = self.sites[-1]
        for a, b in combinations(self.threads, 2):
            for word in (a.writes & (b.reads | b.writes)) | (a.reads & b.writes):
                self.races.append(Race(after, *word))
        sites = {thread.site for thread in self.threads}
        if len(sites) > 1:
            self.errors.append(f"threads at different barriers: {sorted(sites)}")
        self.sites.append(self.threads[0].site)
        for thread in self.threads:
            self.reads |= thread.reads
            self.writes |= thread.writes
            thread.reads, thread.writes = set(), set()


class Watched(HostDevice):
    """Runs kernels in plain Python; finds races, errors, and the barriers' places.

    Parameters
    ----------
    make : callable
        ``make(variant)`` gives the kernels by name, bound to `Plain`.
    team : int
        Threads of a block.
    dropped : str or None, default=None
        Which of `sites` no thread waits at.
    """

    def __init__(self, make, team, dropped=None):
        self._make, self._team, self._dropped = make, team, dropped
        self.races, self.errors, self.sites = [], [], set()

    def launch(self, variant, name, n_blocks, shared_bytes, tables, n):
        body, blocks = self._make(variant)[name], []
        watched = type(tables)(*map(_Array, tables._fields, tables))
        for number in range(n_blocks):
            block = _Block(self._team, self._dropped)
            shared = _Array("shared", np.full(shared_bytes // 4, np.nan, np.float32))
            block.run(
                lambda t, block=block, number=number, shared=shared: body(
                    t, self._team, block, number, n_blocks, shared, watched, n
                )
            )
            self.races += block.races
            self.errors += block.errors
            self.sites |= set(block.sites) - {_START}
            blocks.append(block)
            if block.errors and self._dropped is None:
                raise AssertionError(block.errors[0])
        for a, b in combinations(blocks, 2):  # no barrier is between them
            for word in (a.writes & (b.reads | b.writes)) | (a.reads & b.writes):
                if word[0] != "shared":
                    self.races.append(Race("another block", *word))
