"""A bias goes into the convolution before it."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.onnx_passes.conv_bias import CONV_BIAS

from ..onnx_model import ops_of
from .onnx_graph import Onnx, assert_same, fused, refused

RNG = np.random.default_rng(1)
X = RNG.standard_normal((2, 3, 6, 5)).astype(np.float32)


def conv(onnx: Onnx, groups: int = 1, op: str = "Conv") -> str:
    x = onnx.input("x", 2, 3, 6, 5)
    shape = (6, 3 // groups, 3, 3) if op == "Conv" else (3, 6 // groups, 3, 3)
    return onnx.op("conv", op, x, onnx.const("w", RNG.standard_normal(shape)), group=groups)


@pytest.mark.parametrize(("op", "groups"), [("Conv", 1), ("Conv", 3), ("ConvTranspose", 1), ("ConvTranspose", 3)])
@pytest.mark.parametrize("shape", [(6, 1, 1), (1, 6, 1, 1)])
@pytest.mark.parametrize("swap", [False, True])
def test_a_bias_goes_into_the_convolution(op: str, groups: int, shape: tuple[int, ...], *, swap: bool) -> None:
    onnx = Onnx()
    terms = [conv(onnx, groups, op), onnx.const("b", RNG.random(shape))]
    onnx.output(onnx.op("add", "Add", *(terms[::-1] if swap else terms)), rank=4)
    found = fused(onnx, CONV_BIAS)
    assert ops_of(found) == [op]
    assert found.nodes["add"].op == op
    assert_same(onnx, found, x=X)


def test_a_second_bias_is_added_to_the_first() -> None:
    onnx = Onnx()
    y = conv(onnx)
    for name in "ab":
        y = onnx.op(name, "Add", y, onnx.const(f"{name}_bias", RNG.random((6, 1, 1))))
    found = fused(onnx.output(y, rank=4), CONV_BIAS)
    assert ops_of(found) == ["Conv"]
    assert_same(onnx, found, x=X)


@pytest.mark.parametrize("shape", [(), (1, 1, 1), (3,), (1, 6, 4, 1), (2, 6, 1, 1), (4, 1)])
def test_what_is_no_bias_stays_outside(shape: tuple[int, ...]) -> None:
    onnx = Onnx()
    onnx.output(onnx.op("add", "Add", conv(onnx), onnx.const("b", np.ones(shape))), rank=4)
    assert f"add: conv_bias: expected 6 numbers, one a channel, got {list(shape)}; or" in refused(onnx, CONV_BIAS)


def test_a_convolution_that_somebody_else_takes_stays() -> None:
    onnx = Onnx()
    y = conv(onnx)
    onnx.output(y, "z", rank=4)
    onnx.output(onnx.op("add", "Add", onnx.const("b", RNG.random((6, 1, 1))), y), rank=4)
    assert "expected the result of conv to be taken once, got 2 users" in refused(onnx, CONV_BIAS)
