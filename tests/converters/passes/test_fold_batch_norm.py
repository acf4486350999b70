"""Fold batch normalization: against formulas in numpy, in both layouts, and where it must not be done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.ir import Graph, Node
from tensorferry.converters.passes.fold_batch_norm import fold_batch_norm
from tensorferry.converters.passes.prune import prune
from tests.converters.graph_text import const, op, placeholder

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.uniform(-1, 1, (1, 1, 3, 2)).astype(np.float32)
SCALE, OFFSET, MEAN, VARIANCE = RANDOM.uniform(0.5, 1.5, (4, 2)).astype(np.float32)
FACTOR = SCALE / np.sqrt(VARIANCE + 1e-3)
X = RANDOM.uniform(-1, 1, (2, 4, 5, 3)).astype(np.float32)
EXPECTED = (np.einsum("nhwi,io->nhwo", X, WEIGHTS[0, 0]) - MEAN) * FACTOR + OFFSET
MOMENTS = ["scale", "offset", "mean", "variance"]


def convolution(layout: str = "NHWC") -> list[Node]:
    dims = [None, 4, 5, 3] if layout == "NHWC" else [None, 3, 4, 5]
    conv = op("conv", "Conv2D", "x", "w", strides=[1, 1, 1, 1], padding="SAME", data_format=layout)
    return [placeholder("x", dims), const("w", WEIGHTS), conv]


def moments(shape: tuple[int, ...] = (2,)) -> list[Node]:
    arrays = zip(MOMENTS, (SCALE, OFFSET, MEAN, VARIANCE), strict=True)
    return [const(name, array.reshape(shape)) for name, array in arrays]


def fused(y: str = "conv", **attrs: Any) -> Node:
    attrs = {"is_training": False, "epsilon": 1e-3, "data_format": "NHWC"} | attrs
    return op("bn", "FusedBatchNorm", y, *MOMENTS, **attrs)


def decomposed(y: str = "conv") -> list[Node]:
    """As `tf.nn.batch_normalization` makes it."""
    return [
        const("epsilon", 1e-3),
        op("add", "AddV2", "variance", "epsilon"),
        op("rsqrt", "Rsqrt", "add"),
        op("mul", "Mul", "rsqrt", "scale"),
        op("mul_1", "Mul", y, "mul"),
        op("mul_2", "Mul", "mean", "mul"),
        op("sub", "Sub", "offset", "mul_2"),
        op("bn", "AddV2", "mul_1", "sub"),
    ]


def folded(nodes: list[Node], output: str = "bn") -> Graph:
    return prune(fold_batch_norm(Graph.of(nodes), outputs=[output]), [output])


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph if node.op not in ("Const", "Placeholder")]


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("form", ["fused", "decomposed"])
def test_behind_a_convolution(layout: str, form: str) -> None:
    ending = [fused(data_format=layout)]
    shape: tuple[int, ...] = (2,)
    if form == "decomposed":
        ending, shape = decomposed(), (2,) if layout == "NHWC" else (2, 1, 1)
    graph = folded([*convolution(layout), *moments(shape), *ending])
    assert ops(graph) == ["Conv2D", "BiasAdd"]
    assert list(graph.nodes) == ["x", "bn/weights", "conv", "bn/bias", "bn"] or len(graph) == 5
    channels_first = layout == "NCHW"
    feed = X.transpose(0, 3, 1, 2) if channels_first else X
    found = evaluate(graph, ["bn"], {"x": feed})["bn"]
    expected = EXPECTED.transpose(0, 3, 1, 2) if channels_first else EXPECTED
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_behind_a_bias_and_identities() -> None:
    bias = np.array([3, -4], np.float32)
    between = [const("b", bias), op("sum", "BiasAdd", "conv", "b"), op("id", "Identity", "sum")]
    graph = folded([*convolution(), *moments(), *between, fused("id")])
    assert ops(graph) == ["Conv2D", "BiasAdd"]
    found = evaluate(graph, ["bn"], {"x": X})["bn"]
    np.testing.assert_allclose(found, EXPECTED + bias * FACTOR, rtol=1e-5, atol=1e-5)


def test_behind_a_depthwise_convolution() -> None:
    weights = RANDOM.uniform(-1, 1, (1, 1, 1, 2)).astype(np.float32)
    attrs = {"strides": [1, 1, 1, 1], "padding": "SAME", "data_format": "NHWC"}
    nodes = [placeholder("x", [None, 4, 5, 1]), const("w", weights),
             op("conv", "DepthwiseConv2dNative", "x", "w", **attrs)]  # fmt: skip
    graph = folded([*nodes, *moments(), fused()])
    assert ops(graph) == ["DepthwiseConv2dNative", "BiasAdd"]
    found = evaluate(graph, ["bn"], {"x": X[..., :1]})["bn"]
    np.testing.assert_allclose(found, (X[..., :1] * weights[0, 0, 0] - MEAN) * FACTOR + OFFSET, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("transposed", [False, True])
def test_behind_a_product(transposed: bool) -> None:
    matrix = WEIGHTS[0, 0].T if transposed else WEIGHTS[0, 0]
    nodes = [placeholder("x", [None, 3]), const("w", matrix), op("y", "MatMul", "x", "w", transpose_b=transposed)]
    graph = folded([*nodes, *moments(), *decomposed("y")])
    assert ops(graph) == ["MatMul", "BiasAdd"]
    found = evaluate(graph, ["bn"], {"x": X[0, 0]})["bn"]
    np.testing.assert_allclose(found, EXPECTED[0, 0], rtol=1e-5, atol=1e-6)


def test_who_waited_still_waits() -> None:
    ending = fused().with_(inputs=("conv", *MOMENTS, "^x"))
    nodes = convolution()
    nodes[2] = nodes[2].with_(inputs=("x", "w", "^x"))
    graph = folded([*nodes, *moments(), ending])
    assert graph.nodes["conv"].inputs == ("x", "bn/weights", "^x")
    assert graph.nodes["bn"].inputs == ("conv", "bn/bias", "^x")


def test_names_that_are_taken() -> None:
    graph = folded([*convolution(), *moments(), const("bn/weights", 1.0), fused()])
    assert graph.nodes["conv"].inputs == ("x", "bn/weights_")


UNFIT: dict[str, list[Node]] = {
    "in training": [*convolution(), *moments(), fused(is_training=True)],
    "of another layout": [*convolution(), *moments(), fused(data_format="NCHW")],
    "of moments that are computed": [*convolution(), *moments()[:3], placeholder("variance", [2]), fused()],
    "of weights that are computed": [placeholder("w", [1, 1, 3, 2]), *convolution()[::2], *moments(), fused()],
    "along another axis": [*convolution(), const("f", np.ones((4, 1, 1)) * 2), op("bn", "Mul", "conv", "f")],
    "of a higher rank": [*convolution(), const("f", np.ones((1, 1, 1, 1, 2)) * 2), op("bn", "Mul", "conv", "f")],
    "that divides by zero": [*convolution(), const("f", [1.0, 0.0]), op("bn", "RealDiv", "conv", "f")],
    "that only shifts": [*convolution(), const("f", [1.0, 2.0]), op("bn", "BiasAdd", "conv", "f", data_format="NHWC")],
}  # fmt: skip


@pytest.mark.parametrize("why", UNFIT)
def test_what_does_not_fit_stays(why: str) -> None:
    graph = Graph.of(UNFIT[why])
    assert list(fold_batch_norm(graph, outputs=["bn"])) == list(graph)


def test_what_others_take_stays() -> None:
    graph = Graph.of([*convolution(), *moments(), fused(), op("other", "Neg", "conv")])
    assert list(fold_batch_norm(graph, outputs=["bn", "other"])) == list(graph)
    graph = Graph.of([*convolution(), *moments(), fused()])
    assert list(fold_batch_norm(graph, outputs=["bn", "conv:0"])) == list(graph)
    graph = Graph.of([*convolution(), *moments(), fused(), op("other", "Neg", "bn:1")])
    assert list(fold_batch_norm(graph, outputs=["bn", "other"])) == list(graph)


def test_weights_are_computed_when_they_are_read() -> None:
    made = folded([*convolution(), *moments(), fused()]).nodes["bn/weights"].attrs["value"]
    np.testing.assert_allclose(made.numpy(), WEIGHTS * FACTOR, rtol=1e-6)  # type: ignore[union-attr]
    assert made.shape == (1, 1, 3, 2)  # type: ignore[union-attr]
