"""A random crop that covers enough of one of some objects: of pictures to train with.

TensorFlow tries again and again until a crop fits. Here all attempts are made at once, and the first that fits is
taken; where none does it is the whole picture, as in TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorferry.formats.dtype import BOOL, FLOAT32, INT32, INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder
from .random import random_numbers

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")

_ATTRS = {
    "seed", "seed2", "aspect_ratio_range", "area_range", "max_attempts", "use_image_if_no_bounding_boxes",
}  # fmt: skip

MOST_ATTEMPTS = 10_000


@LOWERINGS.op("SampleDistortedBoundingBox", attrs={*_ATTRS, "min_object_covered"})
def sample_distorted_bounding_box(node: OpNode, g: Builder, size: Value, boxes: Value) -> list[Value]:
    """size [3] of the picture, boxes [N, n, 4] as parts of it."""
    return _sampled(node, g, size, boxes, g.scalar(node.real("min_object_covered"), like=FLOAT32))


@LOWERINGS.op("SampleDistortedBoundingBoxV2", attrs=_ATTRS)
def sample_distorted_bounding_box_v2(
    node: OpNode, g: Builder, size: Value, boxes: Value, covered: Value
) -> list[Value]:
    """The same with the part of an object that has to be covered as an input."""
    return _sampled(node, g, size, boxes, covered)


def _sampled(node: OpNode, g: Builder, size: Value, boxes: Value, covered: Value) -> list[Value]:
    """Where the crop begins [3] and its size [3], in pixels, and its box [1, 1, 4]."""
    height, width = (g.cast(g.slice(size, [at], [at + 1], [0]), FLOAT32) for at in (0, 1))
    crops, fits = _attempts(node, g, height, width)
    objects = g.reshape(boxes, [-1, 4], (None, 4))
    if node.flag("use_image_if_no_bounding_boxes"):
        objects = _or_whole(g, objects)
    fits = g.op("And", fits, _covering(g, crops, objects, [height, width], covered))
    none = g.cast(g.op("Not", fits), INT32)
    first = g.op("ArgMin", none, axis=0, keepdims=1, dtype=INT64, dims=(1,))
    missed = g.cast(g.gather(none, first), BOOL)
    zero = g.scalar(0, like=FLOAT32)
    whole = (zero, zero, height, width)
    top, left, down, across = (
        g.select(missed, other, g.gather(crop, first)) for other, crop in zip(whole, crops, strict=True)
    )
    ends = [g.op("Add", top, down), g.op("Add", left, across)]
    box = [g.op("Div", a, b) for a, b in zip((top, left, *ends), (height, width) * 2, strict=True)]
    kind = size.dtype
    start = g.concat([*(g.cast(x, kind) for x in (top, left)), g.cast(g.ints([0]), kind)], 0)
    extent = g.concat([*(g.cast(x, kind) for x in (down, across)), g.cast(g.ints([-1]), kind)], 0)
    return [start.with_(dims=(3,)), extent.with_(dims=(3,)), g.reshape(g.concat(box, 0), [1, 1, 4])]


def _attempts(node: OpNode, g: Builder, height: Value, width: Value) -> tuple[list[Value], Value]:
    """top, left, height and width of all attempts, each [attempts], and which of them lie within the picture."""
    count, ratios, areas = node.integer("max_attempts"), node.reals("aspect_ratio_range"), node.reals("area_range")
    if not 0 < count <= MOST_ATTEMPTS or len(ratios) != 2 or len(areas) != 2:
        raise UnsupportedError("", f"expected 1 to {MOST_ATTEMPTS} attempts and ranges of two numbers")

    def number(value: float) -> Value:
        return g.scalar(value, like=FLOAT32)

    chance = g.split(random_numbers(node, g, "RandomUniform", FLOAT32, g.ints([4, count]), (4, count)), [1] * 4, 0)
    aspect_chance, height_chance, top_chance, left_chance = (g.squeeze(part, [0]) for part in chance)
    aspect = g.op("Add", number(ratios[0]), g.op("Mul", aspect_chance, number(ratios[1] - ratios[0])))
    whole = g.op("Mul", height, width)
    least, most = (g.op("Mul", whole, number(area)) for area in areas)
    low, high = (g.op("Round", g.op("Sqrt", g.op("Div", area, aspect))) for area in (least, most))
    too_wide = g.op("Greater", g.op("Round", g.op("Mul", high, aspect)), width)
    widest = g.op("Floor", g.op("Div", g.op("Add", width, number(0.5 - 1e-6)), aspect))
    high = g.op("Min", g.select(too_wide, widest, high), height)
    low = g.op("Min", low, high)
    spread = g.op("Add", g.op("Sub", high, low), number(1))
    down = g.op("Add", low, g.op("Floor", g.op("Mul", height_chance, spread)))
    for op, limit, step in (("Less", least, 1), ("Greater", most, -1)):
        area = g.op("Mul", g.op("Round", g.op("Mul", down, aspect)), down)
        down = g.select(g.op(op, area, limit), g.op("Add", down, number(step)), down)
    across = g.op("Round", g.op("Mul", down, aspect))
    area = g.op("Mul", across, down)
    fits = _all(
        g, g.op("GreaterOrEqual", area, least), g.op("LessOrEqual", area, most), g.op("LessOrEqual", across, width),
        g.op("LessOrEqual", down, height), g.op("Greater", area, number(0)),
    )  # fmt: skip
    top = g.op("Floor", g.op("Mul", top_chance, g.op("Sub", height, down)))
    left = g.op("Floor", g.op("Mul", left_chance, g.op("Sub", width, across)))
    return [top, left, down, across], fits


def _or_whole(g: Builder, objects: Value) -> Value:
    """The objects [n, 4], or the whole picture where there are none."""
    count = g.op("Shape", g.slice(objects, [0], [1], [1]), dims=(2,))
    some = g.op("Min", g.slice(count, [0], [1], [0]), g.ints([1]))
    missing = g.op("Concat", g.op("Sub", g.ints([1]), some), g.ints([4]), axis=0, dims=(2,))
    whole = g.op("Expand", g.cast(g.ints([0, 0, 1, 1]), FLOAT32), missing, dims=(None, 4))
    return g.op("Concat", objects, whole, axis=0, dims=(None, 4))


def _covering(g: Builder, crops: Sequence[Value], objects: Value, size: Sequence[Value], covered: Value) -> Value:
    """Which crops [attempts] cover enough of some object [n, 4]."""
    sides = [g.squeeze(part, [1]) for part in g.split(objects, [1] * 4, 1)]
    ends = [g.op("Floor", g.op("Mul", side, whole)) for side, whole in zip(sides, [*size, *size], strict=True)]
    zero = g.scalar(0, like=FLOAT32)
    overlap, area = [], []
    for axis in (0, 1):
        start, extent = (g.unsqueeze(crops[at], [1]) for at in (axis, axis + 2))
        low, high = ends[axis], ends[axis + 2]
        shared = g.op("Sub", g.op("Min", g.op("Add", start, extent), high), g.op("Max", start, low))
        overlap.append(g.op("Max", shared, zero))
        area.append(g.op("Sub", high, low))
    whole = g.op("Mul", *area)
    real = g.op("GreaterOrEqual", whole, g.scalar(1, like=FLOAT32))
    enough = g.op("GreaterOrEqual", g.op("Mul", *overlap), g.op("Mul", whole, covered))
    hits = g.cast(g.op("And", real, enough), FLOAT32)
    return g.op("Greater", g.reduce("ReduceSum", hits, [1], keep=False), zero)


def _all(g: Builder, first: Value, *others: Value) -> Value:
    for other in others:
        first = g.op("And", first, other)
    return first
