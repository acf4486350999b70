"""Of two reshapes in a row the second is left."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.onnx_passes.reshapes import RESHAPES

from ..onnx_model import ops_of
from .onnx_graph import Onnx, assert_same, fused

X = np.random.default_rng(2).standard_normal((2, 3, 4)).astype(np.float32)


def reshaped(first: list[int], second: list[int]) -> Onnx:
    onnx = Onnx()
    y = onnx.op("first", "Reshape", onnx.input("x", 2, 3, 4), onnx.const("a", first, "int64"))
    onnx.output(onnx.op("second", "Reshape", y, onnx.const("b", second, "int64")), rank=len(second))
    return onnx


@pytest.mark.parametrize(("second", "left"), [([4, 6], 1), ([-1], 1), ([0, 4], 2)])
def test_reshapes(second: list[int], left: int) -> None:
    onnx = reshaped([6, 4], second)
    found = fused(onnx, RESHAPES)
    assert len(ops_of(found)) == left
    assert_same(onnx, found, x=X)


def test_a_reshape_that_somebody_else_takes_stays() -> None:
    onnx = reshaped([6, 4], [24])
    onnx.output("first:0", "z", rank=2)
    found = fused(onnx, RESHAPES)
    assert len(ops_of(found)) == 2
    assert found.nodes["second"].inputs == ("x:0", "b:0")
    assert_same(onnx, found, x=X)
