"""Convolution and bias, batch normalisation, Gemm: fused where it holds, left alone where it doesn't."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.onnx_passes import PASSES, run_passes
from tensorferry.converters.onnx_passes.batch_norm import fold_batch_norm
from tensorferry.converters.onnx_passes.conv_bias import fuse_conv_bias
from tensorferry.converters.onnx_passes.gemm import fuse_gemm
from tensorferry.converters.onnx_passes.unused import remove_unused

from ..onnx_model import ops_of, run_graph
from .onnx_graph import Onnx

RNG = np.random.default_rng(1)
X = RNG.standard_normal((2, 3, 6, 5)).astype(np.float32)


def conv(onnx: Onnx, groups: int = 1, op: str = "Conv") -> str:
    x = onnx.input("x", 2, 3, 6, 5)
    shape = (6, 3 // groups, 3, 3) if op == "Conv" else (3, 6 // groups, 3, 3)
    return onnx.op("conv", op, x, onnx.const("w", RNG.standard_normal(shape)), group=groups)


def same(onnx: Onnx, graph: Any, x: np.ndarray[Any, Any] = X) -> None:
    before, after = run_graph(onnx.graph, {"x": x}), run_graph(graph, {"x": x})
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("op", "groups"), [("Conv", 1), ("Conv", 3), ("ConvTranspose", 1), ("ConvTranspose", 3)])
@pytest.mark.parametrize("shape", [(6, 1, 1), (1, 6, 1, 1)])
@pytest.mark.parametrize("swap", [False, True])
def test_a_bias_goes_into_the_convolution(op: str, groups: int, shape: tuple[int, ...], *, swap: bool) -> None:
    onnx = Onnx()
    terms = [conv(onnx, groups, op), onnx.const("b", RNG.random(shape))]
    onnx.output(onnx.op("add", "Add", *(terms[::-1] if swap else terms)), rank=4)
    found = remove_unused(fuse_conv_bias(onnx.graph))
    assert ops_of(found) == [op]
    assert found.nodes["add"].op == op
    same(onnx, found)


@pytest.mark.parametrize("shape", [(), (1, 1, 1), (3,), (1, 6, 4, 1), (2, 6, 1, 1), (4, 1)])
def test_what_is_no_bias_stays_outside(shape: tuple[int, ...]) -> None:
    onnx = Onnx()
    onnx.output(onnx.op("add", "Add", conv(onnx), onnx.const("b", RNG.random(shape))), rank=4)
    assert ops_of(fuse_conv_bias(onnx.graph)) == ["Conv", "Add"]


def test_a_convolution_that_somebody_else_takes_stays() -> None:
    onnx = Onnx()
    y = conv(onnx)
    onnx.output(y, "z", rank=4)
    onnx.output(onnx.op("add", "Add", y, onnx.const("b", RNG.random((6, 1, 1)))), rank=4)
    assert ops_of(fuse_conv_bias(onnx.graph)) == ["Conv", "Add"]


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
    found = remove_unused(fold_batch_norm(fuse_conv_bias(onnx.graph)))
    assert ops_of(found) == ["Conv"]
    same(onnx, found)


def test_the_default_epsilon() -> None:
    onnx = Onnx()
    onnx.output(norm(onnx, conv(onnx)), rank=4)
    same(onnx, fold_batch_norm(onnx.graph))


def test_batch_normalisation_of_anything_else_stays() -> None:
    onnx = Onnx()
    y = onnx.op("relu", "Relu", conv(onnx))
    onnx.output(norm(onnx, y), rank=4)
    assert ops_of(fold_batch_norm(onnx.graph)) == ["Conv", "Relu", "BatchNormalization"]


def test_folded_weights_are_computed_when_they_are_read() -> None:
    onnx = Onnx()
    onnx.output(norm(onnx, conv(onnx)), rank=4)
    folded = fold_batch_norm(onnx.graph).nodes["conv/folded"].attrs["value"]
    assert type(folded).__name__ == "View"


def product(onnx: Onnx, rank: int = 2, dtype: str = "float32") -> str:
    x = onnx.input("x", *([2, 3, 4][-rank:]), dtype=dtype)
    return onnx.op("product", "MatMul", x, onnx.const("w", RNG.integers(-3, 3, (4, 5)), dtype))


@pytest.mark.parametrize("shape", [(5,), (1, 5)])
def test_a_bias_goes_into_the_matrix_product(shape: tuple[int, ...]) -> None:
    onnx = Onnx()
    onnx.output(onnx.op("add", "Add", product(onnx), onnx.const("b", RNG.random(shape))), rank=2)
    found = remove_unused(fuse_gemm(onnx.graph, onnx.dims))
    assert ops_of(found) == ["Gemm"]
    same(onnx, found, RNG.random((3, 4), np.float32))


@pytest.mark.parametrize(
    ("rank", "dtype", "shape"), [(3, "float32", (5,)), (2, "int32", (5,)), (2, "float32", (3, 5)), (2, "float32", ())]
)
def test_what_is_no_gemm_stays(rank: int, dtype: str, shape: tuple[int, ...]) -> None:
    onnx = Onnx()
    onnx.output(onnx.op("add", "Add", product(onnx, rank, dtype), onnx.const("b", np.ones(shape), dtype)), rank=rank)
    assert ops_of(fuse_gemm(onnx.graph, onnx.dims)) == ["MatMul", "Add"]


def test_each_pass_can_be_left_out() -> None:
    onnx = Onnx()
    y = onnx.op("add", "Add", conv(onnx), onnx.const("b", RNG.random((6, 1, 1))))
    onnx.output(norm(onnx, y), rank=4)
    assert ops_of(run_passes(onnx.graph, onnx.dims, 18)) == ["Conv"]
    assert ops_of(run_passes(onnx.graph, onnx.dims, 18, without=PASSES)) == ["Conv", "Add", "BatchNormalization"]
    assert ops_of(run_passes(onnx.graph, onnx.dims, 18, without=["batch_norm"])) == ["Conv", "BatchNormalization"]


def test_unused_nodes_go_and_inputs_stay() -> None:
    onnx = Onnx()
    x = onnx.input("x", 2)
    onnx.input("other", 2)
    onnx.op("dead", "Exp", onnx.op("deader", "Abs", x))
    onnx.const("lost", 1.0)
    onnx.output(onnx.op("y", "Neg", x, dims=(2,)))
    assert list(remove_unused(onnx.graph).nodes) == ["x", "other", "y", "y/output"]
