"""Drop identities: what is bypassed, and what has to stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import Graph, Node, Shape
from tensorferry.converters.passes.drop_identities import IDENTITIES, drop_identities
from tensorferry.formats.dtype import BOOL, FLOAT32
from tests.fixture import FIXTURES, HOME, graph_def

F32 = {"T": FLOAT32}


def op(name: str, kind: str, *inputs: str, **attrs: Any) -> Node:
    return Node(name, kind, inputs, attrs)


X = op("x", "Placeholder", dtype=FLOAT32, shape=Shape())


def test_a_chain_is_bypassed() -> None:
    graph = Graph.of(
        [
            X,
            op("a", "Identity", "x", **F32),
            op("b", "StopGradient", "a:0", **F32),
            op("c", "PreventGradient", "b", **F32),
            op("d", "Snapshot", "c", **F32),
            op("y", "Add", "d", "a", **F32),
        ]
    )
    dropped = drop_identities(graph)
    assert list(dropped) == [X, op("y", "Add", "x", "x", **F32)]
    assert len(graph) == 6
    assert list(drop_identities(dropped)) == list(dropped)


def test_the_number_of_an_output_is_kept() -> None:
    graph = Graph.of(
        [op("s", "Split", "n", "x"), op("n", "Const"), X, op("a", "Identity", "s:1", **F32), op("y", "Abs", "a", **F32)]
    )
    assert drop_identities(graph).nodes["y"].inputs == ("s:1",)


def test_outputs_and_what_nobody_takes_stay() -> None:
    graph = Graph.of(
        [X, op("a", "Identity", "x", **F32), op("b", "Identity", "a", **F32), op("end", "Identity", "b", **F32)]
    )
    assert list(drop_identities(graph).nodes) == ["x", "end"]
    assert list(drop_identities(graph, outputs=["a:0"])) == [X, graph.nodes["a"], op("end", "Identity", "a", **F32)]
    graph.outputs = {"public": "b"}
    assert list(drop_identities(graph).nodes) == ["x", "b", "end"]


def test_control_inputs_go_to_what_is_bypassed_and_keep_a_node() -> None:
    graph = Graph.of(
        [
            X,
            op("n", "NoOp"),
            op("a", "Identity", "x", **F32),
            op("b", "Identity", "a", "^n", **F32),
            op("y", "Abs", "b", "^a", "^x", "^n", **F32),
        ]
    )
    assert list(drop_identities(graph)) == [
        X,
        graph.nodes["n"],
        op("b", "Identity", "x", "^n", **F32),
        op("y", "Abs", "b", "^x", "^n", **F32),
    ]


def test_the_pivots_of_a_conditional_stay() -> None:
    graph = Graph.of(
        [
            op("p", "Placeholder", dtype=BOOL, shape=Shape(())),
            op("switch", "Switch", "p", "p", T=BOOL),
            op("on", "Identity", "switch:1", T=BOOL),
            op("also_on", "Identity", "on", T=BOOL),
            op("value", "NoOp", "^on", "^also_on"),
            op("taken", "Identity", "switch:1", T=BOOL),
            op("y", "LogicalNot", "taken"),
        ]
    )
    dropped = drop_identities(graph)
    assert "taken" not in dropped.nodes
    assert dropped.nodes["value"].inputs == ("^on",)
    assert dropped.nodes["on"].inputs == ("switch:1",)


def test_checks_go_on_request() -> None:
    check = op("check", "CheckNumerics", "x", T=FLOAT32, message=b"")
    graph = Graph.of([X, check, op("y", "Abs", "check", **F32)])
    assert list(drop_identities(graph)) == list(graph)
    dropped = drop_identities(graph, ops=IDENTITIES | {"CheckNumerics"})
    assert list(dropped) == [X, op("y", "Abs", "x", **F32)]


@pytest.mark.parametrize("p", [False, True])
def test_conditionals_give_the_same_without_identities(p: bool) -> None:
    graph = from_graph_def(graph_def(HOME / "kernels" / "conditionals.pb"))
    names = ["nested", "both", "merged", "which", "after_switch"]
    dropped = drop_identities(graph, outputs=names)
    assert len(dropped) < len(graph)
    feeds = {"p": np.array(p), "q": np.array(True), "x": np.array([1, 2, 3], np.float32)}
    found, expected = evaluate(dropped, names, feeds), evaluate(graph, names, feeds)
    for name in names:
        np.testing.assert_array_equal(found[name], expected[name])


def test_a_real_graph_gives_the_same_without_identities() -> None:
    fixture = FIXTURES["mnist"]
    graph = from_graph_def(graph_def(fixture.frozen["ema"]))
    dropped = drop_identities(graph, outputs=fixture.outputs)
    assert not [node.name for node in dropped if node.op == "Identity" and "read" in node.name]
    for answer in fixture.answers("ema"):
        found = evaluate(dropped, fixture.outputs, answer.feeds)
        for output, expected in answer.fetches.items():
            np.testing.assert_allclose(found[output], expected, rtol=1e-5, atol=1e-6)
