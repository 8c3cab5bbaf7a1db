# SPDX-License-Identifier: BSD-3-Clause
"""Everything that comes from `numba.cuda`; nothing else of the package imports it.

So a successor of it is a change of this file alone. Here is what the primitives of
kernels are on a GPU, then the GPU itself: its memory and its launches.
"""

import os
import warnings
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") == "1"
if not SIMULATED and find_spec("numba_cuda") is None:
    # Numba comes with a `numba.cuda` of its own, which is older.
    raise ImportError("numba-cuda is not installed")

# Below the check, hence the exceptions from the rule that imports come first.
from numba import cuda, float32, types  # noqa: E402

from skmdn._engine.cuda.device import OutOfMemory  # noqa: E402
from skmdn._engine.cuda.kernels import make  # noqa: E402
from skmdn._engine.cuda.layout import TEAM  # noqa: E402
from skmdn._jit.cache import keep_on_disk  # noqa: E402

# Blocks that a multiprocessor can hold: what the compiler saves registers for.
RESIDENT = 2
# Those that train one network together have too much shared memory for a second.
RESIDENT_TOGETHER = 1
_SHARED_BYTES = 48 * 1024  # A block's, without asking for more.

if SIMULATED:
    # Plain Python, where the primitives are what they are in `primitives`.
    device = cuda.jit(device=True)
    inlined = device
    _PRIMITIVES = {}
else:
    from llvmlite import ir
    from numba.cuda import libdevice
    from numba.cuda.cudadrv import nvvm
    from numba.cuda.cudadrv.driver import binding, driver
    from numba.cuda.dispatcher import CUDACache
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

    @intrinsic
    def _run_together(typing_context):
        # All blocks of a kernel that has this are to run at the same time.
        def generate(context, builder, signature, arguments):
            context.active_code_library.use_cooperative = True
            return context.get_dummy_value()

        return types.void(), generate

    @device
    def _arrive(meeting):
        _run_together()
        cuda.threadfence()
        return cuda.atomic.add(meeting, 0, 1)

    @device
    def _has_arrived(meeting, n):
        found = cuda.atomic.add(meeting, 0, 0) >= n
        cuda.threadfence()
        return found

    @device
    def _as_float(bits):
        return libdevice.int_as_float(np.int32(bits))

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
        # Not `sqrtf`, which calls a function that takes many registers.
        return x if x == float32(0) else x * libdevice.rsqrtf(x)

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
        "arrive": _arrive,
        "has_arrived": _has_arrived,
        "as_float": _as_float,
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


if not SIMULATED:

    class _Cache(CUDACache):
        """Code on the disk, found by a key of our own."""

        def __init__(self, kernel, key):
            super().__init__(kernel)
            self._key = key

        def _index_key(self, sig, codegen):
            return sig, codegen.magic_tuple(), version("numba-cuda"), self._key


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


def has_compiler():
    """Whether there is what turns kernels into code for a GPU."""
    return nvvm.is_available()


def is_forked():
    """Whether this process is a copy of one that had started the driver."""
    return driver.pid not in (None, os.getpid())


def driver_error():
    """Why no driver answers; None if it does, be it that there is no GPU."""
    with suppress(cuda.CudaSupportError):  # It remembers why.
        driver.ensure_initialized()
    error = driver.initialization_error
    if error is None or "NO_DEVICE" in error:
        return None
    return " ".join(error.split()).rstrip(".")


def n_gpus():
    """Number of GPUs that this process sees; the driver has answered."""
    return driver.get_device_count() if driver.is_available else 0


def get_gpu():
    """Return the `Gpu` of this thread, with the kernels that it has already."""
    return _gpu(cuda.current_context().device.id)


@lru_cache
def _gpu(number):
    return Gpu()


