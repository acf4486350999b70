"""Shape and arrangement: reshape, transpose, join, split, repeat, pad, reverse.

Shapes come as vectors of integers. A size of -1 in Reshape stands for what is left.
"""

from __future__ import annotations

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, axis_of, check_indices, front_axis, make_room, scalar, sizes, zero

KERNELS: OpTable[Kernel] = OpTable("kernel")


@KERNELS.op("Shape", "ShapeN")
def shape(node: OpNode, *inputs: Array) -> tuple[Array, ...]:
    """The shape of each input as a vector."""
    dtype = node.dtype("out_type").numpy()
    return tuple(np.array(x.shape, dtype) for x in inputs)


@KERNELS.op("Size")
def size(node: OpNode, x: Array) -> Array:
    """The number of elements."""
    return np.array(x.size, node.dtype("out_type").numpy())


@KERNELS.op("Rank")
def rank(node: OpNode, x: Array) -> Array:
    """The number of dimensions."""
    return np.array(x.ndim, np.int32)


@KERNELS.op("Reshape")
def reshape(node: OpNode, x: Array, shape: Array) -> Array:
    """The elements in row-major order, in another shape."""
    return x.reshape(sizes(shape))


@KERNELS.op("EnsureShape", attrs={"shape"})
def ensure_shape(node: OpNode, x: Array) -> Array:
    """x, if it has the shape in the attribute, which may be partly unknown."""
    wanted = node.shape("shape")
    if wanted.dims is not None and (
        len(wanted.dims) != x.ndim or any(w not in (-1, d) for w, d in zip(wanted.dims, x.shape, strict=True))
    ):
        raise GraphError(node.name, f"expected shape {wanted}, got {list(x.shape)}")
    return x


@KERNELS.op("Squeeze", attrs={"squeeze_dims"})
def squeeze(node: OpNode, x: Array) -> Array:
    """Without the dimensions of size 1, or without those that the attribute lists."""
    dims = node.integers("squeeze_dims")
    return x.squeeze(axis=tuple({front_axis(node, dim, x.ndim) for dim in dims}) if dims else None)


@KERNELS.op("ExpandDims")
def expand_dims(node: OpNode, x: Array, dim: Array) -> Array:
    """With a dimension of size 1 more, before `dim`; -1 is the end."""
    return np.expand_dims(x, axis_of(node, dim, x.ndim + 1))


@KERNELS.op("Transpose", "ConjugateTranspose")
def transpose(node: OpNode, x: Array, perm: Array) -> Array:
    """Dimension i of the result is dimension perm[i] of x."""
    value = x.transpose(sizes(perm))
    return np.conj(value) if node.op == "ConjugateTranspose" and x.dtype.kind == "c" else value


@KERNELS.op("Concat")
def concat(node: OpNode, axis: Array, *values: Array) -> Array:
    """Arrays joined along a dimension."""
    return _joined(node, values, axis_of(node, axis, values[0].ndim))


@KERNELS.op("ConcatV2")
def concat_v2(node: OpNode, *inputs: Array) -> Array:
    """Arrays joined along a dimension, which comes last."""
    *values, axis = inputs
    return _joined(node, tuple(values), axis_of(node, axis, values[0].ndim))


