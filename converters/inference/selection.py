"""Rules of ops that pick elements out of tensors or put them in: slices, gathers, scatters, sorting, segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .array import dims_of_entries
from .dims import Dim, Dims, merge_dims
from .facts import Fact, Result, axis_index, dim_at, same, unknown
from .shaping import dims_of_rank
from .values import Value

RULES: OpTable[Callable[..., Result]] = OpTable("inference rule")


@RULES.op("Slice")
def slice_(node: OpNode, x: Value, begin: Value, size: Value) -> Result:
    """The sizes; -1 means up to the end."""
    starts, sizes = begin.known_entries(), size.known_entries()
    if x.dims is None:
        return dims_of_entries(size) if sizes is not None else dims_of_rank(dim_at(begin, 0))
    if sizes is None or starts is None or not len(starts) == len(sizes) == len(x.dims):
        return unknown(len(x.dims))
    dims = tuple(_sliced(dim, start, count) for dim, start, count in zip(x.dims, starts, sizes, strict=True))
    entries = x.known_entries() if len(dims) == 1 else None
    if entries is not None and isinstance(starts[0], int) and isinstance(dims[0], int):
        return Fact(dims, entries[starts[0] : starts[0] + dims[0]])
    return dims


def _sliced(dim: Dim, start: Dim, count: Dim) -> Dim:
    if count != -1:
        return None if isinstance(count, int) and count < 0 else count
    if start == 0:
        return dim
    return max(dim - start, 0) if isinstance(dim, int) and isinstance(start, int) else None


_UNKNOWN = object()
"""Stands in an index for a place that is not known."""


@RULES.op("StridedSlice", attrs={"begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"})
def strided_slice(node: OpNode, x: Value, begin: Value, end: Value, strides: Value) -> Result:
    """One dimension for each of the spec's entries but the shrunk ones."""
    count = dim_at(begin, 0)
    if x.dims is None or not isinstance(count, int) or count > 64:
        return None
    starts, ends, steps = (value.known_entries() or (None,) * count for value in (begin, end, strides))
    dims: list[Dim] = []
    at = 0
    index: list[Any] = []
    for i, action in enumerate(spec_actions(node, count)):
        if action == "new":
            dims.append(1)
            index.append(np.newaxis)
            continue
        if action == "ellipsis":
            spread = max(len(x.dims) - spec_dims(node, count), 0)
            dims += x.dims[at : at + spread]
            at += spread
            index.append(...)
            continue
        if at >= len(x.dims):
            raise GraphError(node.name, f"expected at most {len(x.dims)} sliced dimensions, got more")
        open_ends = (bool(node.integer("begin_mask") >> i & 1), bool(node.integer("end_mask") >> i & 1))
        if action == "shrink":
            index.append(starts[i] if isinstance(starts[i], int) else _UNKNOWN)
        else:
            dims.append(_stepped(x.dims[at], starts[i], ends[i], steps[i], open_ends))
            index.append(_piece(starts[i], ends[i], steps[i], open_ends) or _UNKNOWN)
        at += 1
    dims += x.dims[at:]
    return Fact(tuple(dims), _indexed(x, index))


def _indexed(x: Value, index: Sequence[Any]) -> tuple[Dim, ...] | None:
    """The entries at a Python index, of which all places are numbers."""
    grid = x.grid() if x.entries is not None else None
    if grid is None or any(item is _UNKNOWN for item in index):
        return None
    try:
        chosen = grid[tuple(index)]
    except IndexError:
        return None
    return tuple(chosen.reshape(-1)) if isinstance(chosen, np.ndarray) else (chosen,)


def spec_actions(node: OpNode, count: int) -> list[str]:
    """What each entry of a strided slice's spec does: "new", "ellipsis", "shrink" or "slice"."""
    masks = [
        (node.integer(f"{kind}_mask"), action)
        for kind, action in (("ellipsis", "ellipsis"), ("new_axis", "new"), ("shrink_axis", "shrink"))
    ]
    return [next((action for mask, action in masks if mask >> i & 1), "slice") for i in range(count)]


def spec_dims(node: OpNode, count: int) -> int:
    """How many of the input's dimensions a strided slice's spec names."""
    return sum(action in ("shrink", "slice") for action in spec_actions(node, count))


