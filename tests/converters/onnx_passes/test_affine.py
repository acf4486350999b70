"""Factors and summands by channel."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.onnx_passes.affine import AFFINE

from ..onnx_model import ops_of
from .onnx_graph import Onnx, assert_same, fused, refused

RNG = np.random.default_rng(4)


def scaled(scale: tuple[int, ...], offset: tuple[int, ...], rank: int = 4) -> Onnx:
    onnx = Onnx()
    product = onnx.op("product", "Mul", onnx.const("s", RNG.random(scale)), onnx.input("x", *(2, 3, 4, 5)[:rank]))
    return onnx.output(onnx.op("y", "Add", product, onnx.const("b", RNG.random(offset))), rank=rank)


@pytest.mark.parametrize(("scale", "offset"), [((3, 1, 1), (3, 1, 1)), ((1, 3, 1, 1), (3, 1, 1))])
def test_one_op(scale: tuple[int, ...], offset: tuple[int, ...]) -> None:
    onnx = scaled(scale, offset)
    found = fused(onnx, AFFINE)
    assert ops_of(found) == ["BatchNormalization"]
    assert_same(onnx, found, x=RNG.random((2, 3, 4, 5), np.float32))


@pytest.mark.parametrize(("scale", "offset", "rank"), [((5,), (3, 1, 1), 4), ((3, 1, 1), (), 4), ((3,), (3,), 2)])
def test_what_is_not_by_channel_stays(scale: tuple[int, ...], offset: tuple[int, ...], rank: int) -> None:
    assert f"expected numbers by channel of {rank} dimensions, got" in refused(scaled(scale, offset, rank), AFFINE)


def test_before_opset_15_the_op_was_another() -> None:
    assert refused(scaled((3, 1, 1), (3, 1, 1)), AFFINE, opset=14) == ""
