"""Pictures x [N, H, W, C] in another size.

The new pixel i lies at i * scale of the old ones, or with `half_pixel_centers` at (i + 0.5) * scale - 0.5; scale is
old / new, or with `align_corners` (old - 1) / (new - 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorferry.formats.dtype import FLOAT32
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder
from .layout import channels_first, channels_last

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")

Array = np.ndarray[Any, Any]

TABLE = 1024
"""The steps of the table that TensorFlow takes its cubic weights from."""

_RESIZE = {"align_corners", "half_pixel_centers"}


def _coordinates(node: OpNode) -> str:
    """ONNX's name for where the centres of the new pixels lie."""
    if node.flag("align_corners"):
        return "align_corners"
    return "half_pixel" if node.flag("half_pixel_centers") else "asymmetric"


def _resized(g: Builder, x: Value, size: Value, **attrs: Any) -> Value:
    """x [N, H, W, C] to a new height and width."""
    x = g.ranked(x, 4)
    batch, height, width, channels = g.sizes_of(x)
    first = channels_first(g, x, "NHWC")
    dims = g.results[0].dims
    dims = None if dims is None else (dims[0], dims[3], dims[1], dims[2])
    goal = g.parts(size)
    if attrs["mode"] == "cubic":
        # onnxruntime moves transposes through a Resize, and then has no kernel for the cubic one: a reshape stops it.
        planes = g.reshape(first, [-1, 1, height, width], (None, 1, *(first.dims or (None,) * 4)[2:]))
        resized = g.op("Resize", planes, None, None, g.vector([g.times(batch, channels), 1, *goal]), **attrs)
        y = g.reshape(resized.with_(dims=None), [batch, channels, *goal], dims)
    else:
        # Not by the attribute `axes` of opset 18, which onnxruntime loses there.
        y = g.op("Resize", first, None, None, g.vector([batch, channels, *goal]), dims=dims, **attrs)
    return channels_last(g, y, "NHWC")


@LOWERINGS.op("ResizeBilinear", attrs=_RESIZE)
def resize_bilinear(node: OpNode, g: Builder, x: Value, size: Value) -> Value:
    """Linear between the four pixels around; always in float32."""
    mode = _coordinates(node)
    return _resized(g, g.cast(x, FLOAT32), size, mode="linear", coordinate_transformation_mode=mode)


@LOWERINGS.op("ResizeNearestNeighbor", attrs=_RESIZE)
def resize_nearest_neighbor(node: OpNode, g: Builder, x: Value, size: Value) -> Value:
    """The pixel whose place is next, or just before without any alignment."""
    mode = _coordinates(node)
    rounding = "floor" if mode == "asymmetric" else "round_prefer_ceil"
    return _resized(g, x, size, mode="nearest", coordinate_transformation_mode=mode, nearest_mode=rounding)


@LOWERINGS.op("ResizeBicubic", attrs=_RESIZE)
def resize_bicubic(node: OpNode, g: Builder, x: Value, size: Value) -> Value:
    """Cubic between sixteen pixels; where sizes are unknown without the roundness of TensorFlow's table of weights."""
    x = g.cast(g.ranked(x, 4), FLOAT32)
    mode = _coordinates(node)
    keys = mode == "half_pixel"
    old, new = g.sizes_of(x)[1:3], size.integers()
    if new is None or not all(isinstance(count, int) for count in old):
        return _resized(
            g, x, size, mode="cubic", coordinate_transformation_mode=mode, cubic_coeff_a=-0.5 if keys else -0.75,
            exclude_outside=keys,
        )  # fmt: skip
    for axis, (before, after) in enumerate(zip(old, new, strict=True), 1):
        assert isinstance(before, int)
        places, weights = _cubic_taps(before, after, mode)
        taps = [
            g.op("Mul", g.gather(x, g.constant_of(row), axis), g.constant_of(weight.reshape(-1, *[1] * (3 - axis))))
            for row, weight in zip(places, weights, strict=True)
        ]
        x = g.op("Sum", *taps).with_(dims=taps[0].dims)
    return x.with_(dims=g.results[0].dims)


def _cubic_taps(old: int, new: int, mode: str) -> tuple[Array, Array]:
    """[4, new] both: the four old pixels that each new one is mixed of, and their weights.

    Beyond the edges the outermost pixel stands in, or with half-pixel centres nothing, the others counting for more.
    """
    aligned = mode == "align_corners" and new > 1
    scale = np.float32((old - 1) / np.float32(new - 1) if aligned else old / np.float32(new))
    half = np.float32(0.5 if mode == "half_pixel" else 0)
    at = (np.arange(new, dtype=np.float32) + half) * scale - half
    first = np.floor(at)
    step = np.rint((at - first) * TABLE) / TABLE
    a = -0.5 if mode == "half_pixel" else -0.75
    distances = np.stack([1 + step, step, 1 - step, 2 - step])
    near = ((a + 2) * distances - (a + 3)) * distances**2 + 1
    far = ((a * distances - 5 * a) * distances + 8 * a) * distances - 4 * a
    weights = np.stack([far[0], near[1], near[2], far[3]])
    wanted = first.astype(np.int64) + np.arange(-1, 3)[:, None]
    places = np.clip(wanted, 0, old - 1)
    if mode == "half_pixel":
        weights = np.where(places == wanted, weights, 0)
        weights /= weights.sum(0)
    return places, weights.astype(np.float32)


@LOWERINGS.op("ResizeArea", attrs={"align_corners"})
def resize_area(node: OpNode, g: Builder, x: Value, size: Value) -> Value:
    """Each new pixel is the mean of the area that it covers: rows are mixed, then columns."""
    x = g.cast(g.ranked(x, 4), FLOAT32)
    batch, height, width, channels = g.sizes_of(x)
    new_height, new_width = g.numbers(size, "size")
    if not isinstance(height, int) or not isinstance(width, int):
        raise UnsupportedError("", "expected a picture of known size", hint="give the inputs' shapes")
    rows, columns = (
        g.constant_of(_areas(old, new, corners=node.flag("align_corners")))
        for old, new in ((height, new_height), (width, new_width))
    )
    mixed = g.op("MatMul", rows, g.reshape(x, [batch, height, g.times(width, channels)]), dims=(None, None, None))
    apart = g.reshape(mixed, [batch, new_height, width, channels])
    return g.op("MatMul", columns, apart, dims=g.results[0].dims)


def _areas(old: int, new: int, *, corners: bool) -> np.ndarray[Any, Any]:
    """[new, old]: how much of each old place lies under a new one. Beyond the last place it goes on."""
    step = (old - 1) / (new - 1) if corners and new > 1 else old / new
    shares = np.zeros((new, old), np.float32)
    for place in range(new):
        start, end = place * step, (place + 1) * step
        for at in range(math.floor(start), math.ceil(end)):
            shares[place, min(at, old - 1)] += (min(at + 1, end) - max(at, start)) / step
    return shares
