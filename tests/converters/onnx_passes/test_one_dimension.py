"""A dimension that was put in for a convolution of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.ir import AttrList
from tensorferry.converters.onnx_passes.one_dimension import ONE_DIMENSION

from ..onnx_model import ops_of
from .onnx_graph import Onnx, assert_same, fused, refused

RNG = np.random.default_rng(5)
X = RNG.standard_normal((2, 3, 9)).astype(np.float32)


def widened(
    op: str = "Conv", axis: int = 2, back: int | None = None, kernel: tuple[int, int] = (1, 3), **attrs: Any
) -> Onnx:
    onnx = Onnx()
    dims = (2, 3, 1, 9) if axis == 2 else (2, 3, 9, 1)
    x = onnx.op("wide", "Unsqueeze", onnx.input("x", 2, 3, 9), onnx.const("axis", [axis], "int64"), dims=dims)
    more = [onnx.const("w", RNG.standard_normal((4, 3, *kernel)))] if op == "Conv" else []
    given = {"kernel_shape": kernel, "strides": (1, 1), **attrs}
    y = onnx.op("window", op, x, *more, dims=(None,) * 4, **given)
    went = onnx.const("back", [axis if back is None else back], "int64")
    return onnx.output(onnx.op("y", "Squeeze", y, went, dims=(None,) * 3), rank=3)


@pytest.mark.parametrize(("axis", "kernel", "pads"), [(2, (1, 3), (0, 2, 0, 1)), (3, (3, 1), (2, 0, 1, 0))])
@pytest.mark.parametrize("op", ["Conv", "MaxPool", "AveragePool"])
def test_it_goes(op: str, axis: int, kernel: tuple[int, int], pads: tuple[int, ...]) -> None:
    strides = (1, 2) if axis == 2 else (2, 1)
    more = {"dilations": strides} if op == "Conv" else {}
    onnx = widened(op, axis, kernel=kernel, pads=pads, strides=strides, **more)
    found = fused(onnx, ONE_DIMENSION)
    assert ops_of(found) == [op]
    assert found.nodes["y"].attrs["pads"] == AttrList("int", (2, 1))
    assert_same(onnx, found, x=X)


def test_through_a_transpose() -> None:
    onnx = Onnx()
    x = onnx.op("wide", "Unsqueeze", onnx.input("x", 2, 9, 3), onnx.const("axis", [1], "int64"), dims=(2, 1, 9, 3))
    moved = onnx.transpose("moved", x, 0, 3, 1, 2)
    y = onnx.op("window", "Conv", moved, onnx.const("w", RNG.standard_normal((4, 3, 1, 3))), dims=(2, 4, 1, 7))
    onnx.output(onnx.op("y", "Squeeze", y, onnx.const("back", [2], "int64"), dims=(2, 4, 7)))
    found = fused(onnx, ONE_DIMENSION)
    assert ops_of(found) == ["Transpose", "Conv"]
    assert_same(onnx, found, x=X.transpose(0, 2, 1))


@pytest.mark.parametrize(
    ("onnx", "reason"),
    [
        (
            widened(kernel=(3, 3), pads=(1, 0, 1, 0)),
            "expected 1 in kernel_shape along the dimension that comes and goes",
        ),
        (widened(pads=(0, 0, 1, 0)), "expected 0 in pads along the dimension that comes and goes, got [0, 0, 1, 0]"),
        (widened(strides=(2, 1)), "expected 1 in strides along the dimension that comes and goes, got [2, 1]"),
        (widened(axis=3, back=2, kernel=(9, 1)), "expected a spatial dimension that comes and goes, got 3 and 2"),
    ],
)
def test_what_stays(onnx: Onnx, reason: str) -> None:
    assert reason in refused(onnx, ONE_DIMENSION)
