"""Fold constants: what is folded, what stays, names, control inputs and bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import AttrList, Graph, Node, Shape
from tensorferry.converters.passes.fold_constants import fold_constants
from tensorferry.formats.dtype import BOOL, FLOAT32, INT32, DType
from tensorferry.formats.tensor import ArrayTensor, FileTensor, SplatTensor, Tensor
from tests.fixture import FIXTURES, graph_def

F32 = {"T": FLOAT32}


def op(name: str, kind: str, *inputs: str, **attrs: Any) -> Node:
    return Node(name, kind, inputs, attrs)


def const(name: str, value: Any, dtype: DType = FLOAT32, *inputs: str) -> Node:
    return op(name, "Const", *inputs, dtype=dtype, value=ArrayTensor(np.array(value, dtype.numpy())))


def value(graph: Graph, name: str) -> np.ndarray[Any, Any]:
    node = graph.nodes[name]
    assert node.op == "Const"
    tensor = node.attrs["value"]
    assert isinstance(tensor, Tensor)
    assert node.attrs["dtype"] == tensor.dtype
    return tensor.numpy()


def test_a_chain_of_constants_becomes_one() -> None:
    graph = Graph.of(
        [
            op("x", "Placeholder", dtype=FLOAT32, shape=Shape()),
            const("a", 2.0),
            const("b", 3.0),
            op("sum", "Add", "a", "b", **F32),
            op("same", "Identity", "sum", **F32),
            Node("square", "Mul", ("same", "sum"), {**F32, "_class": AttrList("bytes", (b"loc:@a",))}, "/cpu:0"),
            op("y", "Add", "x", "square", **F32),
        ]
    )
    folded = fold_constants(graph)
    assert value(folded, "square") == 25
    assert value(folded, "sum") == 5
    assert folded.nodes["square"].attrs["_class"] == AttrList("bytes", (b"loc:@a",))
    assert folded.nodes["square"].device == "/cpu:0"
    assert folded.nodes["same"].op == "Identity"
    assert folded.nodes["y"] is graph.nodes["y"]
    assert graph.nodes["square"].op == "Mul"
    assert list(folded.nodes) == list(graph.nodes)
    assert list(fold_constants(folded)) == list(folded)


def test_control_inputs_are_taken_over() -> None:
    graph = Graph.of(
        [
            op("x", "NoOp"),
            op("y", "NoOp"),
            op("z", "NoOp"),
            const("a", 2.0, FLOAT32, "^x"),
            op("same", "Identity", "a", "^y", **F32),
            op("sum", "Add", "same", "a", "^z", **F32),
        ]
    )
    controls = fold_constants(graph).nodes["sum"].inputs
    assert sorted(controls) == ["^x", "^y", "^z"]


def test_a_folded_node_is_as_dead_as_its_constants_were() -> None:
    graph = Graph.of(
        [
            op("p", "Placeholder", dtype=BOOL, shape=Shape(())),
            op("switch", "Switch", "p", "p", T=BOOL),
            op("on", "Identity", "switch:1", T=BOOL),
            const("a", 2.0, FLOAT32, "^on"),
            op("neg", "Neg", "a", **F32),
            const("b", 5.0),
            op("off", "Identity", "switch", T=BOOL),
            op("other", "Identity", "b", "^off", **F32),
            op("merge", "Merge", "neg", "other", T=FLOAT32, N=2),
        ]
    )
    folded = fold_constants(graph)
    assert folded.nodes["neg"].op == "Const"
    for p, expected in [(True, -2), (False, 5)]:
        assert evaluate(graph, ["merge"], {"p": np.array(p)})["merge"] == expected
        assert evaluate(folded, ["merge"], {"p": np.array(p)})["merge"] == expected


def split_graph(*more: Node) -> Graph:
    return Graph.of(
        [
            const("axis", 0, INT32),
            const("x", [1, 2, 3, 4]),
            op("split", "Split", "axis", "x", T=FLOAT32, num_split=2),
            op("y", "Sub", "split:1", "split", **F32),
            op("v", "Placeholder", dtype=FLOAT32, shape=Shape()),
            op("z", "Sub", "split:1", "v", "^split", **F32),
            *more,
        ]
    )


def test_every_output_of_a_node_gets_a_constant() -> None:
    folded = fold_constants(split_graph())
    assert value(folded, "split").tolist() == [1, 2]
    assert value(folded, "split_1").tolist() == [3, 4]
    assert value(folded, "y").tolist() == [2, 2]
    assert folded.nodes["z"].inputs == ("split_1:0", "v", "^split")
    assert list(folded.nodes) == ["axis", "x", "split", "split_1", "y", "v", "z"]
    assert evaluate(folded, ["z"], {"v": np.float32(1)})["z"].tolist() == [2, 3]


def test_new_names_are_their_own() -> None:
    folded = fold_constants(split_graph(op("split_1", "NoOp"), op("split_1_", "NoOp")))
    assert value(folded, "split_1__").tolist() == [3, 4]
    assert folded.nodes["z"].inputs[0] == "split_1__:0"


@pytest.mark.parametrize("where", ["argument", "graph"])
def test_outputs_keep_their_names(where: str) -> None:
    graph = split_graph()
    if where == "graph":
        graph.outputs = {"second": "split:1"}
    folded = fold_constants(graph, outputs=["split:1"] if where == "argument" else ())
    assert folded.nodes["split"].op == "Split"
    # Output 0 keeps its name anyway.
    assert fold_constants(split_graph(), outputs=["split", "y:0"]).nodes["split"].op == "Const"


def test_stateful_ops_inputs_and_what_fails_stay() -> None:
    graph = Graph.of(
        [
            const("shape", [2], INT32),
            op("random", "RandomUniform", "shape", T=INT32, dtype=FLOAT32),
            const("true", True, BOOL),
            op("assert", "Assert", "true", T=AttrList()),
            op("default", "PlaceholderWithDefault", "true", dtype=BOOL, shape=Shape(())),
            op("not", "LogicalNot", "default"),
            const("zero", 0, INT32),
            op("divided", "FloorDiv", "zero", "zero", T=INT32),
            op("odd", "NoSuchOp", "zero"),
            op("cast", "Cast", "zero", SrcT=INT32, DstT=FLOAT32, Truncate=True),
            op("wrong", "Neg", "zero", **F32),
            op("none", "NoOp"),
        ]
    )
    assert list(fold_constants(graph)) == list(graph)


def test_a_value_that_would_grow_stays() -> None:
    graph = Graph.of(
        [
            const("dims", [100, 100], INT32),
            const("one", 1.0),
            op("filled", "Fill", "dims", "one", T=FLOAT32, index_type=INT32),
            const("many", [100, 200], INT32),
            op("more", "Fill", "many", "one", T=FLOAT32, index_type=INT32),
        ]
    )
    folded = fold_constants(graph)
    assert value(folded, "filled").shape == (100, 100)
    assert folded.nodes["more"].op == "Fill"
    assert fold_constants(graph, growth=100).nodes["filled"].op == "Fill"
    assert fold_constants(graph, growth=1 << 20).nodes["more"].op == "Const"


def test_one_value_repeated_is_not_spelled_out() -> None:
    zeros = SplatTensor(np.zeros((), np.float32), (1000, 1000), FLOAT32)
    graph = Graph.of([op("zeros", "Const", dtype=FLOAT32, value=zeros), op("neg", "Neg", "zeros", **F32)])
    assert fold_constants(graph).nodes["neg"].op == "Neg"


def test_large_inputs_are_not_even_read() -> None:
    lazy = FileTensor(FLOAT32, (1 << 27,), "/nowhere", 0)
    graph = Graph.of([op("big", "Const", dtype=FLOAT32, value=lazy), op("neg", "Neg", "big", **F32)])
    assert fold_constants(graph).nodes["neg"].op == "Neg"


def test_outputs_of_a_real_graph_stay_the_same() -> None:
    fixture = FIXTURES["encoder"]
    graph = from_graph_def(graph_def(fixture.frozen["raw"]))
    folded = fold_constants(graph, outputs=fixture.outputs)
    answer = fixture.answers("raw")[0]
    found = evaluate(folded, fixture.outputs, answer.feeds)
    for output, expected in answer.fetches.items():
        np.testing.assert_allclose(found[output], expected, rtol=1e-5, atol=1e-6)
