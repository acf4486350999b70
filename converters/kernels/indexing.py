"""Slices, gather and scatter. Indices are checked: numpy would count negative ones from the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, axis_of, check_indices, make_room, sizes, widened

KERNELS: OpTable[Kernel] = OpTable("kernel")


@KERNELS.op("Slice")
def slice_(node: OpNode, x: Array, begin: Array, size: Array) -> Array:
    """x from `begin` on, `size` elements in each dimension; -1 means all that follow."""
    index = []
    for start, count, extent in zip(sizes(begin), sizes(size), x.shape, strict=True):
        stop = extent if count == -1 else start + count
        if not 0 <= start <= stop <= extent:
            raise GraphError(node.name, f"expected a slice within {extent}, got {count} from {start}")
        index.append(slice(start, stop))
    return x[tuple(index)]


STRIDED_MASKS = {"begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"}


@KERNELS.op("StridedSlice", attrs=STRIDED_MASKS)
def strided_slice(node: OpNode, x: Array, begin: Array, end: Array, strides: Array) -> Array:
    """x[begin:end:strides], with Python's meaning of the numbers."""
    return x[strided_index(node, sizes(begin), sizes(end), sizes(strides))]


def strided_index(node: OpNode, begin: list[int], end: list[int], strides: list[int]) -> tuple[Any, ...]:
    """numpy's index for StridedSlice: bit i of each mask is about place i of begin, end and strides.

    Where several masks have a bit, ellipsis_mask goes before new_axis_mask before shrink_axis_mask before the rest.
    """
    ellipsis, new, shrink, no_begin, no_end = (
        node.integer(f"{name}_mask") for name in ("ellipsis", "new_axis", "shrink_axis", "begin", "end")
    )
    index: list[Any] = []
    for place, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << place
        if ellipsis & bit:
            index.append(Ellipsis)
        elif new & bit:
            index.append(None)
        elif shrink & bit:
            if step <= 0:
                raise GraphError(node.name, f"expected a stride of 1 where a dimension is dropped, got {step}")
            index.append(first)
        else:
            index.append(slice(None if no_begin & bit else first, None if no_end & bit else last, step))
    return tuple(index)


@KERNELS.op("Gather", attrs={"validate_indices"})
def gather(node: OpNode, params: Array, indices: Array) -> Array:
    """params[indices[...], ...]."""
    return gathered(node, params, indices, 0, 0)


@KERNELS.op("GatherV2", attrs={"batch_dims"})
def gather_v2(node: OpNode, params: Array, indices: Array, axis: Array) -> Array:
    """Slices of params along `axis`; the first batch_dims dimensions of params and indices go together."""
    return gathered(node, params, indices, axis_of(node, axis, params.ndim), node.integer("batch_dims"))


def gathered(node: OpNode, params: Array, indices: Array, axis: int, batch_dims: int) -> Array:
    """params [B..., P..., axis, Q...] and indices [B..., I...] make [B..., P..., I..., Q...]."""
    batch = batch_dims + indices.ndim if batch_dims < 0 else batch_dims
    if not 0 <= batch <= min(axis, indices.ndim) or params.shape[:batch] != indices.shape[:batch]:
        raise GraphError(
            node.name,
            f"expected {batch} common dimensions before axis {axis}, "
            f"got shapes {list(params.shape)} and {list(indices.shape)}",
        )
    check_indices(node, indices, params.shape[axis])
    shape = (*params.shape[:axis], *indices.shape[batch:], *params.shape[axis + 1 :])
    make_room(node, shape, params.dtype)
    if not batch:
        return np.take(params, indices, axis=axis)
    rows = params.reshape(-1, *params.shape[batch:])
    picks = indices.reshape(-1, *indices.shape[batch:])
    taken = [np.take(row, pick, axis=axis - batch) for row, pick in zip(rows, picks, strict=True)]
    return np.array(taken, params.dtype).reshape(shape)


@KERNELS.op("GatherNd")
def gather_nd(node: OpNode, params: Array, indices: Array) -> Array:
    """The part of params at each vector [K] of indices [I..., K], which has the shape params.shape[K:]."""
    return gathered_at(node, params, indices)


def gathered_at(node: OpNode, params: Array, indices: Array) -> Array:
    """params at each vector of indices."""
    places = _coordinates(node, indices, params.shape)
    make_room(node, (*indices.shape[:-1], *params.shape[len(places) :]), params.dtype)
    return params[places] if places else np.broadcast_to(params, (*indices.shape[:-1], *params.shape))


