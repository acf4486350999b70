"""Simulated quantization: numbers rounded to those that a few bits can tell, still as floats."""

from __future__ import annotations

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, front_axis, widened

KERNELS: OpTable[Kernel] = OpTable("kernel")

FAKE_ATTRS = {"num_bits", "narrow_range"}


@KERNELS.op("FakeQuantWithMinMaxArgs", attrs=FAKE_ATTRS | {"min", "max"})
def fake_quant_with_min_max_args(node: OpNode, x: Array) -> Array:
    """x on a grid from `min` to `max`."""
    return _on_grid(node, x, np.array(node.real("min"), np.float32), np.array(node.real("max"), np.float32))


@KERNELS.op("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel", attrs=FAKE_ATTRS)
def fake_quant_with_min_max_vars(node: OpNode, x: Array, low: Array, high: Array) -> Array:
    """x on a grid from `low` to `high`, both scalars or (per channel) [C] for x [..., C]."""
    return _on_grid(node, x, low, high)


def _bits(node: OpNode) -> int:
    bits = node.integer("num_bits")
    if not 2 <= bits <= 63:
        raise GraphError(node.name, f"expected 2 to 63 bits, got {bits}")
    return bits


def _on_grid(node: OpNode, x: Array, low: Array, high: Array) -> Array:
    """The grid is moved so that 0 lies on it."""
    first = np.float32(1 if node.flag("narrow_range") else 0)
    last = np.float32((1 << _bits(node)) - 1)
    step = (high - low) / (last - first)
    zero = np.clip(np.floor(first - low / step + np.float32(0.5)), first, last)
    start, end = (first - zero) * step, (last - zero) * step
    value = np.floor((np.clip(x, start, end) - start) * (1 / step) + np.float32(0.5)) * step + start
    # A range of nothing holds only 0.
    return np.where((low == 0) & (high == 0), np.float32(0), value).astype(np.float32)


@KERNELS.op(
    "QuantizeAndDequantizeV2", attrs={"signed_input", "num_bits", "range_given", "round_mode", "narrow_range", "axis"}
)
def quantize_and_dequantize_v2(node: OpNode, x: Array, low: Array, high: Array) -> Array:
    """x rounded to multiples of a step that maps the range given, or x's own, to `num_bits` bits.

    With an axis, each slice along it has a range of its own.
    """
    wide = widened(x)
    axis = node.integer("axis")
    rest = tuple(d for d in range(x.ndim) if axis == -1 or d != front_axis(node, axis, x.ndim))
    if node.flag("range_given"):
        low, high = widened(low.reshape(())), widened(high.reshape(()))
    else:
        low, high = wide.min(axis=rest, keepdims=True), wide.max(axis=rest, keepdims=True)
    signed, bits = node.flag("signed_input"), _bits(node)
    least = (-(1 << (bits - 1)) + node.flag("narrow_range")) if signed else int(node.flag("narrow_range"))
    most = (1 << (bits - 1 if signed else bits)) - 1
    huge = np.finfo(wide.dtype).max
    by_low = np.where(least * low > 0, least / low, huge)
    by_high = np.where(most * high > 0, most / high, huge)
    scale = np.minimum(by_low, by_high).astype(wide.dtype)
    kept = np.clip(wide, least / scale, most / scale) if node.flag("range_given") else wide
    scaled = kept * scale
    rounded = np.floor(scaled + wide.dtype.type(0.5)) if node.text("round_mode") == "HALF_UP" else np.rint(scaled)
    return (rounded / scale).astype(x.dtype)
