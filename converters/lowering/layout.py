"""Where the channels are: TensorFlow's NHWC and NCHW (and 3D kin), against ONNX's N, C, then the spatial dimensions.

A lowering moves the channels to the front and back again around each op; the layout pass takes away the moves that
meet, so that a network keeps none between its first and its last convolution.
"""

from __future__ import annotations

from ..inference.values import Value
from .builder import Builder


def channels_first(g: Builder, x: Value, layout: str) -> Value:
    """x [N, spatial..., C] as [N, C, spatial...], if it is not so already."""
    if layout.startswith("NC"):
        return x
    rank = len(layout)
    return g.transpose(x, [0, rank - 1, *range(1, rank - 1)])


def channels_last(g: Builder, x: Value, layout: str) -> Value:
    """The way back, if `layout` asks for it."""
    if layout.startswith("NC"):
        return x
    rank = len(layout)
    return g.transpose(x, [0, *range(2, rank), 1])


def spatial(layout: str) -> list[int]:
    """The axes of `layout` that are neither batch nor channel."""
    return [axis for axis, letter in enumerate(layout) if letter not in "NC"]
