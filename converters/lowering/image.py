"""Pictures: resizing, crops, patches, colours, boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorferry.formats.dtype import FLOAT32, INT32, INT64
from tensorferry.formats.errors import UnsupportedError

from ..ops import OpNode, OpTable
from ..values import Value
from .builder import Builder, Part
from .conv import same_padding
from .layout import channels_first, channels_last
from .linear import counted

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")

_RESIZE = {"align_corners", "half_pixel_centers"}


def _coordinates(node: OpNode) -> str:
    """ONNX's name for where the centres of the new pixels lie."""
    if node.flag("align_corners"):
        return "align_corners"
    return "half_pixel" if node.flag("half_pixel_centers") else "asymmetric"


def _resized(g: Builder, x: Value, size: Value, **attrs: object) -> Value:
    """x [N, H, W, C] to a new height and width."""
    first = channels_first(g, x, "NHWC")
    # Not by the attribute `axes` of opset 18: onnxruntime loses it where it moves transposes.
    sizes = [g.size(x, 0), g.size(x, 3), *g.parts(size)]
    dims = g.results[0].dims
    dims = None if dims is None else (dims[0], dims[3], dims[1], dims[2])
    y = g.op("Resize", first, None, None, g.vector(sizes), dims=dims, **attrs)
    return channels_last(g, y, "NHWC")


@LOWERINGS.op("ResizeBilinear", attrs=_RESIZE)
def resize_bilinear(node: OpNode, g: Builder, x: Value, size: Value) -> Value:
    """Linear between the four pixels around; always in float32."""
    mode = _coordinates(node)
    return _resized(g, g.cast(x, FLOAT32), size, mode="linear", coordinate_transformation_mode=mode)


@LOWERINGS.op("ResizeNearestNeighbor", attrs=_RESIZE)
def resize_nearest_neighbor(node: OpNode, g: Builder, x: Value, size: Value) -> Value:
    """The pixel whose place is next, or just before without any alignment."""
    mode = _coordinates(node)
    rounding = "floor" if mode == "asymmetric" else "round_prefer_ceil"
    return _resized(g, x, size, mode="nearest", coordinate_transformation_mode=mode, nearest_mode=rounding)


@LOWERINGS.op("ResizeBicubic", attrs=_RESIZE)
def resize_bicubic(node: OpNode, g: Builder, x: Value, size: Value) -> Value:
    """Cubic between sixteen pixels. TensorFlow takes its weights from a table of 1024 steps, ONNX computes them."""
    mode = _coordinates(node)
    keys = mode == "half_pixel"
    return _resized(
        g, g.cast(x, FLOAT32), size, mode="cubic", coordinate_transformation_mode=mode,
        cubic_coeff_a=-0.5 if keys else -0.75, exclude_outside=keys,
    )  # fmt: skip


@LOWERINGS.op("CropAndResize", attrs={"method", "extrapolation_value"})
def crop_and_resize(node: OpNode, g: Builder, x: Value, boxes: Value, indices: Value, size: Value) -> Value:
    """x [N, H, W, C], boxes [n, 4] (y1, x1, y2, x2 from 0 to 1), indices [n], size [2] -> [n, height, width, C].

    The places of the crop's rows and columns in the picture are computed, and the pixels around them gathered.
    """
    method = node.text("method")
    if method not in ("bilinear", "nearest"):
        raise UnsupportedError("", f"expected the method bilinear or nearest, got {method}")
    picture = g.cast(x, FLOAT32)
    height, width = g.parts(size)
    rows = _places(g, boxes, 0, g.size(x, 1), height)
    columns = _places(g, boxes, 1, g.size(x, 2), width)
    batch = g.reshape(g.cast(indices, INT64), [-1, 1, 1], (None, 1, 1))
    limits = [_last(g, g.size(x, axis)) for axis in (1, 2)]
    inside = g.op("And", g.unsqueeze(_within(g, rows, limits[0]), [2]), g.unsqueeze(_within(g, columns, limits[1]), [1]))

    def pixels(row: Value, column: Value) -> Value:
        return _gathered(g, picture, batch, row, column, limits)

    if method == "nearest":
        crop = pixels(g.op("Round", rows), g.op("Round", columns))
    else:
        top, left = g.op("Floor", rows), g.op("Floor", columns)
        bottom, right = g.op("Ceil", rows), g.op("Ceil", columns)
        down = g.unsqueeze(g.op("Sub", rows, top), [2, 3])
        across = g.unsqueeze(g.op("Sub", columns, left), [1, 3])
        above = _between(g, pixels(top, left), pixels(top, right), across)
        below = _between(g, pixels(bottom, left), pixels(bottom, right), across)
        crop = _between(g, above, below, down)
    outside = g.scalar(node.real("extrapolation_value"), like=FLOAT32)
    return g.select(g.unsqueeze(inside, [3]), crop, outside).with_(dims=g.results[0].dims)


