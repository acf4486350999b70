"""Two limits are one Clip."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.onnx_passes.clip import CLIP

from ..onnx_model import ops_of
from .onnx_graph import Onnx, assert_same, fused, refused

X = np.linspace(-2, 2, 7, dtype=np.float32)


def limited(outer: str, first: object, second: object) -> Onnx:
    onnx = Onnx()
    x = onnx.input("x", 7)
    inner = onnx.op("inner", "Min" if outer == "Max" else "Max", onnx.const("first", first), x)
    return onnx.output(onnx.op("y", outer, inner, onnx.const("second", second), dims=(7,)))


@pytest.mark.parametrize(("outer", "first", "second"), [("Max", 1, -0.5), ("Min", -0.5, 1), ("Max", 1, 1)])
def test_two_limits_are_one_op(outer: str, first: float, second: float) -> None:
    onnx = limited(outer, first, second)
    found = fused(onnx, CLIP)
    assert ops_of(found) == ["Clip"]
    assert_same(onnx, found, x=X)


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [(-1, 1, "expected the lower limit below the higher"), ([1.0] * 7, -1, "expected a scalar, got [7]")],
)
def test_what_is_no_clip_stays(first: object, second: object, reason: str) -> None:
    assert reason in refused(limited("Max", first, second), CLIP)


def test_limits_of_three_stay() -> None:
    onnx = Onnx()
    x = onnx.input("x", 7)
    onnx.output(onnx.op("y", "Max", x, onnx.const("a", 1), onnx.const("b", 2), dims=(7,)))
    assert "expected two operands, got 3" in refused(onnx, CLIP)
