"""Rows of differing lengths inside of tensors that have none: by truths that say which places count.

Sets, decoded sequences, sparse and ragged tensors all give out the places that are true, in row-major order, and
number them anew within their rows.
"""

from __future__ import annotations

from tensorferry.formats.dtype import INT64

from ..inference.values import Value
from .builder import Builder, Part
from .linear import counted


def true_places(g: Builder, kept: Value) -> Value:
    """The positions of all that is true in [..., n], a row each: [m, rank] int64."""
    rank = g.rank(kept)
    return g.transpose(g.op("NonZero", kept, dims=(rank, None)), [1, 0])


def pushed_left(g: Builder, kept: Value, places: Value) -> Value:
    """`places` in [..., n] with the last number counted anew, as if all that isn't true were taken out of its row."""
    rank = g.rank(kept)
    running = g.op("CumSum", g.cast(kept, INT64), g.scalar(rank - 1, like=INT64))
    behind = g.op("Sub", g.op("GatherND", running, places, dims=(None,)), g.scalar(1, like=INT64))
    if rank == 1:
        return g.unsqueeze(behind, [1])
    ahead = g.slice(places, [0], [rank - 1], [1])
    return g.op("Concat", ahead, g.unsqueeze(behind, [1]), axis=1, dims=(None, rank))


def longest_row(g: Builder, kept: Value) -> Value:
    """The largest number of truths in a row, as a vector of one."""
    counts = g.reduce("ReduceSum", g.cast(kept, INT64), [-1], keep=False)
    flat = g.op("Reshape", counts, g.ints([-1]), dims=(None,))
    return g.reduce("ReduceMax", g.op("Concat", flat, g.ints([0]), axis=0, dims=(None,)), [0], keep=True)


def within_lengths(g: Builder, lengths: Value, longest: Part) -> Value:
    """[n, longest]: whether a place is below its row's length [n]."""
    return g.op("Less", g.unsqueeze(counted(g, longest), [0]), g.unsqueeze(lengths, [1]))


def ascending(g: Builder, keys: Value) -> tuple[Value, Value]:
    """A vector in order, and the places that its elements were at."""
    count = g.op("Shape", keys, dims=(1,))
    values, order = g.ops("TopK", keys, count, outputs=2, dims=[keys.dims, keys.dims], axis=0, largest=0, sorted=1)
    return values, order
