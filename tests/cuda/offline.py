# SPDX-License-Identifier: BSD-3-Clause
"""What numba.cuda makes of a kernel, without a GPU and without a driver."""

from types import SimpleNamespace
from unittest import mock

from numba import from_dtype, types
from numba.cuda.compiler import _compile_pyfunc_with_fixup

_SOME_GPU = SimpleNamespace(compute_capability=(9, 0))


def compile_kernel(kernel, tables, *, launch_bounds=None):
    """Compile a kernel as far as LLVM code, which is the same for every architecture.

    `cuda.compile_ptx` would do this again for each. The library that comes back makes
    PTX of it, ``get_asm_str(cc=(9, 0))``.

    Parameters
    ----------
    kernel : function of (tables, n)
    tables : named tuple of arrays
        For their types.
    launch_bounds : int or tuple, default=None
        Threads of a block, then blocks of a multiprocessor.
    """
    arrays = [types.Array(from_dtype(table.dtype), 1, "C") for table in tables]
    signature = types.void(types.NamedTuple(arrays, type(tables)), types.int64)
    # Inner functions are compiled for the current device; here there is none.
    with mock.patch("numba.cuda.dispatcher.get_current_device", return_value=_SOME_GPU):
        library, _ = _compile_pyfunc_with_fixup(
            kernel, signature, device=False, cc=(9, 0), abi="numba",
            launch_bounds=launch_bounds,
        )  # fmt: skip
    return library
