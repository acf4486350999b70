"""Moving data between space, depth and batch in blocks."""

from __future__ import annotations

import math

import numpy as np

from tensorferry.formats.errors import GraphError, UnsupportedError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, make_room, sizes

KERNELS: OpTable[Kernel] = OpTable("kernel")


def _channels_last(node: OpNode, x: Array) -> Array:
    if x.ndim != 4:
        raise GraphError(node.name, f"expected an image batch of rank 4, got shape {list(x.shape)}")
    layout = node.text("data_format")
    if layout not in ("NHWC", "NCHW"):
        raise UnsupportedError(node.name, f"expected data_format NHWC or NCHW, got {layout}")
    return x if layout == "NHWC" else x.transpose(0, 2, 3, 1)


def _as_given(node: OpNode, x: Array) -> Array:
    return x if node.text("data_format") == "NHWC" else x.transpose(0, 3, 1, 2)


@KERNELS.op("DepthToSpace", attrs={"block_size", "data_format"})
def depth_to_space(node: OpNode, x: Array) -> Array:
    """x [N, H, W, b*b*C] -> [N, H*b, W*b, C]: depth holds block rows, then block columns, then channels."""
    b, image = node.integer("block_size"), _channels_last(node, x)
    n, h, w, c = image.shape
    blocks = image.reshape(n, h, w, b, b, c // (b * b)).transpose(0, 1, 3, 2, 4, 5)
    return _as_given(node, blocks.reshape(n, h * b, w * b, c // (b * b)))


@KERNELS.op("SpaceToDepth", attrs={"block_size", "data_format"})
def space_to_depth(node: OpNode, x: Array) -> Array:
    """x [N, H*b, W*b, C] -> [N, H, W, b*b*C]; the inverse of DepthToSpace."""
    b, image = node.integer("block_size"), _channels_last(node, x)
    n, h, w, c = image.shape
    blocks = image.reshape(n, h // b, b, w // b, b, c).transpose(0, 1, 3, 2, 4, 5)
    return _as_given(node, blocks.reshape(n, h // b, w // b, b * b * c))


@KERNELS.op("SpaceToBatchND")
def space_to_batch_nd(node: OpNode, x: Array, block_shape: Array, paddings: Array) -> Array:
    """x [N, S..., R...], padded with zeros -> [prod(b)*N, S/b..., R...]."""
    return _to_batch(node, x, sizes(block_shape), paddings)


@KERNELS.op("SpaceToBatch", attrs={"block_size"})
def space_to_batch(node: OpNode, x: Array, paddings: Array) -> Array:
    """SpaceToBatchND over height and width, with square blocks."""
    return _to_batch(node, x, [node.integer("block_size")] * 2, paddings)


def _to_batch(node: OpNode, x: Array, block: list[int], paddings: Array) -> Array:
    pairs = paddings.tolist()
    count = len(block)
    grown = [d + before + after for d, (before, after) in zip(x.shape[1 : 1 + count], pairs, strict=True)]
    make_room(node, (x.shape[0], *grown, *x.shape[1 + count :]), x.dtype)
    padded = np.pad(x, [(0, 0), *pairs, *[(0, 0)] * (x.ndim - 1 - count)])
    split = [part for d, b in zip(grown, block, strict=True) for part in (d // b, b)]
    rest = range(1 + 2 * count, x.ndim + count)
    blocks = padded.reshape(x.shape[0], *split, *x.shape[1 + count :])
    blocks = blocks.transpose(*range(2, 2 + 2 * count, 2), 0, *range(1, 1 + 2 * count, 2), *rest)
    small = [d // b for d, b in zip(grown, block, strict=True)]
    return blocks.reshape(math.prod(block) * x.shape[0], *small, *x.shape[1 + count :])


@KERNELS.op("BatchToSpaceND")
def batch_to_space_nd(node: OpNode, x: Array, block_shape: Array, crops: Array) -> Array:
    """x [prod(b)*N, S..., R...] -> [N, S*b..., R...], cropped; the inverse of SpaceToBatchND."""
    return _to_space(node, x, sizes(block_shape), crops)


@KERNELS.op("BatchToSpace", attrs={"block_size"})
def batch_to_space(node: OpNode, x: Array, crops: Array) -> Array:
    """BatchToSpaceND over height and width, with square blocks."""
    return _to_space(node, x, [node.integer("block_size")] * 2, crops)


def _to_space(node: OpNode, x: Array, block: list[int], crops: Array) -> Array:
    count, batch = len(block), x.shape[0] // math.prod(block)
    rest = range(1 + 2 * count, x.ndim + count)
    blocks = x.reshape(*block, batch, *x.shape[1:])
    blocks = blocks.transpose(count, *(i for d in range(count) for i in (count + 1 + d, d)), *rest)
    grown = [d * b for d, b in zip(x.shape[1:], block, strict=False)]
    space = blocks.reshape(batch, *grown, *x.shape[1 + count :])
    if any(min(pair) < 0 or sum(pair) > d for d, pair in zip(grown, crops.tolist(), strict=True)):
        raise GraphError(node.name, f"expected crops within {grown}, got {crops.tolist()}")
    inner = (slice(before, d - after) for d, (before, after) in zip(grown, crops.tolist(), strict=True))
    index = (slice(None), *inner)
    return space[index]
