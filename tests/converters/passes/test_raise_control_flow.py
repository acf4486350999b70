from __future__ import annotations

import pytest

from tensorferry.converters.functions import body_of
from tensorferry.converters.ir import Graph, Node
from tensorferry.converters.passes.prune import prune
from tensorferry.converters.passes.raise_control_flow import V1_OPS, raise_control_flow
from tensorferry.formats.dtype import BOOL, FLOAT32, INT32
from tensorferry.formats.errors import GraphError, UnsupportedError

from ..graph_text import const, graph, op, placeholder
from .test_raise_conditionals import branches
from .test_raise_loops import counting


def test_a_graph_without_is_left_alone() -> None:
    source = graph(placeholder("x", [2]), op("y", "Relu", "x"))
    assert raise_control_flow(source, ["y:0"]) is source


def test_what_the_outputs_do_not_need_is_left_alone() -> None:
    odd = Node("odd", "Merge", ("x",), {"T": FLOAT32, "N": 1})
    source = graph(*counting(), placeholder("x", [2]), odd, op("y", "Relu", "x"))
    assert raise_control_flow(source, ["y:0"]) is source
    raised = raise_control_flow(source, ["exit:0"])
    assert raised.nodes["odd"] is odd
    assert raised.nodes["loop"].op == "While"


def test_what_is_behind_an_input_is_left_alone() -> None:
    bad = Node("bad", "Merge", ("x",), {"T": FLOAT32, "N": 1})
    source = graph(placeholder("x", []), bad, op("p", "Greater", "bad", "bad"), *branches(predicate="p", data="bad"))
    with pytest.raises(UnsupportedError, match="^bad: expected a Merge of all branches"):
        raise_control_flow(source, ["y:0"])
    raised = raise_control_flow(source, ["y:0"], ["bad:0"])
    assert raised.nodes["bad"] is bad
    assert [node.op for node in raised if node.op in ("If", "Switch")] == ["If"]


def test_an_output_within_is_refused_by_name() -> None:
    source = graph(*counting())
    with pytest.raises(UnsupportedError) as caught:
        raise_control_flow(source, ["next_value:0"])
    assert str(caught.value).startswith(
        "count_enter: expected outputs that no loop and no branch keeps to itself, got 6 of its nodes: count_enter"
    )


def test_a_dead_end_is_refused_by_name() -> None:
    switch = op("s", "Switch", "x", "p")
    source = graph(placeholder("x", []), placeholder("p", [], "bool"), switch, op("y", "Neg", "s:1"))
    with pytest.raises(
        UnsupportedError, match=r"^s: expected outputs that no loop .* got 1 of its nodes: s \(Switch\)"
    ):
        raise_control_flow(source, ["y:0"])


def test_a_conditional_in_a_loop_in_a_conditional() -> None:
    inner = branches("in_", predicate="even", data="value")
    even = [op("even", "Equal", "count", "zero"), const("zero", 0, "int32")]
    source = graph(
        *counting(start="sw:1", body=[*even, *inner], result="in_y"),
        placeholder("x", []), placeholder("p", [], "bool"),
        op("sw", "Switch", "x", "p"), op("left", "Neg", "sw:0"), op("out", "Merge", "left", "exit", N=2),
    )  # fmt: skip
    raised = raise_control_flow(source, ["out:0"])
    assert not {node.op for node in prune(raised, ["out"])} & V1_OPS
    (choice,) = (node for node in raised if node.op == "If")
    then = body_of(raised.functions, choice.attrs["then_branch"])  # type: ignore[arg-type]
    (loop,) = (node for node in then.graph if node.op == "While")
    body = body_of(raised.functions, loop.attrs["body"])  # type: ignore[arg-type]
    assert [node.op for node in body.graph if node.op in ("If", *V1_OPS)] == ["If"]


def test_values_that_leave_keep_their_names() -> None:
    raised = raise_control_flow(graph(*counting()), ["exit:0", "count_exit:0"])
    assert raised.nodes["exit"].inputs == ("loop:1",)
    assert raised.nodes["count_exit"].inputs == ("loop:0",)
    assert raised.nodes["exit"].attrs == {"T": FLOAT32}
    assert raised.nodes["count_exit"].attrs == {"T": INT32}
    assert Graph.topological(raised)


def test_raising_twice_is_raising_once() -> None:
    once = raise_control_flow(graph(*counting()), ["exit:0"])
    assert raise_control_flow(once, ["exit:0"]) is once


def test_an_output_that_is_not_there() -> None:
    with pytest.raises(GraphError, match="expected nodes of the graph, got none of the name: 'nobody'"):
        raise_control_flow(graph(*counting()), ["nobody:0"])


def test_a_predicate_need_not_be_known_by_one_name() -> None:
    nodes = [placeholder("p", [], "bool"), op("again", "Identity", "p", T=BOOL), placeholder("x", [])]
    switches = [op("a", "Switch", "x", "p"), op("b", "Switch", "x", "again")]
    merge = op("y", "Merge", "a:0", "b:1", N=2)
    raised = raise_control_flow(graph(*nodes, *switches, merge), ["y:0"])
    (choice,) = (node for node in raised if node.op == "If")
    assert choice.inputs == ("p:0", "x:0")


@pytest.mark.parametrize(("name", "inputs"), [("enter", ()), ("merge", ("enter",)), ("exit", ("enter", "merge"))])
def test_another_number_of_inputs(name: str, inputs: tuple[str, ...]) -> None:
    source = graph(*counting())
    node = source.nodes[name]
    source.nodes[name] = node.with_(inputs=inputs)
    with pytest.raises(GraphError) as error:
        raise_control_flow(source, ["exit:0"])
    expected = len(node.inputs)
    assert str(error.value) == f"{name}: expected {expected} inputs of {node.op}, got {len(inputs)}"
