"""Elements picked out of tensors: slices, gathers, sorting, running sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorferry.formats.dtype import BOOL, INT32, INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.selection import spec_actions
from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import TO_END, Builder, Part

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("Slice")
def slice_(node: OpNode, g: Builder, x: Value, begin: Value, size: Value) -> Value:
    """`size` places from `begin` on; -1 means up to the end."""
    starts, sizes = begin.known_entries(), size.known_entries()
    if starts is None or sizes is None or not g.can_make(starts) or not g.can_make(sizes):
        return _computed_slice(g, x, begin, size)
    axes, firsts, lasts = [], [], []
    for axis, (start, count) in enumerate(zip(starts, sizes, strict=True)):
        if start == 0 and (count == -1 or (x.dims is not None and x.dims[axis] == count)):
            continue
        axes.append(axis)
        firsts.append(start)
        lasts.append(TO_END if count == -1 else g.plus(start, count))  # type: ignore[arg-type]
    if not axes:
        return x
    return g.slice(x, firsts, lasts, axes).with_(dims=g.results[0].dims)  # type: ignore[arg-type]


def _computed_slice(g: Builder, x: Value, begin: Value, size: Value) -> Value:
    start, count = g.int64(begin), g.int64(size)
    end = g.op("Add", start, count)
    entries = size.known_entries()
    if entries is None or any(entry is None or entry == -1 for entry in entries):
        end = g.select(g.op("Less", count, g.ints([0])), g.ints([TO_END]), end)
    return g.op("Slice", x, start, end, dims=g.results[0].dims)


@LOWERINGS.op("StridedSlice", attrs={"begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"})
def strided_slice(node: OpNode, g: Builder, x: Value, begin: Value, end: Value, strides: Value) -> Value:
    """Python's x[begin:end:stride, index, newaxis, ...]: a slice, then dimensions taken away and put in."""
    spec = _Spec(node, g, x, begin, end, strides)
    if spec.axes:
        x = g.slice(x, spec.starts, spec.ends, spec.axes, spec.steps)
    if spec.shrunk:
        x = g.squeeze(x, spec.shrunk)
    return g.unsqueeze(x, spec.new).with_(dims=g.results[0].dims) if spec.new else x


class _Spec:
    """The parts of a strided slice, each for the axes of the input that it concerns; `new` counts in the result."""

    def __init__(self, node: OpNode, g: Builder, x: Value, begin: Value, end: Value, strides: Value) -> None:
        steps, starts, ends = g.parts(strides), g.parts(begin), g.parts(end)
        self.axes: list[int] = []
        self.starts: list[Part] = []
        self.ends: list[Part] = []
        self.steps: list[Part] = []
        self.shrunk: list[int] = []
        self.new: list[int] = []
        axis = place = 0
        actions = spec_actions(node, len(steps))
        for i, action in enumerate(actions):
            if action == "new":
                self.new.append(place)
                place += 1
            elif action == "ellipsis":
                behind = actions[i + 1 :]
                if not behind:
                    break
                # From here on places are counted from the end, which needs no rank.
                axis = -sum(action != "new" for action in behind)
                place = -sum(action != "shrink" for action in behind)
            elif action == "shrink":
                self._index(g, axis, starts[i])
                axis += 1
            else:
                begins = None if node.integer("begin_mask") >> i & 1 else starts[i]
                stops = None if node.integer("end_mask") >> i & 1 else ends[i]
                self._range(g, x, axis, begins, stops, steps[i])
                axis += 1
                place += 1

    def _index(self, g: Builder, axis: int, start: Part) -> None:
        """One place: from it to the next, which after -1 is the end."""
        if isinstance(start, Value):
            follows = g.op("Add", start, g.ints([1]))
            stop: Part = g.select(g.op("Equal", start, g.ints([-1])), g.ints([TO_END]), follows)
        else:
            stop = TO_END if start == -1 else g.plus(start, 1)
        self._add(axis, start, stop, 1)
        self.shrunk.append(axis)

    def _range(self, g: Builder, x: Value, axis: int, start: Part | None, stop: Part | None, step: Part) -> None:
        if not isinstance(step, int):
            forward = g.op("Greater", g.vector([step]), g.ints([0]))
            if start is None:
                start = g.select(forward, g.ints([0]), g.ints([TO_END]))
            if stop is None:
                stop = g.select(forward, g.ints([TO_END]), g.ints([-TO_END]))
            self._add(axis, start, stop, step)
        elif step > 0:
            first, last = (0 if start is None else start), (TO_END if stop is None else stop)
            whole = x.dims is not None and -len(x.dims) <= axis < len(x.dims) and x.dims[axis] == last
            if step != 1 or first != 0 or not (last == TO_END or whole):
                self._add(axis, first, last, step)
        else:
            self._add(axis, TO_END if start is None else start, -TO_END if stop is None else stop, step)

    def _add(self, axis: int, start: Part, stop: Part, step: Part) -> None:
        self.axes.append(axis)
        self.starts.append(start)
        self.ends.append(stop)
        self.steps.append(step)


@LOWERINGS.op("GatherV2", attrs={"batch_dims"})
def gather_v2(node: OpNode, g: Builder, x: Value, indices: Value, axis: Value) -> Value:
    """Rows by index along an axis; with batch dimensions, each batch from its own rows."""
    batch_dims = node.integer("batch_dims")
    if batch_dims == 0 and axis.integer() is not None:
        place = axis.integer()
        assert place is not None
        return g.gather(x, indices, place).with_(dims=g.results[0].dims)
    rank = g.rank(x)
    place = g.axis(axis, rank)
    between = g.rank(indices, "indices")
    batch_dims += between if batch_dims < 0 else 0
    if not 0 <= batch_dims <= min(between, place):
        raise UnsupportedError(
            "", f"expected batch dimensions within the indices and before the axis, got {batch_dims}"
        )
    return _batch_gather(g, x, indices, place, batch_dims)


