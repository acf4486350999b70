"""Softmax, written out, is one op."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.onnx_passes.softmax import LOG_SOFTMAX, SOFTMAX

from ..onnx_model import ops_of
from .onnx_graph import Onnx, assert_same, fused, refused

X = np.random.default_rng(2).standard_normal((2, 3, 4)).astype(np.float32) * 30


def powers(onnx: Onnx, most: int, *, keep: int = 1) -> tuple[str, str]:
    """x - max(x), and its power."""
    x = onnx.input("x", 2, 3, 4)
    largest = onnx.op("max", "ReduceMax", x, onnx.const("most", [most], "int64"), keepdims=keep)
    centred = onnx.op("centred", "Sub", x, largest)
    return centred, onnx.op("exp", "Exp", centred, dims=(2, 3, 4))


def summed(onnx: Onnx, value: str, axis: int) -> str:
    return onnx.op("sum", "ReduceSum", value, onnx.const("axes", [axis], "int64"), keepdims=1)


@pytest.mark.parametrize(("most", "axis"), [(-1, -1), (2, -1), (1, 1), (1, -2), (0, 0)])
@pytest.mark.parametrize("log", [False, True])
def test_softmax(most: int, axis: int, *, log: bool) -> None:
    onnx = Onnx()
    centred, exp = powers(onnx, most)
    total = summed(onnx, exp, axis)
    y = onnx.op("y", "Sub", centred, onnx.op("log", "Log", total)) if log else onnx.op("y", "Div", exp, total)
    onnx.output(y, rank=3)
    found = fused(onnx, LOG_SOFTMAX, SOFTMAX)
    assert ops_of(found) == ["LogSoftmax" if log else "Softmax"]
    assert_same(onnx, found, x=X)


@pytest.mark.parametrize("log", [False, True])
def test_another_axis_is_no_softmax(*, log: bool) -> None:
    onnx = Onnx()
    centred, exp = powers(onnx, 1)
    total = summed(onnx, exp, 2)
    y = onnx.op("y", "Sub", centred, onnx.op("log", "Log", total)) if log else onnx.op("y", "Div", exp, total)
    onnx.output(y, rank=3)
    assert "expected the sum of the powers along the dimension of the maximum" in refused(onnx, LOG_SOFTMAX, SOFTMAX)


def test_a_softmax_that_may_overflow_stays() -> None:
    onnx = Onnx()
    exp = onnx.op("exp", "Exp", onnx.input("x", 2, 3, 4), dims=(2, 3, 4))
    onnx.output(onnx.op("y", "Div", exp, summed(onnx, exp, 2)), rank=3)
    assert refused(onnx, SOFTMAX) == "y: softmax: expected Sub, got Input"


def test_a_maximum_that_loses_its_dimension_is_another() -> None:
    onnx = Onnx()
    _, exp = powers(onnx, 0, keep=0)
    onnx.output(onnx.op("y", "Div", exp, summed(onnx, exp, 0)), rank=3)
    assert "expected a reduction of one dimension, which stays, got [0]" in refused(onnx, SOFTMAX)


def test_the_maximum_of_something_else_is_another() -> None:
    onnx = Onnx()
    x = onnx.input("x", 2, 3, 4)
    largest = onnx.op("max", "ReduceMax", onnx.op("neg", "Neg", x), onnx.const("most", [2], "int64"))
    exp = onnx.op("exp", "Exp", onnx.op("centred", "Sub", x, largest), dims=(2, 3, 4))
    onnx.output(onnx.op("y", "Div", exp, summed(onnx, exp, 2)), rank=3)
    assert "expected the maximum of what it is taken from" in refused(onnx, SOFTMAX)
