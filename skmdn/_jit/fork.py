# SPDX-License-Identifier: BSD-3-Clause
"""Forking while another thread compiles: a child must not inherit Numba's lock, taken.

Nobody would ever release it there, and the first kernel of the child would wait for
ever. A fork therefore waits until nothing is being compiled, some seconds at most.
"""

import os


class _Pause:
    """Holds the compiler's lock while the process forks."""

    def __init__(self, lock):
        self._lock = lock
        self._held = False

    def begin(self):
        self._lock.acquire()
        self._held = True

    def end(self):
        if self._held:  # Not if an interrupt ended the waiting.
            self._held = False
            self._lock.release()


def fork_between_compilations():
    """Register the pause with the operating system's fork, where there is one."""
    try:
        from numba.core.compiler_lock import global_compiler_lock
    except ImportError:  # Another Numba: it may have taken care of it.
        return
    if hasattr(os, "register_at_fork"):
        pause = _Pause(global_compiler_lock)
        os.register_at_fork(
            before=pause.begin, after_in_parent=pause.end, after_in_child=pause.end
        )
