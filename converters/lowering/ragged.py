"""Ragged tensors: values in one row after another, and splits, which say where each row begins and the last one ends.

A truth for every place that a row has, [rows, longest], gives by NonZero the row and the column of all values in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorferry.formats.dtype import INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import TO_END, Builder
from .rows import true_places, within_lengths

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


def _lengths(g: Builder, splits: Value) -> Value:
    """How long rows are, as int64."""
    wide = g.cast(splits, INT64)
    return g.op("Sub", g.slice(wide, [1], [TO_END], [0]), g.slice(wide, [0], [-1], [0])).with_(dims=(None,))


def _splits(g: Builder, lengths: Value) -> Value:
    running = g.op("CumSum", lengths, g.scalar(0, like=INT64))
    return g.op("Concat", g.ints([0]), running, axis=0, dims=(None,))


def _longest(g: Builder, lengths: Value) -> Value:
    return g.reduce("ReduceMax", g.op("Concat", lengths, g.ints([0]), axis=0, dims=(None,)), [0], keep=True)


def _places(g: Builder, lengths: Value) -> tuple[Value, Value]:
    """The row and the column of each value, [n] both."""
    kept = within_lengths(g, lengths, _longest(g, lengths)).with_(dims=(None, None))
    both = true_places(g, kept)
    row, column = (g.squeeze(g.slice(both, [at], [at + 1], [1]), [1]).with_(dims=(None,)) for at in (0, 1))
    return row, column


@LOWERINGS.op("RaggedRange")
def ragged_range(node: OpNode, g: Builder, starts: Value, limits: Value, deltas: Value) -> list[Value]:
    """A range in each row: splits and values."""
    dtype = starts.dtype
    step = g.op("Add", g.op("Sub", limits, starts), g.op("Mul", deltas, g.scalar(0, like=deltas)))
    if dtype.is_integer:
        # Rounded up, whatever the signs: towards zero, and one more where something is left in the step's direction.
        wide, by = g.cast(step, INT64), g.cast(deltas, INT64)
        whole = g.op("Div", wide, by)
        rest = g.op("Sub", wide, g.op("Mul", whole, by))
        lengths = g.op("Add", whole, g.op("Mul", g.op("Sign", rest), g.op("Sign", by)))
    else:
        lengths = g.cast(g.op("Ceil", g.op("Div", step, deltas)), INT64)
    lengths = g.op("Reshape", g.op("Max", lengths, g.scalar(0, like=INT64)), g.ints([-1]), dims=(None,))
    row, column = _places(g, lengths)
    first, by = (
        g.op("Expand", g.reshape(value, [-1], (value.size,)), g.op("Shape", lengths, dims=(1,)), dims=(None,))
        for value in (starts, deltas)
    )
    values = g.op("Add", g.gather(first, row), g.op("Mul", g.cast(column, dtype), g.gather(by, row)))
    return [g.cast(_splits(g, lengths), g.results[0].dtype), values]


@LOWERINGS.op("RaggedGather", attrs={"PARAMS_RAGGED_RANK", "OUTPUT_RAGGED_RANK"})
def ragged_gather(node: OpNode, g: Builder, *inputs: Value) -> list[Value]:
    """Rows of a ragged tensor (splits of every depth, values) by indices of any rank: splits and values again."""
    *splits, values, indices = inputs
    kind = g.results[0].dtype
    rank = g.rank(indices, "indices")
    found: list[Value] = []
    sizes = g.sizes_of(indices)
    for depth in range(1, rank):
        rows, width = g.times(*sizes[:depth]), sizes[depth]
        ends = g.op("Range", *(g.reshape(g.vector([n]), []) for n in (0, g.plus(rows, 1), 1)), dims=(None,))
        found.append(g.op("Mul", ends, g.vector([width])))
    chosen = g.reshape(g.cast(indices, INT64), [-1], (indices.size,))
    for split in splits:
        lengths = g.gather(_lengths(g, split), chosen)
        found.append(_splits(g, lengths))
        row, column = _places(g, lengths)
        chosen = g.op("Add", g.gather(g.gather(g.cast(split, INT64), chosen), row), column).with_(dims=(None,))
    picked = g.gather(values, chosen)
    return [*(g.cast(split, kind) for split in found), picked.with_(dims=g.results[-1].dims)]


@LOWERINGS.op("RaggedTensorToSparse", attrs={"RAGGED_RANK"})
def ragged_tensor_to_sparse(node: OpNode, g: Builder, *inputs: Value) -> list[Value]:
    """Splits of every depth and values [n, ...] -> indices, values, shape."""
    *splits, values = inputs
    indices, sizes = _indices(g, [_lengths(g, split) for split in splits])
    if g.rank(values, "values") > 1:
        ones = g.op("Expand", g.scalar(1, like=INT64), g.shape(values), dims=values.dims)
        places = true_places(g, ones)
        row = g.squeeze(g.slice(places, [0], [1], [1]), [1])
        indices = g.op("Concat", g.gather(indices, row), g.slice(places, [1], [TO_END], [1]), axis=1)
        sizes.append(g.vector(g.sizes_of(values)[1:]))
    flat = g.reshape(values, [-1], (values.size,))
    shape = g.op("Concat", *sizes, axis=0, dims=g.results[2].dims)
    return [indices.with_(dims=g.results[0].dims), flat, shape]


def _indices(g: Builder, depths: Sequence[Value]) -> tuple[Value, list[Value]]:
    """The position of each value [n, depths + 1], from the lengths of rows at all depths, and the largest sizes."""
    count = g.op("Shape", depths[0], dims=(1,))
    rows = g.op("Range", g.scalar(0, like=INT64), g.reshape(count, []), g.scalar(1, like=INT64), dims=(None,))
    indices, sizes = g.unsqueeze(rows, [1]), [count]
    for depth, lengths in enumerate(depths):
        row, column = _places(g, lengths)
        above = g.gather(indices, row).with_(dims=(None, depth + 1))
        indices = g.op("Concat", above, g.unsqueeze(column, [1]), axis=1, dims=(None, depth + 2))
        sizes.append(_longest(g, lengths))
    return indices, sizes


@LOWERINGS.op("RaggedTensorToTensor", attrs={"row_partition_types", "num_row_partition_tensors"})
def ragged_tensor_to_tensor(
    node: OpNode, g: Builder, shape: Value, values: Value, default: Value, *partitions: Value
) -> Value:
    """All rows as long as the longest, or as long as `shape` says where it isn't -1: cut, or filled with a default."""
    depths = _depths(g, node.texts("row_partition_types"), partitions)
    indices, sizes = _indices(g, depths)
    inner = g.sizes_of(values)[1:]
    whole = g.op("Concat", *sizes, *([g.vector(inner)] if inner else []), axis=0, dims=(len(sizes) + len(inner),))
    # A scalar can only be -1.
    if shape.rank != 0 and any(size != -1 for size in shape.integers() or (None,)):
        wanted = g.int64(shape)
        whole = g.select(g.op("Less", wanted, g.ints([0])), whole, wanted).with_(dims=whole.dims)
        kept = g.op("Less", indices, g.slice(whole, [0], [len(sizes)], [0]))
        inside = g.reduce("ReduceMin", g.cast(kept, INT64), [1], keep=False)
        chosen = g.squeeze(true_places(g, inside.with_(dims=(None,))), [1])
        indices, values = g.gather(indices, chosen), g.gather(values, chosen)
    background = g.op("Expand", default, whole, dims=g.results[0].dims)
    return g.op("ScatterND", background, indices, values)


def _depths(g: Builder, kinds: Sequence[str], partitions: Sequence[Value]) -> list[Value]:
    """The lengths of rows at every depth, from row splits, or from the row of each value and the number of rows."""
    depths: list[Value] = []
    rows: Value | None = None
    for kind, partition in zip(kinds, partitions, strict=True):
        if kind == "FIRST_DIM_SIZE":
            rows = g.reshape(g.int64(partition), [1])
            continue
        if kind == "ROW_SPLITS":
            depths.append(_lengths(g, partition))
        elif kind == "VALUE_ROWIDS" and rows is not None:
            ids = g.cast(partition, INT64)
            ones = g.op("Add", g.op("Mul", ids, g.ints([0])), g.ints([1])).with_(dims=ids.dims)
            nothing = g.op("Expand", g.scalar(0, like=INT64), rows, dims=(None,))
            depths.append(g.op("ScatterElements", nothing, ids, ones, axis=0, reduction="add").with_(dims=(None,)))
        else:
            raise UnsupportedError("", f"expected row splits, or rows of values and their number, got {kind}")
        rows = g.reduce("ReduceSum", depths[-1], [0], keep=True)
    if not depths:
        raise UnsupportedError("", "expected rows of some depth")
    return depths
