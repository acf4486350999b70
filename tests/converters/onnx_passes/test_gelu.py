"""Gelu, written out, is one op; what only looks like it is none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tensorferry.converters.onnx_passes.gelu import ERFC, GELU

from ..onnx_model import model_of, ops_of, run_model
from .onnx_graph import Onnx, fused, refused

X = np.linspace(-3, 3, 9, dtype=np.float32)


def erf(onnx: Onnx, factor: float = math.sqrt(0.5), one: float = 1, half: float = 0.5) -> Onnx:
    """half * x * (one + erf(factor * x))."""
    x = onnx.input("x", 9)
    step = onnx.op("erf", "Erf", onnx.op("scaled", "Mul", x, onnx.const("factor", factor)))
    shifted = onnx.op("shifted", "Add", onnx.const("one", one), step)
    return onnx.output(onnx.op("y", "Mul", onnx.op("half", "Mul", x, onnx.const("h", half)), shifted, dims=(9,)))


def tanh(onnx: Onnx, root: float = math.sqrt(2 / math.pi), cubic: float = 0.044715, power: float = 3) -> Onnx:
    """x * (1 + tanh(root * (x + cubic * x^power))) / 2."""
    x = onnx.input("x", 9)
    cube = onnx.op("cube", "Mul", onnx.const("cubic", cubic), onnx.op("pow", "Pow", x, onnx.const("p", power)))
    scaled = onnx.op("scaled", "Mul", onnx.const("root", root), onnx.op("sum", "Add", x, cube))
    shifted = onnx.op("shifted", "Add", onnx.op("tanh", "Tanh", scaled), onnx.const("one", 1))
    whole = onnx.op("whole", "Mul", x, shifted)
    return onnx.output(onnx.op("y", "Div", whole, onnx.const("two", 2), dims=(9,)))


@pytest.mark.parametrize("form", [erf, tanh])
def test_one_op_from_opset_20_on(form: object) -> None:
    onnx = form(Onnx())  # type: ignore[operator]
    found = fused(onnx, GELU, opset=20)
    assert ops_of(found) == ["Gelu"]
    before, after = (run_model(model_of(graph, 20), {"x": X}) for graph in (onnx.graph, found))
    np.testing.assert_allclose(after["y"], before["y"], rtol=1e-5, atol=1e-6)
    assert refused(onnx, GELU, opset=19) == ""


@pytest.mark.parametrize(
    ("onnx", "reason"),
    [
        (erf(Onnx(), factor=0.7), "expected erf(x / sqrt 2), got 0.7 as the factor"),
        (erf(Onnx(), one=2), "expected 1 to be added"),
        (erf(Onnx(), half=0.25), "expected a product with x / 2"),
        (tanh(Onnx(), root=0.8), "expected sqrt(2 / pi) as the factor, got 0.8"),
        (tanh(Onnx(), cubic=0.04), "expected 0.044715 as the factor, got 0.04"),
        (tanh(Onnx(), power=2), "expected the cube of x"),
    ],
)
def test_what_is_no_gelu_stays(onnx: Onnx, reason: str) -> None:
    assert reason in refused(onnx, GELU, opset=20)


def test_a_step_that_somebody_else_takes_stays() -> None:
    onnx = erf(Onnx())
    onnx.output("shifted:0", "z", rank=1)
    assert "expected Mul or Div alone to take shifted:0, got Mul, Output" in refused(onnx, GELU, opset=20)


def test_the_complement_of_a_negative_is_a_sum() -> None:
    """1 - erf(-y) = 1 + erf(y), at any opset."""
    onnx = Onnx()
    scaled = onnx.op("scaled", "Mul", onnx.op("neg", "Neg", onnx.input("x", 9)), onnx.const("factor", 0.7))
    onnx.output(onnx.op("y", "Sub", onnx.const("one", 1), onnx.op("erf", "Erf", scaled), dims=(9,)))
    found = fused(onnx, ERFC, opset=13)
    assert ops_of(found) == ["Mul", "Erf", "Add"]
    before, after = (run_model(model_of(graph, 13), {"x": X}) for graph in (onnx.graph, found))
    np.testing.assert_array_equal(after["y"], before["y"])


def test_other_negatives_stay() -> None:
    onnx = Onnx()
    scaled = onnx.op("scaled", "Div", onnx.const("factor", 0.7), onnx.op("neg", "Neg", onnx.input("x", 9)))
    onnx.output(onnx.op("y", "Sub", onnx.const("one", 1), onnx.op("erf", "Erf", scaled), dims=(9,)))
    assert "expected 1 - erf(-x * c)" in refused(onnx, ERFC)
