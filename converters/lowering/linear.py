"""Matrix products, bands and diagonals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorferry.formats.dtype import INT64

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder, Part

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("MatMul", attrs={"transpose_a", "transpose_b", "grad_a", "grad_b"})
def mat_mul(node: OpNode, g: Builder, a: Value, b: Value) -> Value:
    """[m, k] times [k, n]."""
    if node.flag("transpose_a"):
        a = g.transpose(a, [1, 0])
    if node.flag("transpose_b"):
        b = g.transpose(b, [1, 0])
    return g.op("MatMul", a, b, dims=g.results[0].dims)


@LOWERINGS.op("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", attrs={"adj_x", "adj_y", "grad_x", "grad_y"})
def batch_mat_mul(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """[..., m, k] times [..., k, n]; V3 may multiply narrow integers into wide ones."""
    result = g.results[0].dtype
    x, y = g.cast(x, result), g.cast(y, result)
    x, y = _adjoint(g, x, node.flag("adj_x")), _adjoint(g, y, node.flag("adj_y"))
    return g.op("MatMul", x, y, dims=g.results[0].dims)


def _adjoint(g: Builder, x: Value, wanted: bool) -> Value:
    if not wanted:
        return x
    if x.dims is None:
        return g.op("Einsum", x, equation="...ij->...ji")
    rank = len(x.dims)
    return g.transpose(x, [*range(rank - 2), rank - 1, rank - 2])


@LOWERINGS.op("Einsum", attrs={"equation"})
def einsum(node: OpNode, g: Builder, *inputs: Value) -> Value:
    """The same notation."""
    equation = node.text("equation").replace(" ", "")
    return g.op("Einsum", *inputs, dims=g.results[0].dims, equation=equation)


def counted(g: Builder, count: Part) -> Value:
    """0, 1, ..., count - 1 as int64."""
    if isinstance(count, int) and count <= 4096:
        return g.ints(range(count))
    end = g.reshape(g.vector([count]), [])
    return g.op("Range", g.scalar(0, like=INT64), end, g.scalar(1, like=INT64), dims=(None,))


@LOWERINGS.op("MatrixBandPart", "BatchMatrixBandPart")
def matrix_band_part(node: OpNode, g: Builder, x: Value, lower: Value, upper: Value) -> Value:
    """x with zeros below the `lower`th and above the `upper`th diagonal; negative means all."""
    below, above = lower.integer(), upper.integer()
    if below is not None and above is not None and g.opset >= 14:
        if above >= 0:
            x = g.op("Trilu", x, g.scalar(above, like=INT64), upper=0)
        if below >= 0:
            x = g.op("Trilu", x, g.scalar(-below, like=INT64), upper=1)
        return x
    rank = g.rank(x)
    rows, columns = counted(g, g.size(x, rank - 2)), counted(g, g.size(x, rank - 1))
    distance = g.op("Sub", g.unsqueeze(rows, [1]), g.unsqueeze(columns, [0]))
    inside = g.op(
        "And",
        _within(g, distance, g.int64(lower), below),
        _within(g, g.op("Neg", distance), g.int64(upper), above),
    )
    return g.select(inside, x, g.scalar(0, like=x)).with_(dims=x.dims)


def _within(g: Builder, distance: Value, limit: Value, number: int | None) -> Value:
    near = g.op("LessOrEqual", distance, limit)
    if number is not None and number >= 0:
        return near
    return g.op("Or", near, g.op("Less", limit, g.scalar(0, like=limit)))


@LOWERINGS.op("MatrixDiag", "BatchMatrixDiag")
def matrix_diag(node: OpNode, g: Builder, x: Value) -> Value:
    """[..., n] on the diagonal of [..., n, n]."""
    places = counted(g, g.size(x, g.rank(x) - 1))
    diagonal = g.op("Equal", g.unsqueeze(places, [1]), g.unsqueeze(places, [0]))
    return g.select(diagonal, g.unsqueeze(x, [-1]), g.scalar(0, like=x)).with_(dims=g.results[0].dims)


@LOWERINGS.op("MatrixDiagPart", "BatchMatrixDiagPart")
def matrix_diag_part(node: OpNode, g: Builder, x: Value) -> Value:
    """The diagonal of [..., m, n]."""
    rank = g.rank(x)
    rows, columns = g.size(x, rank - 2), g.size(x, rank - 1)
    if isinstance(rows, int) and isinstance(columns, int):
        count: Part = min(rows, columns)
    else:
        count = g.op("Min", g.vector([rows]), g.vector([columns]))
    places = g.op("Mul", counted(g, count), g.op("Add", g.vector([columns]), g.ints([1])))
    ahead = [g.size(x, axis) for axis in range(rank - 2)]
    flat = g.reshape(x, [*ahead, g.times(rows, columns)])
    return g.gather(flat, places, rank - 2).with_(dims=g.results[0].dims)


@LOWERINGS.op("Cross")
def cross(node: OpNode, g: Builder, a: Value, b: Value) -> Value:
    """The vector product of [..., 3]."""
    turned = [[g.gather(x, g.ints(order), -1) for order in ([1, 2, 0], [2, 0, 1])] for x in (a, b)]
    (a_next, a_last), (b_next, b_last) = turned
    return g.op("Sub", g.op("Mul", a_next, b_last), g.op("Mul", a_last, b_next)).with_(dims=a.dims)


@LOWERINGS.op("MatrixDeterminant", "BatchMatrixDeterminant")
def matrix_determinant(node: OpNode, g: Builder, x: Value) -> Value:
    """[..., n, n] -> [...]."""
    return g.op("Det", x, dims=g.results[0].dims)
