"""Rules of ops that keep the elements and change the shape, or join and part tensors along a dimension."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .array import dims_of_entries
from .dims import Dim, Dims, add, exact_divide, merge_dims, multiply, product
from .facts import Fact, Result, axis_index, dim_at, same, unknown, vector
from .values import MAX_ENTRIES, Value

RULES: OpTable[Callable[..., Result]] = OpTable("inference rule")


@RULES.op("Reshape")
def reshape(node: OpNode, x: Value, target: Value) -> Result:
    """The target's entries, of which one may be -1: whatever is left of the number of elements."""
    dims = dims_of_entries(target)
    entries = target.known_entries()
    if dims is None or entries is None:
        return dims
    if dims.count(None) == 1 and x.dims is not None:
        hole = dims.index(None)
        rest = product(dims[:hole] + dims[hole + 1 :])
        filled = exact_divide(x.size, rest) if rest != 1 else x.size
        dims = (*dims[:hole], filled, *dims[hole + 1 :])
    return Fact(dims, x.entries)


@RULES.op("ExpandDims")
def expand_dims(node: OpNode, x: Value, axis: Value) -> Result:
    """A dimension of 1 before the axis."""
    where = axis.integer()
    if x.dims is None:
        return None
    if where is None:
        return unknown(len(x.dims) + 1)
    at = axis_index(node, where, len(x.dims) + 1)
    dims = (*x.dims[:at], 1, *x.dims[at:])
    return Fact(dims, x.entries)


@RULES.op("Squeeze", attrs={"squeeze_dims"})
def squeeze(node: OpNode, x: Value) -> Result:
    """Without the given dimensions, or without all of 1, if none is given."""
    given = node.integers("squeeze_dims")
    if x.dims is None:
        return None
    if not given:
        if not all(isinstance(dim, int) for dim in x.dims):
            return None
        dims = tuple(dim for dim in x.dims if dim != 1)
    else:
        gone = {axis_index(node, axis, len(x.dims)) for axis in given}
        dims = tuple(dim for axis, dim in enumerate(x.dims) if axis not in gone)
    return Fact(dims, x.entries)


@RULES.op("Transpose", "ConjugateTranspose")
def transpose(node: OpNode, x: Value, perm: Value) -> Result:
    """Dimension i is x's dimension perm[i]."""
    order = perm.integers()
    if order is None:
        return unknown(len(x.dims)) if x.dims is not None else dims_of_rank(dim_at(perm, 0))
    if x.dims is None:
        return unknown(len(order))
    if len(order) != len(x.dims) or sorted(order) != list(range(len(order))):
        raise GraphError(node.name, f"expected a permutation of {len(x.dims)} dimensions, got {list(order)}")
    return tuple(x.dims[axis] for axis in order)


def dims_of_rank(count: Dim) -> Dims:
    """A shape of that many unknown dimensions."""
    return unknown(count) if isinstance(count, int) and count <= MAX_ENTRIES else None


@RULES.op("Tile")
def tile(node: OpNode, x: Value, multiples: Value) -> Result:
    """Each dimension times its multiple."""
    times = multiples.known_entries()
    if x.dims is None or times is None or len(times) != len(x.dims):
        return x.dims and unknown(len(x.dims))
    dims = tuple(multiply(dim, count) for dim, count in zip(x.dims, times, strict=True))
    if len(dims) == 1 and x.entries is not None and isinstance(times[0], int) and isinstance(dims[0], int):
        return Fact(dims, x.entries * times[0] if dims[0] <= MAX_ENTRIES else None)
    return dims


@RULES.op("BroadcastTo")
def broadcast_to(node: OpNode, x: Value, target: Value) -> Result:
    """The target's entries."""
    dims = dims_of_entries(target)
    entries = x.known_entries()
    if x.dtype.is_integer and entries and dims is not None and len(dims) == 1 and isinstance(dims[0], int):
        return Fact(dims, entries * dims[0] if len(entries) == 1 and dims[0] <= MAX_ENTRIES else None)
    return dims


@RULES.op("Pad", "PadV2")
def pad(node: OpNode, x: Value, paddings: Value, *value: Value) -> Result:
    """Each dimension with what paddings [rank, 2] puts before and after it."""
    around = paddings.known_entries() if paddings.rank == 2 else None
    if x.dims is None:
        return dims_of_rank(dim_at(paddings, 0))
    if around is None or len(around) != 2 * len(x.dims):
        return unknown(len(x.dims))
    return tuple(add(dim, around[2 * i], around[2 * i + 1]) for i, dim in enumerate(x.dims))


RULES.add("MirrorPad", pad, {"mode"})


def _joined(node: OpNode, inputs: Sequence[Value], axis: int | None) -> Result:
    if any(value.dims is None for value in inputs):
        ranks = [value.rank for value in inputs if value.rank is not None]
        return unknown(ranks[0]) if ranks else None
    rank = inputs[0].rank or 0
    if any(value.rank != rank for value in inputs):
        raise GraphError(node.name, f"expected inputs of one rank, got {[value.rank for value in inputs]}")
    if axis is None:
        return unknown(rank)
    at = axis_index(node, axis, rank)
    dims: Dims = inputs[0].dims
    for value in inputs[1:]:
        dims = merge_dims(dims, value.dims)
    assert dims is not None
    dims = (*dims[:at], add(*(dim_at(value, at) for value in inputs)), *dims[at + 1 :])
    return Fact(dims, _joined_entries(inputs, np.concatenate, at))


