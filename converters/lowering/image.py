"""Pictures: patches, colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorferry.formats.dtype import INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder, Part
from .conv import same_pads
from .linear import counted

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("ExtractImagePatches", attrs={"ksizes", "strides", "rates", "padding"})
def extract_image_patches(node: OpNode, g: Builder, x: Value) -> Value:
    """x [N, H, W, C] -> [N, rows, columns, height * width * C]: rows gathered by window, then columns."""
    x = g.ranked(x, 4)
    ksizes, strides, rates = (node.integers(key)[1:3] for key in ("ksizes", "strides", "rates"))
    if min((*ksizes, *strides, *rates)) < 1:
        raise UnsupportedError(
            "", f"expected windows, strides and rates of 1 and more, got {ksizes}, {strides}, {rates}"
        )
    padding = node.text("padding")
    rank4: list[Part] = [0, 0, 0, 0]
    before, after = list(rank4), list(rank4)
    counts: list[Part] = []
    for at, axis in enumerate((1, 2)):
        size = g.size(x, axis)
        reach = (ksizes[at] - 1) * rates[at] + 1
        if padding == "VALID":
            counts.append(g.floor_div(g.plus(size, strides[at] - reach), strides[at]))
            continue
        before[axis], after[axis] = same_pads(g, size, ksizes[at], strides[at], rates[at])
        counts.append(g.ceil_div(size, strides[at]))
    if any(part != 0 for part in (*before, *after)):
        x = g.pad(x, before, after)
    rows, columns = (_windows(g, counts[at], ksizes[at], strides[at], rates[at]) for at in (0, 1))
    found = g.gather(g.gather(x, rows, 1), columns, 3)
    found = g.transpose(found, [0, 1, 3, 2, 4, 5])
    channels = g.times(g.size(x, 3), ksizes[0] * ksizes[1])
    return g.reshape(found, [g.size(x, 0), counts[0], counts[1], channels])


def _windows(g: Builder, count: Part, size: int, stride: int, rate: int) -> Value:
    """[count, size]: the places that each window covers."""
    offsets = np.arange(size, dtype=np.int64) * rate
    if isinstance(count, int):
        return g.constant_of(np.arange(count, dtype=np.int64)[:, None] * stride + offsets)
    starts = g.op("Mul", g.unsqueeze(counted(g, count), [1]), g.scalar(stride, like=INT64))
    return g.op("Add", starts, g.constant_of(offsets))


@LOWERINGS.op("AdjustContrastv2")
def adjust_contrast(node: OpNode, g: Builder, x: Value, factor: Value) -> Value:
    """(x - mean) * factor + mean, the mean over height and width."""
    number = g.cast(factor, x.dtype)
    mean = g.reduce("ReduceMean", x, [-3, -2], keep=True)
    return g.op("Add", g.op("Mul", g.op("Sub", x, mean), number), mean)


@LOWERINGS.op("RGBToHSV")
def rgb_to_hsv(node: OpNode, g: Builder, x: Value) -> Value:
    """Hue, saturation and value from 0 to 1."""
    return g.concat(_hsv(g, x), -1).with_(dims=x.dims)


def _hsv(g: Builder, x: Value) -> list[Value]:
    red, green, blue = (g.slice(x, [at], [at + 1], [-1]) for at in range(3))
    value = g.reduce("ReduceMax", x, [-1], keep=True)
    spread = g.op("Sub", value, g.reduce("ReduceMin", x, [-1], keep=True))
    zero, one = g.scalar(0, like=x), g.scalar(1, like=x)
    grey = g.op("LessOrEqual", spread, zero)
    saturation = g.select(g.op("Greater", value, zero), g.op("Div", spread, value), zero)
    unit = g.op("Div", g.scalar(1 / 6, like=x), g.select(grey, one, spread))

    def hue(a: Value, b: Value, turn: float) -> Value:
        return g.op("Add", g.op("Mul", unit, g.op("Sub", a, b)), g.scalar(turn, like=x))

    is_red, is_green = g.op("Equal", red, value), g.op("Equal", green, value)
    by_green = g.select(is_green, hue(blue, red, 2 / 6), hue(red, green, 4 / 6))
    angle = g.select(is_red, hue(green, blue, 0), by_green)
    angle = g.select(g.op("Less", angle, zero), g.op("Add", angle, one), angle)
    return [g.select(grey, zero, angle), saturation, value]


@LOWERINGS.op("HSVToRGB")
def hsv_to_rgb(node: OpNode, g: Builder, x: Value) -> Value:
    """The way back."""
    parts = [g.slice(x, [at], [at + 1], [-1]) for at in range(3)]
    return _rgb(g, *parts).with_(dims=x.dims)


def _rgb(g: Builder, hue: Value, saturation: Value, value: Value) -> Value:
    """value * (1 + saturation * (clip(|6 hue - a| * b + c) - 1)) with a, b, c of its own for red, green and blue."""
    six = g.op("Mul", hue, g.scalar(6, like=hue))
    centre, slope, offset = (
        g.constant_of(np.array(row).astype(hue.dtype.numpy()), hue.dtype)
        for row in ([3, 2, 4], [1, -1, -1], [-1, 2, 2])
    )
    distance = g.op("Abs", g.op("Sub", six, centre))
    pure = g.op("Clip", g.op("Add", g.op("Mul", distance, slope), offset), g.scalar(0, like=hue), g.scalar(1, like=hue))
    one = g.scalar(1, like=hue)
    mixed = g.op("Add", one, g.op("Mul", saturation, g.op("Sub", pure, one)))
    return g.op("Mul", value, mixed)


@LOWERINGS.op("AdjustSaturation")
def adjust_saturation(node: OpNode, g: Builder, x: Value, scale: Value) -> Value:
    """The saturation times a factor, within 0 and 1."""
    hue, saturation, value = _hsv(g, x)
    scaled = g.op("Mul", saturation, g.cast(scale, x.dtype))
    scaled = g.op("Clip", scaled, g.scalar(0, like=x), g.scalar(1, like=x))
    return _rgb(g, hue, scaled, value).with_(dims=x.dims)


@LOWERINGS.op("AdjustHue")
def adjust_hue(node: OpNode, g: Builder, x: Value, delta: Value) -> Value:
    """The hue turned by a part of the circle."""
    hue, saturation, value = _hsv(g, x)
    turned = g.op("Add", hue, g.cast(delta, x.dtype))
    return _rgb(g, g.op("Sub", turned, g.op("Floor", turned)), saturation, value).with_(dims=x.dims)
