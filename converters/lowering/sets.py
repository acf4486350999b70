"""Sets: the last dimension of a tensor holds one, of which an element counts once. The results are sparse tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorferry.formats.dtype import BOOL, INT64, STRING_TYPE
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import TO_END, Builder
from .rows import longest_row, pushed_left, true_places
from .text import numbered

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("DenseToDenseSetOperation", attrs={"set_operation", "validate_indices"})
def dense_to_dense_set_operation(node: OpNode, g: Builder, a: Value, b: Value) -> list[Value]:
    """a [..., n], b [..., m]: what remains of each pair of rows, in ascending order, as indices, values and shape.

    Candidates in order, of equals the first, are kept where they are in the other row, or are not.
    """
    words = None
    if a.dtype == STRING_TYPE:
        words, (a, b) = numbered(g, a, b)
    operation = node.text("set_operation").lower()
    if operation not in ("union", "intersection", "a-b", "b-a"):
        raise UnsupportedError("", f"expected union, intersection, a-b or b-a, got {operation}")
    rank = g.rank(a)
    mine, other = (b, a) if operation == "b-a" else (a, b)
    if operation == "union":
        mine = g.concat([a, b], rank - 1)
    size = g.vector([g.size(mine, rank - 1)])
    ordered, _ = g.ops("TopK", mine, size, outputs=2, dims=[mine.dims] * 2, axis=-1, largest=0, sorted=1)
    kept = _first_of_equals(g, ordered)
    if operation != "union":
        equal = g.op("Equal", g.unsqueeze(ordered, [rank]), g.unsqueeze(other, [rank - 1]))
        found = g.cast(g.reduce("ReduceMax", g.cast(equal, INT64), [-1], keep=False), BOOL)
        kept = g.op("And", kept, found if operation == "intersection" else g.op("Not", found))
    kept = kept.with_(dims=mine.dims)
    places = true_places(g, kept)
    values = g.op("GatherND", ordered, places, dims=(None,))
    if words is not None:
        values = g.gather(words, values)
    shape = g.op("Concat", g.vector(g.sizes_of(a)[:-1]), longest_row(g, kept), axis=0, dims=(rank,))
    return [pushed_left(g, kept, places), values, shape]


def _first_of_equals(g: Builder, ordered: Value) -> Value:
    """Whether an element of a row in order differs from the one before."""
    before, after = g.slice(ordered, [0], [-1], [-1]), g.slice(ordered, [1], [TO_END], [-1])
    differs = g.op("Not", g.op("Equal", before, after))
    first = g.op("Equal", *[g.slice(ordered, [0], [1], [-1])] * 2)
    if ordered.dtype.is_floating:
        first = g.op("Or", first, g.op("Not", first))
    return g.op("Concat", first, differs, axis=-1, dims=ordered.dims)
