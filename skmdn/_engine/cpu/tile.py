# SPDX-License-Identifier: BSD-3-Clause
"""Matrix products of the engine: one register tile, emitted as LLVM vector code.

Every product of the network (forward, gradient of the inputs, gradient of the weights)
is ``C[i, j] = start + sum_k A[i, k] B[k, j]`` with unit stride along ``j``. The tile
keeps up to 6 x 4 vectors of C in registers, loads a row of B as vectors and broadcasts
the elements of A: 96-100 % of a core's peak while B stays in the first-level cache. It
holds no state and starts no thread, so results never depend on a BLAS and its pool.

The vector length is the machine's, found once at import; LLVM legalises it anywhere.
"""

from functools import partial

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from skmdn._engine.layout import PADDING
from skmdn._jit.policy import USE_TILES, overload

_INT = ir.IntType(64)
# Tiles have 4 to 6 rows; fewer rows run as 4 of which some are the same.
_FEWEST_ROWS, _MAX_ROWS = 4, 6
SET, ADD, MULTIPLY = range(3)  # What a product does to what stands in C.


def _vector_bytes():
    """Width of the widest vector registers of this machine."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx2") and features.get("fma") else 16


VECTOR_BYTES = _vector_bytes()
# Accumulators must fit the registers: 6 x 4 of 32 (AVX-512), 6 x 2 of 16 (the others).
_WIDE = 4 if VECTOR_BYTES == 64 else 2


class _Vectors:
    """LLVM snippets for vectors of one element type."""

    def __init__(self, builder, element):
        self.builder = builder
        self.length = VECTOR_BYTES // (4 if element == ir.FloatType() else 8)
        self.type = ir.VectorType(element, self.length)
        name = f"llvm.fmuladd.v{self.length}f{32 if element == ir.FloatType() else 64}"
        self._fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(self.type, [self.type] * 3), name
        )
        self.align = 4 if element == ir.FloatType() else 8

    def load(self, pointer):
        value = self.builder.load(
            self.builder.bitcast(pointer, self.type.as_pointer()), align=self.align
        )
        return value

    def store(self, value, pointer):
        self.builder.store(
            value,
            self.builder.bitcast(pointer, self.type.as_pointer()),
            align=self.align,
        )

    def splat(self, scalar):
        undefined = ir.Constant(self.type, ir.Undefined)
        zeros = ir.Constant(
            ir.VectorType(ir.IntType(32), self.length), [0] * self.length
        )
        first = self.builder.insert_element(
            undefined, scalar, ir.Constant(ir.IntType(32), 0)
        )
        return self.builder.shuffle_vector(first, undefined, zeros)

    def shuffle(self, first, second, lanes):
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.length), lanes)
        return self.builder.shuffle_vector(first, second, mask)

    def fma(self, a, b, c):
        return self.builder.call(self._fma, [a, b, c])


def _constant(value):
    return ir.Constant(_INT, value)


def _define(module, name, argument_types):
    """Declare a function of the module; return it and whether it lacks a body."""
    function = module.globals.get(name)
    if function is not None:
        return function, False
    kind = ir.FunctionType(ir.VoidType(), argument_types)
    function = ir.Function(module, kind, name=name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    return function, True


def _get_tile(module, element, n_rows, n_vectors):
    """One tile of C: at most `n_rows` rows of `n_vectors` vectors.

    The last argument is the number of rows; missing ones repeat the last row.
    """
    pointer = element.as_pointer()
    function, is_new = _define(
        module,
        f"skmdn_tile_{n_rows}_{n_vectors}_{element}",
        [pointer, _INT, pointer, _INT, _INT, pointer, _INT, _INT, pointer, _INT, _INT],
    )
    if not is_new:
        return function
    C, ldc, A, ars, aks, B, ldb, K, bias, mode, count = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    vectors = _Vectors(b, element)
    columns = range(n_vectors)
    cells = [(r, v) for r in range(n_rows) for v in columns]
    rows = [_constant(r) for r in range(n_rows)]
    if n_rows == _FEWEST_ROWS:
        last = b.sub(count, _constant(1))
        rows = [b.select(b.icmp_signed("<", r, last), r, last) for r in rows]

    def vector(start, v):
        return b.gep(start, [_constant(v * vectors.length)])

    c_row = [b.gep(C, [b.mul(row, ldc)]) for row in rows]
    a_row = [b.gep(A, [b.mul(row, ars)]) for row in rows]
    add = b.icmp_signed("==", mode, _constant(ADD))
    multiply = b.icmp_signed("==", mode, _constant(MULTIPLY))
    start = []
    for r, v in cells:
        fresh = vectors.splat(b.load(b.gep(bias, [rows[r]])))
        start.append(b.select(add, vectors.load(vector(c_row[r], v)), fresh))
    entry, head = b.block, b.append_basic_block("head")
    body, done = b.append_basic_block("body"), b.append_basic_block("done")
    b.branch(head)
    b.position_at_end(head)
    k = b.phi(_INT)
    k.add_incoming(_constant(0), entry)
    sums = {}
    for cell, value in zip(cells, start, strict=True):
        sums[cell] = b.phi(vectors.type)
        sums[cell].add_incoming(value, entry)
    b.cbranch(b.icmp_signed("<", k, K), body, done)
    b.position_at_end(body)
    b_k = b.gep(B, [b.mul(k, ldb)])
    right = [vectors.load(vector(b_k, v)) for v in columns]
    left = [vectors.splat(b.load(b.gep(row, [b.mul(k, aks)]))) for row in a_row]
    for r, v in cells:
        sums[r, v].add_incoming(vectors.fma(left[r], right[v], sums[r, v]), body)
    k.add_incoming(b.add(k, _constant(1)), body)
    b.branch(head)
    b.position_at_end(done)
    for v in columns:
        # All rows are read before the first is written: the last may be repeated.
        old = [vectors.load(vector(row, v)) for row in c_row]
        for r, row in enumerate(c_row):
            value = b.select(multiply, b.fmul(sums[r, v], old[r]), sums[r, v])
            vectors.store(value, vector(row, v))
    b.ret_void()
    return function


def _get_gemm(module, element):
    """The product as a function of the module: loops over tiles."""
    pointer = element.as_pointer()
    function, is_new = _define(
        module,
        f"skmdn_gemm_{element}",
        [
            *(pointer, _INT, pointer, _INT, _INT, pointer, _INT),
            *(_INT, _INT, _INT, pointer, _INT),
        ],
    )
    if not is_new:
        return function
    C, ldc, A, ars, aks, B, ldb, M, N, K, bias, mode = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    length = _Vectors(b, element).length
    zero = _constant(0)
    # Even shares: 64 rows are nine tiles of 6 and two of 5, never 6 and 4.
    n_tiles = b.sdiv(b.add(M, _constant(_MAX_ROWS - 1)), _constant(_MAX_ROWS))
    position = cgutils.alloca_once(b, _INT)

    def stripes(n_vectors, start, stop):
        step = _constant(n_vectors * length)
        with cgutils.for_range_slice(b, start, stop, step, intp=_INT) as (j, _):
            b.store(zero, position)
            with cgutils.for_range(b, n_tiles, intp=_INT) as loop:
                i = b.load(position)
                rows = b.sdiv(b.sub(M, i), b.sub(n_tiles, loop.index))
                b.store(b.add(i, rows), position)
                call = [
                    *(b.gep(C, [b.add(b.mul(i, ldc), j)]), ldc),
                    *(b.gep(A, [b.mul(i, ars)]), ars, aks),
                    *(b.gep(B, [j]), ldb, K, b.gep(bias, [i]), mode, rows),
                ]
                tiles = range(_FEWEST_ROWS, _MAX_ROWS + 1)
                after = b.append_basic_block("after")
                blocks = {n_rows: b.append_basic_block() for n_rows in tiles}
                switch = b.switch(rows, blocks[_FEWEST_ROWS])
                for n_rows, block in blocks.items():
                    if n_rows > _FEWEST_ROWS:
                        switch.add_case(_constant(n_rows), block)
                    b.position_at_end(block)
                    b.call(_get_tile(module, element, n_rows, n_vectors), call)
                    b.branch(after)
                b.position_at_end(after)

    wide = _constant(_WIDE * length)
    middle = b.sub(N, b.srem(N, wide))
    stripes(_WIDE, zero, middle)
    if PADDING % (_WIDE * length):
        stripes(1, middle, N)
    b.ret_void()
    return function


def _data(context, builder, kind, array, start):
    """Pointer to an element of a flat array."""
    return builder.gep(make_array(kind)(context, builder, array).data, [start])


@intrinsic
def _gemm_tiles(
    typingctx, C, c0, ldc, A, a0, ars, aks, B, b0, ldb, M, N, K, bias, i0, mode
):
    index = types.intp
    signature = types.void(
        *(C, index, index, A, index, index, index, B, index, index),
        *(index, index, index, bias, index, index),
    )

    def codegen(context, builder, signature, args):
        element = context.get_data_type(signature.args[0].dtype)
        C, A, B, bias = (
            _data(context, builder, signature.args[j], args[j], args[j + 1])
            for j in (0, 3, 7, 13)
        )
        ldc, ars, aks, ldb, M, N, K, mode = (
            args[j] for j in (2, 5, 6, 9, 10, 11, 12, 15)
        )
        gemm = _get_gemm(builder.module, element)
        builder.call(gemm, [C, ldc, A, ars, aks, B, ldb, M, N, K, bias, mode])
        return context.get_dummy_value()

    return signature, codegen


def gemm(C, c0, ldc, A, a0, ars, aks, B, b0, ldb, M, N, K, bias, i0, mode):
    """C[i, j] = bias[i] + P[i, j], C[i, j] + P[i, j] or C[i, j] (bias[i] + P[i, j]).

    P[i, j] = sum_k A[i, k] B[k, j], and `mode` is SET, ADD or MULTIPLY.

    All arrays are flat; element (i, j) of C lies at ``c0 + i * ldc + j``, (i, k) of A
    at ``a0 + i * ars + k * aks``, (k, j) of B at ``b0 + k * ldb + j``, bias at
    ``i0 + i``. N is a multiple of `PADDING`. This body is the plain fall-back (it also
    runs as ordinary Python); compiled code uses the register tile.
    """
    for i in range(M):
        for j in range(N):
            old = C[c0 + i * ldc + j]
            total = old if mode == ADD else bias[i0 + i]
            for k in range(K):
                total += A[a0 + i * ars + k * aks] * B[b0 + k * ldb + j]
            C[c0 + i * ldc + j] = old * total if mode == MULTIPLY else total


@overload(gemm, forceinline=False)
def _overload_gemm(C, c0, ldc, A, a0, ars, aks, B, b0, ldb, M, N, K, bias, i0, mode):
    if not USE_TILES:
        return gemm

    def tiles(C, c0, ldc, A, a0, ars, aks, B, b0, ldb, M, N, K, bias, i0, mode):
        _gemm_tiles(C, c0, ldc, A, a0, ars, aks, B, b0, ldb, M, N, K, bias, i0, mode)

    return tiles


# --- transposition ----------------------------------------------------------------


def _low(n, half):
    """Lanes of the first result of a butterfly: where the lane's `half` bit is 0."""
    return [j if not j & half else n + j - half for j in range(n)]


