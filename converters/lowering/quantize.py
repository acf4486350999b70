"""Quantisation that is only played: values rounded to a grid and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("FakeQuantWithMinMaxArgs", attrs={"min", "max", "num_bits", "narrow_range"})
def fake_quant_args(node: OpNode, g: Builder, x: Value) -> Value:
    """With the range in attributes."""
    bounds = [g.scalar(node.real(key), like=x) for key in ("min", "max")]
    return _fake_quant(node, g, x, *bounds)


@LOWERINGS.op("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel", attrs={"num_bits", "narrow_range"})
def fake_quant_vars(node: OpNode, g: Builder, x: Value, low: Value, high: Value) -> Value:
    """With the range as inputs, one or one a channel."""
    return _fake_quant(node, g, x, low, high)


def _width(bits: int) -> int:
    """A number of bits that float32 can count with."""
    if not 1 <= bits <= 32:
        raise UnsupportedError("", f"expected 1 to 32 bits, got {bits}")
    return bits


def _fake_quant(node: OpNode, g: Builder, x: Value, low: Value, high: Value) -> Value:
    """The range moved so that 0 is on the grid, then floor((clip(x) - low) / scale + 1/2) * scale + low."""
    first = 1 if node.flag("narrow_range") else 0
    last = (1 << _width(node.integer("num_bits"))) - 1
    a, b = low.array(), high.array()
    if a is not None and b is not None:
        moved = (g.constant_of(array, x.dtype) for array in _nudged(a, b, first, last))
        start, end, scale = moved
    else:
        start, end, scale = _nudged_by_graph(g, low, high, first, last)
    clipped = g.op("Min", g.op("Max", x, start), end)
    steps = g.op("Div", g.op("Sub", clipped, start), scale)
    rounded = g.op("Floor", g.op("Add", steps, g.scalar(0.5, like=x)))
    return g.op("Add", g.op("Mul", rounded, scale), start)


def _nudged(low: Any, high: Any, first: int, last: int) -> tuple[Any, Any, Any]:
    """Start, end and step of the grid."""
    one = np.float32
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = (high - low) / one(last - first)
        zero = one(first) - low / scale
        inside = np.floor(zero + one(0.5))
        nudged = np.where(zero < first, one(first), np.where(zero > last, one(last), inside))
        start, end = (one(first) - nudged) * scale, (one(last) - nudged) * scale
    empty = (low == 0) & (high == 0)
    made = (np.where(empty, one(0), start), np.where(empty, one(0), end), np.where(empty, one(1), scale))
    return tuple(np.asarray(array, np.float32) for array in made)  # type: ignore[return-value]


def _nudged_by_graph(g: Builder, low: Value, high: Value, first: int, last: int) -> tuple[Value, Value, Value]:
    bottom, top = g.scalar(first, like=low), g.scalar(last, like=low)
    scale = g.op("Div", g.op("Sub", high, low), g.scalar(last - first, like=low))
    zero = g.op("Sub", bottom, g.op("Div", low, scale))
    nudged = g.op("Floor", g.op("Add", g.op("Min", g.op("Max", zero, bottom), top), g.scalar(0.5, like=low)))
    return g.op("Mul", g.op("Sub", bottom, nudged), scale), g.op("Mul", g.op("Sub", top, nudged), scale), scale


_ATTRS = {"signed_input", "num_bits", "range_given", "round_mode", "narrow_range", "axis"}


@LOWERINGS.op("QuantizeAndDequantizeV2", "QuantizeAndDequantizeV4", attrs=_ATTRS)
def quantize_and_dequantize_v2(node: OpNode, g: Builder, x: Value, low: Value, high: Value) -> Value:
    """round(clip(x) * scale) / scale with the largest scale that keeps the range within the integers."""
    return _round_trip(node, g, x, low, high, node.integer("num_bits"), node.text("round_mode"))


@LOWERINGS.op("QuantizeAndDequantizeV3", attrs=_ATTRS - {"num_bits", "round_mode"})
def quantize_and_dequantize_v3(node: OpNode, g: Builder, x: Value, low: Value, high: Value, bits: Value) -> Value:
    """The same with the number of bits as an input."""
    return _round_trip(node, g, x, low, high, g.numbers(bits, "bits")[0], "HALF_TO_EVEN")


def _round_trip(node: OpNode, g: Builder, x: Value, low: Value, high: Value, bits: int, round_mode: str) -> Value:
    signed, axis = node.flag("signed_input"), node.integer("axis")
    _width(bits)
    least = -(1 << (bits - 1)) + node.flag("narrow_range") if signed else 0
    largest = (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1
    if not node.flag("range_given"):
        rank = g.rank(x) if axis != -1 else 0
        axes = [place for place in range(rank) if place != axis] if axis != -1 else None
        low, high = (g.reduce(op, x, axes, keep=axis != -1) for op in ("ReduceMin", "ReduceMax"))
    elif axis != -1:
        behind = range(1, g.rank(x) - axis)
        low, high = g.unsqueeze(low, behind), g.unsqueeze(high, behind)
    bottom, top = g.scalar(least, like=x), g.scalar(largest, like=x)
    by_low, by_high = _scale(g, bottom, low, least), _scale(g, top, high, largest)
    scale = g.op("Min", by_low, by_high)
    inverse = g.op("Div", g.scalar(1, like=x), scale)
    if node.flag("range_given"):
        x = g.op("Min", g.op("Max", x, g.op("Mul", bottom, inverse)), g.op("Mul", top, inverse))
    steps = g.op("Mul", x, scale)
    if round_mode == "HALF_TO_EVEN":
        rounded = g.op("Round", steps)
    elif round_mode == "HALF_UP":
        rounded = g.op("Floor", g.op("Add", steps, g.scalar(0.5, like=x)))
    else:
        raise UnsupportedError("", f"expected the round mode HALF_TO_EVEN or HALF_UP, got {round_mode}")
    return g.op("Mul", rounded, inverse)


def _scale(g: Builder, bound: Value, given: Value, number: int) -> Value:
    """bound / given where both have one sign, else as large as can be."""
    huge = g.scalar(np.finfo(np.float32).max, like=given)
    if number == 0:
        return huge
    agrees = g.op("Greater", g.op("Mul", bound, given), g.scalar(0, like=given))
    return g.select(agrees, g.op("Div", bound, given), huge)
