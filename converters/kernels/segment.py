"""Sums, products and extremes over segments: the rows of data that share an id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, check_indices, make_room, scalar, widened
from .reduce import highest, lowest

KERNELS: OpTable[Kernel] = OpTable("kernel")

_NEUTRAL: dict[str, tuple[Any, Callable[[np.dtype[Any]], Any]]] = {
    "Sum": (np.add, lambda dtype: 0),
    "Prod": (np.multiply, lambda dtype: 1),
    "Max": (np.maximum, lambda dtype: np.finfo(dtype).min if dtype.kind == "f" else lowest(dtype)),
    "Min": (np.minimum, lambda dtype: np.finfo(dtype).max if dtype.kind == "f" else highest(dtype)),
}
"""Each reduction and what an empty segment gives in the unsorted ops."""


def _reduced(node: OpNode, data: Array, ids: Array, count: int, kind: str, empty: Any = None) -> Array:
    """data [I..., D...] by ids [I...] to [count, D...]; negative ids are left out; `empty` replaces the neutral."""
    function, neutral = _NEUTRAL[kind]
    wide = widened(data)
    if data.shape[: ids.ndim] != ids.shape:
        raise GraphError(node.name, f"expected data of shape {list(ids.shape)} and more, got {list(data.shape)}")
    shape = make_room(node, (count, *data.shape[ids.ndim :]), wide.dtype)
    value = np.full(shape, neutral(data.dtype if data.dtype.kind in "fiu" else wide.dtype), wide.dtype)
    kept = ids >= 0
    check_indices(node, ids[kept], count)
    function.at(value, ids[kept], wide[kept])
    if empty is not None:
        value[np.bincount(ids[kept], minlength=count) == 0] = empty
    return value.astype(data.dtype, copy=False)


@KERNELS.op("UnsortedSegmentSum", "UnsortedSegmentProd", "UnsortedSegmentMax", "UnsortedSegmentMin")
def unsorted_segment(node: OpNode, data: Array, ids: Array, num_segments: Array) -> Array:
    """Rows by id, in any order."""
    count = scalar(node, num_segments, "num_segments")
    return _reduced(node, data, ids, count, node.op.removeprefix("UnsortedSegment"))


@KERNELS.op("SegmentSum", "SegmentProd", "SegmentMax", "SegmentMin", "SegmentMean")
def segment(node: OpNode, data: Array, ids: Array) -> Array:
    """Rows by id, in rising order; an id that is left out gives 0 (1 for Prod)."""
    kind = node.op.removeprefix("Segment")
    if kind == "Mean":
        return _averaged(node, data, ids, _count(node, ids), 1.0)
    return _reduced(node, data, ids, _count(node, ids), kind, empty=1 if kind == "Prod" else 0)


def _count(node: OpNode, ids: Array) -> int:
    if ids.ndim != 1 or (ids[1:] < ids[:-1]).any() or (ids < 0).any():
        raise GraphError(node.name, "expected a vector of ids in rising order")
    return int(ids[-1]) + 1 if ids.size else 0


def _averaged(node: OpNode, data: Array, ids: Array, count: int, power: float) -> Array:
    """Sums by segment over (number of rows) ** power."""
    total = widened(_reduced(node, widened(data), ids, count, "Sum"))
    rows = np.maximum(np.bincount(ids, minlength=count), 1).reshape(-1, *[1] * (data.ndim - 1))
    return (total / (rows**power).astype(total.dtype)).astype(data.dtype)


_SPARSE = {"Sum": 0.0, "SqrtN": 0.5, "Mean": 1.0}


@KERNELS.op(
    *(f"SparseSegment{kind}{tail}" for kind in _SPARSE for tail in ("", "WithNumSegments")), attrs={"sparse_gradient"}
)
def sparse_segment(node: OpNode, data: Array, indices: Array, ids: Array, num_segments: Array | None = None) -> Array:
    """The rows data[indices] by id, in rising order: their sum, over the number's root (SqrtN) or the number (Mean)."""
    check_indices(node, indices, len(data))
    count = _count(node, ids) if num_segments is None else scalar(node, num_segments, "num_segments")
    kind = node.op.removeprefix("SparseSegment").removesuffix("WithNumSegments")
    check_indices(node, ids, count)
    return _averaged(node, data[indices], ids, count, _SPARSE[kind])
