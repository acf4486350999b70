"""Colors: hue, saturation and value of red, green and blue in the last dimension, and what changes them."""

from __future__ import annotations

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, scalar, widened

KERNELS: OpTable[Kernel] = OpTable("kernel")


def _channels(node: OpNode, images: Array) -> Array:
    if not images.ndim or images.shape[-1] != 3:
        raise GraphError(node.name, f"expected a last dimension of 3 colors, got {list(images.shape)}")
    return np.moveaxis(widened(images), -1, 0)


def _hsv(rgb: Array) -> Array:
    """Channels first; the hue is 0 where there is no color."""
    r, g, b = rgb
    value = rgb.max(axis=0)
    chroma = value - rgb.min(axis=0)
    saturation = np.where(value > 0, chroma / np.where(value > 0, value, 1), 0)
    norm = 1 / (6 * np.where(chroma > 0, chroma, 1))
    sector = np.where(value == r, (g - b) * norm, np.where(value == g, (b - r) * norm + 2 / 6, (r - g) * norm + 4 / 6))
    hue = np.where(chroma > 0, np.where(sector < 0, sector + 1, sector), 0)
    return np.stack([hue, saturation, value]).astype(rgb.dtype)


def _rgb(hsv: Array) -> Array:
    hue, saturation, value = hsv
    turn = hue * 6
    parts = [np.abs(turn - 3) - 1, 2 - np.abs(turn - 2), 2 - np.abs(turn - 4)]
    return np.stack([(1 - saturation + saturation * np.clip(part, 0, 1)) * value for part in parts]).astype(hsv.dtype)


def _last(image: Array, like: Array) -> Array:
    return np.moveaxis(image, 0, -1).astype(like.dtype)


@KERNELS.op("RGBToHSV")
def rgb_to_hsv(node: OpNode, images: Array) -> Array:
    """images [..., 3]."""
    return _last(_hsv(_channels(node, images)), images)


@KERNELS.op("HSVToRGB")
def hsv_to_rgb(node: OpNode, images: Array) -> Array:
    """images [..., 3]."""
    return _last(_rgb(_channels(node, images)), images)


@KERNELS.op("AdjustHue")
def adjust_hue(node: OpNode, images: Array, delta: Array) -> Array:
    """images [..., 3] with every hue turned by delta of a full turn."""
    hsv = _hsv(_channels(node, images))
    hsv[0] = np.mod(hsv[0] + hsv.dtype.type(scalar(node, delta, "delta")), 1)
    return _last(_rgb(hsv), images)


@KERNELS.op("AdjustSaturation")
def adjust_saturation(node: OpNode, images: Array, scale: Array) -> Array:
    """images [..., 3] with every saturation times scale."""
    hsv = _hsv(_channels(node, images))
    hsv[1] = np.clip(hsv[1] * hsv.dtype.type(scalar(node, scale, "scale")), 0, 1)
    return _last(_rgb(hsv), images)


@KERNELS.op("AdjustContrastv2")
def adjust_contrast(node: OpNode, images: Array, factor: Array) -> Array:
    """images [..., H, W, C], each channel's distance from its mean times factor."""
    if images.ndim < 3:
        raise GraphError(node.name, f"expected images of height, width and channels, got {list(images.shape)}")
    wide = widened(images)
    mean = wide.mean(axis=(-3, -2), keepdims=True)
    return ((wide - mean) * wide.dtype.type(scalar(node, factor, "factor")) + mean).astype(images.dtype)