def _coordinates(node: OpNode, indices: Array, shape: tuple[int, ...]) -> tuple[Array, ...]:
    """The last dimension of indices, taken apart: one array for each of the first dimensions of `shape`."""
    if not indices.ndim or indices.shape[-1] > len(shape):
        raise GraphError(node.name, f"expected vectors of up to {len(shape)} indices, got shape {list(indices.shape)}")
    places = tuple(np.moveaxis(indices, -1, 0))
    for place, size in zip(places, shape, strict=False):
        check_indices(node, place, size)
    return places


@KERNELS.op("ScatterNd")
def scatter_nd(node: OpNode, indices: Array, updates: Array, shape: Array) -> Array:
    """Zeros of a shape, with updates added at indices."""
    base = np.zeros(make_room(node, sizes(shape), updates.dtype), updates.dtype)
    return scattered(node, base, indices, updates, np.add)


_SCATTERS: dict[str, Callable[..., Array] | None] = {
    "TensorScatterUpdate": None, "TensorScatterAdd": np.add, "TensorScatterSub": np.subtract,
    "TensorScatterMax": np.maximum, "TensorScatterMin": np.minimum,
}  # fmt: skip


@KERNELS.op(*_SCATTERS)
def tensor_scatter(node: OpNode, x: Array, indices: Array, updates: Array) -> Array:
    """x, with updates put, added, ... at indices."""
    return scattered(node, x, indices, updates, _SCATTERS[node.op])


def scattered(node: OpNode, x: Array, indices: Array, updates: Array, function: Any) -> Array:
    """A copy of x with function(old, update), or else the update, at each of indices [I..., K], one after another."""
    places = _coordinates(node, indices, x.shape)
    wanted = (*indices.shape[:-1], *x.shape[len(places) :])
    if updates.shape != wanted:
        raise GraphError(node.name, f"expected updates of shape {list(wanted)}, got {list(updates.shape)}")
    value = np.array(widened(x))
    index = places or (Ellipsis,)
    updates = widened(updates) if places else widened(updates).reshape(-1, *x.shape)
    if function is None:
        value[index] = updates if places else updates[-1]
    elif places:
        function.at(value, index, updates)
    else:
        value = function(value, function.reduce(updates, axis=0))
    return value.astype(x.dtype, copy=False)


@KERNELS.op("SparseToDense", attrs={"validate_indices"})
def sparse_to_dense(node: OpNode, indices: Array, shape: Array, values: Array, default: Array) -> Array:
    """`default` everywhere but at indices [N, rank] (or [N], or one number), where the values are."""
    dense = np.full(make_room(node, sizes(shape), values.dtype), default.reshape(()), values.dtype)
    rows = indices if indices.ndim == 2 else indices.reshape(-1, 1)
    dense[_coordinates(node, rows, dense.shape)] = values
    return dense


@KERNELS.op("Where")
def where(node: OpNode, condition: Array) -> Array:
    """The coordinates [N, rank] of what is not zero, in row-major order."""
    return np.argwhere(condition).astype(np.int64, copy=False)


@KERNELS.op("DynamicStitch", "ParallelDynamicStitch")
def dynamic_stitch(node: OpNode, *inputs: Array) -> Array:
    """Slices of data put at their indices along a new first dimension; later ones win."""
    half = len(inputs) // 2
    indices, data = inputs[:half], inputs[half:]
    count = 1 + max((int(index.max()) for index in indices if index.size), default=-1)
    tail = data[0].shape[indices[0].ndim :]
    value = np.zeros(make_room(node, (count, *tail), data[0].dtype), data[0].dtype)
    for index, slices in zip(indices, data, strict=True):
        check_indices(node, index, count)
        value[index] = slices
    return value


@KERNELS.op("DynamicPartition")
def dynamic_partition(node: OpNode, data: Array, partitions: Array) -> tuple[Array, ...]:
    """The slices of data that go to each of `num_partitions` parts."""
    count = node.integer("num_partitions")
    check_indices(node, partitions, count)
    if data.shape[: partitions.ndim] != partitions.shape:
        raise GraphError(node.name, f"expected data of shape {list(partitions.shape)} and more, got {list(data.shape)}")
    return tuple(data[partitions == part] for part in range(count))
