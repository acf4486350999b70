from __future__ import annotations

import pytest

from tensorferry.converters.functions import Body, body_of
from tensorferry.converters.ir import AttrList, FuncRef, Graph, Node
from tensorferry.converters.passes.raise_conditionals import raise_conditionals
from tensorferry.formats.dtype import BOOL, FLOAT32, INT32
from tensorferry.formats.errors import UnsupportedError
from tensorferry.formats.tensor import Tensor

from ..graph_text import const, graph, op, placeholder


def branches(prefix: str = "", predicate: str = "p", data: str = "x") -> list[Node]:
    """PREFIXy = -DATA if PREDICATE, else 2; the constant is alive by a control input."""
    return [
        op(f"{prefix}pivot", "Switch", predicate, predicate, T=BOOL),
        op(f"{prefix}f", "Identity", f"{prefix}pivot:0", T=BOOL),
        op(f"{prefix}data", "Switch", data, predicate),
        op(f"{prefix}t", "Neg", f"{prefix}data:1"),
        Node(f"{prefix}two", "Const", (f"^{prefix}f",), const("two", 2.0).attrs),
        op(f"{prefix}y", "Merge", f"{prefix}two", f"{prefix}t", N=2),
    ]


GIVEN = [placeholder("x", []), placeholder("p", [], "bool"), placeholder("q", [], "bool")]


def ifs(source: Graph) -> list[Node]:
    return [node for node in source if node.op in ("If", "Case")]


def branch(source: Graph, node: Node, name: str) -> Body:
    called = node.attrs[name]
    assert isinstance(called, FuncRef)
    return body_of(source.functions, called)


def test_a_conditional() -> None:
    raised = raise_conditionals(graph(*GIVEN, *branches()))
    (node,) = ifs(raised)
    assert node.inputs == ("p:0", "x:0")
    assert raised.nodes["y"].inputs == (f"{node.name}:0",)
    assert (node.attrs["Tcond"], node.attrs["Tin"], node.attrs["Tout"]) == (
        BOOL,
        AttrList("dtype", (FLOAT32,)),
        AttrList("dtype", (FLOAT32,)),
    )
    then, other = branch(raised, node, "then_branch"), branch(raised, node, "else_branch")
    assert [each.op for each in then.graph] == ["_Arg", "Neg"]
    assert [each.op for each in other.graph] == ["_Arg", "Const"]
    assert list(other.results.values()) == ["two:0"]


def test_results_of_one_predicate_are_one_conditional() -> None:
    raised = raise_conditionals(graph(*GIVEN, *branches(), *branches("b_")))
    (node,) = ifs(raised)
    assert list(branch(raised, node, "then_branch").results.values()) == ["t:0", "b_t:0"]
    assert raised.nodes["b_y"].inputs == (f"{node.name}:1",)


def test_but_not_those_that_need_each_other() -> None:
    raised = raise_conditionals(graph(*GIVEN, *branches(), *branches("b_", data="y")))
    first, second = ifs(raised)
    assert second.inputs == ("p:0", "y:0")
    assert first.inputs == ("p:0", "x:0")


def test_nor_those_that_would_make_a_ring() -> None:
    # p's second result needs q's first, and q's second needs p's first.
    nodes = [*branches("p1_"), *branches("q1_", "q"), *branches("p2_", data="q1_y"), *branches("q2_", "q", data="p1_y")]
    raised = raise_conditionals(graph(*GIVEN, *nodes))
    assert len(ifs(raised)) == 4
    assert raised.topological()


def test_nested_conditionals() -> None:
    inner = [
        op("q_in", "Switch", "q", "p", T=BOOL), op("x_in", "Switch", "x", "p"),
        *branches("in_", "q_in:1", "x_in:1"),
        op("outer", "Merge", "x_in:0", "in_y", N=2),
    ]  # fmt: skip
    raised = raise_conditionals(graph(*GIVEN, *inner))
    node = raised.producer(raised.nodes["outer"].inputs[0])
    assert set(node.inputs) == {"p:0", "q:0", "x:0"}
    then = branch(raised, node, "then_branch")
    (below,) = ifs(then.graph)
    assert [each.op for each in branch(then.graph, below, "then_branch").graph] == ["_Arg", "Neg"]


def test_which_input_came() -> None:
    raised = raise_conditionals(graph(*GIVEN, *branches(), op("z", "Identity", "y:1", T=INT32)))
    (node,) = ifs(raised)
    assert node.attrs["Tout"] == AttrList("dtype", (FLOAT32, INT32))
    assert raised.nodes["z"].inputs == (f"{node.name}:1",)
    indices = []
    for name in ("else_branch", "then_branch"):
        tensor = branch(raised, node, name).graph.nodes["y/index"].attrs["value"]
        assert isinstance(tensor, Tensor)
        indices.append(int(tensor.numpy()))
    assert indices == [0, 1]


def test_many_branches() -> None:
    nodes = [
        placeholder("x", []), placeholder("i", [], "int32"),
        op("s", "_SwitchN", "x", "i", num_outs=3),
        op("a", "Neg", "s:0"), op("b", "Abs", "s:1"),
        op("y", "Merge", "s:2", "a", "b", N=3),
    ]  # fmt: skip
    raised = raise_conditionals(graph(*nodes))
    (node,) = ifs(raised)
    assert node.op == "Case"
    listed = node.attrs["branches"]
    assert isinstance(listed, AttrList)
    bodies = [body_of(raised.functions, item) for item in listed.items if isinstance(item, FuncRef)]
    assert [list(body.results.values()) for body in bodies] == [["a:0"], ["b:0"], ["input_0:0"]]


@pytest.mark.parametrize(
    "nodes",
    [
        [op("s", "Switch", "x", "p"), op("y", "Merge", "s:0", N=1)],
        [op("s", "Switch", "x", "p"), op("y", "Merge", "s:0", "s:0", N=2)],
        [op("s", "Switch", "x", "p"), op("y", "Merge", "s:0", "x", N=2)],
        [op("s", "Switch", "x", "p"), op("r", "Switch", "x", "q"), op("y", "Merge", "s:0", "r:1", N=2)],
        [op("s", "Switch", "x", "p"), op("r", "Switch", "s:0", "q"), op("y", "Merge", "r:0", "s:1", N=2)],
        [op("y", "Merge", "x", "x", N=2)],
        [op("y", "Merge", N=0)],
    ],
    ids=["one input", "one side", "from outside", "two predicates", "one side nested", "no switch", "nothing"],
)
def test_a_merge_that_is_no_end_of_a_conditional(nodes: list[Node]) -> None:
    with pytest.raises(UnsupportedError) as caught:
        raise_conditionals(graph(*GIVEN, *nodes))
    expected = "y: expected a Merge of all branches of one condition, got values of different conditions"
    assert str(caught.value) == expected
