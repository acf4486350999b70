"""Sparse tensors: indices [n, rank] of elements, their values [n], and the shape [rank] of the whole, all int64.

Indices are in any order and an element may come twice unless an op says otherwise. ONNX has no such thing; what it
lacks is made dense, or sorted by TopK.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorferry.formats.dtype import BOOL, INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder, Part
from .rows import ascending
from .scatter import scattered

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


def _strides(g: Builder, sizes: Sequence[Part]) -> list[Part]:
    """How far apart elements are in row-major order."""
    strides: list[Part] = [1]
    for size in reversed(sizes[1:]):
        strides.insert(0, g.times(strides[0], size))
    return strides


def flat_places(g: Builder, indices: Value, sizes: Sequence[Part]) -> Value:
    """[n]: where elements are in row-major order."""
    weighted = g.op("Mul", indices, g.vector(_strides(g, sizes)))
    return g.reduce("ReduceSum", weighted, [1], keep=False).with_(dims=(None,))


def dense(g: Builder, indices: Value, values: Value, shape: Value) -> Value:
    """The whole tensor; elements at one place are added up."""
    rank = shape.dims[0] if shape.dims is not None else None
    nothing = g.op(
        "Expand", g.scalar(0, like=values), g.int64(shape), dims=(None,) * rank if isinstance(rank, int) else None
    )
    return scattered(g, nothing, indices, values, "add")


def _part_sizes(g: Builder, shape: Value, what: str) -> list[Part]:
    if shape.known_entries() is None:
        raise UnsupportedError("", f"expected {what} of known rank", hint="give the inputs' shapes")
    return g.parts(shape)


@LOWERINGS.op("SparseReshape")
def sparse_reshape(node: OpNode, g: Builder, indices: Value, shape: Value, target: Value) -> list[Value]:
    """The same elements in another shape, of which one size may be -1."""
    before = _part_sizes(g, shape, "a sparse tensor")
    wanted = g.int64(target)
    given = target.known_entries()
    if given is None:
        raise UnsupportedError("", "expected a new shape of known rank", hint="give the inputs' shapes")
    if None in given or -1 in given:
        others = g.reduce("ReduceProd", g.op("Abs", wanted), [0], keep=True)
        missing = g.op("Div", g.vector([g.times(*before)]), others)
        wanted = g.select(g.op("Equal", wanted, g.ints([-1])), missing, wanted).with_(dims=(len(given),))
    after = g.parts(wanted)
    flat = g.unsqueeze(flat_places(g, indices, before), [1])
    found = g.op("Mod", g.op("Div", flat, g.vector(_strides(g, after))), wanted)
    return [found.with_(dims=g.results[0].dims), wanted]


@LOWERINGS.op("SparseReorder")
def sparse_reorder(node: OpNode, g: Builder, indices: Value, values: Value, shape: Value) -> list[Value]:
    """In row-major order."""
    _, order = ascending(g, flat_places(g, indices, _part_sizes(g, shape, "a sparse tensor")))
    return [g.gather(indices, order).with_(dims=indices.dims), g.gather(values, order).with_(dims=values.dims)]


@LOWERINGS.op("SparseFillEmptyRows")
def sparse_fill_empty_rows(
    node: OpNode, g: Builder, indices: Value, values: Value, shape: Value, default: Value
) -> list[Value]:
    """With a default value at the beginning of every row that has none, all in the order of rows.

    Besides: which rows were empty, and where each element has gone.
    """
    rank = g.size(g.ranked(indices, 2), 1)
    if not isinstance(rank, int):
        raise UnsupportedError("", "expected a sparse tensor of known rank", hint="give the inputs' shapes")
    rows = g.slice(g.int64(shape), [0], [1], [0])
    row = g.squeeze(g.slice(indices, [0], [1], [1]), [1])
    ones = g.op("Add", g.op("Mul", row, g.ints([0])), g.ints([1])).with_(dims=row.dims)
    nothing = g.op("Expand", g.scalar(0, like=INT64), rows, dims=(None,))
    used = g.op("ScatterElements", nothing, row, ones, axis=0)
    empty = g.op("Equal", used, g.ints([0]))
    lacking = g.transpose(g.op("NonZero", empty, dims=(1, None)), [1, 0])
    added = g.pad(lacking, [0, 0], [0, rank - 1]) if rank > 1 else lacking
    every = g.op("Concat", indices, added, axis=0, dims=(None, rank))
    fill = g.op("Expand", default, g.op("Shape", g.squeeze(lacking, [1]), dims=(1,)), dims=(None,))
    whole = g.op("Concat", values, fill, axis=0, dims=(None,))
    # Elements of one row stay in their order: each has a key of its own.
    count = g.op("Shape", whole, dims=(1,))
    place = g.op("Range", g.scalar(0, like=INT64), g.reshape(count, []), g.scalar(1, like=INT64), dims=(None,))
    keys = g.op("Add", g.op("Mul", g.squeeze(g.slice(every, [0], [1], [1]), [1]), count), place).with_(dims=(None,))
    _, order = ascending(g, keys)
    _, moved = ascending(g, order)
    back = g.op("Slice", moved, g.ints([0]), g.op("Shape", row, dims=(1,)), dims=row.dims)
    return [g.gather(every, order), g.gather(whole, order), g.cast(empty, BOOL), back]


@LOWERINGS.op("SparseTensorDenseMatMul", attrs={"adjoint_a", "adjoint_b"})
def sparse_tensor_dense_mat_mul(
    node: OpNode, g: Builder, indices: Value, values: Value, shape: Value, b: Value
) -> Value:
    """A sparse matrix [m, k] times a dense one [k, n]."""
    a = dense(g, g.cast(indices, INT64), values, shape).with_(dims=(None, None))
    if node.flag("adjoint_a"):
        a = g.transpose(a, [1, 0])
    if node.flag("adjoint_b"):
        b = g.transpose(b, [1, 0])
    return g.op("MatMul", a, b, dims=g.results[0].dims)


@LOWERINGS.op("SparseTensorDenseAdd")
def sparse_tensor_dense_add(node: OpNode, g: Builder, indices: Value, values: Value, shape: Value, b: Value) -> Value:
    """A dense tensor with a sparse one of its shape added."""
    return scattered(g, b, indices, values, "add").with_(dims=b.dims)


@LOWERINGS.op("SparseReduceSum", attrs={"keep_dims"})
def sparse_reduce_sum(node: OpNode, g: Builder, indices: Value, values: Value, shape: Value, axes: Value) -> Value:
    """The sum of a dense tensor with zeros for what isn't there."""
    sizes = _part_sizes(g, shape, "a sparse tensor")
    places = sorted({g.axis(axis, len(sizes)) for axis in g.numbers(axes, "dimensions")})
    whole = dense(g, indices, values, shape)
    return g.reduce("ReduceSum", whole, places, keep=node.flag("keep_dims")) if places else whole


@LOWERINGS.op("SparseConcat", attrs={"concat_dim"})
def sparse_concat(node: OpNode, g: Builder, *inputs: Value) -> list[Value]:
    """Sparse tensors side by side, in row-major order."""
    count = len(inputs) // 3
    indices, values, shapes = (inputs[i * count : (i + 1) * count] for i in range(3))
    sizes = [_part_sizes(g, shape, "sparse tensors") for shape in shapes]
    rank = len(sizes[0])
    axis = g.axis(node.integer("concat_dim"), rank)
    moved: list[Value] = []
    start: Part = 0
    for index, size in zip(indices, sizes, strict=True):
        shift: list[Part] = [start if at == axis else 0 for at in range(rank)]
        moved.append(g.op("Add", index, g.vector(shift)))
        start = g.plus(start, size[axis])
    whole: list[Part] = [start if at == axis else size for at, size in enumerate(sizes[0])]
    every = g.op("Concat", *moved, axis=0, dims=(None, rank)) if count > 1 else moved[0]
    joined = g.op("Concat", *values, axis=0, dims=(None,)) if count > 1 else values[0]
    _, order = ascending(g, flat_places(g, every, whole))
    return [g.gather(every, order), g.gather(joined, order), g.vector(whole)]
