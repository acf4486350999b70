"""Cut: inner values as inputs, and what lies behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import AttrList, Graph, Node, Shape, node_name
from tensorferry.converters.passes.cut import cut, cut_names
from tensorferry.converters.passes.prune import prune
from tensorferry.formats.dtype import BOOL, FLOAT32, INT32, RESOURCE
from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.tensor import ArrayTensor
from tests.fixture import FIXTURES, graph_def

F32 = {"T": FLOAT32}


def op(name: str, kind: str, *inputs: str, **attrs: Any) -> Node:
    return Node(name, kind, inputs, attrs)


def split_graph() -> Graph:
    return Graph.of([
        op("x", "Placeholder", dtype=FLOAT32, shape=Shape((4,))),
        op("axis", "Const", dtype=INT32, value=ArrayTensor(np.array(0, np.int32))),
        op("split", "Split", "axis", "x", T=FLOAT32, num_split=2),
        op("split_1", "Abs", "split:1", **F32),
        op("sum", "Add", "split", "split_1", "^split", **F32),
    ])  # fmt: skip


def test_a_value_becomes_a_placeholder_in_place() -> None:
    graph = split_graph()
    cutted = cut(graph, ["split_1"], ["sum"])
    assert cutted.nodes["split_1"] == op("split_1", "Placeholder", dtype=FLOAT32, shape=Shape())
    assert list(cutted.nodes) == list(graph.nodes)
    assert list(prune(cutted, ["split_1"]).nodes) == ["split_1"]
    assert graph.nodes["split_1"].op == "Abs"


def test_one_of_several_outputs_becomes_a_placeholder_beside_its_node() -> None:
    graph = split_graph()
    assert cut_names(graph, ["split:1", "split", "x:0"]) == {
        "split:1": "split_1_:0",
        "split:0": "split_0:0",
        "x:0": "x:0",
    }
    cutted = cut(graph, ["split:1"], ["sum"])
    assert list(cutted.nodes) == ["x", "axis", "split", "split_1_", "split_1", "sum"]
    assert cutted.nodes["split_1"].inputs == ("split_1_:0",)
    assert cutted.nodes["sum"].inputs == ("split", "split_1", "^split")
    feeds = {"x": np.array([1, 2, 3, 4], np.float32), "split_1_:0": np.array([-10, -20], np.float32)}
    np.testing.assert_array_equal(evaluate(cutted, ["sum"], feeds)["sum"], [11, 22])


def test_a_placeholder_is_left_alone_and_a_default_is_not() -> None:
    graph = Graph.of([
        op("x", "Placeholder", dtype=FLOAT32, shape=Shape((4,))),
        op("no", "Const", dtype=BOOL, value=ArrayTensor(np.array(False))),
        op("d", "PlaceholderWithDefault", "no", dtype=BOOL, shape=Shape(())),
    ])  # fmt: skip
    assert cut(graph, ["x"], ["x"]).nodes == graph.nodes
    assert cut(graph, ["d"], ["d"]).nodes["d"] == op("d", "Placeholder", dtype=BOOL, shape=Shape(()))


def test_the_shape_is_taken_where_the_graph_tells_it() -> None:
    shapes = AttrList("shape", (Shape((2, -1)),))
    graph = Graph.of([
        op("a", "NoOp"),
        op("c", "Const", dtype=INT32, value=ArrayTensor(np.zeros((2, 3), np.int32))),
        op("v", "VariableV2", dtype=FLOAT32, shape=Shape((5,)), _output_shapes=shapes),
    ])  # fmt: skip
    cutted = cut(graph, ["c", "v"], ["c"])
    assert cutted.nodes["c"].attrs == {"dtype": INT32, "shape": Shape((2, 3))}
    assert cutted.nodes["v"].attrs == {"dtype": FLOAT32, "shape": Shape((2, -1))}


def test_wrong_cuts_are_errors() -> None:
    graph = Graph.of([
        op("h", "VarHandleOp", dtype=FLOAT32, shape=Shape()), op("odd", "NoSuchOp"), op("a", "Abs", "h", **F32),
        op("i", "Identity", "h", T=RESOURCE),
    ])  # fmt: skip
    with pytest.raises(GraphError, match=r"^expected nodes of the graph, got none of the name: 'b', 'c'$"):
        cut(graph, ["b", "a", "c:0"], ["a"])
    with pytest.raises(GraphError, match=r"^a:1: expected an output of Abs, which has 1$"):
        cut(graph, ["a:1"], ["a"])
    with pytest.raises(GraphError, match=r"^expected values to cut at, got control inputs: \^a$"):
        cut(graph, ["^a"], ["a"])
    with pytest.raises(
        UnsupportedError, match=r"^odd:0: expected an output of a known op to cut at, got one of NoSuchOp$"
    ):
        cut(graph, ["odd"], ["a"])
    with pytest.raises(
        UnsupportedError, match=r"^i:0: expected a value that can be given from outside, got a resource$"
    ):
        cut(graph, ["i"], ["a"])


def test_cutting_a_real_graph_leaves_what_is_behind_the_cut() -> None:
    fixture = FIXTURES["encoder"]
    frozen = from_graph_def(graph_def(fixture.frozen["raw"]))
    answer = fixture.answers("raw")[0]
    output = fixture.outputs[0]
    users = [node for node in frozen if node.name == node_name(output)]
    inner = next(value for value in users[0].data_inputs if frozen.producer(value).op not in ("Const", "Identity"))
    value = evaluate(frozen, [inner], answer.feeds)[inner]
    small = prune(cut(frozen, [inner], [output]), [output])
    assert len(small) < len(frozen)
    found = evaluate(small, [output], {inner: value})[output]
    np.testing.assert_allclose(found, answer.fetches[output], rtol=1e-5, atol=1e-6)


def test_a_colocation_keeps_no_variable_beyond_the_cut() -> None:
    near = AttrList("bytes", (b"loc:@v", b"loc:@y"))
    graph = Graph.of([
        op("v", "VariableV2", dtype=FLOAT32, shape=Shape((2,))),
        op("read", "Identity", "v", **F32),
        op("x", "Abs", "read", **F32),
        op("y", "Abs", "x", **F32, _class=near),
        op("z", "Abs", "y", **F32, _class=AttrList("bytes", (b"loc:@v",))),
    ])  # fmt: skip
    assert "v" in prune(graph, ["z"], colocated=True).nodes
    piece = prune(cut(graph, ["x:0"], ["z"]), ["z"], colocated=True)
    assert list(piece.nodes) == ["x", "y", "z"]
    assert piece.nodes["y"].attrs["_class"] == AttrList("bytes", (b"loc:@y",))
    assert "_class" not in piece.nodes["z"].attrs


def test_the_shape_may_be_told() -> None:
    graph = split_graph()
    told = cut(graph, ["split_1:0"], ["sum"], shape_of=lambda value: Shape((len(value),)))
    assert told.nodes["split_1"].attrs["shape"] == Shape((9,))
