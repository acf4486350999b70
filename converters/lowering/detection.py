"""What a detector's last op does, for all pictures and classes of a batch at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tensorferry.formats.dtype import FLOAT32, INT32

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder, Part

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("CombinedNonMaxSuppression", attrs={"pad_per_class", "clip_boxes"})
def combined_non_max_suppression(
    node: OpNode, g: Builder, boxes: Value, scores: Value, each: Value, total: Value, overlap: Value, threshold: Value
) -> list[Value]:
    """boxes [N, n, 1 or C, 4], scores [N, n, C]: the best boxes of each picture over all classes, padded with zeros.

    `each` class is suppressed on its own. The scores of all that remains go into a table [N, C * n], all else being
    minus infinity, and the best `total` of it are the result: boxes [N, m, 4], scores [N, m], classes [N, m] and how
    many count [N].
    """
    boxes, scores = g.ranked(boxes, 4), g.ranked(scores, 3)
    pictures, count, classes = g.sizes_of(scores)
    if boxes.dims is not None and not isinstance(boxes.dims[2], int):
        # Nobody knows whether the boxes are shared: every class gets its own.
        boxes = g.op("Expand", boxes, g.vector([1, 1, classes, 1]), dims=(*boxes.dims[:2], None, 4))
    kinds = g.size(boxes, 2)
    shared = kinds == 1
    by_class = g.transpose(scores, [0, 2, 1])
    by_kind = g.transpose(boxes, [0, 2, 1, 3])
    chosen = _suppressed(g, by_kind, by_class, [each, overlap, threshold], shared=shared)
    table = g.reshape(by_class, [pictures, g.times(classes, count)])
    kept = g.reshape(_marked(g, by_class, chosen, shared=shared), [pictures, g.times(classes, count)])
    lowest = g.scalar(-math.inf, like=FLOAT32)
    best, place = _best(node, g, g.select(kept, table, lowest), each, total, g.times(classes, count), classes)
    real = g.op("Greater", best, lowest)
    zero = g.scalar(0, like=FLOAT32)
    kind = g.op("Div", place, g.vector([count]))
    source = g.op("Mod", place, g.vector([count])) if shared else place
    flat = g.reshape(by_kind, [pictures, g.times(kinds, count), 4])
    found = g.op("GatherND", flat, g.unsqueeze(source, [2]), batch_dims=1, dims=(None, None, 4))
    if node.flag("clip_boxes"):
        found = g.op("Clip", found, zero, g.scalar(1, like=FLOAT32))
    results = [
        g.select(g.unsqueeze(real, [2]), found, zero), g.select(real, best, zero),
        g.select(real, g.cast(kind, FLOAT32), zero),
        g.reduce("ReduceSum", g.cast(real, INT32), [1], keep=False),
    ]  # fmt: skip
    return [result.with_(dims=known.dims) for result, known in zip(results, g.results, strict=True)]


def _suppressed(g: Builder, boxes: Value, scores: Value, limits: list[Value], *, shared: bool) -> Value:
    """[m, 3] of picture, class, box; with boxes for each class, every one is a picture to ONNX: [m, 3] of those."""
    pictures, kinds, count, _ = g.sizes_of(boxes)
    batch = g.times(pictures, kinds)
    boxes = g.reshape(boxes, [batch, count, 4])
    if not shared:
        scores = g.reshape(scores, [batch, 1, count])
    each, overlap, threshold = limits
    return g.op(
        "NonMaxSuppression", boxes, scores, g.reshape(g.int64(each), [1]), g.reshape(overlap, [1]),
        g.reshape(threshold, [1]), dims=(None, 3),
    )  # fmt: skip


def _marked(g: Builder, scores: Value, chosen: Value, *, shared: bool) -> Value:
    """[N * C * n]: which of the scores [N, C, n] were chosen."""
    pictures, classes, count = g.sizes_of(scores)
    strides = g.vector([g.times(classes, count) if shared else count, count, 1])
    size = g.times(pictures, classes, count)
    places = g.reduce("ReduceSum", g.op("Mul", chosen, strides), [1], keep=False)
    nothing = g.op("Expand", g.scalar(0, like=INT32), g.vector([size]), dims=(None,))
    ones = g.op("Add", g.op("Mul", g.cast(places, INT32), g.scalar(0, like=INT32)), g.scalar(1, like=INT32))
    marks = g.op("ScatterElements", nothing, places, ones, axis=0)
    return g.op("Equal", marks, g.scalar(1, like=INT32))


def _best(
    node: OpNode, g: Builder, table: Value, each: Value, total: Value, width: Part, classes: Part
) -> tuple[Value, Value]:
    """The largest of each row, and their places: `total`, or fewer where padding goes by class and classes are few."""
    wanted = g.part(total)
    if node.flag("pad_per_class"):
        by_class = g.times(g.part(each), classes)
        both_known = isinstance(wanted, int) and isinstance(by_class, int)
        wanted = min(wanted, by_class) if both_known else g.op("Min", g.vector([wanted]), g.vector([by_class]))  # type: ignore[type-var]
    missing = g.op("Max", g.vector([g.minus(wanted, width)]), g.ints([0]))
    wide = g.pad(table, [0, 0], [0, missing], g.scalar(-math.inf, like=FLOAT32))
    best, place = g.ops("TopK", wide, g.vector([wanted]), outputs=2, dims=[(None, None)] * 2, axis=1)
    last = g.minus(width, 1)
    return best, g.op("Min", place, g.vector([last]))
