"""Rules of reductions: the dimensions that the second input names vanish, or become 1 with `keep_dims`."""

from __future__ import annotations

from collections.abc import Callable

from ..ops import OpNode, OpTable
from .dims import Dims, multiply
from .facts import Fact, Result, axis_index, dim_at, unknown, vector
from .values import Value

RULES: OpTable[Callable[..., Result]] = OpTable("inference rule")


@RULES.op("Sum", "Mean", "Max", "Min", "All", "Any", "EuclideanNorm", attrs={"keep_dims"})
def reduce(node: OpNode, x: Value, axes: Value) -> Result:
    """x without its dimensions `axes`."""
    return _reduced(node, x, axes, keep=node.flag("keep_dims"))


def _reduced(node: OpNode, x: Value, axes: Value, *, keep: bool) -> Dims:
    gone = axes.integers()
    if x.dims is None:
        return None
    if gone is None:
        # TensorFlow refuses to reduce a dimension twice, so every axis is another one.
        fewer = 1 if axes.rank == 0 else dim_at(axes, 0)
        if keep:
            return unknown(len(x.dims))
        return unknown(len(x.dims) - fewer) if isinstance(fewer, int) and fewer <= len(x.dims) else None
    places = {axis_index(node, axis, len(x.dims)) for axis in gone}
    if keep:
        return tuple(1 if axis in places else dim for axis, dim in enumerate(x.dims))
    return tuple(dim for axis, dim in enumerate(x.dims) if axis not in places)


@RULES.op("Prod", attrs={"keep_dims"})
def prod(node: OpNode, x: Value, axes: Value) -> Result:
    """The product of a vector of sizes is followed."""
    dims = _reduced(node, x, axes, keep=node.flag("keep_dims"))
    entries = x.known_entries() if x.dtype.is_integer and x.rank == 1 and axes.integers() in ((0,), (-1,)) else None
    return Fact(dims, (multiply(1, *entries),)) if entries is not None else dims


@RULES.op("ArgMax", "ArgMin", attrs={"output_type"})
def arg_max(node: OpNode, x: Value, axis: Value) -> Result:
    """x without one dimension."""
    at = axis.integer()
    if x.dims is None:
        return None
    if at is None:
        return unknown(len(x.dims) - 1)
    place = axis_index(node, at, len(x.dims))
    return x.dims[:place] + x.dims[place + 1 :]


@RULES.op("BroadcastGradientArgs")
def broadcast_gradient_args(node: OpNode, x: Value, y: Value) -> Result:
    """The dimensions over which the gradient of a broadcast is summed for either shape: those of 1, or missing."""
    shapes = [value.known_entries() for value in (x, y)]
    if any(shape is None or None in shape for shape in shapes):
        return [(None,), (None,)]
    left, right = (shape for shape in shapes if shape is not None)
    if left == right:
        return [vector(()), vector(())]
    rank = max(len(left), len(right))
    wide = [(1,) * (rank - len(shape)) + shape for shape in (left, right)]
    if not all(a == b or 1 in (a, b) for a, b in zip(*wide, strict=True)):
        return [(None,), (None,)]
    return [vector([axis for axis, dim in enumerate(shape) if dim == 1]) for shape in wide]
