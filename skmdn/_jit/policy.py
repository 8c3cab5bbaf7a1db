# SPDX-License-Identifier: BSD-3-Clause
"""How kernels are compiled: one policy for the whole package.

Entry points are compiled at their first call and cached on disk. Numba's cache watches
only the file of the function itself, so the name of every entry point carries a stamp
of all kernel sources: a changed helper can never be answered by a stale cache file.
"""

import hashlib
import os
from pathlib import Path

import numba
from numba import extending

from skmdn._jit.cache import keep_on_disk
from skmdn._jit.fork import fork_between_compilations

_SOURCES = Path(__file__).resolve().parent.parent
# Folders of everything that kernels are made of.
KERNEL_FOLDERS = ("_distribution/kernels", "_engine", "_families", "_jit")
# Set to 1 to multiply matrices in plain loops, should a new Numba refuse the tiles.
USE_TILES = os.environ.get("SKMDN_PLAIN_KERNELS", "0") == "0"


def _options():
    """Return options for kernels and their helpers; those of any Numba if need be.

    Set SKMDN_PLAIN_COMPILER to 1 for the latter, should a new Numba do wrong with the
    former: the same results up to rounding, from code that takes longer to compile.
    """
    if os.environ.get("SKMDN_PLAIN_COMPILER", "0") == "0":
        try:
            from skmdn._jit.compiler import KERNEL, PART
        except Exception:  # Any name of Numba's insides may be gone or changed.
            pass
        else:
            return KERNEL, PART
    return {"error_model": "numpy"}, {"error_model": "numpy"}


_KERNEL, _PART = _options()
PLAIN_COMPILER = "pipeline_class" not in _KERNEL
# Fused multiply-add only: reassociation would break the bit tricks of `exp`.
_EXACT = frozenset({"contract"})
# Loops over floats: no signed zeros, division by reciprocals. One set of flags for all,
# because Numba compiles a helper again for callers with other flags.
LOOP = frozenset({"contract", "nsz", "arcp"})


def source_stamp(root=_SOURCES):
    """Hash of every source file that kernels are made of."""
    digest = hashlib.sha256()
    for folder in KERNEL_FOLDERS:
        for source in sorted((root / folder).rglob("*.py")):
            digest.update(source.relative_to(root).as_posix().encode())
            digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


STAMP = (
    source_stamp()
    + ("" if USE_TILES else "_plain")
    + ("_plain_compiler" if PLAIN_COMPILER else "")
)


def compiled(func, *, cached=True):
    """Compile an entry point at its first call; cache it on disk where that works."""
    func.__qualname__ = f"{func.__qualname__}_{STAMP}"
    dispatcher = numba.njit(nogil=True, **_KERNEL)(func)
    if cached:
        keep_on_disk(dispatcher)
    return dispatcher


def helper(func=None, *, fastmath=_EXACT):
    """Make an inner function known to Numba: it is part of the kernels that call it.

    Called from ordinary Python it runs as ordinary Python. Each helper keeps its own
    floating-point flags when LLVM inlines it.
    """
    if func is None:
        return lambda f: helper(f, fastmath=fastmath)
    return extending.register_jitable(fastmath=set(fastmath), **_PART)(func)


def overload(func, *, fastmath=_EXACT, forceinline=True):
    """Give a Python function another body in kernels, as `numba.extending.overload`."""
    flags = {"fastmath": set(fastmath), "forceinline": forceinline}
    return extending.overload(func, jit_options={**_PART, **flags})


loop_helper = helper(fastmath=LOOP)
JIT = not numba.config.DISABLE_JIT
fork_between_compilations()
