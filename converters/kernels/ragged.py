"""Ragged tensors: rows of different lengths, as splits and values.

nested splits   [0, 2, 2, 5]: row i holds the values from splits[i] to splits[i + 1]; one vector for each ragged
                dimension, the outermost first
dense values    what the innermost splits divide
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, check_indices, make_room, sizes

KERNELS: OpTable[Kernel] = OpTable("kernel")


def check_splits(node: OpNode, splits: Sequence[Array], count: int) -> None:
    """GraphError unless the splits divide each other, and the innermost `count` values."""
    for place, own in enumerate(splits):
        below = splits[place + 1].size - 1 if place + 1 < len(splits) else count
        if own.ndim != 1 or not own.size or own[0] != 0 or (np.diff(own) < 0).any() or own[-1] != below:
            raise GraphError(node.name, f"expected splits from 0 to {below} that don't fall, got {sizes(own)[:20]}")


@KERNELS.op("RaggedRange")
def ragged_range(node: OpNode, starts: Array, limits: Array, deltas: Array) -> tuple[Array, Array]:
    """A row of numbers from each start to below its limit."""
    shape = np.broadcast_shapes(starts.shape, limits.shape, deltas.shape) or (1,)
    first, last, step = (np.broadcast_to(x, shape) for x in (starts, limits, deltas))
    if not step.all():
        raise GraphError(node.name, "expected steps other than 0, got a 0")
    if first.dtype.kind in "iu":
        wide = [x.astype(object) for x in (first, last, step)]  # no overflow
        counts = [max(-(-(b - a) // c), 0) for a, b, c in zip(*(x.tolist() for x in wide), strict=True)]
    else:
        counts = [max(int(count), 0) for count in np.ceil((last - first) / step).tolist()]
    make_room(node, (sum(counts),), first.dtype)
    rows = [a + np.arange(n, dtype=first.dtype) * c for a, n, c in zip(first, counts, step, strict=True)]
    splits = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(node.dtype("Tsplits").numpy())
    return splits, np.concatenate(rows).astype(first.dtype) if rows else first[:0]


@KERNELS.op("RaggedGather", attrs={"OUTPUT_RAGGED_RANK"})
def ragged_gather(node: OpNode, *inputs: Array) -> tuple[Array, ...]:
    """The rows at indices of any shape."""
    *splits, values, indices = inputs
    check_splits(node, splits, len(values))
    check_indices(node, indices, len(splits[0]) - 1)
    kind = splits[0].dtype
    found = []
    for axis in range(indices.ndim - 1):
        rows, size = int(np.prod(indices.shape[: axis + 1])), indices.shape[axis + 1]
        found.append(np.arange(rows + 1, dtype=kind) * kind.type(size))
    picks = indices.reshape(-1).astype(np.int64)
    for own in splits:
        lengths = own[picks + 1] - own[picks]
        make_room(node, (int(lengths.sum(dtype=np.int64)),), np.int64)
        found.append(np.concatenate([[0], np.cumsum(lengths)]).astype(kind))
        picks = _places(own[picks], lengths)
    make_room(node, (len(picks), *values.shape[1:]), values.dtype)
    return (*found, values[picks])


def _places(starts: Array, lengths: Array) -> Array:
    """starts[0], starts[0] + 1, ..., lengths[0] of them, then those from starts[1] on, ..."""
    ends = np.cumsum(lengths, dtype=np.int64)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)


@KERNELS.op("RaggedTensorToSparse")
def ragged_to_sparse(node: OpNode, *inputs: Array) -> tuple[Array, Array, Array]:
    """The values with their indices, and the shape that holds the longest rows."""
    *splits, values = inputs
    check_splits(node, splits, len(values))
    columns, shape = [], [len(splits[0]) - 1]
    rows = [np.arange(shape[0], dtype=np.int64)]
    for own in splits:
        lengths = np.diff(own)
        rows = [np.repeat(row, lengths) for row in rows]
        rows.append(_places(np.zeros_like(lengths), lengths))
        shape.append(int(lengths.max(initial=0)))
    inner = values.shape[1:]
    count = int(np.prod(inner, dtype=np.int64))
    make_room(node, (len(values) * count, len(rows) + len(inner)), np.int64)
    columns = [np.repeat(row, count) for row in rows]
    columns += [np.tile(place.reshape(-1), len(values)) for place in np.indices(inner)]
    return np.stack(columns, -1).astype(np.int64), values.reshape(-1), np.array([*shape, *inner], np.int64)


@KERNELS.op("RaggedTensorToTensor", attrs={"row_partition_types"})
def ragged_to_tensor(node: OpNode, shape: Array, values: Array, default: Array, *partitions: Array) -> Array:
    """The values in a tensor of a shape, which cuts rows and fills them up; -1 is the size of the longest."""
    kinds = list(node.texts("row_partition_types"))
    parts = list(partitions)
    count = None
    if kinds[:1] == ["FIRST_DIM_SIZE"]:
        count = int(parts.pop(0))
        kinds.pop(0)
    if not kinds or any(kind not in ("ROW_SPLITS", "VALUE_ROWIDS") for kind in kinds) or len(parts) != len(kinds):
        raise GraphError(node.name, f"expected row splits or row ids, got {', '.join(kinds) or 'none'}")
    if count is None:
        count = parts[0].size - 1 if kinds[0] == "ROW_SPLITS" else 0
    places = [np.arange(max(count, 0), dtype=np.int64)]
    found = [count]
    for kind, part in zip(kinds, parts, strict=True):
        if kind == "ROW_SPLITS":
            lengths = np.diff(part)
        else:
            check_indices(node, part, len(places[0]))
            lengths = np.bincount(part, minlength=len(places[0])).astype(np.int64)
        if len(lengths) != len(places[0]) or (lengths < 0).any():
            raise GraphError(node.name, f"expected {len(places[0])} rows to be divided, got {len(lengths)}")
        make_room(node, (int(lengths.sum()),), np.int64)
        places = [np.repeat(place, lengths) for place in places]
        places.append(_places(np.zeros_like(lengths), lengths))
        found.append(int(lengths.max(initial=0)))
    if len(places[0]) != len(values):
        raise GraphError(node.name, f"expected {len(places[0])} values, got {len(values)}")
    found += values.shape[1:]
    if shape.ndim and shape.size != len(found):
        raise GraphError(node.name, f"expected a shape of {len(found)} dimensions, got {sizes(shape)}")
    wanted = [own if size < 0 else size for own, size in zip(found, sizes(shape), strict=True)] if shape.ndim else found
    inner = tuple(wanted[len(places) :])
    if inner != values.shape[1:]:
        raise GraphError(node.name, f"expected the inner shape {list(values.shape[1:])}, got {list(inner)}")
    dense = np.empty(make_room(node, wanted, values.dtype), values.dtype)
    dense[...] = default
    kept = np.logical_and.reduce([place < size for place, size in zip(places, wanted, strict=False)])
    dense[tuple(place[kept] for place in places)] = values[kept]
    return dense
