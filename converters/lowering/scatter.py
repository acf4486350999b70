"""Elements at positions: gathered from there, or put there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorferry.formats.dtype import BFLOAT16, FLOAT16, FLOAT32, INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .array import filled
from .builder import Builder

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("GatherNd", attrs={"bad_indices_policy"})
def gather_nd(node: OpNode, g: Builder, x: Value, indices: Value) -> Value:
    """Positions by the last dimension of `indices`."""
    _check_policy(node)
    if indices.dims is not None and indices.dims[-1:] == (0,):
        raise UnsupportedError("", "expected indices of one number at least")
    return g.op("GatherND", x, g.cast(indices, INT64), dims=g.results[0].dims)


def _check_policy(node: OpNode) -> None:
    policy = node.text("bad_indices_policy") if node.has("bad_indices_policy") else ""
    if policy not in ("", "DEFAULT", "ERROR"):
        raise UnsupportedError("", f"ONNX stops at bad indices, got the policy {policy}")


@LOWERINGS.op("ScatterNd", attrs={"bad_indices_policy"})
def scatter_nd(node: OpNode, g: Builder, indices: Value, updates: Value, shape: Value) -> Value:
    """Updates added up at their positions in a tensor of zeros."""
    _check_policy(node)
    zeros = filled(g, 0, updates, g.int64(shape), g.results[0].dims)
    return scattered(g, zeros, indices, updates, "add")


@LOWERINGS.op("TensorScatterUpdate", attrs={"bad_indices_policy"})
def tensor_scatter_update(node: OpNode, g: Builder, x: Value, indices: Value, updates: Value) -> Value:
    """x with updates at their positions."""
    _check_policy(node)
    return scattered(g, x, indices, updates, None)


@LOWERINGS.op("TensorScatterAdd", attrs={"bad_indices_policy"})
def tensor_scatter_add(node: OpNode, g: Builder, x: Value, indices: Value, updates: Value) -> Value:
    """x with updates added."""
    _check_policy(node)
    return scattered(g, x, indices, updates, "add")


@LOWERINGS.op("TensorScatterSub", attrs={"bad_indices_policy"})
def tensor_scatter_sub(node: OpNode, g: Builder, x: Value, indices: Value, updates: Value) -> Value:
    """x with updates taken off."""
    _check_policy(node)
    return scattered(g, x, indices, g.op("Neg", updates), "add")


@LOWERINGS.op("TensorScatterMax", attrs={"bad_indices_policy"})
def tensor_scatter_max(node: OpNode, g: Builder, x: Value, indices: Value, updates: Value) -> Value:
    """The larger of x and the updates."""
    _check_policy(node)
    return scattered(g, x, indices, updates, "max")


@LOWERINGS.op("TensorScatterMin", attrs={"bad_indices_policy"})
def tensor_scatter_min(node: OpNode, g: Builder, x: Value, indices: Value, updates: Value) -> Value:
    """The smaller of x and the updates."""
    _check_policy(node)
    return scattered(g, x, indices, updates, "min")


def scattered(g: Builder, x: Value, indices: Value, updates: Value, reduction: str | None) -> Value:
    """x with updates at positions; `reduction` (add, mul, max, min) says how they meet what is there and each other."""
    if reduction and g.opset < (18 if reduction in ("max", "min") else 16):
        raise UnsupportedError("", f"opset {g.opset} can't scatter with {reduction}", hint="choose opset 18")
    if reduction and x.dtype in (FLOAT16, BFLOAT16):
        # onnxruntime only puts such numbers in place, it doesn't reckon with them.
        wide = scattered(g, g.cast(x, FLOAT32), indices, g.cast(updates, FLOAT32), reduction)
        return g.cast(wide, x.dtype)
    return g.op("ScatterND", x, g.cast(indices, INT64), updates, reduction=reduction)


@LOWERINGS.op("SparseToDense", attrs={"validate_indices"})
def sparse_to_dense(node: OpNode, g: Builder, indices: Value, shape: Value, values: Value, default: Value) -> Value:
    """Values at indices [n, rank] (or [n], or []) in a tensor of a default."""
    rank = g.rank(indices, "indices")
    places = g.cast(indices, INT64)
    if rank < 2:
        places = g.reshape(places, [-1, 1], (None, 1))
    dims = g.results[0].dims
    base = g.op("Expand", default, g.int64(shape), dims=dims)
    if values.rank == 0:
        values = g.op("Expand", values, g.slice(g.shape(places), [0], [1], [0]), dims=(None,))
    return g.op("ScatterND", base, places, values)
