"""Blocks of space moved into depth or into the batch, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorferry.formats.dtype import INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder, Part
from .layout import channels_first, channels_last

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("SpaceToDepth", attrs={"block_size", "data_format"})
def space_to_depth(node: OpNode, g: Builder, x: Value) -> Value:
    """Blocks of the picture side by side in depth, block row first."""
    layout = _picture(node)
    y = g.op("SpaceToDepth", channels_first(g, x, layout), blocksize=node.integer("block_size"), dims=(None,) * 4)
    return channels_last(g, y, layout)


@LOWERINGS.op("DepthToSpace", attrs={"block_size", "data_format"})
def depth_to_space(node: OpNode, g: Builder, x: Value) -> Value:
    """The inverse."""
    layout = _picture(node)
    y = g.op(
        "DepthToSpace", channels_first(g, x, layout), blocksize=node.integer("block_size"), mode="DCR", dims=(None,) * 4
    )
    return channels_last(g, y, layout)


def _picture(node: OpNode) -> str:
    layout = node.text("data_format")
    if layout not in ("NHWC", "NCHW"):
        raise UnsupportedError("", f"expected NHWC or NCHW, got {layout}")
    return layout


@LOWERINGS.op("SpaceToBatchND")
def space_to_batch_nd(node: OpNode, g: Builder, x: Value, block: Value, paddings: Value) -> Value:
    """x [N, spatial..., rest...]: padded, then every block'th place is a picture of its own."""
    return _to_batch(g, x, _block(g, block), g.parts(_flat(g, paddings)))


@LOWERINGS.op("SpaceToBatch", attrs={"block_size"})
def space_to_batch(node: OpNode, g: Builder, x: Value, paddings: Value) -> Value:
    """The same for height and width."""
    return _to_batch(g, x, [node.integer("block_size")] * 2, g.parts(_flat(g, paddings)))


def _flat(g: Builder, paddings: Value) -> Value:
    """paddings [n, 2] as a vector of int64."""
    entries = paddings.known_entries()
    if entries is not None and None not in entries:
        return Value.of_entries(INT64, entries)
    count = paddings.size
    if not isinstance(count, int):
        raise UnsupportedError("", "expected paddings of known size")
    return g.reshape(g.int64(paddings), [count])


def _block(g: Builder, block: Value) -> list[Part]:
    return g.parts(block)


def _to_batch(g: Builder, x: Value, block: Sequence[Part], around: Sequence[Part]) -> Value:
    count, rank = len(block), g.rank(x)
    if any(part != 0 for part in around):
        rest: list[Part] = [0] * (rank - 1 - count)
        x = g.pad(x, [0, *around[::2], *rest], [0, *around[1::2], *rest])
    batch, *spatial = (g.size(x, axis) for axis in range(1 + count))
    tail = [g.size(x, axis) for axis in range(1 + count, rank)]
    small = [g.floor_div(size, step) for size, step in zip(spatial, block, strict=True)]
    parted = [batch, *(part for pair in zip(small, block, strict=True) for part in pair), *tail]
    x = g.reshape(x, parted)
    order = [*range(2, 2 * count + 1, 2), 0, *range(1, 2 * count, 2), *range(2 * count + 1, rank + count)]
    x = g.transpose(x, order)
    return g.reshape(x, [g.times(batch, *block), *small, *tail])


@LOWERINGS.op("BatchToSpaceND")
def batch_to_space_nd(node: OpNode, g: Builder, x: Value, block: Value, crops: Value) -> Value:
    """The inverse, cropped instead of padded."""
    return _to_space(g, x, _block(g, block), g.parts(_flat(g, crops)))


@LOWERINGS.op("BatchToSpace", attrs={"block_size"})
def batch_to_space(node: OpNode, g: Builder, x: Value, crops: Value) -> Value:
    """The same for height and width."""
    return _to_space(g, x, [node.integer("block_size")] * 2, g.parts(_flat(g, crops)))


def _to_space(g: Builder, x: Value, block: Sequence[Part], around: Sequence[Part]) -> Value:
    count, rank = len(block), g.rank(x)
    spatial = [g.size(x, axis) for axis in range(1, 1 + count)]
    tail = [g.size(x, axis) for axis in range(1 + count, rank)]
    batch = g.floor_div(g.size(x, 0), g.times(*block))
    x = g.reshape(x, [*block, batch, *spatial, *tail])
    order = [count]
    for axis in range(count):
        order += [count + 1 + axis, axis]
    x = g.transpose(x, [*order, *range(2 * count + 1, rank + count)])
    large = [g.times(size, step) for size, step in zip(spatial, block, strict=True)]
    x = g.reshape(x, [batch, *large, *tail])
    if all(part == 0 for part in around):
        return x
    ends = [g.minus(size, crop) for size, crop in zip(large, around[1::2], strict=True)]
    return g.slice(x, list(around[::2]), ends, range(1, 1 + count))
