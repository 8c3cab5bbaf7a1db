# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of a kernel and of its helpers: two ways through Numba's compiler.

Numba optimises every helper by itself, makes machine code of it that nobody calls,
optimises it again as part of each of its callers, and keeps the first machine code of
it for all later kernels of the process. That costs time, and a kernel then runs on
other code (with other roundings) in the process that compiled it than in one that read
it from the cache.
"""

import gc

import numba
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, Flags
from numba.core.compiler_machinery import register_pass
from numba.core.cpu import CPUTargetOptions
from numba.core.typed_passes import NativeLowering
from numba.extending import register_jitable

# They rewrite what kernels do not have: closures, comprehensions, array expressions.
_NEEDLESS_PASSES = frozenset(
    {"InlineClosureLikes", "GenericRewrites", "NopythonRewrites"}
)


class _Flags(Flags):
    """Flags whose copies, fixed from then on, know the values that matter to callees.

    Numba compares copies of a function's flags thousands of times, whenever it looks up
    the code of what the function calls. It would gather all their values each time, and
    compile a helper again for callers that differ in nothing that helpers inherit.
    """

    __slots__ = ("_known",)

    def __init__(self, copy_from=None):
        super().__init__(copy_from)
        self._known = None

    def copy(self):
        copied = super().copy()
        values = copied.values()
        values.pop("forceinline")  # A matter of the caller alone.
        copied._known = values
        return copied

    def values(self):
        return super().values() if self._known is None else self._known


def _asks_for(attribute, module):
    """Whether a function of the module has the attribute (`skmdn._jit.vector`)."""
    return any(
        attribute in found
        for function in module.functions
        if function.linkage.name == "external"
        for found in function.attributes
    )


class _PartLibrary(JITCodeLibrary):
    """Code of a helper: its callers optimise it and make machine code of it.

    Only functions that ask for wide vectors are optimised before they are inlined,
    while LLVM still knows that their arrays do not overlap.
    """

    def _optimize_functions(self, ll_module):
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self):
        if _asks_for(b"prefer-vector-width", self._final_module):
            super()._optimize_final_module()

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True


class _KernelLibrary(JITCodeLibrary):
    """Code of a kernel: owns its helpers, so the same source gives the same bits."""

    def _optimize_functions(self, ll_module):
        ll_module.data_layout = self._codegen._data_layout
        # Who only steers others is optimised once, together with them.
        if not _asks_for(b"optsize", ll_module):
            super()._optimize_functions(ll_module)

    def _optimize_final_module(self):
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage.name == "linkonce_odr":
                # Not "internal": the names of those are found by other kernels.
                function.linkage = "private"
        super()._optimize_final_module()


@register_pass(mutates_CFG=True, analysis_only=False)
class _PartLowering(NativeLowering):
    """Lowering to LLVM code for callers, without an entry point."""

    _name = "part_lowering"

    def run_pass(self, state):
        state.flags.no_compile = True
        super().run_pass(state)
        # Numba finds the code of a callee by its entry point, which must be a built-in
        # function: that of an object that nobody else has.
        key = [].append
        lowered = state["cr"]._replace(cfunc=key)
        state.targetctx.insert_user_function(key, lowered.fndesc, [state.library])
        state["cr"] = lowered
        return True


def _compiler_into(library_class, lowering):
    class _Compiler(CompilerBase):
        def __init__(self, typingctx, targetctx, library, *args):
            if _works():
                library = library_class(targetctx.codegen(), library_class.__name__)
                library.enable_object_caching()
            super().__init__(typingctx, targetctx, library, *args)
            if _works():
                self.state.flags = _Flags(self.state.flags)

        def define_pipelines(self):
            pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
            if not _works():
                return [pipeline]
            pipeline.passes = [
                (lowering if step is NativeLowering else step, description)
                for step, description in pipeline.passes
                if step.__name__ not in _NEEDLESS_PASSES
            ]
            pipeline.finalize()
            return [pipeline]

        def compile_extra(self, func):
            # The collector of garbage takes a tenth of the time, for nothing.
            was_enabled = gc.isenabled()
            gc.disable()
            try:
                return super().compile_extra(func)
            finally:
                if was_enabled:
                    gc.enable()

    return _Compiler


# Kernels allocate nothing. Without Numba's run-time counting references, a slice costs
# nothing (10 ns otherwise) and less code is compiled.
_COMMON = {"error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
_NO_ENTRY = {**_COMMON, "no_cpython_wrapper": True}
CPUTargetOptions.parse_as_flags(Flags(), _NO_ENTRY)  # An error if one is not known.
PART = {**_NO_ENTRY, "pipeline_class": _compiler_into(_PartLibrary, _PartLowering)}
KERNEL = {**_COMMON, "pipeline_class": _compiler_into(_KernelLibrary, NativeLowering)}

_verdict = None


def _works():
    """Whether the two ways lead to right code; if not, Numba's own is taken.

    A new Numba may have what they use under the same names, and do other things.
    Therefore the first compilation of a process tries them on two small functions.
    """
    global _verdict
    if _verdict is None:
        _verdict = True
        try:
            _verdict = bool(_try() == 42.0)
        except Exception:  # Whatever it is, real kernels would meet it too.
            _verdict = False
    return _verdict


def _try():
    @register_jitable(**PART)
    def double(x):
        return x + x

    @numba.njit(**KERNEL)
    def kernel(x):
        return double(x)

    return kernel(21.0)
