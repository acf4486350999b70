"""Reductions over dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorferry.formats.dtype import BOOL, INT32, INT64, UINT8
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


def _reduced(node: OpNode, g: Builder, op: str, x: Value, axes: Value) -> Value:
    """The reduction `op` over the contents of `axes`; none at all over none."""
    keep = node.flag("keep_dims")
    places = axes.integers()
    if places is None:
        if g.opset < (13 if op == "ReduceSum" else 18):
            raise UnsupportedError("", "expected constant axes, got computed ones", hint="opset 18 can compute them")
        return g.op(op, x, g.reshape(g.int64(axes), [-1]), keepdims=keep, noop_with_empty_axes=1)
    if not places or x.rank == 0:
        return x
    if x.rank is not None:
        places = tuple(sorted({g.axis(axis, x.rank) for axis in places}))
    return g.reduce(op, x, places, keep=keep)


def _standard(op: str) -> Callable[..., Value]:
    def lowering(node: OpNode, g: Builder, x: Value, axes: Value) -> Value:
        return _reduced(node, g, op, x, axes)

    return lowering


for _op, _standard_op in {
    "Sum": "ReduceSum", "Mean": "ReduceMean", "Max": "ReduceMax", "Min": "ReduceMin", "Prod": "ReduceProd",
}.items():  # fmt: skip
    LOWERINGS.add(_op, _standard(_standard_op), {"keep_dims"})


@LOWERINGS.op("EuclideanNorm", attrs={"keep_dims"})
def euclidean_norm(node: OpNode, g: Builder, x: Value, axes: Value) -> Value:
    """The square root of the sum of squares; over no dimensions that is the size of each element."""
    norm = _reduced(node, g, "ReduceL2", x, axes)
    return norm if axes.integers() or x.rank == 0 else g.op("Abs", norm)


@LOWERINGS.op("All", attrs={"keep_dims"})
def all_(node: OpNode, g: Builder, x: Value, axes: Value) -> Value:
    """The minimum of truths as numbers."""
    return g.cast(_reduced(node, g, "ReduceMin", g.cast(x, UINT8), axes), BOOL)


@LOWERINGS.op("Any", attrs={"keep_dims"})
def any_(node: OpNode, g: Builder, x: Value, axes: Value) -> Value:
    """The maximum of truths as numbers."""
    return g.cast(_reduced(node, g, "ReduceMax", g.cast(x, UINT8), axes), BOOL)


@LOWERINGS.op("ArgMax", "ArgMin", attrs={"output_type"})
def arg_max(node: OpNode, g: Builder, x: Value, axis: Value) -> Value:
    """The first place of the largest (smallest) element."""
    place = axis.integer()
    if place is None:
        raise UnsupportedError("", "expected the axis to be a constant, got a computed one")
    number = g.cast(x, INT32) if x.dtype == BOOL else x
    dims = g.results[0].dims if g.results else None
    index = g.op(node.op, number, dtype=INT64, dims=dims, axis=place, keepdims=0)
    return g.cast(index, node.dtype("output_type"))


@LOWERINGS.op("L2Loss")
def l2_loss(node: OpNode, g: Builder, x: Value) -> Value:
    """Half the sum of squares."""
    return g.op("Mul", g.reduce("ReduceSumSquare", x, None, keep=False), g.scalar(0.5, like=x))
