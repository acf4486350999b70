"""relu6(x + 3) / 6 and its kin."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.onnx_passes.hard_sigmoid import GATED, HARD_SIGMOID, HARD_SWISH

from ..onnx_model import ops_of
from .onnx_graph import Onnx, assert_same, fused, refused

X = np.linspace(-5, 5, 11, dtype=np.float32)
ALL = (HARD_SIGMOID, HARD_SWISH, GATED)


def clipped(onnx: Onnx, x: str, shift: float, low: float, high: float) -> str:
    shifted = onnx.op("shifted", "Add", x, onnx.const("shift", shift))
    return onnx.op("clip", "Clip", shifted, onnx.const("low", low), onnx.const("high", high), dims=(11,))


@pytest.mark.parametrize("op", ["Div", "Mul"])
@pytest.mark.parametrize("gate", ["none", "before", "after"])
def test_relu6(op: str, gate: str) -> None:
    onnx = Onnx()
    x = onnx.input("x", 11)
    y = clipped(onnx, x, 3, 0, 6)
    if gate == "before":
        y = onnx.op("gated", "Mul", y, x)
    y = onnx.op("part", op, y, onnx.const("six", 6 if op == "Div" else 1 / 6), dims=(11,))
    if gate == "after":
        y = onnx.op("y", "Mul", x, y, dims=(11,))
    onnx.output(y)
    found = fused(onnx, *ALL)
    assert ops_of(found) == ["HardSigmoid" if gate == "none" else "HardSwish"]
    assert_same(onnx, found, x=X)


def test_any_slope() -> None:
    onnx = Onnx()
    scaled = onnx.op("scaled", "Mul", onnx.const("slope", 0.2), onnx.input("x", 11))
    onnx.output(clipped(onnx, scaled, 0.5, 0, 1))
    found = fused(onnx, *ALL)
    assert ops_of(found) == ["HardSigmoid"]
    assert_same(onnx, found, x=X)


def test_a_gate_of_another_slope_stays_outside() -> None:
    onnx = Onnx()
    x = onnx.input("x", 11)
    y = onnx.op("part", "Div", clipped(onnx, x, 2, 0, 4), onnx.const("four", 4), dims=(11,))
    onnx.output(onnx.op("y", "Mul", x, y, dims=(11,)))
    found = fused(onnx, *ALL)
    assert ops_of(found) == ["HardSigmoid", "Mul"]
    assert_same(onnx, found, x=X)


@pytest.mark.parametrize(
    ("low", "divisor", "reason"),
    [
        (0, 5, "expected a clip from 0 to the divisor, got 0 to 6"),
        (-1, 6, "expected a clip from 0 to the divisor, got -1 to 6"),
        (0, 0, "expected a divisor, got 0"),
    ],
)
def test_what_is_no_sigmoid_stays(low: float, divisor: float, reason: str) -> None:
    onnx = Onnx()
    clip = clipped(onnx, onnx.input("x", 11), 3, low, 6)
    onnx.output(onnx.op("y", "Div", clip, onnx.const("divisor", divisor), dims=(11,)))
    assert reason in refused(onnx, *ALL)


def test_a_clip_to_something_else_stays() -> None:
    onnx = Onnx()
    scaled = onnx.op("scaled", "Mul", onnx.const("slope", 0.2), onnx.input("x", 11))
    onnx.output(clipped(onnx, scaled, 0.5, 0, 2))
    assert "expected a clip from 0 to 1" in refused(onnx, *ALL)
