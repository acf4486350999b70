"""Complex values in ops that ONNX knows for real ones only.

What treats an element as a whole, or adds elements up, does so with real and imaginary parts apart: the op's own
lowering runs twice. Products have formulas of their own here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorferry.formats.dtype import COMPLEX, COMPLEX64, FLOAT32, FLOAT64, DType

from ..inference.values import Value
from ..ir import Node
from ..ops import OpNode, OpTable
from .array import filled
from .builder import Builder

Lowering = Callable[..., Any]
Parts = tuple[Value, Value]

PRODUCTS: OpTable[Lowering] = OpTable("lowering")

_BY_PARTS = """
    Add AddN AddV2 BroadcastTo Concat ConcatV2 Cumsum ExpandDims Fill Gather GatherNd GatherV2 Mean Neg Pack Pad Reshape
    ReverseSequence ReverseV2 Roll ScatterNd Select SelectV2 Slice Split SplitV Squeeze StridedSlice Sub Sum
    TensorScatterAdd TensorScatterUpdate Tile Transpose Unpack ZerosLike
"""
BY_PARTS = frozenset(_BY_PARTS.split())
"""The ops that do to a sum what they do to its terms."""


def lowering_for(node: Node, values: Sequence[Value], table: OpTable[Lowering]) -> Lowering:
    """The lowering of a node with these operands and results: that of `table`, or what to do if some are complex."""
    if not any(value.dtype.kind == COMPLEX for value in values):
        return table.find(node)
    if node.op in PRODUCTS:
        return PRODUCTS.find(node)
    return by_parts(table.find(node)) if node.op in BY_PARTS else table.find(node)


def real_type(dtype: DType) -> DType:
    """The type of a complex number's parts."""
    return FLOAT32 if dtype == COMPLEX64 else FLOAT64


def part(g: Builder, x: Value, index: int) -> Value:
    """The real (0) or imaginary (1) parts of a complex value."""
    pair = g.pair(x)
    return g.squeeze(g.slice(pair, [index], [index + 1], [-1]), [-1]).with_(dims=x.dims)


def parts(g: Builder, x: Value) -> Parts:
    """Both; of a real value, zeros are the imaginary ones."""
    if x.dtype.kind != COMPLEX:
        return x, filled(g, 0, x, g.shape(x), x.dims)
    return part(g, x, 0), part(g, x, 1)


def joined(g: Builder, real: Value, imaginary: Value, dtype: DType) -> Value:
    """The complex value of two parts of one shape."""
    dims = real.dims and (*real.dims, 2)
    pair = g.op("Concat", g.unsqueeze(real, [-1]), g.unsqueeze(imaginary, [-1]), axis=-1, dims=dims)
    return g.complex(pair, dtype)


def by_parts(handler: Lowering) -> Lowering:
    """A lowering of real values for complex ones."""

    def lowering(node: OpNode, g: Builder, *inputs: Value) -> Any:
        results = g.results
        g.results = tuple(value.with_(dtype=real_type(value.dtype)) for value in results)
        halves = [
            handler(node, g, *(part(g, x, index) if x.dtype.kind == COMPLEX else x for x in inputs)) for index in (0, 1)
        ]
        g.results = results
        if not isinstance(halves[0], (list, tuple)):
            return joined(g, halves[0], halves[1], results[0].dtype)
        return [joined(g, re, im, value.dtype) for re, im, value in zip(*halves, results, strict=True)]

    return lowering


def _product(g: Builder, op: str, x: Parts, y: Parts) -> Parts:
    """(a + bi) (c + di) = ac - bd + (ad + bc) i, by an op that multiplies."""
    (a, b), (c, d) = x, y
    return g.op("Sub", g.op(op, a, c), g.op(op, b, d)), g.op("Add", g.op(op, a, d), g.op(op, b, c))


@PRODUCTS.op("Mul")
def mul(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """x * y."""
    return joined(g, *_product(g, "Mul", parts(g, x), parts(g, y)), g.results[0].dtype)


@PRODUCTS.op("Square")
def square(node: OpNode, g: Builder, x: Value) -> Value:
    """x * x."""
    both = parts(g, x)
    return joined(g, *_product(g, "Mul", both, both), x.dtype)


def _quotient(g: Builder, x: Parts, y: Parts) -> Parts:
    """x times y's conjugate, over y's square."""
    c, d = y
    above = _product(g, "Mul", x, (c, g.op("Neg", d)))
    below = g.op("Add", g.op("Mul", c, c), g.op("Mul", d, d))
    return g.op("Div", above[0], below), g.op("Div", above[1], below)


@PRODUCTS.op("RealDiv", "Div")
def div(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """x / y."""
    return joined(g, *_quotient(g, parts(g, x), parts(g, y)), g.results[0].dtype)


@PRODUCTS.op("Reciprocal", "Inv")
def reciprocal(node: OpNode, g: Builder, x: Value) -> Value:
    """1 / x."""
    one = g.scalar(1, like=real_type(x.dtype))
    return joined(g, *_quotient(g, (one, g.scalar(0, like=one)), parts(g, x)), x.dtype)


@PRODUCTS.op("Exp")
def exp(node: OpNode, g: Builder, x: Value) -> Value:
    """exp(a) (cos b + i sin b)."""
    a, b = parts(g, x)
    size = g.op("Exp", a)
    return joined(g, g.op("Mul", size, g.op("Cos", b)), g.op("Mul", size, g.op("Sin", b)), x.dtype)


@PRODUCTS.op("MatMul", attrs={"transpose_a", "transpose_b"})
def mat_mul(node: OpNode, g: Builder, a: Value, b: Value) -> Value:
    """[m, k] times [k, n]."""
    left, right = ((g.transpose(x, [1, 0]), g.transpose(y, [1, 0])) if turned else (x, y) for (x, y), turned in (
        (parts(g, a), node.flag("transpose_a")), (parts(g, b), node.flag("transpose_b")),
    ))  # fmt: skip
    real, imaginary = _product(g, "MatMul", left, right)
    dims = g.results[0].dims
    return joined(g, real.with_(dims=dims), imaginary.with_(dims=dims), g.results[0].dtype)


@PRODUCTS.op("Cast", attrs={"Truncate"})
def cast(node: OpNode, g: Builder, x: Value) -> Value:
    """To a real type the imaginary part goes, from one it is 0."""
    target = node.dtype("DstT")
    real, imaginary = parts(g, x)
    if target.kind != COMPLEX:
        return g.cast(real, target)
    wanted = real_type(target)
    return joined(g, g.cast(real, wanted), g.cast(imaginary, wanted), target)
