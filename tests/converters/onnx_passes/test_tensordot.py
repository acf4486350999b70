"""Reshapes around a product with a matrix."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.onnx_passes.tensordot import TENSORDOT

from ..onnx_model import ops_of
from .onnx_graph import Onnx, assert_same, fused, refused

RNG = np.random.default_rng(3)


def flattened(
    *, rows: int = 4, bias: tuple[int, ...] | None = None, after: tuple[int | str, ...] = ("n", 3, 5), rank: int = 2
) -> Onnx:
    onnx = Onnx()
    shape = [-1, rows] if rank == 2 else [-1, 3, rows]
    x = onnx.op("flat", "Reshape", onnx.input("x", "n", 3, 4), onnx.const("a", shape, "int64"), dims=(None, *shape[1:]))
    y = onnx.op("product", "MatMul", x, onnx.const("w", RNG.random((rows, 5))), dims=(None, 5))
    if bias is not None:
        y = onnx.op("sum", "Add", onnx.const("b", np.ones(bias)), y)
    target = [-1 if isinstance(size, str) else size for size in after]
    return onnx.output(onnx.op("y", "Reshape", y, onnx.const("c", target, "int64"), dims=after), rank=len(after))


@pytest.mark.parametrize("bias", [None, (5,)])
def test_they_go(bias: tuple[int, ...] | None) -> None:
    onnx = flattened(bias=bias)
    found = fused(onnx, TENSORDOT)
    assert ops_of(found) == ["MatMul", "Add"][: 1 if bias is None else 2]
    assert_same(onnx, found, x=RNG.random((2, 3, 4), np.float32))


@pytest.mark.parametrize(
    ("onnx", "reason"),
    [
        (flattened(rows=2, after=("n", 6, 5)), "expected rows of 2 numbers, got ['n', 3, 4] as [None, 2]"),
        (flattened(after=(3, "n", 5)), "expected the dimensions that were there before, got [3, 'n', 5]"),
        (flattened(after=("m", 3, 5)), "expected the dimensions that were there before, got ['m', 3, 5]"),
        (flattened(bias=(1, 1)), "expected 5 numbers to add, got [1, 1]"),
        (flattened(rank=3), "expected rows of 4 numbers, got ['n', 3, 4] as [None, 3, 4]"),
    ],
)
def test_what_stays(onnx: Onnx, reason: str) -> None:
    assert reason in refused(onnx, TENSORDOT)
