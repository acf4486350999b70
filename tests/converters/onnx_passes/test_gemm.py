"""A bias goes into the matrix product before it."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.onnx_passes.gemm import GEMM

from ..onnx_model import ops_of
from .onnx_graph import Onnx, assert_same, fused, refused

RNG = np.random.default_rng(1)


def product(onnx: Onnx, rank: int = 2, dtype: str = "float32") -> str:
    x = onnx.input("x", *([2, 3, 4][-rank:]), dtype=dtype)
    return onnx.op("product", "MatMul", x, onnx.const("w", RNG.integers(-3, 3, (4, 5)), dtype))


@pytest.mark.parametrize("shape", [(5,), (1, 5)])
def test_a_bias_goes_into_the_matrix_product(shape: tuple[int, ...]) -> None:
    onnx = Onnx()
    onnx.output(onnx.op("add", "Add", product(onnx), onnx.const("b", RNG.random(shape))), rank=2)
    found = fused(onnx, GEMM)
    assert ops_of(found) == ["Gemm"]
    assert_same(onnx, found, x=RNG.random((3, 4), np.float32))


@pytest.mark.parametrize(
    ("rank", "dtype", "shape", "reason"),
    [
        (3, "float32", (5,), "expected a product of matrices, got one of higher ranks"),
        (2, "int32", (5,), "expected floats, got int32"),
        (2, "float32", (3, 5), "expected a bias of 5 numbers, got [3, 5]"),
        (2, "float32", (), "expected a bias of 5 numbers, got []"),
    ],
)
def test_what_is_no_gemm_stays(rank: int, dtype: str, shape: tuple[int, ...], reason: str) -> None:
    onnx = Onnx()
    onnx.output(onnx.op("add", "Add", onnx.const("b", np.ones(shape), dtype), product(onnx, rank, dtype)), rank=rank)
    assert reason in refused(onnx, GEMM)
