"""Batch normalisation and other factors go into the convolution before them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.onnx_passes.batch_norm import BATCH_NORM
from tensorferry.converters.onnx_passes.conv_bias import CONV_BIAS

from ..onnx_model import ops_of
from .onnx_graph import Onnx, assert_same, fused, refused
from .test_conv_bias import RNG, X, conv


def norm(onnx: Onnx, x: str, **attrs: Any) -> str:
    statistics = [onnx.const(name, 0.5 + RNG.random(6)) for name in ("scale", "offset", "mean", "variance")]
    return onnx.op("norm", "BatchNormalization", x, *statistics, **attrs)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("groups", [1, 3])
def test_batch_normalisation_goes_into_the_convolution(groups: int, *, biased: bool) -> None:
    onnx = Onnx()
    y = conv(onnx, groups)
    if biased:
        y = onnx.op("add", "Add", y, onnx.const("b", RNG.random((6, 1, 1))))
    onnx.output(norm(onnx, y, epsilon=0.01), rank=4)
    found = fused(onnx, CONV_BIAS, BATCH_NORM)
    assert ops_of(found) == ["Conv"]
    assert_same(onnx, found, x=X)


def test_the_default_epsilon() -> None:
    onnx = Onnx()
    onnx.output(norm(onnx, conv(onnx)), rank=4)
    assert_same(onnx, fused(onnx, BATCH_NORM), x=X)


@pytest.mark.parametrize("groups", [1, 3])
def test_a_factor_and_what_follows(groups: int) -> None:
    onnx = Onnx()
    y = onnx.op("add", "Add", conv(onnx, groups), onnx.const("b", RNG.random((6, 1, 1))))
    y = onnx.op("mul", "Mul", onnx.const("f", RNG.random((1, 6, 1, 1))), y)
    y = onnx.op("last", "Add", y, onnx.const("c", RNG.random((6, 1, 1))))
    found = fused(onnx.output(y, rank=4), BATCH_NORM, CONV_BIAS)
    assert ops_of(found) == ["Conv"]
    assert_same(onnx, found, x=X)


@pytest.mark.parametrize("shape", [(), (5,), (6, 1, 5), (2, 6, 1, 1)])
def test_a_factor_that_is_not_by_channel_stays(shape: tuple[int, ...]) -> None:
    onnx = Onnx()
    onnx.output(onnx.op("mul", "Mul", onnx.const("f", np.ones(shape)), conv(onnx)), rank=4)
    assert f"expected 6 numbers, one a channel, got {list(shape)}" in refused(onnx, BATCH_NORM)


def test_batch_normalisation_of_anything_else_stays() -> None:
    onnx = Onnx()
    onnx.output(norm(onnx, onnx.op("relu", "Relu", conv(onnx))), rank=4)
    assert refused(onnx, BATCH_NORM) == "norm: batch_norm: expected Conv, got Relu"


def test_the_moments_of_the_batch_stay() -> None:
    onnx = Onnx()
    onnx.output(norm(onnx, conv(onnx), training_mode=1), rank=4)
    assert "expected moments that are given, got those of the batch" in refused(onnx, BATCH_NORM)


def test_folded_weights_are_computed_when_they_are_read() -> None:
    onnx = Onnx()
    onnx.output(norm(onnx, conv(onnx)), rank=4)
    folded = fused(onnx, BATCH_NORM).nodes["conv/folded"].attrs["value"]
    assert type(folded).__name__ == "View"
