"""Convolutions in two and three spatial dimensions, also depthwise and transposed (the gradient of the input).

A filter is [size..., C/groups, K] in every data format. A convolution gathers its windows into a matrix, block by
block, and multiplies; a transposed one multiplies first and adds up where windows overlap. Floating types below 32 bits
are computed in float32.
"""

from __future__ import annotations

import math

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, make_room, sizes, widened
from .windows import Windows, as_given, channels_last, spatial, spatial_start

KERNELS: OpTable[Kernel] = OpTable("kernel")

BLOCK = 1 << 24
"""Bytes of windows gathered at a time."""

WINDOW_ATTRS = {"strides", "padding", "dilations", "data_format"}
CONV_ATTRS = WINDOW_ATTRS | {"explicit_paddings", "use_cudnn_on_gpu"}


def _windows(node: OpNode, extent: tuple[int, ...], size: tuple[int, ...], rank: int) -> Windows:
    strides = spatial(node, node.integers("strides"), rank, "strides")
    dilations = spatial(node, node.integers("dilations") or (1,) * rank, rank, "dilations")
    return Windows.over(node, extent, size, strides, dilations)


@KERNELS.op("Conv2D", "Conv3D", attrs=CONV_ATTRS)
def conv(node: OpNode, x: Array, kernel: Array) -> Array:
    """x [N, S..., C] by kernel [size..., C/groups, K] -> [N, places..., K]."""
    image = channels_last(node, x, 4 if node.op == "Conv2D" else 5)
    groups = _groups(node, image.shape[-1], kernel)
    windows = _windows(node, image.shape[1:-1], kernel.shape[:-2], x.ndim)
    make_room(node, (len(image), *windows.places, kernel.shape[-1]), x.dtype)
    padded = windows.pad(node, widened(image))
    if 0 in windows.places:
        return as_given(node, np.zeros((len(image), *windows.places, kernel.shape[-1]), x.dtype))
    parts = [
        _convolved(windows, part, filters)
        for part, filters in zip(
            np.split(padded, groups, axis=-1), np.split(widened(kernel), groups, axis=-1), strict=True
        )
    ]
    return as_given(node, np.concatenate(parts, axis=-1) if groups > 1 else parts[0]).astype(x.dtype, copy=False)


def _groups(node: OpNode, channels: int, kernel: Array) -> int:
    depth = kernel.shape[-2]
    if not depth or channels % depth or kernel.shape[-1] % max(channels // depth, 1) or not channels:
        raise GraphError(
            node.name, f"expected a filter for {channels} channels or equal groups, got shape {list(kernel.shape)}"
        )
    return channels // depth


def _convolved(windows: Windows, padded: Array, kernel: Array) -> Array:
    view = windows.view(padded)
    depth = math.prod(kernel.shape[:-1])
    matrix = kernel.reshape(depth, kernel.shape[-1])
    result = np.empty((*view.shape[: 1 + len(windows.places)], kernel.shape[-1]), padded.dtype)
    row_bytes = depth * padded.itemsize * math.prod(windows.places[1:])
    rows = max(1, BLOCK // max(row_bytes, 1))
    # Whole images at a time where they are small, else some rows of one.
    images = max(1, rows // windows.places[0])
    for n in range(0, len(view), images):
        for top in range(0, windows.places[0], rows):
            block = view[n : n + images, top : top + rows]
            target = result[n : n + images, top : top + rows]
            target[...] = (block.reshape(-1, depth) @ matrix).reshape(target.shape)
    return result


@KERNELS.op("DepthwiseConv2dNative", attrs=WINDOW_ATTRS | {"explicit_paddings"})
def depthwise_conv2d_native(node: OpNode, x: Array, kernel: Array) -> Array:
    """x [N, H, W, C] by kernel [h, w, C, M] -> [N, places..., C*M]: each channel has M filters of its own.

    TensorFlow's own CPU kernel refuses dilations (version 1.15 ignores them); this one does what they say.
    """
    image = widened(channels_last(node, x, 4))
    if kernel.ndim != 4 or kernel.shape[2] != image.shape[-1]:
        raise GraphError(node.name, f"expected a filter for {image.shape[-1]} channels, got {list(kernel.shape)}")
    windows = _windows(node, image.shape[1:-1], kernel.shape[:2], 4)
    shape = (len(image), *windows.places, *kernel.shape[2:])
    result = np.zeros(make_room(node, shape, image.dtype), image.dtype)
    padded, filters = windows.pad(node, image), widened(kernel)
    for tap, index in windows.taps():
        result += padded[index][..., None] * filters[tap]
    flat = result.reshape(*shape[:-2], shape[-2] * shape[-1])
    return as_given(node, flat).astype(x.dtype, copy=False)


@KERNELS.op("Conv2DBackpropInput", attrs=CONV_ATTRS)
def conv2d_backprop_input(node: OpNode, input_sizes: Array, kernel: Array, out_backprop: Array) -> Array:
    """A transposed convolution: out_backprop [N, places..., K] by kernel [size..., C, K] -> [N, S..., C]."""
    return _transposed(node, sizes(input_sizes), kernel, out_backprop)


@KERNELS.op("Conv3DBackpropInputV2", attrs=WINDOW_ATTRS)
def conv3d_backprop_input_v2(node: OpNode, input_sizes: Array, kernel: Array, out_backprop: Array) -> Array:
    """A transposed convolution over three spatial dimensions."""
    return _transposed(node, sizes(input_sizes), kernel, out_backprop)


def _transposed(node: OpNode, input_sizes: list[int], kernel: Array, out_backprop: Array) -> Array:
    rank = kernel.ndim
    gradient = widened(channels_last(node, out_backprop, rank))
    if len(input_sizes) == rank:
        start = spatial_start(node)
        extent = input_sizes[start : start + rank - 2]
        channels = input_sizes[-1] if start == 1 else input_sizes[1]
    else:  # only the spatial sizes
        extent, channels = input_sizes, kernel.shape[-2]
    groups = _groups(node, channels, kernel)
    windows = _windows(node, tuple(extent), kernel.shape[:-2], rank)
    if gradient.shape[1:] != (*windows.places, kernel.shape[-1]):
        raise GraphError(
            node.name,
            f"expected a gradient of {list(windows.places)} places and {kernel.shape[-1]} channels, "
            f"got {list(gradient.shape)}",
        )
    grown = [n + sum(pair) for n, pair in zip(extent, windows.padding, strict=True)]
    total = np.zeros(make_room(node, (len(gradient), *grown, channels), gradient.dtype), gradient.dtype)
    filters = np.split(widened(kernel), groups, axis=-1)
    parts = np.split(gradient, groups, axis=-1)
    for tap, index in windows.taps():
        total[index] += np.concatenate([part @ f[tap].T for part, f in zip(parts, filters, strict=True)], axis=-1)
    inner = (slice(before, before + n) for n, (before, _) in zip(extent, windows.padding, strict=True))
    index = (slice(None), *inner)
    return as_given(node, total[index]).astype(out_backprop.dtype, copy=False)
