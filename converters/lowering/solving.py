"""Linear equations: inverses, factors, solutions. ONNX has none of them, so they are loops over columns.

All is computed in float64 where onnxruntime has it, and batched: matrices are [n, m, m] inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorferry.formats.dtype import COMPLEX, FLOAT64, INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder, Part
from .linear import counted
from .loops import repeated

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


def _stacked(g: Builder, x: Value) -> Value:
    """Matrices [..., m, k] as [n, m, k] of float64."""
    if x.dtype.kind == COMPLEX:
        raise UnsupportedError("", f"expected real matrices, got {x.dtype}")
    rank = g.rank(x)
    if rank < 2:
        raise UnsupportedError("", f"expected matrices, got a value of {rank} dimensions")
    sizes = g.sizes_of(x)
    wide = g.cast(x, FLOAT64)
    return wide if rank == 3 else g.reshape(wide, [g.times(*sizes[:-2]), *sizes[-2:]])


def _unstacked(g: Builder, x: Value, like: Value, columns: Part | None = None) -> Value:
    """[n, m, k] in the shape and type of `like` [..., m, k], or with another number of columns."""
    sizes = g.sizes_of(like)
    if columns is not None:
        sizes = [*sizes[:-1], columns]
    return g.reshape(g.cast(x, like.dtype), sizes, g.results[0].dims)


def _transposed(g: Builder, x: Value) -> Value:
    return g.transpose(x, [0, 2, 1])


def _unit(g: Builder, size: Part) -> Value:
    """[size, size] with ones on the diagonal."""
    places = counted(g, size)
    return g.cast(g.op("Equal", g.unsqueeze(places, [1]), g.unsqueeze(places, [0])), FLOAT64)


def _solved(g: Builder, a: Value, b: Value) -> Value:
    """x [n, m, k] with a [n, m, m] x = b [n, m, k], by Gauss and Jordan: of each column the largest element leads."""
    rows, columns = g.size(a, 1), g.size(b, 2)
    places = counted(g, rows)
    both = g.op("Concat", a, b, axis=2, dims=(None, None, None))
    (both,) = repeated(g, rows, [both], lambda inner, step, state: [_eliminated(inner, step, state[0], places)])
    end = g.plus(rows, columns)
    return g.slice(both, [rows], [end], [2]).with_(dims=b.dims)


def _eliminated(g: Builder, step: Value, both: Value, rows: Value) -> Value:
    """Brings the best remaining row to place `step`, and takes it from all others so that its column is 0 there."""
    zero = g.scalar(0, like=both)
    place = g.reshape(step, [1])
    column = g.op("Gather", both, step, axis=2, dims=(None, None))
    left = g.op("GreaterOrEqual", rows, step)
    sizes = g.select(left, g.op("Abs", column), g.scalar(-1, like=both))
    best = g.op("ArgMax", sizes, axis=1, keepdims=1, dtype=INT64, dims=(None, 1))
    is_best = g.unsqueeze(g.op("Equal", rows, best), [2])
    is_here = g.unsqueeze(g.op("Equal", rows, step), [1])
    leading = g.reduce("ReduceSum", g.select(is_best, both, zero), [1], keep=True)
    here = g.op("Gather", both, place, axis=1, dims=(None, 1, None))
    swapped = g.select(is_here, leading, g.select(is_best, here, both))
    scaled = g.op("Div", leading, g.op("Gather", leading, place, axis=2, dims=(None, 1, 1)))
    share = g.op("Gather", swapped, place, axis=2, dims=(None, None, 1))
    others = g.op("Sub", swapped, g.op("Mul", share, scaled))
    return g.select(is_here, scaled, others)


@LOWERINGS.op("MatrixInverse", "BatchMatrixInverse", attrs={"adjoint"})
def matrix_inverse(node: OpNode, g: Builder, x: Value) -> Value:
    """[..., m, m], or of its transpose. What has no inverse is not refused: the result is not finite."""
    a = _stacked(g, x)
    if node.flag("adjoint"):
        a = _transposed(g, a)
    inverse = _solved(g, a, g.expand(_unit(g, g.size(a, 1)), g.shape(a)))
    return _unstacked(g, inverse, x)


@LOWERINGS.op("MatrixSolve", "BatchMatrixSolve", attrs={"adjoint"})
def matrix_solve(node: OpNode, g: Builder, matrix: Value, right: Value) -> Value:
    """x with matrix [..., m, m] x = right [..., m, k]."""
    a = _stacked(g, matrix)
    if node.flag("adjoint"):
        a = _transposed(g, a)
    return _unstacked(g, _solved(g, a, _stacked(g, right)), right)


@LOWERINGS.op("MatrixTriangularSolve", "BatchMatrixTriangularSolve", attrs={"lower", "adjoint"})
def matrix_triangular_solve(node: OpNode, g: Builder, matrix: Value, right: Value) -> Value:
    """The same of the lower or upper triangle alone; batch dimensions broadcast where they are known to differ."""
    if g.rank(matrix) != g.rank(right):
        raise UnsupportedError("", "expected as many dimensions of both sides")
    ahead = [g.sizes_of(value)[:-2] for value in (matrix, right)]
    if ahead[0] != ahead[1]:
        whole = g.op("Shape", g.op("MatMul", matrix, right, dims=(None,) * g.rank(right)), dims=(g.rank(right),))
        matrix, right = (_broadcast(g, value, whole) for value in (matrix, right))
    upper = 0 if node.flag("lower") else 1
    a = g.op("Trilu", _stacked(g, matrix), upper=upper)
    if node.flag("adjoint"):
        a = _transposed(g, a)
    return _unstacked(g, _solved(g, a, _stacked(g, right)), right)


def _broadcast(g: Builder, x: Value, whole: Value) -> Value:
    """x [..., m, k] with the batch dimensions of the shape `whole`."""
    rank = g.rank(x)
    ahead = g.slice(whole, [0], [rank - 2], [0])
    return g.expand(x, g.concat([ahead, g.vector(g.sizes_of(x)[-2:])], 0)).with_(dims=(None,) * rank)


@LOWERINGS.op("Cholesky", "BatchCholesky")
def cholesky(node: OpNode, g: Builder, x: Value) -> Value:
    """The lower triangle L [..., m, m] with L times its transpose x."""
    a = _stacked(g, x)
    rows = counted(g, g.size(a, 1))
    nothing = g.op("Mul", a, g.scalar(0, like=a))
    _, lower = repeated(g, g.size(a, 1), [a, nothing], lambda inner, step, state: _factored(inner, step, state, rows))
    return _unstacked(g, lower, x)


def _factored(g: Builder, step: Value, state: Sequence[Value], rows: Value) -> list[Value]:
    """One more column of L; what it explains is taken off."""
    rest, lower = state
    place = g.reshape(step, [1])
    column = g.op("Gather", rest, place, axis=2, dims=(None, None, 1))
    lead = g.op("Gather", column, place, axis=1, dims=(None, 1, 1))
    below = g.unsqueeze(g.op("GreaterOrEqual", rows, step), [1])
    column = g.select(below, g.op("Div", column, g.op("Sqrt", lead)), g.scalar(0, like=rest))
    explained = g.op("Mul", column, g.transpose(column.with_(dims=(None, None, 1)), [0, 2, 1]))
    here = g.unsqueeze(g.op("Equal", rows, step), [0])
    return [g.op("Sub", rest, explained), g.select(here, column, lower)]