def _batch_gather(g: Builder, x: Value, indices: Value, axis: int, batch_dims: int) -> Value:
    """The batch dimensions become one, which counts rows in a table of all batches."""
    rank = g.rank(x)
    order = [*range(batch_dims), axis, *(a for a in range(batch_dims, rank) if a != axis)]
    moved = g.transpose(x, order)
    sizes = g.sizes_of(moved)
    batches, rows, rest = g.times(*sizes[:batch_dims]), sizes[batch_dims], sizes[batch_dims + 1 :]
    table = g.reshape(moved, [g.times(batches, rows), *rest])
    index_sizes = g.sizes_of(indices)
    offsets = g.op("Mul", _count(g, batches), g.vector([rows]))
    flat = g.reshape(g.cast(indices, INT64), [batches, g.times(*index_sizes[batch_dims:])])
    places = g.op("Add", flat, g.unsqueeze(offsets, [1]))
    found = g.gather(table, g.reshape(places, index_sizes), 0)
    between = len(index_sizes) - batch_dims
    inner = list(range(len(index_sizes), len(index_sizes) + len(rest)))
    before = inner[: axis - batch_dims]
    after = inner[axis - batch_dims :]
    return g.transpose(found, [*range(batch_dims), *before, *range(batch_dims, batch_dims + between), *after])


def _count(g: Builder, count: Part) -> Value:
    """0, 1, ..., count - 1."""
    if isinstance(count, int) and count <= 1024:
        return g.ints(range(count))
    end = g.reshape(g.vector([count]), [])
    return g.op("Range", g.scalar(0, like=INT64), end, g.scalar(1, like=INT64), dims=(None,))


@LOWERINGS.op("Gather", attrs={"validate_indices"})
def gather(node: OpNode, g: Builder, x: Value, indices: Value) -> Value:
    """GatherV2 along the first dimension; ONNX always checks the indices."""
    return g.gather(x, indices, 0).with_(dims=g.results[0].dims)


@LOWERINGS.op("OneHot", attrs={"axis"})
def one_hot(node: OpNode, g: Builder, indices: Value, depth: Value, on: Value, off: Value) -> Value:
    """`on` at the index along a new dimension, else `off`. (ONNX's OneHot counts negative indices from the end.)"""
    dims = g.results[0].dims
    index = indices if indices.dtype in (INT32, INT64) else g.cast(indices, INT64)
    axis = node.integer("axis")
    places = g.op("Range", g.scalar(0, like=index), g.cast(depth, index.dtype), g.scalar(1, like=index), dims=(None,))
    entries = depth.integer()
    if entries is not None and entries <= 1024:
        places = g.cast(g.ints(range(entries)), index.dtype)
    if axis != -1:
        behind = g.rank(indices, "indices") - axis
        places = g.unsqueeze(places, range(1, 1 + behind))
    hit = g.op("Equal", g.unsqueeze(index, [axis]), places).with_(dims=dims)
    if on.dtype == BOOL and on.integer() == 1 and off.integer() == 0:
        return hit
    return g.select(hit, on, off).with_(dims=dims)


@LOWERINGS.op("TopKV2", attrs={"sorted", "index_type"})
def top_k_v2(node: OpNode, g: Builder, x: Value, k: Value) -> Sequence[Value]:
    """The k largest along the last dimension, and where they are."""
    dims = g.results[0].dims
    values, indices = g.ops(
        "TopK", x, g.vector([g.part(k)]), outputs=2, dims=[dims, dims], axis=-1, largest=1, sorted=1
    )
    return values, g.cast(indices, g.results[1].dtype)


@LOWERINGS.op("TopK", attrs={"k", "sorted"})
def top_k(node: OpNode, g: Builder, x: Value) -> Sequence[Value]:
    """The same with k as an attribute."""
    dims = g.results[0].dims
    values, indices = g.ops("TopK", x, g.ints([node.integer("k")]), outputs=2, dims=[dims, dims], axis=-1)
    return values, g.cast(indices, INT32)


@LOWERINGS.op("Cumsum", attrs={"exclusive", "reverse"})
def cumsum(node: OpNode, g: Builder, x: Value, axis: Value) -> Value:
    """Running sums."""
    return g.op("CumSum", x, g.int64(axis), exclusive=node.flag("exclusive"), reverse=node.flag("reverse"))


@LOWERINGS.op("Unique", "UniqueWithCounts", attrs={"out_idx"})
def unique(node: OpNode, g: Builder, x: Value) -> list[Value]:
    """The elements in the order of their first appearance, the index of each among them, and their counts."""
    return _distinct(node, g, x, None)


@LOWERINGS.op("UniqueV2", "UniqueWithCountsV2", attrs={"out_idx"})
def unique_v2(node: OpNode, g: Builder, x: Value, axis: Value) -> list[Value]:
    """The same of slices along a dimension; of a vector where none is given."""
    numbers = g.numbers(axis, "dimension")
    return _distinct(node, g, x, numbers[0] if numbers and x.rank != 1 else None)


def _distinct(node: OpNode, g: Builder, x: Value, axis: int | None) -> list[Value]:
    vector, first = (None,), None if axis is None else g.results[0].dims
    values, _, inverse, counts = g.ops(
        "Unique", x, outputs=4, dims=[first or vector, vector, g.results[1].dims, vector], sorted=0, axis=axis
    )
    index = node.dtype("out_idx")
    found = [values, g.cast(inverse, index)]
    return [*found, g.cast(counts, index)] if "Counts" in node.op else found
