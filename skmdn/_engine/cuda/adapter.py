# SPDX-License-Identifier: BSD-3-Clause
"""Everything that comes from `numba.cuda`; nothing else of the package imports it.

So a successor of it is a change of this file alone. Here too is what the kernels'
primitives are on a GPU.
"""

import os

from numba import cuda, float32, types

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") == "1"

if SIMULATED:
    # Plain Python, where the primitives are what they are in `primitives`.
    device = cuda.jit(device=True)
    inlined = device
    _PRIMITIVES = {}
else:
    from llvmlite import ir
    from numba.cuda import libdevice
    from numba.cuda.extending import intrinsic
    from numba.cuda.np.arrayobj import make_array

    def device(function):
        """Compile a part of a kernel."""
        return cuda.jit(device=True, forceinline=True)(function)

    inlined = cuda.jit(device=True, inline="always")
    _FOUR = ir.VectorType(ir.FloatType(), 4)

    def _address(context, builder, signature, arguments, kind=None):
        data = make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.gep(data, [arguments[1]])
        if kind is None:
            return address
        return builder.bitcast(address, kind.as_pointer(address.type.addrspace))

    @intrinsic
    def _get(typing_context, array, i):
        # Without the test for a negative index.
        def generate(context, builder, signature, arguments):
            return builder.load(_address(context, builder, signature, arguments))

        return array.dtype(array, i), generate

    @intrinsic
    def _put(typing_context, array, i, value):
        def generate(context, builder, signature, arguments):
            address = _address(context, builder, signature, arguments)
            builder.store(arguments[2], address)
            return context.get_dummy_value()

        return types.void(array, i, array.dtype), generate

    @intrinsic
    def _load4(typing_context, array, i):
        def generate(context, builder, signature, arguments):
            address = _address(context, builder, signature, arguments, _FOUR)
            vector = builder.load(address)
            vector.align = 16
            out = ir.Constant(ir.ArrayType(ir.FloatType(), 4), ir.Undefined)
            for k in range(4):
                index = ir.Constant(ir.IntType(32), k)
                element = builder.extract_element(vector, index)
                out = builder.insert_value(out, element, k)
            return out

        return types.UniTuple(float32, 4)(array, i), generate

    @intrinsic
    def _store4(typing_context, array, i, a, b, c, d):
        def generate(context, builder, signature, arguments):
            vector = ir.Constant(_FOUR, ir.Undefined)
            for k in range(4):
                index = ir.Constant(ir.IntType(32), k)
                vector = builder.insert_element(vector, arguments[2 + k], index)
            address = _address(context, builder, signature, arguments, _FOUR)
            builder.store(vector, address).align = 16
            return context.get_dummy_value()

        return types.void(array, i, *[float32] * 4), generate

    @device
    def _exp(x):
        return libdevice.fast_expf(x)

    @device
    def _log(x):
        return libdevice.fast_logf(x)

    @device
    def _rsqrt(x):
        return libdevice.rsqrtf(x)

    @device
    def _sqrt(x):
        return libdevice.sqrtf(x)

    @device
    def _divide(a, b):
        return libdevice.fast_fdividef(a, b)

    @inlined
    def _registers8():
        return cuda.local.array(8, float32)

    @inlined
    def _registers16():
        return cuda.local.array(16, float32)

    @inlined
    def _registers32():
        return cuda.local.array(32, float32)

    _PRIMITIVES = {
        "get": _get,
        "put": _put,
        "load4": _load4,
        "store4": _store4,
        "exp": _exp,
        "log": _log,
        "sqrt": _sqrt,
        "rsqrt": _rsqrt,
        "divide": _divide,
        "registers8": _registers8,
        "registers16": _registers16,
        "registers32": _registers32,
    }


@device
def _barrier(sync, team):
    cuda.syncthreads()


@inlined
def _shared():
    if SIMULATED:
        return cuda.shared.array(0, float32)
    return cuda.shared.array(0, float32, alignment=16)


class Target:
    """What `skmdn._engine.cuda.primitives.bind` makes kernels for a GPU with."""

    device = staticmethod(device)
    primitives = {**_PRIMITIVES, "barrier": _barrier}  # noqa: RUF012 (a constant)


def make_kernel(body, team):
    """Entry point of a kernel: ``body(t, team, sync, block, n_blocks, sm, tables, n)``.

    `sm` is the block's shared memory, of a size that the launch decides.
    """

    def kernel(tables, n):
        body(
            cuda.threadIdx.x, team, 0, cuda.blockIdx.x, cuda.gridDim.x, _shared(),
            tables, n,
        )  # fmt: skip

    return kernel