def _high(n, half):
    """Lanes of the second result of a butterfly: where the lane's `half` bit is 1."""
    return [j + half if not j & half else n + j for j in range(n)]


@intrinsic
def _transpose_tiles(typingctx, source, s0, lds, n_rows, n_columns, target, t0, ldt):
    """Transpose squares of vector length: a butterfly of two-source shuffles."""
    index = types.intp
    signature = types.void(
        *(source, index, index, index, index, target, index, index),
    )

    def codegen(context, builder, signature, args):
        element = context.get_data_type(signature.args[0].dtype)
        vectors = _Vectors(builder, element)
        n = vectors.length
        source, target = (
            _data(context, builder, signature.args[j], args[j], args[j + 1])
            for j in (0, 5)
        )
        lds, n_rows, n_columns, ldt = (args[j] for j in (2, 3, 4, 7))

        def row(pointer, stride, i, j):
            return builder.gep(pointer, [builder.add(builder.mul(i, stride), j)])

        def square(i, j):
            number = [_constant(r) for r in range(n)]
            rows = [
                vectors.load(row(source, lds, builder.add(i, r), j)) for r in number
            ]
            half = n // 2
            while half:
                for r in (r for r in range(n) if not r & half):
                    a, b = rows[r], rows[r + half]
                    rows[r] = vectors.shuffle(a, b, _low(n, half))
                    rows[r + half] = vectors.shuffle(a, b, _high(n, half))
                half //= 2
            for r, value in zip(number, rows, strict=True):
                vectors.store(value, row(target, ldt, builder.add(j, r), i))

        step, zero = _constant(n), _constant(0)
        loop = partial(cgutils.for_range_slice, builder, zero, step=step, intp=_INT)
        with loop(stop=n_rows) as (i, _), loop(stop=n_columns) as (j, _):
            square(i, j)
        return context.get_dummy_value()

    return signature, codegen