def _places(g: Builder, boxes: Value, side: int, size: Part, count: Part) -> Value:
    """[n, count]: start + i * (end - start) / (count - 1) of the picture's size less one; its middle if count is 1."""
    start, end = (g.slice(boxes, [at], [at + 1], [1]) for at in (side, side + 2))
    last = _last(g, size)
    half = g.scalar(0.5, like=FLOAT32)
    middle = g.op("Mul", g.op("Mul", g.op("Add", start, end), half), last)
    if count == 1:
        return middle
    steps = g.cast(g.vector([g.minus(count, 1)]), FLOAT32)
    if not isinstance(count, int):
        steps = g.op("Max", steps, g.scalar(1, like=FLOAT32))
    step = g.op("Div", g.op("Mul", g.op("Sub", end, start), last), steps)
    numbers = g.cast(g.unsqueeze(counted(g, count), [0]), FLOAT32)
    many = g.op("Add", g.op("Mul", start, last), g.op("Mul", numbers, step))
    if isinstance(count, int):
        return many
    return g.select(g.op("Equal", g.vector([count]), g.ints([1])), middle, many)


def _last(g: Builder, size: Part) -> Value:
    """size - 1 as a float32 vector of one."""
    return g.cast(g.vector([g.minus(size, 1)]), FLOAT32)


def _within(g: Builder, places: Value, last: Value) -> Value:
    low = g.op("GreaterOrEqual", places, g.scalar(0, like=FLOAT32))
    return g.op("And", low, g.op("LessOrEqual", places, last))


def _gathered(
    g: Builder, picture: Value, batch: Value, rows: Value, columns: Value, limits: Sequence[Value]
) -> Value:
    """The pixels at rows [n, h] and columns [n, w] of pictures batch [n, 1, 1]: [n, h, w, C]; outside the nearest."""
    zero = g.scalar(0, like=FLOAT32)
    safe = [
        g.cast(g.op("Min", g.op("Max", places, zero), limit), INT64)
        for places, limit in zip((rows, columns), limits, strict=True)
    ]
    down, across = g.unsqueeze(safe[0], [2]), g.unsqueeze(safe[1], [1])
    zeros = g.op("Mul", g.op("Add", down, across), g.scalar(0, like=INT64))
    parts = [g.unsqueeze(g.op("Add", part, zeros), [3]) for part in (batch, down, across)]
    return g.op("GatherND", picture, g.concat(parts, 3), dims=(None, None, None, None))


def _between(g: Builder, a: Value, b: Value, share: Value) -> Value:
    return g.op("Add", a, g.op("Mul", g.op("Sub", b, a), share))


