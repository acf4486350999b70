"""Comparisons, choices and bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorferry.formats.dtype import BOOL, DTYPES, STRING_TYPE, DType
from tensorferry.formats.errors import UnsupportedError

from ..inference.elementwise import never_broadcast
from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder
from .text import numbered

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("Equal", attrs={"incompatible_shape_error"})
def equal(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """x == y. Shapes that can't broadcast are an error, or mean that all is unequal."""
    if _never_broadcast(node, x, y):
        return g.scalar(False, like=BOOL)
    return _equal(g, x, y)


def _equal(g: Builder, x: Value, y: Value) -> Value:
    """Before opset 19 ONNX compares no strings, but it can number them."""
    if x.dtype == STRING_TYPE and g.opset < 19:
        _, (x, y) = numbered(g, x, y)
    return g.op("Equal", x, y)


@LOWERINGS.op("NotEqual", attrs={"incompatible_shape_error"})
def not_equal(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """x != y."""
    if _never_broadcast(node, x, y):
        return g.scalar(True, like=BOOL)
    if x.dtype == BOOL:
        return g.op("Xor", x, y)
    return g.op("Not", _equal(g, x, y))


def _never_broadcast(node: OpNode, x: Value, y: Value) -> bool:
    return not node.flag("incompatible_shape_error") and never_broadcast(x.dims, y.dims)


@LOWERINGS.op("ApproximateEqual", attrs={"tolerance"})
def approximate_equal(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """|x - y| < tolerance."""
    return g.op("Less", g.op("Abs", g.op("Sub", x, y)), g.scalar(node.real("tolerance"), like=x))


@LOWERINGS.op("SelectV2")
def select_v2(node: OpNode, g: Builder, condition: Value, x: Value, y: Value) -> Value:
    """x where the condition holds, else y; all broadcast."""
    return g.select(condition, x, y)


@LOWERINGS.op("Select")
def select(node: OpNode, g: Builder, condition: Value, x: Value, y: Value) -> Value:
    """The same without broadcasting, but a condition vector chooses whole rows."""
    if condition.rank == 1 and x.rank != 1 and y.rank != 1:
        rank = g.rank(x if x.dims is not None else y, "choice")
        condition = g.unsqueeze(condition, range(1, rank))
    elif condition.dims is None and not (x.dims is not None and len(x.dims) <= 1):
        raise UnsupportedError("", "expected a condition of known rank", hint="give the inputs' shapes")
    return g.select(condition, x, y)


def _unsigned(dtype: DType) -> DType:
    return DTYPES[f"uint{dtype.bits}"]


@LOWERINGS.op("LeftShift")
def left_shift(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """x * 2 ** y; ONNX shifts unsigned integers only, whose bits come out the same."""
    kind = _unsigned(x.dtype)
    shifted = g.op("BitShift", g.cast(x, kind), g.cast(_places(g, y), kind), direction="LEFT")
    return g.cast(shifted, x.dtype)


def _places(g: Builder, y: Value) -> Value:
    """How far to shift: TensorFlow stays within the width of the type."""
    if y.integer() is not None and 0 <= (y.integer() or 0) < y.dtype.bits:
        return y
    return g.op("Clip", y, g.scalar(0, like=y), g.scalar(y.dtype.bits - 1, like=y))


@LOWERINGS.op("RightShift")
def right_shift(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """x / 2 ** y rounded down: of a negative x the complement is shifted, and complemented again."""
    if x.dtype.kind == "unsigned":
        return g.op("BitShift", x, _places(g, y), direction="RIGHT")
    kind = _unsigned(x.dtype)
    below = g.op("Less", x, g.scalar(0, like=x))
    minus_one = g.scalar(-1, like=x)
    complement = g.select(below, g.op("Sub", minus_one, x), x)
    shifted = g.cast(
        g.op("BitShift", g.cast(complement, kind), g.cast(_places(g, y), kind), direction="RIGHT"), x.dtype
    )
    return g.select(below, g.op("Sub", minus_one, shifted), shifted)
