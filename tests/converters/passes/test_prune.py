"""Prune and cut, on graphs by hand and on what TensorFlow froze."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import AttrList, FuncRef, Function, Graph, Node, Shape, node_name
from tensorferry.converters.passes.prune import cut, cut_names, needed, prune, used_functions
from tensorferry.formats import protos
from tensorferry.formats.dtype import BOOL, FLOAT32, INT32, RESOURCE
from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.tensor import ArrayTensor
from tests.fixture import FIXTURES, graph_def

F32 = {"T": FLOAT32}


def op(name: str, kind: str, *inputs: str, **attrs: Any) -> Node:
    return Node(name, kind, inputs, attrs)


@pytest.mark.parametrize("name", ["add", "ema", "encoder", "mnist"])
def test_keeps_the_nodes_that_tensorflow_keeps(name: str) -> None:
    fixture = FIXTURES[name]
    pruned = prune(from_graph_def(graph_def(fixture.graph)), fixture.outputs)
    frozen = graph_def(fixture.frozen["raw"])
    assert list(pruned.nodes) == [node.name for node in frozen.node]


def test_order_and_nodes_stay() -> None:
    nodes = [op("z", "Identity", "a", **F32), op("b", "NoOp"), op("other", "NoOp"), op("a", "Abs", "x:0", "^b", **F32),
             op("x", "Placeholder", dtype=FLOAT32)]  # fmt: skip
    graph = Graph({node.name: node for node in nodes}, residue=b"", dialect="tensorflow")
    pruned = prune(graph, ["z:0"])
    assert list(pruned) == [nodes[0], nodes[1], nodes[3], nodes[4]]
    assert len(graph) == 5
    assert list(prune(pruned, ["z"])) == list(pruned)


def test_loops_are_followed_all_the_way_round() -> None:
    nodes = [op("enter", "Enter", "x"), op("merge", "Merge", "enter", "next"), op("exit", "Exit", "merge"),
             op("next", "NextIteration", "step"), op("step", "Abs", "merge"), op("x", "Placeholder")]  # fmt: skip
    assert needed(Graph.of(nodes), ["exit"]) == {node.name for node in nodes}


def test_what_is_given_is_not_followed() -> None:
    nodes = [op("a", "Placeholder"), op("b", "Abs", "a"), op("c", "Abs", "b", "^b"), op("d", "Abs", "b:0")]
    assert needed(Graph.of(nodes), ["d"], {"b:0"}) == {"d"}
    assert needed(Graph.of(nodes), ["c"], {"b:0"}) == {"a", "b", "c"}
    assert needed(Graph.of(nodes), ["b"], {"b:0"}) == set()


def functions() -> Graph:
    library = protos.message_class("GraphDef")()
    library.library.gradient.add(function_name="g", gradient_func="g_grad")
    body = {
        "f": [op("call", "PartitionedCall", f=FuncRef("g", {"inner": FuncRef("h")}))],
        "g": [op("again", "PartitionedCall", f=FuncRef("f"))],
        "h": [], "g_grad": [], "branch": [], "by_name": [], "unused": [op("u", "PartitionedCall", f=FuncRef("f"))],
    }  # fmt: skip
    nodes = [
        op("a", "PartitionedCall", f=FuncRef("f")),
        op("b", "Case", branches=AttrList("func", (FuncRef("branch"),))),
        op("c", "by_name"),
        op("d", "PartitionedCall", f=FuncRef("unused")),
    ]
    return Graph(
        {node.name: node for node in nodes},
        {name: Function(name, {n.name: n for n in inner}) for name, inner in body.items()},
        residue=library.SerializeToString(),
    )


def test_functions_stay_all_or_those_that_are_used() -> None:
    graph = functions()
    assert prune(graph, ["a", "b", "c"]).functions == graph.functions
    pruned = prune(graph, ["a", "b", "c"], functions="used")
    assert list(pruned.functions) == ["f", "g", "h", "g_grad", "branch", "by_name"]
    assert used_functions(Graph.of([graph.nodes["b"]], like=graph)) == {"branch"}
    assert len(graph.functions) == 7


def test_all_missing_outputs_are_named() -> None:
    graph = Graph.of([op("logits", "NoOp")])
    with pytest.raises(GraphError) as caught:
        prune(graph, ["logit:0", "logits", "other"])
    assert str(caught.value) == "expected nodes of the graph, got none of the name: 'logit' (near: logits), 'other'"


def test_all_missing_inputs_are_named() -> None:
    with pytest.raises(GraphError, match=r"got none of the name: 'x' of a, '\^y' of a$"):
        prune(Graph.of([op("a", "Abs", "x", "^y")]), ["a"])


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
    cutted = cut(graph, ["split_1"])
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
    cutted = cut(graph, ["split:1"])
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
    assert cut(graph, ["x"]).nodes == graph.nodes
    assert cut(graph, ["d"]).nodes["d"] == op("d", "Placeholder", dtype=BOOL, shape=Shape(()))


def test_the_shape_is_taken_where_the_graph_tells_it() -> None:
    shapes = AttrList("shape", (Shape((2, -1)),))
    graph = Graph.of([
        op("a", "NoOp"),
        op("c", "Const", dtype=INT32, value=ArrayTensor(np.zeros((2, 3), np.int32))),
        op("v", "VariableV2", dtype=FLOAT32, shape=Shape((5,)), _output_shapes=shapes),
    ])  # fmt: skip
    cutted = cut(graph, ["c", "v"])
    assert cutted.nodes["c"].attrs == {"dtype": INT32, "shape": Shape((2, 3))}
    assert cutted.nodes["v"].attrs == {"dtype": FLOAT32, "shape": Shape((2, -1))}


def test_wrong_cuts_are_errors() -> None:
    graph = Graph.of([
        op("h", "VarHandleOp", dtype=FLOAT32, shape=Shape()), op("odd", "NoSuchOp"), op("a", "Abs", "h", **F32),
        op("i", "Identity", "h", T=RESOURCE),
    ])  # fmt: skip
    with pytest.raises(GraphError, match=r"^expected nodes of the graph, got none of the name: 'b', 'c'$"):
        cut(graph, ["b", "a", "c:0"])
    with pytest.raises(GraphError, match=r"^a:1: expected an output of Abs, which has 1$"):
        cut(graph, ["a:1"])
    with pytest.raises(GraphError, match=r"^expected values to cut at, got control inputs: \^a$"):
        cut(graph, ["^a"])
    with pytest.raises(
        UnsupportedError, match=r"^odd:0: expected an output of a known op to cut at, got one of NoSuchOp$"
    ):
        cut(graph, ["odd"])
    with pytest.raises(
        UnsupportedError, match=r"^i:0: expected a value that can be given from outside, got a resource$"
    ):
        cut(graph, ["i"])


def test_cutting_a_real_graph_leaves_what_is_behind_the_cut() -> None:
    fixture = FIXTURES["encoder"]
    frozen = from_graph_def(graph_def(fixture.frozen["raw"]))
    answer = fixture.answers("raw")[0]
    output = fixture.outputs[0]
    users = [node for node in frozen if node.name == node_name(output)]
    inner = next(value for value in users[0].data_inputs if frozen.producer(value).op not in ("Const", "Identity"))
    value = evaluate(frozen, [inner], answer.feeds)[inner]
    small = prune(cut(frozen, [inner]), [output])
    assert len(small) < len(frozen)
    found = evaluate(small, [output], {inner: value})[output]
    np.testing.assert_allclose(found, answer.fetches[output], rtol=1e-5, atol=1e-6)
