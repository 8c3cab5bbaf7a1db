# SPDX-License-Identifier: BSD-3-Clause
"""Memory that kernels work in: where arrays start, and views of their parts."""

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from skmdn._jit.policy import JIT, PLAIN_COMPILER, helper


def aligned(n, dtype):
    """Return zeros whose first element starts a cache line: no load crosses two."""
    dtype = np.dtype(dtype)
    raw = np.zeros(n * dtype.itemsize + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + n * dtype.itemsize].view(dtype)


@intrinsic
def _tail(typingctx, values, start):
    def codegen(context, builder, signature, args):
        view = make_array(signature.args[0])(context, builder, value=args[0])
        view.data = builder.gep(view.data, [args[1]])
        return view._getvalue()

    return values(values, types.intp), codegen


@helper
def _slice(values, start):
    return values[start:]


# The end of a flat array from `start` on: a slice without its checks, which take long
# to compile. In compiled code its length stays that of the whole. Not where references
# are counted: it takes none.
tail = _tail if JIT and not PLAIN_COMPILER else _slice
