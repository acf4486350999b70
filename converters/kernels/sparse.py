"""Sparse tensors: indices [n, rank], values [n], and the shape.

Unless an op says otherwise, indices are in any order, and may come twice where values are added up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, axis_of, check_indices, front_axis, make_room, sizes

KERNELS: OpTable[Kernel] = OpTable("kernel")


def check_sparse(node: OpNode, indices: Array, values: Array, shape: Array) -> list[int]:
    """The shape, if indices lie in it and there is one for each value; else GraphError."""
    dims = sizes(shape)
    if indices.ndim != 2 or indices.shape != (len(values), len(dims)) or values.ndim != 1 or shape.ndim != 1:
        got = f"{list(indices.shape)} for {list(values.shape)} values and {len(dims)} dimensions"
        raise GraphError(node.name, f"expected an index of each dimension for each value, got {got}")
    for axis, size in enumerate(dims):
        check_indices(node, indices[:, axis], size)
    return dims


def _dense(node: OpNode, indices: Array, values: Array, shape: Array) -> Array:
    """The sum of the values at each place."""
    dims = check_sparse(node, indices, values, shape)
    dense = np.zeros(make_room(node, dims, values.dtype), values.dtype)
    np.add.at(dense, tuple(indices.T), values)
    return dense


def _in_order(indices: Array) -> Array:
    """What sorts indices, the last dimension fastest; those that come twice keep their order."""
    return np.lexsort(indices.T[::-1]) if indices.shape[1] else np.arange(len(indices))


@KERNELS.op("SparseFillEmptyRows")
def fill_empty_rows(node: OpNode, indices: Array, values: Array, shape: Array, default: Array) -> tuple[Array, ...]:
    """With a default at the start of each row that has no value; which rows, and where each value went."""
    dims = check_sparse(node, indices, values, shape)
    if not dims:
        raise GraphError(node.name, "expected at least one dimension, got none")
    make_room(node, (dims[0], len(dims)), np.int64)
    rows = indices[:, 0]
    empty = np.bincount(rows, minlength=dims[0]) == 0
    added = np.zeros((int(empty.sum()), len(dims)), np.int64)
    added[:, 0] = np.flatnonzero(empty)
    order = np.argsort(np.concatenate([rows, added[:, 0]]), kind="stable")
    whole = np.concatenate([values, np.broadcast_to(default, len(added)).astype(values.dtype)])
    where = np.empty(len(order), np.int64)
    where[order] = np.arange(len(order))
    return np.concatenate([indices, added])[order], whole[order], empty, where[: len(values)]


@KERNELS.op("SparseReorder")
def reorder(node: OpNode, indices: Array, values: Array, shape: Array) -> tuple[Array, Array]:
    """The same in row-major order."""
    check_sparse(node, indices, values, shape)
    order = _in_order(indices)
    return indices[order], values[order]


@KERNELS.op("SparseReshape")
def reshape(node: OpNode, indices: Array, shape: Array, new_shape: Array) -> tuple[Array, Array]:
    """The indices in another shape of as many elements; a size may be -1."""
    dims, wanted = check_sparse(node, indices, np.arange(len(indices)), shape), sizes(new_shape)
    total = int(np.prod(dims, dtype=object))
    known = int(np.prod([size for size in wanted if size != -1], dtype=object))
    if wanted.count(-1) == 1 and known and total % known == 0:
        wanted[wanted.index(-1)] = total // known
    if int(np.prod(wanted, dtype=object)) != total or min(wanted, default=0) < 0 or total >= 1 << 63:
        raise GraphError(node.name, f"expected a shape of {total} elements, got {sizes(new_shape)}")
    flat = np.ravel_multi_index(tuple(indices.T), dims) if len(indices) else np.zeros(0, np.int64)
    places = np.unravel_index(flat, wanted) if len(indices) else [flat] * len(wanted)
    return np.stack(places, -1).astype(np.int64).reshape(-1, len(wanted)), np.array(wanted, np.int64)


@KERNELS.op("SparseConcat", attrs={"concat_dim"})
def concat(node: OpNode, *inputs: Array) -> tuple[Array, ...]:
    """Sparse tensors joined along a dimension, in row-major order."""
    count = node.integer("N")
    indices, values, shapes = inputs[:count], inputs[count : 2 * count], inputs[2 * count :]
    dims = [check_sparse(node, *parts) for parts in zip(indices, values, shapes, strict=True)]
    axis = front_axis(node, node.integer("concat_dim"), len(dims[0]))
    if any(own[:axis] != dims[0][:axis] or own[axis + 1 :] != dims[0][axis + 1 :] for own in dims):
        raise GraphError(node.name, f"expected shapes that differ along dimension {axis} alone, got {dims}")
    moved, start = [], 0
    for own, shape in zip(indices, dims, strict=True):
        step = np.zeros(len(shape), np.int64)
        step[axis] = start
        moved.append(own + step)
        start += shape[axis]
    whole = np.concatenate(moved)
    order = _in_order(whole)
    total = [*dims[0][:axis], start, *dims[0][axis + 1 :]]
    return whole[order], np.concatenate(values)[order], np.array(total, np.int64)


@KERNELS.op("SparseSlice")
def slice_(node: OpNode, indices: Array, values: Array, shape: Array, start: Array, size: Array) -> tuple[Array, ...]:
    """What lies in a box, which is cut where it reaches beyond the shape."""
    dims = np.array(check_sparse(node, indices, values, shape), np.int64)
    end = np.minimum(dims - start, size) + start
    kept = ((indices >= start) & (indices < end)).all(axis=1)
    return indices[kept] - start, values[kept], np.maximum(end - start, 0)


@KERNELS.op("SparseReduceSum", "SparseReduceMax", attrs={"keep_dims"})
def reduce_(node: OpNode, indices: Array, values: Array, shape: Array, axes: Array) -> Array:
    """The dense sum or largest value along dimensions; 0 where there is no value."""
    dims = check_sparse(node, indices, values, shape)
    gone = {axis_of(node, np.array(axis), len(dims)) for axis in sizes(axes)}
    kept = [axis for axis in range(len(dims)) if axis not in gone]
    result = np.zeros(make_room(node, [dims[axis] for axis in kept], values.dtype), values.dtype)
    where: Any = tuple(indices[:, axis] for axis in kept) or (np.zeros(len(values), np.int64),)
    flat = result if kept else result.reshape(1)
    if node.op == "SparseReduceSum":
        np.add.at(flat, where, values)
    else:
        first = np.zeros(flat.shape, np.bool_)
        first[where] = True
        flat[first] = _least(values.dtype)
        np.maximum.at(flat, where, values)
    if node.flag("keep_dims"):
        return result.reshape([1 if axis in gone else size for axis, size in enumerate(dims)])
    return result


def _least(dtype: np.dtype[Any]) -> Any:
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf


@KERNELS.op("SparseTensorDenseAdd")
def tensor_dense_add(node: OpNode, indices: Array, values: Array, shape: Array, dense: Array) -> Array:
    """A sparse tensor and a dense one of its shape."""
    if tuple(check_sparse(node, indices, values, shape)) != dense.shape:
        raise GraphError(node.name, f"expected a dense tensor of shape {sizes(shape)}, got {list(dense.shape)}")
    total = dense.copy()
    np.add.at(total, tuple(indices.T), values)
    return total


@KERNELS.op("SparseTensorDenseMatMul", attrs={"adjoint_a", "adjoint_b"})
def tensor_dense_matmul(node: OpNode, indices: Array, values: Array, shape: Array, b: Array) -> Array:
    """A sparse matrix times a dense one, each perhaps transposed and conjugated."""
    a = _dense(node, indices, values, shape)
    left = np.conj(a.T) if node.flag("adjoint_a") else a
    right = np.conj(b.T) if node.flag("adjoint_b") else b
    return left @ right


@KERNELS.op("SparseDenseCwiseAdd", "SparseDenseCwiseMul", "SparseDenseCwiseDiv")
def dense_cwise(node: OpNode, indices: Array, values: Array, shape: Array, dense: Array) -> Array:
    """Each value plus, times or over the dense one at its place, broadcast to the shape."""
    dims = check_sparse(node, indices, values, shape)
    if np.broadcast_shapes(tuple(dims), dense.shape) != tuple(dims):
        raise GraphError(node.name, f"expected a dense tensor that broadcasts to {dims}, got {list(dense.shape)}")
    other = np.broadcast_to(dense, dims)[tuple(indices.T)]
    function = {"Add": np.add, "Mul": np.multiply, "Div": np.divide}[node.op[-3:]]
    return np.asarray(function(values, other)).astype(values.dtype, copy=False)
