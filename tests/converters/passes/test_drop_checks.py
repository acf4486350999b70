"""Drop checks: what no longer waits, and what still has to."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import Graph
from tensorferry.converters.passes.drop_checks import drop_checks
from tensorferry.converters.passes.prune import prune
from tests.converters.graph_text import const, dtype, op, placeholder
from tests.fixture import HOME, graph_def

BOOL = dtype("bool")


def test_values_pass_by_prints() -> None:
    graph = Graph.of([
        placeholder("x", [2]),
        op("print", "Print", "x", "x", message="x is"),
        op("finite", "CheckNumerics", "print", message="not finite"),
        op("y", "Neg", "finite"),
    ])  # fmt: skip
    found = drop_checks(graph)
    assert [node.op for node in found] == ["Placeholder", "Identity", "Identity", "Neg"]
    assert found.nodes["print"].inputs == ("x",)
    assert found.nodes["finite"].attrs == {"T": dtype("float32")}


def test_nothing_waits_for_an_assertion() -> None:
    graph = Graph.of([
        placeholder("x", [2]),
        const("limit", 3.0),
        op("less", "Less", "x", "limit"),
        const("axis", [0], "int32"),
        op("all", "All", "less", "axis"),
        op("assert", "Assert", "all", "x"),
        op("say", "PrintV2", "x"),
        op("group", "NoOp", "^assert", "^say"),
        op("y", "Neg", "x", "^group"),
    ])  # fmt: skip
    found = prune(drop_checks(graph), ["y"])
    assert list(found.nodes) == ["x", "y"]
    assert found.nodes["y"].inputs == ("x",)


def test_effects_and_loops_are_waited_for() -> None:
    graph = Graph.of([
        placeholder("x", [2]),
        op("effect", "PyFunc", "x"),
        op("enter", "Enter", "x", frame_name="loop"),
        op("inside", "Identity", "enter"),
        op("mine", "MyOwnOp", "x"),
        op("y", "Neg", "x", "^effect", "^inside", "^mine", "^x"),
    ])  # fmt: skip
    assert drop_checks(graph).nodes["y"].inputs == ("x", "^effect", "^inside", "^mine")


def conditional() -> Graph:
    return Graph.of([
        placeholder("p", [], "bool"),
        placeholder("x", [2]),
        op("id", "Identity", "p", T=BOOL),
        op("s", "Switch", "p", "id", T=BOOL),
        op("on", "Identity", "s:1", T=BOOL),
        op("off", "Identity", "s:0", T=BOOL),
        op("assert", "Assert", "on", "on"),
        const("one", [1.0, 1.0]).with_(inputs=("^on",)),
        op("xs", "Switch", "x", "id"),
        op("two", "Neg", "xs", "^off"),
        op("merge", "Merge", "two", "one"),
        op("guard", "Identity", "off", "^assert", T=BOOL),
        op("y", "Neg", "merge", "^on", "^merge", "^x"),
        op("z", "Neg", "x", "^merge"),
    ])  # fmt: skip


def test_what_decides_whether_a_node_runs_stays() -> None:
    found = drop_checks(conditional())
    assert found.nodes["one"].inputs == ("^on",)
    assert found.nodes["two"].inputs == ("xs",), "the value comes from the same branch"
    assert found.nodes["guard"].inputs == ("off", "^assert"), "it never runs, as it is"
    assert found.nodes["y"].inputs == ("merge", "^on"), "it runs in one branch only"
    assert found.nodes["z"].inputs == ("x",), "a merge always runs"


@pytest.mark.parametrize("p", [False, True])
def test_the_same_answers(p: bool) -> None:
    feeds = {"p": np.array(p), "x": np.array([2, 3], np.float32)}
    for name in ("merge", "z"):
        found, expected = (
            evaluate(graph, [name], feeds)[name] for graph in (drop_checks(conditional()), conditional())
        )
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("p", [False, True])
@pytest.mark.parametrize("q", [False, True])
def test_tensorflows_conditionals_give_the_same(p: bool, q: bool) -> None:
    graph = from_graph_def(graph_def(HOME / "kernels" / "conditionals.pb"))
    names = ["nested", "both", "merged", "which", "after_switch"]
    feeds = {"p": np.array(p), "q": np.array(q), "x": np.array([1, 2, 3], np.float32)}
    for name in names:
        try:
            expected = evaluate(graph, [name], feeds)[name]
        except Exception as error:
            with pytest.raises(type(error)):
                evaluate(drop_checks(graph), [name], feeds)
        else:
            np.testing.assert_array_equal(evaluate(drop_checks(graph), [name], feeds)[name], expected)
