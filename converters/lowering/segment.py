"""Rows added up by segment, parted and stitched together by number, counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorferry.formats.dtype import INT64, DType

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .array import filled
from .builder import TO_END, Builder, Part
from .linear import counted
from .scatter import scattered

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")

_REDUCTIONS = {"Sum": "add", "Prod": "mul", "Max": "max", "Min": "min"}


def _neutral(kind: str, dtype: DType) -> Any:
    """What a reduction begins with."""
    if kind in ("add", "mul"):
        return 0 if kind == "add" else 1
    limits: Any = np.finfo(dtype.numpy()) if dtype.is_floating else np.iinfo(dtype.numpy())
    return limits.min if kind == "max" else limits.max


def _collected(g: Builder, kind: str, data: Value, ids: Value, rows: Part, *, start: Any = None) -> Value:
    """data [k, ...] reduced into `rows` rows by ids [k]; rows of negative ids go into one more, which is cut off."""
    shape = g.concat([g.vector([g.plus(rows, 1)]), g.slice(g.shape(data), [1], [TO_END], [0])], 0)
    if data.dims is not None:
        shape = g.vector([g.plus(rows, 1), *(g.size(data, axis) for axis in range(1, len(data.dims)))])
    base = filled(
        g, _neutral(kind, data.dtype) if start is None else start, data, shape, (None, *(data.dims or ())[1:])
    )
    places = g.select(g.op("Less", ids, g.scalar(0, like=INT64)), g.vector([rows]), ids)
    made = scattered(g, base, g.unsqueeze(places, [1]), data, kind)
    return g.slice(made, [0], [rows], [0])


def _flattened(g: Builder, data: Value, ids: Value) -> tuple[Value, Value]:
    """data [k, ...] and ids [k] from data [ids' shape, ...] and ids of any rank."""
    rank = g.rank(ids, "numbers")
    long = g.cast(ids, INT64)
    if rank == 1:
        return data, long
    rest = [g.size(data, axis) for axis in range(rank, g.rank(data))]
    return g.reshape(data, [-1, *rest], (None, *(data.dims or ())[rank:])), g.reshape(long, [-1], (None,))


@LOWERINGS.op("UnsortedSegmentSum", "UnsortedSegmentProd", "UnsortedSegmentMax", "UnsortedSegmentMin")
def unsorted_segment(node: OpNode, g: Builder, data: Value, ids: Value, count: Value) -> Value:
    """`count` segments; an empty one has the neutral element."""
    kind = _REDUCTIONS[node.op.removeprefix("UnsortedSegment")]
    flat, numbers = _flattened(g, data, ids)
    return _collected(g, kind, flat, numbers, g.part(count)).with_(dims=g.results[0].dims)


def _segments(g: Builder, ids: Value) -> Part:
    """How many segments sorted ids [k] have: the last one and one."""
    last = g.slice(ids, [-1], [TO_END], [0])
    return g.plus(last, 1)


@LOWERINGS.op("SegmentSum", "SegmentProd", "SegmentMax", "SegmentMin", "SegmentMean")
def segment(node: OpNode, g: Builder, data: Value, ids: Value) -> Value:
    """Sorted ids; an empty segment is 0 (1 for a product)."""
    numbers = g.cast(ids, INT64)
    return _by_segment(g, node.op.removeprefix("Segment"), data, numbers, _segments(g, numbers))


def _by_segment(g: Builder, kind: str, data: Value, ids: Value, rows: Part) -> Value:
    dims = g.results[0].dims
    if kind in ("Sum", "Prod"):
        return _collected(g, _REDUCTIONS[kind], data, ids, rows).with_(dims=dims)
    counts = _counts(g, data, ids, rows)
    if kind in ("Mean", "SqrtN"):
        total = _collected(g, "add", data, ids, rows)
        divisor = g.op("Max", counts, g.scalar(1, like=counts))
        return g.op("Div", total, g.op("Sqrt", divisor) if kind == "SqrtN" else divisor).with_(dims=dims)
    best = _collected(g, _REDUCTIONS[kind], data, ids, rows)
    zero = g.scalar(0, like=data)
    return g.select(g.op("Greater", counts, zero), best, zero).with_(dims=dims)


def _counts(g: Builder, data: Value, ids: Value, rows: Part) -> Value:
    """How many rows each segment has, as data's type, [rows, 1, ...], or everywhere if nobody knows data's rank."""
    if data.dims is None:
        return _collected(g, "add", filled(g, 1, data, g.shape(data), None), ids, rows)
    ones = filled(g, 1, data, g.shape(ids), ids.dims)
    counts = _collected(g, "add", ones, ids, rows)
    return g.unsqueeze(counts, range(1, len(data.dims)))


@LOWERINGS.op("SparseSegmentSum", "SparseSegmentMean", "SparseSegmentSqrtN", attrs={"sparse_gradient"})
def sparse_segment(node: OpNode, g: Builder, data: Value, indices: Value, ids: Value) -> Value:
    """The same of chosen rows. (`sparse_gradient` is about the gradient alone.)"""
    numbers = g.cast(ids, INT64)
    kind = node.op.removeprefix("SparseSegment")
    return _by_segment(g, kind, g.gather(data, indices, 0), numbers, _segments(g, numbers))


@LOWERINGS.op(
    "SparseSegmentSumWithNumSegments", "SparseSegmentMeanWithNumSegments", "SparseSegmentSqrtNWithNumSegments",
    attrs={"sparse_gradient"},
)  # fmt: skip
def sparse_segment_with_count(node: OpNode, g: Builder, data: Value, indices: Value, ids: Value, count: Value) -> Value:
    """The same with the number of segments given."""
    kind = node.op.removeprefix("SparseSegment").removesuffix("WithNumSegments")
    return _by_segment(g, kind, g.gather(data, indices, 0), g.cast(ids, INT64), g.part(count))


@LOWERINGS.op("DynamicPartition")
def dynamic_partition(node: OpNode, g: Builder, data: Value, partitions: Value) -> list[Value]:
    """The rows of each number."""
    flat, numbers = _flattened(g, data, partitions)
    parts = []
    for number, result in enumerate(g.results):
        chosen = g.op("Equal", numbers, g.scalar(number, like=INT64))
        parts.append(g.op("Compress", flat, chosen, axis=0, dims=result.dims))
    return parts


@LOWERINGS.op("DynamicStitch", "ParallelDynamicStitch")
def dynamic_stitch(node: OpNode, g: Builder, *inputs: Value) -> Value:
    """Rows put at the places that the indices say; the largest of them decides how many there are."""
    count = len(inputs) // 2
    pairs = [_row(g, data, index) for index, data in zip(inputs[:count], inputs[count:], strict=True)]
    data = g.concat([rows for rows, _ in pairs], 0)
    places = g.concat([numbers for _, numbers in pairs], 0)
    largest = g.reduce("ReduceMax", places, [0], keep=True)
    rest = [g.size(data, axis) for axis in range(1, g.rank(data))]
    shape = g.vector([g.plus(largest, 1), *rest])
    base = filled(g, 0, data, shape, g.results[0].dims)
    return g.op("ScatterND", base, g.unsqueeze(places, [1]), data).with_(dims=g.results[0].dims)


def _row(g: Builder, data: Value, index: Value) -> tuple[Value, Value]:
    if g.rank(index, "indices") == 0:
        return g.unsqueeze(data, [0]), g.unsqueeze(g.cast(index, INT64), [0])
    return _flattened(g, data, index)


@LOWERINGS.op("Bincount")
def bincount(node: OpNode, g: Builder, x: Value, size: Value, weights: Value) -> Value:
    """How often each number below `size` occurs in x, or what its weights add up to."""
    return _binned(g, g.reshape(g.cast(x, INT64), [-1], (None,)), g.part(size), weights, binary=False)


@LOWERINGS.op("DenseBincount", attrs={"binary_output"})
def dense_bincount(node: OpNode, g: Builder, x: Value, size: Value, weights: Value) -> Value:
    """The same, for each row of a matrix by itself; `binary_output` only says whether it occurs."""
    bins, long, binary = g.part(size), g.cast(x, INT64), node.flag("binary_output")
    if g.rank(x) == 1:
        return _binned(g, long, bins, weights, binary=binary)
    rows = g.size(x, 0)
    width = g.plus(bins, 1)
    spare = g.op("Min", long, g.vector([bins]))
    offsets = g.unsqueeze(g.op("Mul", counted(g, rows), g.vector([width])), [1])
    flat = g.reshape(g.op("Add", spare, offsets), [-1], (None,))
    table = g.reshape(_binned(g, flat, g.times(rows, width), weights, binary=binary), [rows, width])
    return g.slice(table, [0], [bins], [1]).with_(dims=g.results[0].dims)


def _binned(g: Builder, places: Value, bins: Part, weights: Value, *, binary: bool) -> Value:
    """What lies beyond the last bin goes into one more, like negative numbers."""
    result = g.results[0]
    given = weights.size
    ones = filled(g, 1, result, g.shape(places), places.dims)
    if given == 0 or binary:
        amounts = ones
    elif isinstance(given, int):
        amounts = g.reshape(weights, [-1], (None,))
    else:
        # Without weights each number counts once; whether there are any shows in the run.
        both = g.op("Concat", g.reshape(weights, [-1], (None,)), ones, axis=0, dims=(None,))
        amounts = g.op("Slice", both, g.ints([0]), g.op("Shape", places, dims=(1,)), dims=(None,))
    inside = g.op("Less", places, g.vector([bins]))
    safe = g.select(inside, places, g.ints([-1]))
    counts = _collected(g, "add", amounts, safe, bins)
    return g.op("Min", counts, g.scalar(1, like=counts)) if binary else counts
