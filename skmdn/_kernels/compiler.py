# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of a kernel's helpers in LLVM: two kinds of Numba's code library.

Numba optimises every helper by itself, again as part of each of its callers, and keeps
the first machine code it has made of one for all later kernels of the process. That
costs time, and a kernel then runs on other code (with other roundings) in the process
that compiled it than in one that read it from the cache.
"""

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler


class _PartLibrary(JITCodeLibrary):
    """Code of a helper: its callers optimise it.

    Only functions that ask for wide vectors are optimised before they are inlined,
    while LLVM still knows that their arrays do not overlap.
    """

    def _optimize_final_module(self):
        if any(
            b"prefer-vector-width" in attribute
            for function in self._final_module.functions
            if function.linkage.name == "external"
            for attribute in function.attributes
        ):
            super()._optimize_final_module()


class _KernelLibrary(JITCodeLibrary):
    """Code of a kernel: owns its helpers, so the same source gives the same bits."""

    def _optimize_final_module(self):
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage.name == "linkonce_odr":
                # Not "internal": the names of those are found by other kernels.
                function.linkage = "private"
        super()._optimize_final_module()


def _compiler_into(library_class):
    class _Compiler(Compiler):
        def __init__(self, typingctx, targetctx, library, *args):
            library = library_class(targetctx.codegen(), library_class.__name__)
            library.enable_object_caching()
            super().__init__(typingctx, targetctx, library, *args)

    return _Compiler


PartCompiler = _compiler_into(_PartLibrary)
KernelCompiler = _compiler_into(_KernelLibrary)
