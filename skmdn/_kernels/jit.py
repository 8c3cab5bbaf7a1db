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

from skmdn._kernels.compiler import KernelCompiler, PartCompiler

_SOURCES = Path(__file__).resolve().parent.parent
# Kernels allocate nothing. Without Numba's run-time counting references, a slice costs
# nothing (10 ns otherwise) and less code is compiled.
_COMMON = {"error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
_KERNEL = {**_COMMON, "nogil": True, "pipeline_class": KernelCompiler}
_PART = {**_COMMON, "no_cpython_wrapper": True, "pipeline_class": PartCompiler}
# Fused multiply-add only: reassociation would break the bit tricks of `exp`.
_EXACT = frozenset({"contract"})
# Loops over floats: no signed zeros, division by reciprocals. One set of flags for all,
# because Numba compiles a helper again for callers with other flags.
LOOP = frozenset({"contract", "nsz", "arcp"})


def _source_stamp():
    """Hash of every source file that kernels are made of."""
    digest = hashlib.sha256()
    for folder in ("_kernels", "_components"):
        for source in sorted((_SOURCES / folder).glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


# Set to 1 to multiply matrices in plain loops, should a new Numba refuse the tiles.
USE_TILES = os.environ.get("SKMDN_PLAIN_KERNELS", "0") == "0"
STAMP = _source_stamp() + ("" if USE_TILES else "_plain")


def compiled(func):
    """Compile an entry point at its first call; cache it on disk where that works."""
    func.__qualname__ = f"{func.__qualname__}_{STAMP}"
    dispatcher = numba.njit(**_KERNEL)(func)
    try:
        dispatcher.enable_caching()
    except (RuntimeError, AttributeError):
        pass  # No writable cache directory, or a plain function (NUMBA_DISABLE_JIT).
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
