"""Pooling over windows: maxima, means, and maxima with their places. Padding takes part in neither."""

from __future__ import annotations

import math

import numpy as np

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, make_room, sizes, widened
from .reduce import lowest
from .windows import Windows, as_given, channels_last, spatial

KERNELS: OpTable[Kernel] = OpTable("kernel")

POOL_ATTRS = {"ksize", "strides", "padding", "data_format"}


def _windows(node: OpNode, image: Array, ksize: tuple[int, ...], strides: tuple[int, ...]) -> Windows:
    size = spatial(node, ksize, image.ndim, "sizes of windows")
    steps = spatial(node, strides, image.ndim, "strides")
    return Windows.over(node, image.shape[1:-1], size, steps, (1,) * len(size))


@KERNELS.op("MaxPool", "MaxPool3D", attrs=POOL_ATTRS | {"explicit_paddings"})
def max_pool(node: OpNode, x: Array) -> Array:
    """The largest element of each window of x [N, S..., C], by channel."""
    return _largest(node, x, node.integers("ksize"), node.integers("strides"))


@KERNELS.op("MaxPoolV2", attrs={"padding", "data_format"})
def max_pool_v2(node: OpNode, x: Array, ksize: Array, strides: Array) -> Array:
    """MaxPool with the windows' sizes and strides as values."""
    return _largest(node, x, tuple(sizes(ksize)), tuple(sizes(strides)))


def _largest(node: OpNode, x: Array, ksize: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    image = widened(channels_last(node, x, 5 if node.op == "MaxPool3D" else 4))
    windows = _windows(node, image, ksize, strides)
    shape = make_room(node, (len(image), *windows.places, image.shape[-1]), image.dtype)
    result = np.full(shape, lowest(image.dtype), image.dtype)
    padded = windows.pad(node, image, lowest(image.dtype))
    for _, index in windows.taps():
        np.maximum(result, padded[index], out=result)
    return as_given(node, result).astype(x.dtype, copy=False)


@KERNELS.op("AvgPool", "AvgPool3D", attrs=POOL_ATTRS)
def avg_pool(node: OpNode, x: Array) -> Array:
    """The mean of each window of x [N, S..., C], by channel, over the elements that lie in x."""
    image = widened(channels_last(node, x, 5 if node.op == "AvgPool3D" else 4))
    windows = _windows(node, image, node.integers("ksize"), node.integers("strides"))
    shape = make_room(node, (len(image), *windows.places, image.shape[-1]), image.dtype)
    total, counts = np.zeros(shape, image.dtype), np.zeros((1, *windows.places, 1), image.dtype)
    padded = windows.pad(node, image)
    inside = windows.pad(node, np.ones((1, *image.shape[1:-1], 1), image.dtype))
    for _, index in windows.taps():
        total += padded[index]
        counts += inside[index]
    return as_given(node, total / counts).astype(x.dtype, copy=False)


@KERNELS.op("MaxPoolWithArgmax", attrs={"ksize", "strides", "padding", "include_batch_in_index"})
def max_pool_with_argmax(node: OpNode, x: Array) -> tuple[Array, Array]:
    """The largest element of each window of x [N, H, W, C], and its flat index (y * W + x) * C + c.

    With include_batch_in_index the index counts from the first image on.
    """
    image = widened(channels_last(node, x, 4))
    windows = _windows(node, image, node.integers("ksize"), node.integers("strides"))
    shape = make_room(node, (len(image), *windows.places, image.shape[-1]), np.int64)
    best = np.full(shape, lowest(image.dtype), image.dtype)
    places = np.full(shape, -1, np.int64)
    padded = windows.pad(node, image, lowest(image.dtype))
    each = math.prod(image.shape[1:])
    indices = windows.pad(node, np.arange(each, dtype=np.int64).reshape(1, *image.shape[1:]), -1)
    for _, index in windows.taps():
        better = ((padded[index] > best) | (places < 0)) & (indices[index] >= 0)
        best = np.where(better, padded[index], best)
        places = np.where(better, indices[index], places)
    if node.flag("include_batch_in_index"):
        places += each * np.arange(len(image)).reshape(-1, 1, 1, 1)
    return best.astype(x.dtype, copy=False), places.astype(node.dtype("Targmax").numpy())
