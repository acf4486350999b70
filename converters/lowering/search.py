"""Values looked up among others: by counting how many are smaller, larger, or equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorferry.formats.dtype import FLOAT32, INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder
from .linear import counted

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


def _count(g: Builder, truths: Value) -> Value:
    """How many are true along the last dimension, as int64."""
    return g.reduce("ReduceSum", g.cast(truths, INT64), [-1], keep=False)


@LOWERINGS.op("LowerBound", "UpperBound", attrs={"out_type"})
def bound(node: OpNode, g: Builder, rows: Value, values: Value) -> Value:
    """Where values [n, m] would go into sorted rows [n, k]: before their equals, or after them."""
    op = "Less" if node.op == "LowerBound" else "LessOrEqual"
    smaller = g.op(op, g.unsqueeze(rows, [1]), g.unsqueeze(values, [2]))
    return g.cast(_count(g, smaller), node.dtype("out_type")).with_(dims=values.dims)


@LOWERINGS.op("Bucketize", attrs={"boundaries"})
def bucketize(node: OpNode, g: Builder, x: Value) -> Value:
    """How many boundaries are not above each element."""
    numbers = np.array(node.reals("boundaries"), np.float32)
    reached = g.op("LessOrEqual", g.constant_of(numbers), g.cast(g.unsqueeze(x, [-1]), FLOAT32))
    return g.cast(_count(g, reached), g.results[0].dtype).with_(dims=x.dims)


@LOWERINGS.op("InTopK", attrs={"k"})
def in_top_k(node: OpNode, g: Builder, predictions: Value, targets: Value) -> Value:
    """Whether fewer than k predictions [n, c] beat that of the target [n]."""
    return _is_in_top(g, predictions, targets, g.scalar(node.integer("k"), like=INT64))


@LOWERINGS.op("InTopKV2")
def in_top_k_v2(node: OpNode, g: Builder, predictions: Value, targets: Value, k: Value) -> Value:
    """The same with k as an input."""
    return _is_in_top(g, predictions, targets, g.int64(k))


def _is_in_top(g: Builder, predictions: Value, targets: Value, k: Value) -> Value:
    """A target that is no class, or whose prediction is not finite, is never in."""
    classes = g.vector([g.size(g.ranked(predictions, 2), 1)])
    place = g.cast(targets, INT64)
    zero = g.ints([0])
    valid = g.op("And", g.op("GreaterOrEqual", place, zero), g.op("Less", place, classes))
    safe = g.unsqueeze(g.select(valid, place, zero), [1])
    own = g.op("GatherElements", predictions, safe, axis=1, dims=(None, 1))
    finite = g.squeeze(g.op("Less", g.op("Abs", own), g.scalar(np.inf, like=own)), [1])
    better = _count(g, g.op("Greater", predictions, own))
    found = g.op("And", g.op("Less", better, k), g.op("And", valid, finite))
    return found.with_(dims=targets.dims)


@LOWERINGS.op("ListDiff", attrs={"out_idx"})
def list_diff(node: OpNode, g: Builder, x: Value, y: Value) -> list[Value]:
    """What is in x [n] and not in y [m], and where."""
    matches = _count(g, g.op("Equal", g.unsqueeze(x, [1]), g.unsqueeze(y, [0])))
    alone = g.op("Equal", matches, g.scalar(0, like=INT64))
    places = counted(g, g.size(g.ranked(x, 1), 0))
    found = g.op("Compress", places, alone, axis=0, dims=(None,))
    return [g.op("Compress", x, alone, axis=0, dims=(None,)), g.cast(found, node.dtype("out_idx"))]


@LOWERINGS.op("UnravelIndex")
def unravel_index(node: OpNode, g: Builder, indices: Value, dims: Value) -> Value:
    """Flat indices as positions in a shape: [rank, n], or [rank] of one."""
    if indices.rank is None:
        raise UnsupportedError("", "expected indices of known rank", hint="give the inputs' shapes")
    sizes = np.array(g.numbers(dims, "sizes"), np.int64)
    steps = np.append(np.cumprod(sizes[:0:-1])[::-1], 1).astype(np.int64)
    shape = (-1, *[1] * indices.rank)
    flat = g.unsqueeze(g.cast(indices, INT64), [0]) if indices.rank else g.cast(indices, INT64)
    along = [g.constant_of(array.reshape(shape) if indices.rank else array) for array in (steps, sizes)]
    found = g.op("Mod", g.op("Div", flat, along[0]), along[1])
    return g.cast(found, indices.dtype).with_(dims=g.results[0].dims)


@LOWERINGS.op("Cumprod", attrs={"exclusive", "reverse"})
def cumprod(node: OpNode, g: Builder, x: Value, axis: Value) -> Value:
    """Running products."""
    return _running(node, g, "ReduceProd", x, axis, 1)


@LOWERINGS.op("CumulativeLogsumexp", attrs={"exclusive", "reverse"})
def cumulative_logsumexp(node: OpNode, g: Builder, x: Value, axis: Value) -> Value:
    """Logarithms of running sums of exponentials."""
    return _running(node, g, "ReduceLogSumExp", x, axis, -np.inf)


def _running(node: OpNode, g: Builder, op: str, x: Value, axis: Value, neutral: float) -> Value:
    """A reduction at each place of all that it takes in, which is n times n work for n places."""
    rank = g.rank(x)
    place = g.axis(axis, rank)
    order = [*(other for other in range(rank) if other != place), place]
    moved = g.transpose(x, order)
    places = counted(g, g.size(x, place))
    mine, others = g.unsqueeze(places, [1]), g.unsqueeze(places, [0])
    before = "Less" if node.flag("exclusive") else "LessOrEqual"
    taken = g.op(before, mine, others) if node.flag("reverse") else g.op(before, others, mine)
    parts = g.select(taken, g.unsqueeze(moved, [-2]), g.scalar(neutral, like=x))
    whole = g.reduce(op, parts, [-1], keep=False).with_(dims=moved.dims)
    return g.transpose(whole, [order.index(axis) for axis in range(rank)])
