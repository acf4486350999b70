"""Padding goes into what follows it, where that computes the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.onnx_passes.pads import PADS

from ..onnx_model import ops_of
from .onnx_graph import Onnx, assert_same, fused, refused

RNG = np.random.default_rng(1)
X = RNG.standard_normal((2, 3, 6, 5)).astype(np.float32)
AROUND = [0, 0, 1, 2, 0, 0, 2, 0]


def padded(
    onnx: Onnx, op: str, around: list[int] = AROUND, value: float | None = None, inner: str = "Relu", **attrs: Any
) -> Onnx:
    """inner -> Pad -> op."""
    x = onnx.op("inner", inner, onnx.input("x", 2, 3, 6, 5))
    values = [] if value is None else [onnx.const("value", value)]
    y = onnx.op("pad", "Pad", x, onnx.const("pads", around, "int64"), *values)
    more = [onnx.const("w", RNG.standard_normal((4, 3, 3, 3)))] if op == "Conv" else []
    return onnx.output(onnx.op("y", op, y, *more, kernel_shape=(3, 3), **attrs), rank=4)


@pytest.mark.parametrize("own", [None, (0, 1, 1, 0)])
@pytest.mark.parametrize(("op", "value"), [("Conv", None), ("Conv", 0), ("MaxPool", 0), ("AveragePool", None)])
def test_padding_goes_into_the_window(op: str, value: float | None, own: tuple[int, ...] | None) -> None:
    onnx = Onnx()
    attrs: dict[str, Any] = {} if own is None else {"pads": own}
    padded(
        onnx, op, [0, 0, 1, 1, 0, 0, 1, 0], value, **attrs, **({"count_include_pad": 1} if op == "AveragePool" else {})
    )
    found = fused(onnx, PADS)
    assert ops_of(found) == ["Relu", op]
    assert_same(onnx, found, x=X)


def test_the_lowest_number_is_never_the_largest() -> None:
    onnx = padded(Onnx(), "MaxPool", AROUND, -np.inf, inner="Neg")
    found = fused(onnx, PADS)
    assert ops_of(found) == ["Neg", "MaxPool"]
    assert_same(onnx, found, x=X)


def test_through_a_transpose() -> None:
    onnx = Onnx()
    y = onnx.op("pad", "Pad", onnx.input("x", 2, 6, 5, 3), onnx.const("pads", [0, 1, 2, 0, 0, 2, 0, 0], "int64"))
    y = onnx.op("y", "Conv", onnx.transpose("t", y, 0, 3, 1, 2), onnx.const("w", RNG.standard_normal((4, 3, 3, 3))))
    found = fused(onnx.output(y, rank=4), PADS)
    assert ops_of(found) == ["Transpose", "Conv"]
    assert_same(onnx, found, x=X.transpose(0, 2, 3, 1))


def test_a_pad_that_others_take_stays_for_them() -> None:
    onnx = padded(Onnx(), "Conv")
    onnx.output("pad:0", "z", rank=4)
    found = fused(onnx, PADS)
    assert sorted(ops_of(found)) == ["Conv", "Pad", "Relu"]
    assert_same(onnx, found, x=X)


@pytest.mark.parametrize(
    ("op", "given", "reason"),
    [
        ("Conv", {"value": 1.0}, "expected zeros around, got 1"),
        (
            "Conv",
            {"around": [0, 1, 1, 2, 0, 0, 2, 0]},
            "expected padding of the spatial dimensions alone, got [0, 1, 1, 2,",
        ),
        (
            "Conv",
            {"around": [0, 0, -1, 2, 0, 0, 2, 0]},
            "expected padding of the spatial dimensions alone, got [0, 0, -1,",
        ),
        ("Conv", {"auto_pad": b"SAME_UPPER"}, "expected padding by numbers, got one that depends on the size"),
        (
            "MaxPool",
            {"inner": "Neg"},
            "expected Relu or Sigmoid or Softplus or Exp or Abs or HardSigmoid or Clip, got Neg",
        ),
        ("MaxPool", {"value": 3.0}, "expected the lowest number around, got 3"),
        ("MaxPool", {"around": [0, 0, 3, 0, 0, 0, 0, 0]}, "expected a window that is larger than the padding"),
        ("MaxPool", {"ceil_mode": 1}, "expected a pooling without dilations, rounding down"),
        ("AveragePool", {"value": 1.0}, "expected zeros around, got 1"),
        ("AveragePool", {"pads": (1, 1, 1, 1)}, "expected the zeros of the pooling to count"),
    ],
)
def test_what_stays(op: str, given: dict[str, Any], reason: str) -> None:
    assert reason in refused(padded(Onnx(), op, **given), PADS)