def _joined_entries(inputs: Sequence[Value], join: Callable[..., Any], axis: int) -> tuple[Dim, ...] | None:
    """The entries of all inputs in the places that numpy's `join` along `axis` puts them."""
    if not inputs[0].dtype.is_integer:
        return None
    grids = [value.grid() for value in inputs]
    if any(grid is None for grid in grids) or any(grid.shape != grids[0].shape for grid in grids if join is np.stack):  # type: ignore[union-attr]
        return None
    return tuple(join(grids, axis=axis).reshape(-1))


@RULES.op("ConcatV2")
def concat_v2(node: OpNode, *inputs: Value) -> Result:
    """The sizes along the axis (the last input) add up."""
    return _joined(node, inputs[:-1], inputs[-1].integer())


@RULES.op("Concat")
def concat(node: OpNode, *inputs: Value) -> Result:
    """ConcatV2 with the axis first."""
    return _joined(node, inputs[1:], inputs[0].integer())


@RULES.op("Pack", "ParallelConcat", attrs={"axis", "shape"})
def pack(node: OpNode, *inputs: Value) -> Result:
    """A new dimension with one place for each input; ParallelConcat joins along the first."""
    if node.op == "ParallelConcat":
        return _joined(node, inputs, 0)
    dims: Dims = None
    for value in inputs:
        dims = merge_dims(dims, value.dims)
    if dims is None:
        return None
    at = axis_index(node, node.integer("axis"), len(dims) + 1)
    return Fact((*dims[:at], len(inputs), *dims[at:]), _joined_entries(inputs, np.stack, at))


@RULES.op("Unpack", attrs={"axis"})
def unpack(node: OpNode, x: Value) -> Result:
    """One output for each place along the axis."""
    count = node.integer("num")
    if x.dims is None:
        return [None] * count
    at = axis_index(node, node.integer("axis"), len(x.dims))
    dims = x.dims[:at] + x.dims[at + 1 :]
    entries = x.known_entries() if len(x.dims) == 1 else None
    if entries is not None and len(entries) == count:
        return [Fact((), (entry,)) for entry in entries]
    return [dims] * count


@RULES.op("Split")
def split(node: OpNode, axis: Value, x: Value) -> Result:
    """Equal parts along the axis."""
    count = node.integer("num_split")
    at = axis.integer()
    if x.dims is None or at is None:
        return [x.dims and unknown(len(x.dims))] * count
    at = axis_index(node, at, len(x.dims))
    entries = x.known_entries() if len(x.dims) == 1 else None
    if entries is not None and len(entries) % count == 0:
        size = len(entries) // count
        return [vector(entries[i * size : (i + 1) * size]) for i in range(count)]
    size_of_part = exact_divide(x.dims[at], count)
    return [(*x.dims[:at], size_of_part, *x.dims[at + 1 :])] * count


@RULES.op("SplitV", attrs={"Tlen"})
def split_v(node: OpNode, x: Value, sizes: Value, axis: Value) -> Result:
    """Parts of given sizes; one may be -1, the rest."""
    count = node.integer("num_split")
    at, given = axis.integer(), sizes.known_entries()
    if x.dims is None or at is None or given is None or len(given) != count:
        return [x.dims and unknown(len(x.dims))] * count
    at = axis_index(node, at, len(x.dims))
    if given.count(-1) == 1 and None not in given:
        hole = given.index(-1)
        others = multiply(add(*given[:hole], *given[hole + 1 :]), -1)
        given = (*given[:hole], add(x.dims[at], others), *given[hole + 1 :])
    entries = x.known_entries() if len(x.dims) == 1 else None
    if entries is not None and all(isinstance(size, int) and size >= 0 for size in given):
        ends = [sum(given[: i + 1]) for i in range(count)]  # type: ignore[arg-type]
        return [vector(entries[end - size : end]) for end, size in zip(ends, given, strict=True)]  # type: ignore[operator]
    return [(*x.dims[:at], size, *x.dims[at + 1 :]) for size in given]


@RULES.op("ReverseV2", "Reverse")
def reverse(node: OpNode, x: Value, axis: Value) -> Result:
    """The same shape; of a vector the entries the other way round."""
    if node.op == "ReverseV2" and x.rank == 1 and axis.integer() in (0, -1) and x.entries is not None:
        return vector(x.entries[::-1])
    return x.dims


RULES.add("ReverseSequence", same, {"seq_dim", "batch_dim"})
RULES.add("Roll", same)
RULES.add("MatrixBandPart", same)
RULES.add("BatchMatrixBandPart", same)


@RULES.op("Bitcast")
def bitcast(node: OpNode, x: Value) -> Result:
    """The same bytes: a wider type takes the last dimension away, a narrower one adds one."""
    wide, narrow = x.dtype.itemsize, node.dtype("type").itemsize
    if x.dims is None or not wide or not narrow:
        return None
    if wide == narrow:
        return x.dims
    return (*x.dims, wide // narrow) if wide > narrow else x.dims[:-1]
