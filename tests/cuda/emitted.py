# SPDX-License-Identifier: BSD-3-Clause
"""Run the LLVM code that numba.cuda emits on the CPU: no GPU, no driver.

An operating-system thread stands for a CUDA thread, a barrier of pthreads for that of a
block, libm for libdevice; blocks run one after the other. What this leaves unchecked:
NVVM's optimiser, ptxas, the hardware.
"""

import ctypes
import re
import threading
from contextlib import contextmanager
from unittest import mock

import llvmlite.binding as llvm
import numpy as np
from host_device import HostDevice
from offline import compile_kernel

_LARGEST = 2**18  # bytes of shared memory; GPUs have less
_POISON = 0x7FC0DEAD  # a NaN, for words that nobody has written

# What a GPU has and a CPU has not, by other names: what is LLVM's cannot be defined.
_HARDWARE = """
@team = global i32 0
@n_blocks = global i32 0
@n_bytes = global i32 0
@meeting = global ptr null
declare i32 @emulated_thread()
declare i32 @emulated_block()
declare i32 @pthread_barrier_wait(ptr)
define void @emulated.barrier0() {
  %all = load ptr, ptr @meeting
  %first = call i32 @pthread_barrier_wait(ptr %all)
  ret void
}
define i32 @emulated.read.ptx.sreg.tid.x() {
  %i = call i32 @emulated_thread()
  ret i32 %i
}
define i32 @emulated.read.ptx.sreg.ctaid.x() {
  %i = call i32 @emulated_block()
  ret i32 %i
}
define i32 @emulated.read.ptx.sreg.ntid.x() {
  %i = load i32, ptr @team
  ret i32 %i
}
define i32 @emulated.read.ptx.sreg.nctaid.x() {
  %i = load i32, ptr @n_blocks
  ret i32 %i
}
define i32 @emulated.dynamic_smem_size() {
  %i = load i32, ptr @n_bytes
  ret i32 %i
}
"""
# One thread, one block in directions that nobody uses.
_FLAT = "".join(
    f"define i32 @emulated.read.ptx.sreg.{name}.{axis}() {{ ret i32 {value} }}\n"
    for name, value in [("tid", 0), ("ctaid", 0), ("ntid", 1), ("nctaid", 1)]
    for axis in "yz"
)
# libdevice's functions by LLVM's.
_UNARY = {
    "__nv_fast_expf": "exp", "__nv_fast_logf": "log", "__nv_expf": "exp",
    "__nv_logf": "log", "__nv_sqrtf": "sqrt", "__nv_fabsf": "fabs",
}  # fmt: skip
_BINARY = {"__nv_fmaxf": "maxnum", "__nv_fminf": "minnum"}
_LIBDEVICE = "".join(
    f"declare float @llvm.{name}.f32(float)\n" for name in sorted({*_UNARY.values()})
) + "".join(
    f"define float @{name}(float %x) {{\n"
    f"  %y = call float @llvm.{function}.f32(float %x)\n  ret float %y\n}}\n"
    for name, function in _UNARY.items()
) + "".join(
    f"declare float @llvm.{function}.f32(float, float)\n"
    f"define float @{name}(float %x, float %y) {{\n"
    f"  %z = call float @llvm.{function}.f32(float %x, float %y)\n  ret float %z\n}}\n"
    for name, function in _BINARY.items()
) + """
define float @__nv_fast_fdividef(float %x, float %y) {
  %z = fdiv float %x, %y
  ret float %z
}
define float @__nv_int_as_float(i32 %x) {
  %y = bitcast i32 %x to float
  ret float %y
}
define float @__nv_rsqrtf(float %x) {
  %y = call float @llvm.sqrt.f32(float %x)
  %z = fdiv float 1.0, %y
  ret float %z
}
"""  # fmt: skip

_here = threading.local()  # thread and block, of a thread that runs a kernel
_callbacks = {
    "emulated_thread": ctypes.CFUNCTYPE(ctypes.c_int)(lambda: _here.thread),
    "emulated_block": ctypes.CFUNCTYPE(ctypes.c_int)(lambda: _here.block),
}


class Emitted(HostDevice):
    """Runs kernels as numba.cuda emits them.

    Parameters
    ----------
    entry : callable
        ``entry(variant, name, team)`` gives the Python function that numba.cuda is to
        compile.
    team : int, default=256
        Threads of a block.
    """

    def __init__(self, entry, team=256):
        self._entry, self._team, self._kernels = entry, team, {}

    def launch(self, variant, name, n_blocks, shared_bytes, tables, n):
        key = variant, name
        if key not in self._kernels:
            kernel = self._entry(variant, name, self._team)
            self._kernels[key] = Code(compile_kernel(kernel, tables))
        self._kernels[key].run(n_blocks, self._team, shared_bytes, tables, n)


