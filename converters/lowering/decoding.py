"""Labels out of what a network says of each step of a sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorferry.formats.dtype import INT64

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import TO_END, Builder
from .rows import longest_row, pushed_left, true_places, within_lengths

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("CTCGreedyDecoder", attrs={"merge_repeated", "blank_index"})
def ctc_greedy_decoder(node: OpNode, g: Builder, inputs: Value, lengths: Value) -> list[Value]:
    """inputs [T, N, C], lengths [N]: the best class of each step, but no blanks, and none twice in a row if so asked.

    Indices, values and shape of a sparse tensor, and minus the sum of the best classes' inputs [N, 1].
    """
    inputs = g.ranked(inputs, 3)
    steps, _, classes = g.sizes_of(inputs)
    by_row = g.transpose(inputs, [1, 0, 2])
    best = g.op("ArgMax", by_row, axis=2, keepdims=0, dtype=INT64, dims=(None, None))
    valid = within_lengths(g, g.cast(lengths, INT64), steps).with_(dims=(None, None))
    blank = node.integer("blank_index")
    last = g.vector([g.plus(classes, blank) if blank < 0 else blank])
    kept = g.op("And", valid, g.op("Not", g.op("Equal", best, last)))
    if node.flag("merge_repeated"):
        before, after = g.slice(best, [0], [-1], [1]), g.slice(best, [1], [TO_END], [1])
        first = g.op("Equal", *[g.slice(best, [0], [1], [1])] * 2)
        fresh = g.op("Concat", first, g.op("Not", g.op("Equal", before, after)), axis=1, dims=(None, None))
        kept = g.op("And", kept, fresh)
    kept = kept.with_(dims=(None, None))
    places = true_places(g, kept)
    values = g.op("GatherND", best, places, dims=(None,))
    shape = g.op("Concat", g.op("Shape", lengths, dims=(1,)), longest_row(g, kept), axis=0, dims=(2,))
    top = g.reduce("ReduceMax", by_row, [2], keep=False)
    total = g.reduce("ReduceSum", g.select(valid, top, g.scalar(0, like=top)), [1], keep=True)
    return [pushed_left(g, kept, places), values, shape, g.op("Neg", total).with_(dims=g.results[3].dims)]
