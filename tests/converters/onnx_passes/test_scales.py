"""Sizes that were put together for the sake of an unknown batch."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.inference.dims import Dims
from tensorferry.converters.onnx_passes.scales import SCALES

from ..onnx_model import ops_of
from .onnx_graph import Onnx, assert_same, fused, refused


def resized(goal: tuple[int, int], dims: Dims, **attrs: object) -> Onnx:
    onnx = Onnx()
    x = onnx.input("x", "n", 3, 4, 5)
    batch = onnx.op("batch", "Shape", x, start=0, end=1)
    sizes = onnx.op("sizes", "Concat", batch, onnx.const("rest", [3, *goal], "int64"), axis=0)
    return onnx.output(onnx.op("y", "Resize", x, "", "", sizes, mode=b"linear", dims=dims, **attrs), rank=4)


@pytest.mark.parametrize("mode", [b"align_corners", b"half_pixel", b"asymmetric"])
@pytest.mark.parametrize("goal", [(8, 15), (3, 6), (13, 20)])
def test_scales_do(goal: tuple[int, int], mode: bytes) -> None:
    onnx = resized(goal, ("n", 3, *goal), coordinate_transformation_mode=mode)
    found = fused(onnx, SCALES)
    assert ops_of(found) == ["Resize"]
    assert_same(onnx, found, x=np.random.default_rng(7).random((2, 3, 4, 5), np.float32))


@pytest.mark.parametrize(
    ("dims", "reason"),
    [
        (("m", 3, 8, 15), "expected sizes that are known or stay, got n to m"),
        (("n", 3, "h", 15), "expected sizes that are known or stay, got 4 to h"),
        (None, "expected known ranks"),
    ],
)
def test_what_stays(dims: Dims, reason: str) -> None:
    assert reason in refused(resized((8, 15), dims), SCALES)


def test_constant_sizes_stay() -> None:
    onnx = Onnx()
    x = onnx.input("x", 2, 3, 4, 5)
    sizes = onnx.const("sizes", [2, 3, 8, 10], "int64")
    onnx.output(onnx.op("y", "Resize", x, "", "", sizes, mode=b"linear", dims=(2, 3, 8, 10)), rank=4)
    assert "expected Concat, got Constant" in refused(onnx, SCALES)


@pytest.mark.parametrize("aligned", [False, True])
def test_scales_that_miss_the_size(*, aligned: bool) -> None:
    """33 / 17 is less than that in float32; where corners are aligned it may as well be more."""
    onnx = Onnx()
    x = onnx.input("x", "n", 1, 17, 1)
    batch = onnx.op("batch", "Shape", x, start=0, end=1)
    sizes = onnx.op("sizes", "Concat", batch, onnx.const("rest", [1, 33, 1], "int64"), axis=0)
    attrs = {"mode": b"linear"} | ({"coordinate_transformation_mode": b"align_corners"} if aligned else {})
    onnx.output(onnx.op("y", "Resize", x, "", "", sizes, dims=("n", 1, 33, 1), **attrs), rank=4)
    if not aligned:
        assert "expected a scale from 17 to 33, got 1.94117" in refused(onnx, SCALES)
        return
    found = fused(onnx, SCALES)
    assert ops_of(found) == ["Resize"]
    assert_same(onnx, found, x=np.random.default_rng(7).random((2, 1, 17, 1), np.float32))