class Gpu:
    """The GPU of this thread (the first, unless told otherwise), a `Device`."""

    def __init__(self):
        device = cuda.current_context().device
        self.name = str(device.name)
        self.compute_capability = tuple(device.compute_capability)[:2]
        self.shared_bytes = int(device.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)
        self.n_blocks = int(device.MULTIPROCESSOR_COUNT) * RESIDENT
        self._kernels, self._streams, self._in_use = {}, {}, []

    def free_bytes(self):
        """Memory that nobody uses."""
        context = cuda.current_context()
        context.memory_manager.deallocations.clear()  # What was freed may wait there.
        return int(context.get_memory_info().free)

    def put(self, array):
        """Copy an array to the GPU."""
        with _out_of_memory():
            return cuda.to_device(np.ascontiguousarray(array))

    def empty(self, n, dtype):
        """Reserve memory for n numbers."""
        with _out_of_memory():
            return cuda.device_array(n, dtype)

    def copy(self, handle):
        """Copy an array from the GPU, when all launches have ended."""
        self.wait()
        return handle.copy_to_host()

    def fill(self, handle, array):
        """Copy an array to where another is, when all launches have ended."""
        self.wait()
        handle.copy_to_device(np.ascontiguousarray(array))

    def launch(self, variant, name, n_blocks, shared_bytes, tables, n):
        """Start a kernel; those of different variants run side by side."""
        if (variant, name) not in self._kernels:
            body, key = make(variant, Target)[name], _key(variant, name)
            resident = RESIDENT_TOGETHER if name == "fit_large" else RESIDENT
            self._kernels[variant, name] = Kernel(body, TEAM, key, resident)
        if variant not in self._streams:
            self._streams[variant] = _new_stream()
        kernel, stream = self._kernels[variant, name], self._streams[variant]
        with _out_of_memory():
            cuda.default_stream().synchronize()  # What was put is there now.
            kernel.launch(n_blocks, stream, shared_bytes, tables, n)
        self._in_use.append(tables)  # To free memory is to wait for what runs.

    def wait(self):
        """Wait until all launches have ended."""
        cuda.synchronize()
        self._in_use.clear()


class Kernel:
    """A kernel for blocks of `team` threads, compiled when it is launched first."""

    def __init__(self, body, team, key=None, resident=RESIDENT):
        self._team, self._shared_bytes = team, _SHARED_BYTES
        kernel = make_kernel(body, team)
        self._jit = cuda.jit(launch_bounds=(team, resident))(kernel)
        if key is not None:
            keep_on_disk(self._jit, partial(_Cache, kernel, key))

    def launch(self, n_blocks, stream, shared_bytes, *arguments):
        """Start it."""
        if shared_bytes > self._shared_bytes:
            self._allow(shared_bytes, arguments)
        with warnings.catch_warnings():
            # A small set of jobs has few blocks.
            warnings.filterwarnings("ignore", message="Grid size")
            configured = self._jit[n_blocks, self._team, stream, shared_bytes]
        configured(*arguments)

    def _allow(self, shared_bytes, arguments):
        """Let blocks have more shared memory than kernels get unasked."""
        kernel = self._jit.compile(tuple(map(self._jit.typeof_pyval, arguments)))
        function = kernel.library.get_cufunc()
        attribute = (
            binding.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        )
        driver.cuKernelSetAttribute(
            attribute, shared_bytes, function.handle, function.device.id
        )
        self._shared_bytes = shared_bytes


def _key(variant, name):
    """Name the code of a kernel after all that it is made of; None if that is unknown.

    Numba would name it after the bytecode of the entry point alone.
    """
    family, sources = variant.family, _sources()
    if not sources or not family.log_density.__module__.startswith("skmdn."):
        return None
    return sources, str(variant._replace(family=family.name)), name


@lru_cache
def _sources():
    """Hash of the sources of this package."""
    files = sorted(Path(__file__).parents[2].rglob("*.py"))
    return files and sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _new_stream():
    """Return a stream that neither waits for copies nor lets them wait for it."""
    kind = binding.CUstream_flags.CU_STREAM_NON_BLOCKING
    return cuda.external_stream(int(driver.cuStreamCreate(kind.value)))


@contextmanager
def _out_of_memory():
    try:
        yield
    except Exception as error:  # Of the driver's wrappers, each with its own class.
        if "OUT_OF_MEMORY" in str(error):
            raise OutOfMemory(str(error)) from error
        raise
