"""What a fusion asks of a graph, and what it does to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tensorferry.converters.ir import Node
from tensorferry.converters.onnx_passes.editing import Editor, Fusion, Unfit, either_way, is_near, other

from .onnx_graph import Onnx


def chain() -> Editor:
    """x -> Exp -> Neg -> y, and Exp -> Abs -> z; two constants beside."""
    onnx = Onnx()
    exp = onnx.op("exp", "Exp", onnx.input("x", 2), dims=(2,))
    onnx.const("two", [1.0, 2.0])
    onnx.const("whole", [3, 4], "int64")
    onnx.output(onnx.op("neg", "Neg", exp, dims=(2,)), "y")
    onnx.output(onnx.op("abs", "Abs", exp), "z", rank=1)
    return Editor(onnx.graph, onnx.dims)


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (lambda e: e.made("neg:0", "Exp", "Log"), "expected Exp or Log, got Neg"),
        (lambda e: e.made("nobody:0", "Exp"), "expected Exp, got no value"),
        (lambda e: e.made("exp:1", "Exp"), "expected Exp, got Exp"),
        (lambda e: e.made_alone("exp:0", "Exp"), "expected the result of exp to be taken once, got 2 users"),
        (lambda e: e.only_user("exp:0", "Neg"), "expected Neg alone to take exp:0, got Neg, Abs"),
        (lambda e: e.only_user("whole:0", "Neg"), "expected Neg alone to take whole:0, got nobody"),
        (lambda e: e.constant("exp:0"), "expected a constant, got Exp"),
        (lambda e: e.constant(""), "expected a constant, got no value"),
        (lambda e: e.weights("whole:0"), "expected floats, got int64"),
        (lambda e: e.number("two:0"), "expected one number, got 2"),
        (lambda e: e.integers("two:0"), r"expected a few integers, got float32 \[2\]"),
        (lambda e: e.rank("abs:0"), "expected a value of known rank"),
    ],
)
def test_what_is_not_as_expected(ask: Callable[[Editor], object], reason: str) -> None:
    with pytest.raises(Unfit, match=f"^{reason}$"):
        ask(chain())


def test_what_is() -> None:
    editor = chain()
    assert editor.made("exp:0", "Log", "Exp").name == "exp"
    assert editor.made_alone("neg:0", "Neg").name == "neg"
    assert editor.only_user("x:0", "Exp").name == "exp"
    assert editor.integers("whole:0") == (3, 4)
    assert editor.rank("neg:0") == 1


def test_either_way_gives_both_reasons() -> None:
    node = Node("sum", "Add", ("a:0", "b:0"))

    def refuse(left: str, right: str) -> str:
        raise Unfit(f"no {left}")

    assert either_way(node, lambda left, right: left + right) == "a:0b:0"
    with pytest.raises(Unfit, match=r"^no a:0; or no b:0$"):
        either_way(node, refuse)
    assert (other(node, "a:0"), other(node, "b:0")) == ("b:0", "a:0")


def test_redirect_leaves_the_new_maker_alone() -> None:
    editor = chain()
    to = editor.add("exp", "Log", "exp:0")
    editor.redirect("exp:0", to)
    assert to == "exp_1:0"
    assert [editor.nodes[name].inputs for name in ("exp_1", "neg", "abs")] == [("exp:0",), (to,), (to,)]
    assert editor.users["exp:0"] == ["exp_1"]


def test_what_a_fusion_makes_may_fit_again() -> None:
    steps = {"Exp": "Log", "Log": "Sqrt"}

    def step(editor: Editor, node: Node) -> None:
        editor.replace(node, node.with_(op=steps[node.op]))

    editor = chain()
    assert editor.run([Fusion("a", ("Exp",), step), Fusion("b", ("Log",), step)]) == []
    assert editor.nodes["exp"].op == "Sqrt"


def test_newer_ops_wait_for_their_opset() -> None:
    def refuse(editor: Editor, node: Node) -> None:
        raise Unfit("expected more")

    fusion = Fusion("late", ("Exp",), refuse, since=19)
    assert chain().run([fusion]) == []
    editor = chain()
    editor.opset = 19
    assert editor.run([fusion]) == ["exp: late: expected more"]


def test_numbers_are_near_as_float32_has_them() -> None:
    assert is_near(0.70710677, 0.5**0.5)
    assert not is_near(0.7071, 0.5**0.5)
