from __future__ import annotations

from tensorferry.converters.ir import Graph, Node
from tensorferry.converters.onnx_passes.bodies import bodies_of, captures_of, in_bodies
from tensorferry.converters.onnx_passes.unused import remove_unused


def body(*captures: int, used: int | None = None) -> Graph:
    """A body that captures some values and makes a result of one of them."""
    nodes = [Node(f"c{index}", "Capture", (), {"index": index}) for index in captures]
    nodes.append(Node("neg", "Neg", (f"c{captures[0] if used is None else used}:0",)))
    return Graph.of([*nodes, Node("out", "Output", ("neg:0",), {"name": b"out"})], Graph(dialect="onnx"))


def choice(then: Graph, other: Graph) -> Graph:
    attrs = {"then_branch": then, "else_branch": other, "_captures": 3}
    node = Node("if", "If", ("p:0", "a:0", "b:0", "c:0"), attrs)
    makers = [Node(name, "Input", (), {"name": name.encode()}) for name in "pabc"]
    return Graph.of([*makers, node, Node("y", "Output", ("if:0",), {"name": b"y"})], Graph(dialect="onnx"))


def test_what_a_node_captures() -> None:
    node = choice(body(0), body(2)).nodes["if"]
    assert captures_of(node) == ("a:0", "b:0", "c:0")
    assert list(bodies_of(node)) == ["then_branch", "else_branch"]
    assert captures_of(Node("n", "Neg", ("x:0",))) == ()


def test_captures_that_no_body_uses_any_more_go() -> None:
    node = in_bodies(choice(body(0, 1, used=0), body(2)), remove_unused).nodes["if"]
    assert node.inputs == ("p:0", "a:0", "c:0")
    assert node.attrs["_captures"] == 2
    then, other = bodies_of(node).values()
    assert then.nodes["c0"].attrs == {"index": 0}
    assert "c1" not in then.nodes
    assert other.nodes["c2"].attrs == {"index": 1}


def test_all_of_them() -> None:
    def emptied(graph: Graph) -> Graph:
        return Graph.of((node for node in graph if node.op == "Output"), like=graph)

    node = in_bodies(choice(body(0), body(2)), emptied).nodes["if"]
    assert node.inputs == ("p:0",)
    assert "_captures" not in node.attrs


def test_a_graph_without_bodies_is_left_alone() -> None:
    source = body(0)
    assert in_bodies(source, remove_unused) is source