def _joined(node: OpNode, values: tuple[Array, ...], axis: int) -> Array:
    first = values[0]
    total = sum(value.shape[axis] for value in values if value.ndim > axis)
    make_room(node, (*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype)
    return np.concatenate(values, axis=axis)


@KERNELS.op("Pack", "ParallelConcat", attrs={"axis", "shape"})
def pack(node: OpNode, *values: Array) -> Array:
    """Arrays of one shape, stacked along a new dimension. ParallelConcat joins them along the first instead."""
    if node.op == "ParallelConcat":
        return _joined(node, values, 0)
    axis = front_axis(node, node.integer("axis"), values[0].ndim + 1)
    make_room(node, (len(values), *values[0].shape), values[0].dtype)
    return np.stack(values, axis=axis)


@KERNELS.op("Unpack", attrs={"axis"})
def unpack(node: OpNode, value: Array) -> tuple[Array, ...]:
    """The `num` slices along a dimension."""
    axis = front_axis(node, node.integer("axis"), value.ndim)
    if value.shape[axis] != node.integer("num"):
        raise GraphError(node.name, f"expected size {node.integer('num')} at axis {axis}, got {value.shape[axis]}")
    return tuple(np.moveaxis(value, axis, 0))


@KERNELS.op("Split")
def split(node: OpNode, axis: Array, value: Array) -> tuple[Array, ...]:
    """`num_split` equal parts along a dimension."""
    return tuple(np.split(value, node.integer("num_split"), axis=axis_of(node, axis, value.ndim)))


@KERNELS.op("SplitV")
def split_v(node: OpNode, value: Array, size_splits: Array, axis: Array) -> tuple[Array, ...]:
    """Parts of the sizes given along a dimension; one of them may be -1, for what is left."""
    dim = axis_of(node, axis, value.ndim)
    whole, parts = value.shape[dim], sizes(size_splits)
    if parts.count(-1) == 1:
        parts[parts.index(-1)] = whole - sum(parts) - 1
    if sum(parts) != whole or any(part < 0 for part in parts) or len(parts) != node.integer("num_split"):
        raise GraphError(
            node.name, f"expected {node.integer('num_split')} sizes that add up to {whole}, got {sizes(size_splits)}"
        )
    return tuple(np.split(value, np.cumsum(parts)[:-1].tolist(), axis=dim))


@KERNELS.op("Tile")
def tile(node: OpNode, x: Array, multiples: Array) -> Array:
    """x repeated along each dimension."""
    counts = sizes(multiples)
    make_room(node, [d * count for d, count in zip(x.shape, counts, strict=True)], x.dtype)
    return np.tile(x, counts)


@KERNELS.op("BroadcastTo")
def broadcast_to(node: OpNode, x: Array, shape: Array) -> Array:
    """x repeated where its sizes are 1."""
    return np.broadcast_to(x, make_room(node, sizes(shape), x.dtype))


@KERNELS.op("BroadcastArgs")
def broadcast_args(node: OpNode, s0: Array, s1: Array) -> Array:
    """The shape to which arrays of the shapes s0 and s1 broadcast."""
    return np.array(np.broadcast_shapes(tuple(sizes(s0)), tuple(sizes(s1))), s0.dtype)


@KERNELS.op("Pad", "PadV2")
def pad(node: OpNode, x: Array, paddings: Array, value: Array | None = None) -> Array:
    """x between paddings [rank, 2] of `value`, or zeros."""
    pairs = _pairs(node, x, paddings)
    result = np.full(
        make_room(node, [d + before + after for d, (before, after) in zip(x.shape, pairs, strict=True)], x.dtype),
        zero(x.dtype) if value is None else value,
        x.dtype,
    )
    result[tuple(slice(before, before + d) for d, (before, _) in zip(x.shape, pairs, strict=True))] = x
    return result


@KERNELS.op("MirrorPad", attrs={"mode"})
def mirror_pad(node: OpNode, x: Array, paddings: Array) -> Array:
    """x between paddings [rank, 2] of its own reflection, without (REFLECT) or with (SYMMETRIC) the edge."""
    pairs = _pairs(node, x, paddings)
    mode = node.text("mode").lower()
    spare = {"reflect": 1, "symmetric": 0}[mode]
    if any(max(pair) > max(d - spare, 0) for d, pair in zip(x.shape, pairs, strict=True)):
        raise GraphError(node.name, f"expected paddings within the shape {list(x.shape)}, got {pairs}")
    make_room(node, [d + before + after for d, (before, after) in zip(x.shape, pairs, strict=True)], x.dtype)
    return np.pad(x, pairs, mode=mode)  # type: ignore[call-overload]


def _pairs(node: OpNode, x: Array, paddings: Array) -> list[tuple[int, int]]:
    """paddings [rank, 2] as pairs of before and after."""
    if paddings.shape != (x.ndim, 2) or (paddings < 0).any():
        raise GraphError(node.name, f"expected paddings of 0 and more in shape [{x.ndim}, 2], got {paddings.tolist()}")
    return [(before, after) for before, after in paddings.tolist()]


@KERNELS.op("Reverse")
def reverse(node: OpNode, x: Array, dims: Array) -> Array:
    """x backwards along each dimension that has True in `dims`."""
    return np.flip(x, tuple(int(i) for i in np.flatnonzero(dims)))


@KERNELS.op("ReverseV2")
def reverse_v2(node: OpNode, x: Array, axis: Array) -> Array:
    """x backwards along the dimensions listed."""
    return np.flip(x, tuple(front_axis(node, a, x.ndim) for a in sizes(axis)))


@KERNELS.op("ReverseSequence", attrs={"seq_dim", "batch_dim"})
def reverse_sequence(node: OpNode, x: Array, seq_lengths: Array) -> Array:
    """The first seq_lengths[b] places along `seq_dim` backwards, for each b along `batch_dim`."""
    seq, batch = (front_axis(node, node.integer(name), x.ndim) for name in ("seq_dim", "batch_dim"))
    check_indices(node, seq_lengths, x.shape[seq] + 1)
    value = np.moveaxis(x, (batch, seq), (0, 1)).copy()
    for row, count in zip(value, sizes(seq_lengths), strict=True):
        row[:count] = row[:count][::-1].copy()
    return np.moveaxis(value, (0, 1), (batch, seq))


@KERNELS.op("Roll")
def roll(node: OpNode, x: Array, shift: Array, axis: Array) -> Array:
    """x moved along each of the dimensions; what leaves at the end comes back at the start."""
    return np.roll(x, sizes(shift), tuple(front_axis(node, a, x.ndim) for a in sizes(axis)))


@KERNELS.op("InvertPermutation")
def invert_permutation(node: OpNode, x: Array) -> Array:
    """y with y[x[i]] = i."""
    check_indices(node, x, x.size)
    if len(set(sizes(x))) < x.size:
        raise GraphError(node.name, "expected a permutation, got an index twice")
    return np.argsort(x).astype(x.dtype)


@KERNELS.op("UnravelIndex")
def unravel_index(node: OpNode, indices: Array, dims: Array) -> Array:
    """The coordinates [rank, N] of flat indices [N] into an array of shape `dims`."""
    return np.array(np.unravel_index(indices, sizes(dims)), indices.dtype)


@KERNELS.op("OneHot", attrs={"axis"})
def one_hot(node: OpNode, indices: Array, depth: Array, on: Array, off: Array) -> Array:
    """A new dimension of size `depth`: `on` at the index, `off` elsewhere; an index outside gives only `off`."""
    count = scalar(node, depth, "depth")
    axis = front_axis(node, node.integer("axis"), indices.ndim + 1)
    make_room(node, (*indices.shape, count), on.dtype)
    hot = np.expand_dims(indices, -1) == np.arange(count, dtype=np.int64)
    return np.moveaxis(np.where(hot, on, off), -1, axis)


@KERNELS.op("DataFormatVecPermute", attrs={"src_format", "dst_format"})
def data_format_vec_permute(node: OpNode, x: Array) -> Array:
    """Sizes or pairs in the order of one data format, in that of another; of two, the spatial ones."""
    source, target = _formats(node)
    if x.shape[:1] == (len(source) - 2,):
        source, target = ("".join(letter for letter in text if letter not in "NC") for text in (source, target))
    if x.ndim not in (1, 2) or len(x) != len(source):
        raise GraphError(node.name, f"expected a row for each of {source}, got shape {list(x.shape)}")
    return x[[source.index(letter) for letter in target]]


@KERNELS.op("DataFormatDimMap", attrs={"src_format", "dst_format"})
def data_format_dim_map(node: OpNode, x: Array) -> Array:
    """Numbers of dimensions of one data format, as those of another."""
    source, target = _formats(node)
    check_indices(node, x + len(source), 2 * len(source))
    return np.array([target.index(letter) for letter in source], x.dtype)[x]


def _formats(node: OpNode) -> tuple[str, str]:
    source, target = node.text("src_format"), node.text("dst_format")
    if sorted(source) != sorted(target) or len(set(source)) != len(source):
        raise GraphError(node.name, f"expected two orders of the same dimensions, got {source} and {target}")
    return source, target


@KERNELS.op("BroadcastGradientArgs")
def broadcast_gradient_args(node: OpNode, s0: Array, s1: Array) -> tuple[Array, Array]:
    """The dimensions along which arrays of the shapes s0 and s1 have one element, when they broadcast to each other."""
    shapes = [tuple(sizes(s0)), tuple(sizes(s1))]
    rank = len(np.broadcast_shapes(*shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    first, second = ([i for i in range(rank) if shape[i] == 1 and shapes[0] != shapes[1]] for shape in padded)
    return np.array(first, s0.dtype), np.array(second, s0.dtype)
