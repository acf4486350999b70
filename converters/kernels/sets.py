"""Which values there are, in what order, and how often: unique, top k, bins, membership."""

from __future__ import annotations

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, check_indices, front_axis, make_room, scalar, sizes, widened

KERNELS: OpTable[Kernel] = OpTable("kernel")


@KERNELS.op("TopK", attrs={"k", "sorted"})
def top_k(node: OpNode, x: Array) -> tuple[Array, Array]:
    """The k largest along the last dimension, with their indices."""
    return _largest(node, x, node.integer("k"), np.int32)


@KERNELS.op("TopKV2", attrs={"sorted"})
def top_k_v2(node: OpNode, x: Array, k: Array) -> tuple[Array, Array]:
    """The k largest along the last dimension, with their indices. Always sorted, also where that isn't asked for."""
    return _largest(node, x, scalar(node, k, "k"), node.dtype("index_type").numpy())


def _largest(node: OpNode, x: Array, k: int, dtype: np.dtype[np.int64] | type[np.int32]) -> tuple[Array, Array]:
    """Of equals, the one with the lower index comes first."""
    if not x.ndim or not 0 <= k <= x.shape[-1]:
        raise GraphError(node.name, f"expected {k} elements or more in each row, got shape {list(x.shape)}")
    # A stable sort of the mirrored row, read backwards, has falling values and rising indices.
    mirrored = np.argsort(widened(x)[..., ::-1], axis=-1, kind="stable")
    indices = (x.shape[-1] - 1 - mirrored)[..., ::-1][..., :k]
    return np.take_along_axis(x, indices, axis=-1), indices.astype(dtype)


@KERNELS.op("Unique", "UniqueWithCounts")
def unique(node: OpNode, x: Array) -> tuple[Array, ...]:
    """The values of x [N] in the order of their first appearance, and where each element's value is among them."""
    return _distinct(node, x, 0)


@KERNELS.op("UniqueV2", "UniqueWithCountsV2")
def unique_v2(node: OpNode, x: Array, axis: Array) -> tuple[Array, ...]:
    """Unique of slices along a dimension; without one, x is a vector."""
    return _distinct(node, x, front_axis(node, sizes(axis)[0] if axis.size else 0, x.ndim))


def _distinct(node: OpNode, x: Array, axis: int) -> tuple[Array, ...]:
    dtype = node.dtype("out_idx").numpy()
    _, first, inverse, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, axis=axis if x.ndim > 1 else None
    )
    order = np.argsort(first)
    place = np.argsort(order)
    values = np.take(x, first[order], axis=axis)
    outputs = (values, place[inverse.reshape(-1)].astype(dtype))
    return (*outputs, counts[order].astype(dtype)) if "Counts" in node.op else outputs


@KERNELS.op("ListDiff")
def list_diff(node: OpNode, x: Array, y: Array) -> tuple[Array, Array]:
    """The elements of x [N] that y has not, and their indices."""
    places = np.flatnonzero(~np.isin(x, y))
    return x[places], places.astype(node.dtype("out_idx").numpy())


@KERNELS.op("LowerBound", "UpperBound")
def bound(node: OpNode, rows: Array, values: Array) -> Array:
    """Where values [B, M] would go into rows [B, N], each sorted: before equals (Lower) or behind them (Upper)."""
    lower = node.op == "LowerBound"
    found = [np.searchsorted(row, value, "left" if lower else "right") for row, value in zip(rows, values, strict=True)]
    return np.array(found).reshape(values.shape).astype(node.dtype("out_type").numpy())


@KERNELS.op("InTopK", attrs={"k"})
def in_top_k(node: OpNode, predictions: Array, targets: Array) -> Array:
    """Whether predictions[i, targets[i]] is among the k largest of its row [N, C]."""
    return _in_top(node, predictions, targets, node.integer("k"))


@KERNELS.op("InTopKV2")
def in_top_k_v2(node: OpNode, predictions: Array, targets: Array, k: Array) -> Array:
    """Whether predictions[i, targets[i]] is among the k largest of its row [N, C]."""
    return _in_top(node, predictions, targets, scalar(node, k, "k"))


def _in_top(node: OpNode, predictions: Array, targets: Array, k: int) -> Array:
    check_indices(node, targets, predictions.shape[1])
    target = np.take_along_axis(predictions, targets[:, None].astype(np.int64), axis=1)
    return np.asarray(((predictions > target).sum(axis=1) < k) & np.isfinite(target[:, 0]))


@KERNELS.op("Bincount")
def bincount(node: OpNode, values: Array, size: Array, weights: Array) -> Array:
    """The number (or the sum of weights) of each value below `size`."""
    return _counted(node, values, scalar(node, size, "size"), weights, False)


@KERNELS.op("DenseBincount", attrs={"binary_output"})
def dense_bincount(node: OpNode, values: Array, size: Array, weights: Array) -> Array:
    """Bincount of a vector, or of each row; with binary_output only whether the value is there."""
    count, binary = scalar(node, size, "size"), node.flag("binary_output")
    if values.ndim < 2:
        return _counted(node, values, count, weights, binary)
    make_room(node, (len(values), count), weights.dtype)
    parts = weights if weights.size else [weights] * len(values)
    rows = [_counted(node, row, count, part, binary) for row, part in zip(values, parts, strict=True)]
    return np.array(rows, weights.dtype).reshape(len(values), count)


def _counted(node: OpNode, values: Array, size: int, weights: Array, binary: bool) -> Array:
    bins = np.zeros(make_room(node, (size,), weights.dtype), weights.dtype)
    if values.size and int(values.min()) < 0:
        raise GraphError(node.name, f"expected values of 0 and more, got {values.min()}")
    kept = values.reshape(-1) < size
    if binary:
        bins[values.reshape(-1)[kept]] = 1
    else:
        np.add.at(bins, values.reshape(-1)[kept], weights.reshape(-1)[kept] if weights.size else 1)
    return bins


@KERNELS.op("Bucketize", attrs={"boundaries"})
def bucketize(node: OpNode, x: Array) -> Array:
    """How many of the boundaries, which rise, each element has reached."""
    return np.searchsorted(np.array(node.reals("boundaries"), np.float32), x, "right").astype(np.int32)


@KERNELS.op("DenseToDenseSetOperation", attrs={"set_operation", "validate_indices"})
def dense_to_dense_set_operation(node: OpNode, set1: Array, set2: Array) -> tuple[Array, Array, Array]:
    """The difference, intersection or union of sets in the last dimension, sorted: indices, values and shape."""
    operations = {
        "a-b": lambda a, b: a - b,
        "b-a": lambda a, b: b - a,
        "intersection": lambda a, b: a & b,
        "union": lambda a, b: a | b,
    }
    operation = operations.get(node.text("set_operation"))
    if operation is None or set1.shape[:-1] != set2.shape[:-1] or not set1.ndim:
        got = f"{node.text('set_operation')!r} of {list(set1.shape)} and {list(set2.shape)}"
        raise GraphError(node.name, f"expected an operation on as many sets, got {got}")
    found = [
        (place, sorted(operation(set(set1[place].tolist()), set(set2[place].tolist()))))
        for place in np.ndindex(set1.shape[:-1])
    ]
    indices = [(*place, index) for place, members in found for index in range(len(members))]
    values = np.empty(len(indices), set1.dtype)
    values[:] = [member for _, members in found for member in members]
    shape = [*set1.shape[:-1], max((len(members) for _, members in found), default=0)]
    return np.array(indices, np.int64).reshape(-1, set1.ndim), values, np.array(shape, np.int64)