def _stepped(dim: Dim, first: Dim, last: Dim, step: Dim, open_ends: tuple[bool, bool]) -> Dim:
    """The size of `[first:last:step]` of a dimension; the masks open ends, whatever their numbers are."""
    if not isinstance(step, int) or step == 0:
        return None
    whole_start, whole_end = open_ends
    if step in (1, -1) and whole_start and whole_end:
        return dim
    if step == 1 and (whole_start or first == 0) and (whole_end or (last == dim and dim is not None)):
        return dim
    piece = _piece(first, last, step, open_ends)
    return len(range(*piece.indices(dim))) if piece is not None and isinstance(dim, int) else None


def _piece(first: Dim, last: Dim, step: Dim, open_ends: tuple[bool, bool]) -> slice | None:
    """Python's slice, where all of it is numbers."""
    start, end = (None if is_open else bound for is_open, bound in zip(open_ends, (first, last), strict=True))
    if not isinstance(step, int) or step == 0:
        return None
    if not (open_ends[0] or isinstance(start, int)) or not (open_ends[1] or isinstance(end, int)):
        return None
    return slice(start, end, step)


def _gathered(node: OpNode, x: Value, indices: Value, axis: int | None, batch_dims: int) -> Result:
    if x.dims is None or indices.dims is None or axis is None:
        return None
    at = axis_index(node, axis, len(x.dims))
    skipped = batch_dims + len(indices.dims) if batch_dims < 0 else batch_dims
    dims = (*x.dims[:at], *indices.dims[skipped:], *x.dims[at + 1 :])
    entries, chosen = (x.known_entries() if len(x.dims) == 1 else None), indices.integers()
    if entries is not None and chosen is not None and len(dims) <= 1 and all(0 <= i < len(entries) for i in chosen):
        return Fact(dims, tuple(entries[i] for i in chosen))
    return dims


@RULES.op("GatherV2", attrs={"batch_dims"})
def gather_v2(node: OpNode, x: Value, indices: Value, axis: Value) -> Result:
    """The indices' shape in place of the axis; the first `batch_dims` dimensions go side by side."""
    return _gathered(node, x, indices, axis.integer(), node.integer("batch_dims"))


@RULES.op("Gather", attrs={"validate_indices"})
def gather(node: OpNode, x: Value, indices: Value) -> Result:
    """GatherV2 along the first dimension."""
    return _gathered(node, x, indices, 0, 0)


@RULES.op("GatherNd", attrs={"bad_indices_policy"})
def gather_nd(node: OpNode, x: Value, indices: Value) -> Result:
    """Each row of the last dimension of `indices` is the beginning of a position in x."""
    depth = dim_at(indices, -1)
    if x.dims is None or indices.dims is None or not isinstance(depth, int):
        return None
    return (*indices.dims[:-1], *x.dims[depth:])


@RULES.op("ScatterNd", attrs={"bad_indices_policy"})
def scatter_nd(node: OpNode, indices: Value, updates: Value, shape: Value) -> Result:
    """The shape is the third input's contents."""
    return dims_of_entries(shape)


@RULES.op(
    "TensorScatterUpdate", "TensorScatterAdd", "TensorScatterSub", "TensorScatterMin", "TensorScatterMax",
    attrs={"bad_indices_policy"},
)  # fmt: skip
def tensor_scatter(node: OpNode, x: Value, indices: Value, updates: Value) -> Result:
    """The first input's shape."""
    return x.dims


@RULES.op("OneHot", attrs={"axis"})
def one_hot(node: OpNode, indices: Value, depth: Value, on: Value, off: Value) -> Result:
    """A new dimension of `depth` places."""
    if indices.dims is None:
        return None
    entries = depth.known_entries()
    axis = node.integer("axis")
    at = len(indices.dims) if axis == -1 else axis_index(node, axis, len(indices.dims) + 1)
    return (*indices.dims[:at], entries[0] if entries else None, *indices.dims[at:])


@RULES.op("TopKV2", attrs={"sorted", "index_type"})
def top_k_v2(node: OpNode, x: Value, k: Value) -> Result:
    """k values of the last dimension, and their indices."""
    entries = k.known_entries()
    dims = None if x.dims is None else (*x.dims[:-1], entries[0] if entries else None)
    return [dims, dims]


@RULES.op("TopK", attrs={"k", "sorted"})
def top_k(node: OpNode, x: Value) -> Result:
    """TopKV2 with k as an attribute."""
    dims = None if x.dims is None else (*x.dims[:-1], node.integer("k"))
    return [dims, dims]