class Code:
    """A kernel that the CPU can run, from the library of `offline.compile_kernel`."""

    def __init__(self, library):
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        for name, callback in _callbacks.items():
            llvm.add_symbol(name, ctypes.cast(callback, ctypes.c_void_p).value)
        module = llvm.parse_assembly(_HARDWARE + _FLAT + _LIBDEVICE)
        with _opaque_pointers():
            texts = [str(part) for part in library.modules]
        for text in texts:
            module.link_in(llvm.parse_assembly(_for_a_cpu(text)))
        _refuse_unknown(module)
        target = llvm.Target.from_default_triple().create_target_machine(opt=2)
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        passes = llvm.create_pass_builder(target, options)
        passes.getModulePassManager().run(module, passes)
        (self._shared,) = (v.name for v in module.global_variables if "smem" in v.name)
        self._engine = llvm.create_mcjit_compiler(module, target)
        self._engine.finalize_object()
        self._address = self._engine.get_function_address(library._entry_name)

    def run(self, n_blocks, team, shared_bytes, tables, n):
        """Run `n_blocks` blocks of `team` threads."""
        arguments = [part for table in tables for part in _flat(table)]
        arguments.append(ctypes.c_int64(n))
        kernel = ctypes.CFUNCTYPE(None, *map(type, arguments))(self._address)
        meeting = ctypes.create_string_buffer(64)
        assert ctypes.CDLL(None).pthread_barrier_init(meeting, None, team) == 0
        self._set("meeting", ctypes.c_void_p, ctypes.addressof(meeting))
        self._set("team", ctypes.c_int32, team)
        self._set("n_blocks", ctypes.c_int32, n_blocks)
        self._set("n_bytes", ctypes.c_int32, shared_bytes)
        words = (ctypes.c_uint32 * (_LARGEST // 4)).from_address(
            self._engine.get_global_value_address(self._shared)
        )
        words = np.frombuffer(words, np.uint32)

        def work(thread, block):
            _here.thread, _here.block = thread, block
            kernel(*arguments)

        for block in range(n_blocks):
            words[:] = _POISON  # also in place of what another block left
            threads = [
                threading.Thread(target=work, args=(thread, block))
                for thread in range(team)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            beyond = words[-(-shared_bytes // 4) :]
            assert (beyond == _POISON).all(), "written beyond the shared memory"

    def _set(self, name, kind, value):
        kind.from_address(self._engine.get_global_value_address(name)).value = value


def _flat(array):
    """What Numba passes of a one-dimensional array."""
    assert array.ndim == 1
    assert array.flags.c_contiguous
    size, step = ctypes.c_int64(array.size), ctypes.c_int64(array.itemsize)
    nothing, data = ctypes.c_void_p(), ctypes.c_void_p(array.ctypes.data)
    return nothing, nothing, size, step, data, size, step


@contextmanager
def _opaque_pointers():
    """Print LLVM code with the pointers of today's LLVM, not of NVVM's LLVM 7."""
    utils = "llvmlite.ir._utils"
    with (
        mock.patch("llvmlite.ir.types.ir_layer_typed_pointers_enabled", False),
        # Types and values remember how they were printed, for good.
        mock.patch(f"{utils}._StrCaching.__str__", lambda x: x._to_string()),
        mock.patch(
            f"{utils}._StringReferenceCaching.get_reference",
            lambda x: x._get_reference(),
        ),
    ):
        yield


def _for_a_cpu(text):
    text = re.sub(r"(?m)^(target|!).*$", "", text)  # metadata is for NVVM
    text = re.sub(r", ![a-z.]+ !\d+", "", text)
    text = re.sub(r'@"?llvm\.nvvm\.([\w.]+)"?', r"@emulated.\1", text)
    size = 'asm sideeffect "mov.u32 $0, %dynamic_smem_size;", "=r"'
    if size in text:
        text = text.replace(size, "@emulated.dynamic_smem_size")
        text += "\ndeclare i32 @emulated.dynamic_smem_size()\n"
    return re.sub(
        r"= external addrspace\(3\) global \[0 x float\], align \d+",
        f"= addrspace(3) global [{_LARGEST // 4} x float] zeroinitializer, align 64",
        text,
    )


def _refuse_unknown(module):
    known = {*_callbacks, "pthread_barrier_wait"}
    unknown = {
        function.name for function in module.functions
        if function.is_declaration and not function.name.startswith("llvm.")
    } - known  # fmt: skip
    if unknown:
        raise NotImplementedError(f"a CPU has no {', '.join(sorted(unknown))}")
