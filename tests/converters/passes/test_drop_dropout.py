"""Drop dropout: only where it is known to drop nothing."""

from __future__ import annotations

import pytest

from tensorferry.converters.ir import Graph, Node
from tensorferry.converters.passes.drop_dropout import drop_dropout
from tensorferry.converters.passes.prune import prune
from tests.converters.graph_text import const, dtype, op, placeholder

FLOAT = dtype("float32")


def uniform(shape: list[int] | None = None) -> list[Node]:
    source = [op("shape", "Shape", "x", out_type=dtype("int32"))] if shape is None else [const("shape", shape, "int32")]
    return [*source, op("u", "RandomUniform", "shape", dtype=FLOAT, T=dtype("int32"))]


def newer(rate: float = 0.0, scale: float = 1.0) -> list[Node]:
    """As TensorFlow 1.15 makes it: x * scale * cast(u >= rate)."""
    return [
        const("one", 1.0), const("zero", 0.0), op("u1", "Mul", "u", "one"), op("u2", "Add", "u1", "zero"),
        const("rate", rate), const("scale", scale), op("scaled", "Mul", "x", "scale"),
        op("kept", "GreaterEqual", "u2", "rate"),
        Node("mask", "Cast", ("kept",), {"SrcT": dtype("bool"), "DstT": FLOAT}),
        op("dropped", "Mul", "scaled", "mask"), op("y", "Neg", "dropped"),
    ]  # fmt: skip


def older(keep: float = 1.0) -> list[Node]:
    """As older versions make it: x / keep * floor(keep + u)."""
    return [
        const("keep", keep), op("scaled", "RealDiv", "x", "keep"), op("sum", "Add", "keep", "u"),
        op("mask", "Floor", "sum"), op("dropped", "Mul", "scaled", "mask"), op("y", "Neg", "dropped"),
    ]  # fmt: skip


def ops(nodes: list[Node]) -> list[str]:
    graph = prune(drop_dropout(Graph.of([placeholder("x", [None, 3]), *nodes])), ["y"])
    return [node.op for node in graph]


@pytest.mark.parametrize("nodes", [[*uniform(), *newer()], [*uniform(), *older()]])
def test_dropout_that_drops_nothing_goes(nodes: list[Node]) -> None:
    assert ops(nodes) == ["Placeholder", "Identity", "Identity", "Neg"]


def test_a_mask_for_every_row_goes_too() -> None:
    assert "RandomUniform" not in ops([*uniform([1, 3]), *newer()])


@pytest.mark.parametrize(
    "nodes",
    [
        [*uniform(), *newer(rate=0.5, scale=2.0)],
        [*uniform(), *older(keep=0.5)],
        [*uniform([5, 1, 3]), *newer()],
        [*uniform(), *(node if node.name != "zero" else const("zero", -1.0) for node in newer())],
    ],
)
def test_other_dropout_stays(nodes: list[Node]) -> None:
    assert "RandomUniform" in ops(nodes)


def test_a_scale_that_is_not_one_stays() -> None:
    assert ops([*uniform(), *newer(scale=2.0)]) == ["Placeholder", "Const", "Mul", "Identity", "Neg"]


def test_a_graph_without_random_numbers_is_left_alone() -> None:
    graph = Graph.of([placeholder("x", [2]), op("y", "Neg", "x")])
    assert drop_dropout(graph) is graph
