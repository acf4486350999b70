"""Boxes in pictures: crops, and the choice of the best without overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorferry.formats.dtype import FLOAT32, INT32, INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder, Part
from .linear import counted

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("CropAndResize", attrs={"method", "extrapolation_value"})
def crop_and_resize(node: OpNode, g: Builder, x: Value, boxes: Value, indices: Value, size: Value) -> Value:
    """x [N, H, W, C], boxes [n, 4] (y1, x1, y2, x2 from 0 to 1), indices [n], size [2] -> [n, height, width, C].

    The places of the crop's rows and columns in the picture are computed, and the pixels around them gathered.
    """
    method = node.text("method")
    if method not in ("bilinear", "nearest"):
        raise UnsupportedError("", f"expected the method bilinear or nearest, got {method}")
    picture = g.cast(g.ranked(x, 4), FLOAT32)
    height, width = g.parts(size)
    rows = _places(g, boxes, 0, g.size(picture, 1), height)
    columns = _places(g, boxes, 1, g.size(picture, 2), width)
    batch = g.reshape(g.cast(indices, INT64), [-1, 1, 1], (None, 1, 1))
    limits = [_last(g, g.size(picture, axis)) for axis in (1, 2)]
    inside = g.op(
        "And", g.unsqueeze(_within(g, rows, limits[0]), [2]), g.unsqueeze(_within(g, columns, limits[1]), [1])
    )

    def pixels(row: Value, column: Value) -> Value:
        return _gathered(g, picture, batch, row, column, limits)

    if method == "nearest":
        half = g.scalar(0.5, like=FLOAT32)
        crop = pixels(*(g.op("Floor", g.op("Add", places, half)) for places in (rows, columns)))
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


def _gathered(g: Builder, picture: Value, batch: Value, rows: Value, columns: Value, limits: Sequence[Value]) -> Value:
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
