"""Prune, on graphs by hand and on what TensorFlow froze."""

from __future__ import annotations

from typing import Any

import pytest

from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import AttrList, FuncRef, Function, Graph, Node
from tensorferry.converters.passes.prune import needed, prune, used_functions
from tensorferry.formats import protos
from tensorferry.formats.dtype import FLOAT32
from tensorferry.formats.errors import GraphError
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


def test_colocations_with_nodes_that_there_are_not_go() -> None:
    places = AttrList("bytes", (b"loc:@gone", b"loc:@v", b"some other word"))
    graph = Graph.of(
        [
            op("v", "NoOp"),
            op("a", "NoOp", _class=places),
            op("b", "NoOp", "^a", _class=AttrList("bytes", places.items[:1])),
        ]
    )
    pruned = prune(graph, ["b"], colocated=True)
    assert pruned.nodes["a"].attrs["_class"] == AttrList("bytes", places.items[1:])
    assert pruned.nodes["b"].attrs == {}
    assert prune(graph, ["b"]).nodes["b"] == graph.nodes["b"]


def test_control_inputs_are_left_out_on_request() -> None:
    graph = Graph.of([op("v", "NoOp"), op("x", "Placeholder"), op("a", "Abs", "x", "^v")])
    assert list(prune(graph, ["a"], controls=False)) == [graph.nodes["x"], op("a", "Abs", "x")]