@LOWERINGS.op("ExtractImagePatches", attrs={"ksizes", "strides", "rates", "padding"})
def extract_image_patches(node: OpNode, g: Builder, x: Value) -> Value:
    """x [N, H, W, C] -> [N, rows, columns, height * width * C]: rows gathered by window, then columns."""
    ksizes, strides, rates = (node.integers(key)[1:3] for key in ("ksizes", "strides", "rates"))
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
        total = same_padding(size if isinstance(size, int) else None, ksizes[at], strides[at], rates[at])
        if total is None:
            raise UnsupportedError("", "expected a picture of known size for padding SAME")
        before[axis], after[axis] = total // 2, total - total // 2
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
        g.constant_of(np.array(row).astype(hue.dtype.numpy()), hue.dtype) for row in ([3, 2, 4], [1, -1, -1], [-1, 2, 2])
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


def _suppressed(
    g: Builder, boxes: Value, scores: Value, count: Value, overlap: Value, threshold: Value | None
) -> Value:
    """The indices of the boxes that remain, best first: [m]."""
    limit = g.vector([g.part(count)])
    bounds = [overlap] if threshold is None else [overlap, threshold]
    limits = [g.reshape(g.cast(value, FLOAT32), [1]) for value in bounds]
    chosen = g.op(
        "NonMaxSuppression", g.unsqueeze(g.cast(boxes, FLOAT32), [0]), g.unsqueeze(g.cast(scores, FLOAT32), [0, 1]),
        limit, *limits, dims=(None, 3),
    )  # fmt: skip
    return g.squeeze(g.slice(chosen, [2], [3], [1]), [1])


@LOWERINGS.op("NonMaxSuppression", attrs={"iou_threshold"})
def non_max_suppression(node: OpNode, g: Builder, boxes: Value, scores: Value, count: Value) -> Value:
    """Greedy, by overlap."""
    overlap = g.scalar(node.real("iou_threshold"), like=FLOAT32)
    return g.cast(_suppressed(g, boxes, scores, count, overlap, None), INT32)


@LOWERINGS.op("NonMaxSuppressionV2", "NonMaxSuppressionV3")
def non_max_suppression_v3(
    node: OpNode, g: Builder, boxes: Value, scores: Value, count: Value, overlap: Value, threshold: Value | None = None
) -> Value:
    """With the overlap, and in V3 a lowest score, as inputs."""
    return g.cast(_suppressed(g, boxes, scores, count, overlap, threshold), INT32)


def _padded(g: Builder, chosen: Value, count: Value) -> Value:
    """[m] with zeros up to `count`."""
    missing = g.minus(g.part(count), g.size(chosen, 0))
    return g.op("Pad", chosen, g.vector([0, missing]), dims=g.results[0].dims)


@LOWERINGS.op("NonMaxSuppressionV4", attrs={"pad_to_max_output_size"})
def non_max_suppression_v4(
    node: OpNode, g: Builder, boxes: Value, scores: Value, count: Value, overlap: Value, threshold: Value
) -> list[Value]:
    """Indices, padded if asked for, and how many count."""
    chosen = _suppressed(g, boxes, scores, count, overlap, threshold)
    valid = g.cast(g.op("Size", chosen, dims=()), INT32)
    if node.flag("pad_to_max_output_size"):
        chosen = _padded(g, chosen, count)
    return [g.cast(chosen, INT32), valid]


@LOWERINGS.op("NonMaxSuppressionV5", attrs={"pad_to_max_output_size"})
def non_max_suppression_v5(
    node: OpNode, g: Builder, boxes: Value, scores: Value, count: Value, overlap: Value, threshold: Value, sigma: Value
) -> list[Value]:
    """The same with the scores; ONNX has no soft suppression."""
    soft = sigma.array()
    if soft is None or soft.any():
        raise UnsupportedError("", "expected a soft_nms_sigma of 0, which is hard suppression")
    chosen = _suppressed(g, boxes, scores, count, overlap, threshold)
    valid = g.cast(g.op("Size", chosen, dims=()), INT32)
    best = g.gather(scores, chosen, 0)
    if node.flag("pad_to_max_output_size"):
        chosen, best = _padded(g, chosen, count), _padded(g, best, count)
    return [g.cast(chosen, INT32), best, valid]

