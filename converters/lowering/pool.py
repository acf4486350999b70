"""Pooling: the largest or the mean element of each window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorferry.formats.dtype import INT64

from ..inference.values import Value
from ..ir import AttrList
from ..ops import OpNode, OpTable
from .array import filled
from .builder import Builder
from .conv import Window, first_dims, same_pads
from .layout import channels_first, channels_last
from .linear import counted

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")

_POOL = {"ksize", "strides", "padding", "explicit_paddings", "data_format"}


@LOWERINGS.op("MaxPool", "AvgPool", "MaxPool3D", "AvgPool3D", attrs=_POOL)
def pool(node: OpNode, g: Builder, x: Value) -> Value:
    """The largest or the mean element of each window; padding doesn't count."""
    return _pooled(node, g, x, "MaxPool" if node.op.startswith("Max") else "AveragePool", node.integers("ksize"))


@LOWERINGS.op("MaxPoolV2", attrs={"padding", "data_format"})
def max_pool_v2(node: OpNode, g: Builder, x: Value, ksize: Value, strides: Value) -> Value:
    """MaxPool with its window as inputs."""
    sizes, steps = (AttrList("int", g.numbers(value, "window")) for value in (ksize, strides))
    plain = OpNode(node.node.with_(op="MaxPool", attrs={**node.node.attrs, "ksize": sizes, "strides": steps}))
    return _pooled(plain, g, x, "MaxPool", plain.integers("ksize"))


def _pooled(node: OpNode, g: Builder, x: Value, op: str, ksize: Sequence[int]) -> Value:
    layout = node.text("data_format")
    window = Window(node, layout)
    window.require(layout, ksize, "a window")
    kernel = [ksize[axis] for axis in window.axes]
    sizes = [x.dims[axis] if x.dims is not None else None for axis in window.axes]
    pads = window.pads(sizes, kernel)
    first = channels_first(g, x, layout)
    dims = first_dims(g.results[0].dims, layout)
    if "auto_pad" in pads and any(width < stride for width, stride in zip(kernel, window.strides, strict=True)):
        y = _pooled_apart(g, g.ranked(first, len(layout)), op, window, kernel).with_(dims=dims)
    else:
        y = g.op(op, first, dims=dims, kernel_shape=kernel, strides=window.strides, **pads)
    return channels_last(g, y, layout)


def _pooled_apart(g: Builder, x: Value, op: str, window: Window, kernel: Sequence[int]) -> Value:
    """SAME where windows leave gaps: onnxruntime's auto_pad would be less than nothing, so x [N, C, ...] is padded.

    What was put there is no maximum, and counts for nothing in a mean.
    """
    around = [same_pads(g, g.size(x, 2 + at), width, window.strides[at], 1) for at, width in enumerate(kernel)]
    before, after = ([0, 0, *(pads[side] for pads in around)] for side in (0, 1))
    attrs: dict[str, Any] = {"kernel_shape": list(kernel), "strides": window.strides}
    if op == "MaxPool":
        kind = x.dtype.numpy()
        lowest = np.finfo(kind).min if x.dtype.is_floating else np.iinfo(kind).min
        return g.op(op, g.pad(x, before, after, g.scalar(lowest, like=x)), **attrs)
    ones = filled(g, 1, x, g.shape(x), x.dims)
    means = [g.op(op, g.pad(value, before, after), **attrs) for value in (x, ones)]
    return g.op("Div", *means)


@LOWERINGS.op("MaxPoolWithArgmax", attrs={"ksize", "strides", "padding", "include_batch_in_index"})
def max_pool_with_argmax(node: OpNode, g: Builder, x: Value) -> tuple[Value, Value]:
    """The maxima, and where they are: (row * width + column) * channels + channel, and the batch on top if asked for.

    ONNX counts in its own layout: ((batch * channels + channel) * height + row) * width + column.
    """
    window = Window(node, "NHWC")
    x = g.ranked(x, 4)
    window.require("NHWC", node.integers("ksize"), "a window")
    kernel = [node.integers("ksize")[axis] for axis in window.axes]
    sizes = [x.dims[axis] if x.dims is not None else None for axis in window.axes]
    dims = first_dims(g.results[0].dims, "NHWC")
    y, index = g.ops(
        "MaxPool", channels_first(g, x, "NHWC"), outputs=2, dtypes=[x.dtype, INT64], dims=[dims, dims],
        kernel_shape=kernel, strides=window.strides, **window.pads(sizes, kernel),
    )  # fmt: skip
    batch, height, width, channels = g.sizes_of(x)
    area = g.times(height, width)
    place = g.op("Mod", channels_last(g, index, "NHWC"), g.vector([area]))
    flat = g.op("Add", g.op("Mul", place, g.vector([channels])), counted(g, channels))
    if node.flag("include_batch_in_index"):
        each = g.op("Mul", counted(g, batch), g.vector([g.times(area, channels)]))
        flat = g.op("Add", flat, g.reshape(each, [-1, 1, 1, 1], (None, 1, 1, 1)))
    return channels_last(g, y, "NHWC"), g.cast(flat, node.dtype("Targmax"))