@RULES.op("InTopK", "InTopKV2", attrs={"k"})
def in_top_k(node: OpNode, predictions: Value, targets: Value, *k: Value) -> Result:
    """One truth for each target."""
    return merge_dims(targets.dims, None if predictions.dims is None else predictions.dims[:1])


@RULES.op("SparseToDense", attrs={"validate_indices"})
def sparse_to_dense(node: OpNode, indices: Value, shape: Value, values: Value, default: Value) -> Result:
    """The shape is the second input's contents."""
    return dims_of_entries(shape)


@RULES.op("SegmentSum", "SegmentMean", "SegmentMax", "SegmentMin", "SegmentProd")
def segment(node: OpNode, data: Value, ids: Value) -> Result:
    """As many rows as segments, which only the ids know."""
    return None if data.dims is None else (None, *data.dims[1:])


@RULES.op("UnsortedSegmentSum", "UnsortedSegmentMax", "UnsortedSegmentMin", "UnsortedSegmentProd")
def unsorted_segment(node: OpNode, data: Value, ids: Value, count: Value) -> Result:
    """`count` rows in place of the ids' dimensions."""
    entries = count.known_entries()
    if data.dims is None or ids.rank is None:
        return None
    return (entries[0] if entries else None, *data.dims[ids.rank :])


@RULES.op("SparseSegmentSum", "SparseSegmentMean", "SparseSegmentSqrtN", attrs={"sparse_gradient"})
def sparse_segment(node: OpNode, data: Value, indices: Value, ids: Value) -> Result:
    """Segment sums of chosen rows."""
    return None if data.dims is None else (None, *data.dims[1:])


@RULES.op(
    "SparseSegmentSumWithNumSegments", "SparseSegmentMeanWithNumSegments", "SparseSegmentSqrtNWithNumSegments",
    attrs={"sparse_gradient"},
)  # fmt: skip
def sparse_segment_with_count(node: OpNode, data: Value, indices: Value, ids: Value, count: Value) -> Result:
    """The same with the number of segments given."""
    entries = count.known_entries()
    return None if data.dims is None else (entries[0] if entries else None, *data.dims[1:])


@RULES.op("DynamicPartition")
def dynamic_partition(node: OpNode, data: Value, partitions: Value) -> Result:
    """Some of the rows in each part."""
    count = node.integer("num_partitions")
    if data.dims is None or partitions.rank is None:
        return [None] * count
    return [(None, *data.dims[partitions.rank :])] * count


@RULES.op("DynamicStitch", "ParallelDynamicStitch")
def dynamic_stitch(node: OpNode, *inputs: Value) -> Result:
    """Rows of all data inputs at the places that the index inputs say; the largest index decides how many."""
    indices, data = inputs[: len(inputs) // 2], inputs[len(inputs) // 2 :]
    rows = _stitched_rows(indices)
    for index, values in zip(indices, data, strict=True):
        if index.rank is not None and values.dims is not None:
            return Fact((rows, *values.dims[index.rank :]), _stitched(indices, data, rows))
    return None


def _stitched_rows(indices: Sequence[Value]) -> Dim:
    known = [index.integers() for index in indices]
    if any(positions is None for positions in known):
        return None
    return max((i for positions in known if positions for i in positions), default=-1) + 1


def _stitched(indices: Sequence[Value], data: Sequence[Value], rows: Dim) -> tuple[Dim, ...] | None:
    if not isinstance(rows, int) or rows > 64:
        return None
    entries: list[Dim] = [None] * rows
    for index, values in zip(indices, data, strict=True):
        positions, items = index.integers(), values.known_entries()
        if positions is None or items is None or len(positions) != len(items):
            return None
        for position, item in zip(positions, items, strict=True):
            entries[position] = item
    return tuple(entries)


RULES.add("Cumsum", same, {"exclusive", "reverse"})
RULES.add("Cumprod", same, {"exclusive", "reverse"})
RULES.add("CumulativeLogsumexp", same, {"exclusive", "reverse"})


def _searched(node: OpNode, sorted_values: Value, values: Value) -> Dims:
    """One position for each value."""
    return values.dims


RULES.add("LowerBound", _searched, {"out_type"})
RULES.add("UpperBound", _searched, {"out_type"})