def transpose(source, s0, lds, n_rows, n_columns, target, t0, ldt):
    """target[j, i] = source[i, j]; both counts are multiples of `PADDING`."""
    for i in range(n_rows):
        for j in range(n_columns):
            target[t0 + j * ldt + i] = source[s0 + i * lds + j]


@overload(transpose, forceinline=False)
def _overload_transpose(source, s0, lds, n_rows, n_columns, target, t0, ldt):
    if not USE_TILES:
        return transpose

    def tiles(source, s0, lds, n_rows, n_columns, target, t0, ldt):
        _transpose_tiles(source, s0, lds, n_rows, n_columns, target, t0, ldt)

    return tiles


@intrinsic
def _row_sums_tiles(typingctx, source, s0, lds, n_rows, n_columns, target, t0, add):
    """Sum as many rows as a vector has lanes: the butterfly again, with additions."""
    index = types.intp
    signature = types.void(
        *(source, index, index, index, index, target, index, types.boolean),
    )

    def codegen(context, builder, signature, args):
        element = context.get_data_type(signature.args[0].dtype)
        vectors = _Vectors(builder, element)
        n = vectors.length
        source, target = (
            _data(context, builder, signature.args[j], args[j], args[j + 1])
            for j in (0, 5)
        )
        lds, n_rows, n_columns, add = (args[j] for j in (2, 3, 4, 7))
        empty = ir.Constant(vectors.type, [0.0] * n)
        cells = [cgutils.alloca_once(builder, vectors.type) for _ in range(n)]
        step, zero = _constant(n), _constant(0)
        loop = partial(cgutils.for_range_slice, builder, zero, step=step, intp=_INT)
        with loop(stop=n_rows) as (i, _):
            for cell in cells:
                builder.store(empty, cell)
            with loop(stop=n_columns) as (j, _):
                for r, cell in enumerate(cells):
                    offset = builder.mul(builder.add(i, _constant(r)), lds)
                    place = builder.gep(source, [builder.add(offset, j)])
                    total = builder.fadd(builder.load(cell), vectors.load(place))
                    builder.store(total, cell)
            rows = [builder.load(cell) for cell in cells]
            half = n // 2
            while half:
                rows = [
                    builder.fadd(
                        vectors.shuffle(rows[r], rows[r + half], _low(n, half)),
                        vectors.shuffle(rows[r], rows[r + half], _high(n, half)),
                    )
                    for r in range(half)
                ]
                half //= 2
            place = builder.gep(target, [i])
            old = builder.select(add, vectors.load(place), empty)
            vectors.store(builder.fadd(old, rows[0]), place)
        return context.get_dummy_value()

    return signature, codegen


def row_sums(source, s0, lds, n_rows, n_columns, target, t0, add):
    """target[i] = (target[i] if add else 0) + sum_j source[i, j]; counts are padded."""
    for i in range(n_rows):
        total = source[s0 + i * lds]
        for j in range(1, n_columns):
            total += source[s0 + i * lds + j]
        target[t0 + i] = target[t0 + i] + total if add else total


@overload(row_sums, forceinline=False)
def _overload_row_sums(source, s0, lds, n_rows, n_columns, target, t0, add):
    if not USE_TILES:
        return row_sums

    def tiles(source, s0, lds, n_rows, n_columns, target, t0, add):
        _row_sums_tiles(source, s0, lds, n_rows, n_columns, target, t0, add)

    return tiles
