from __future__ import annotations

from collections.abc import Sequence

import pytest

from tensorferry.converters.functions import Body, body_of
from tensorferry.converters.ir import FuncRef, Graph, Node
from tensorferry.converters.passes.raise_loops import raise_loops
from tensorferry.formats.dtype import BOOL, FLOAT32, INT32
from tensorferry.formats.errors import UnsupportedError

from ..graph_text import const, graph, op, placeholder


def enter(name: str, value: str, *, constant: bool = False, frame: str = "loop/frame", **attrs: object) -> Node:
    return op(name, "Enter", value, frame_name=frame, is_constant=constant, **attrs)


def variable(name: str, start: str, result: str, prefix: str, frame: str, **attrs: object) -> list[Node]:
    """What TensorFlow makes for one value that goes round: PREFIXenter, ..merge, ..switch, ..exit; NAME in the body."""
    return [
        enter(f"{prefix}enter", start, frame=frame, **attrs),
        op(f"{prefix}merge", "Merge", f"{prefix}enter", f"{prefix}next", N=2, **attrs),
        op(f"{prefix}switch", "Switch", f"{prefix}merge", "test", **attrs),
        op(name, "Identity", f"{prefix}switch:1", **attrs),
        op(f"{prefix}next", "NextIteration", result, **attrs),
        op(f"{prefix}exit", "Exit", f"{prefix}switch", **attrs),
    ]


def counting(
    start: str = "one", body: Sequence[Node] = (), result: str = "next_value", frame: str = "loop/frame"
) -> list[Node]:
    """count = 0; value = 1; while count < 5: value = value * 2; count = count + 1."""
    return [
        const("nought", 0, "int32"), const("one", 1.0), const("five", 5, "int32"), const("step", 1, "int32"),
        const("two", 2.0),
        *variable("count", "nought", "next_count", "count_", frame, T=INT32),
        *variable("value", start, result, "", frame),
        enter("limit", "five", constant=True, frame=frame, T=INT32),
        op("less", "Less", "count_merge", "limit", T=INT32),
        op("test", "LoopCond", "less"),
        op("next_count", "AddV2", "count", "step", T=INT32),
        op("next_value", "Mul", "value", "two"),
        *body,
    ]  # fmt: skip


def raised(source: Graph) -> Graph:
    return raise_loops(source, lambda body, results: body)


def parts(source: Graph, name: str = "loop") -> tuple[Body, Body]:
    """Body and condition of a While."""
    found = []
    for key in ("body", "cond"):
        called = source.nodes[name].attrs[key]
        assert isinstance(called, FuncRef)
        found.append(body_of(source.functions, called))
    return found[0], found[1]


def test_a_loop() -> None:
    result = raised(graph(*counting()))
    loop = result.nodes["loop"]
    assert loop.op == "While"
    # In the order of the Merges, then what is constant.
    assert loop.inputs == ("nought", "one", "five")
    body, condition = parts(result)
    assert list(body.arguments.items()) == [("state_0", INT32), ("state_1", FLOAT32), ("kept_0", INT32)]
    assert list(body.results.values()) == ["next_count:0", "next_value:0", "kept_0:0"]
    assert body.graph.nodes["next_value"].inputs == ("value:0", "two:0")
    assert body.graph.nodes["value"].inputs == ("state_1:0",)
    assert list(condition.arguments) == list(body.arguments)
    assert list(condition.results.values()) == ["less:0"]
    assert list(condition.result_dtypes.values()) == [BOOL]
    assert condition.graph.nodes["less"].inputs == ("state_0:0", "kept_0:0")


def test_a_node_of_the_condition_that_the_body_needs_too() -> None:
    source = graph(*counting(body=[op("sum", "Cast", "less", SrcT=BOOL, DstT=FLOAT32)], result="sum"))
    body, condition = parts(raised(source))
    assert "less" in body.graph.nodes
    assert "less" in condition.graph.nodes


def test_a_switch_of_something_that_does_not_go_round() -> None:
    # What the condition computes may go to the body by a Switch of its own.
    extra = [op("twice", "Mul", "merge", "two"), op("extra", "Switch", "twice", "test")]
    body, _ = parts(raised(graph(*counting(body=extra, result="extra:1"))))
    assert body.results["result_1"] == "twice:0"


def test_a_loop_in_a_loop() -> None:
    inner = [
        enter("in_enter", "value", frame="inner"), op("in_merge", "Merge", "in_enter", "in_next", N=2),
        enter("outer_limit", "limit", constant=True, frame="inner", T=INT32),
        op("in_less", "Less", "in_count", "outer_limit", T=INT32), op("in_count", "Cast", "in_merge", DstT=INT32),
        op("in_test", "LoopCond", "in_less"), op("in_switch", "Switch", "in_merge", "in_test"),
        op("in_next", "NextIteration", "in_switch:1"), op("in_exit", "Exit", "in_switch"),
    ]  # fmt: skip
    result = raised(graph(*counting(body=inner, result="in_exit")))
    body, _ = parts(result)
    assert body.graph.nodes["inner"].op == "While"
    assert body.graph.nodes["inner"].inputs == ("value:0", "kept_0:0")
    assert body.graph.nodes["in_exit"].inputs == ("inner:0",)
    assert list(parts(body.graph, "inner")[0].results.values()) == ["state_0:0", "kept_0:0"]


def test_names_that_are_taken() -> None:
    result = raised(graph(*counting(), placeholder("loop"), placeholder("state_0")))
    assert result.nodes["loop"].op == "Placeholder"
    assert result.nodes["loop_"].op == "While"
    assert list(parts(result, "loop_")[0].arguments) == ["state_0_", "state_1", "kept_0"]


def changed(name: str, **changes: object) -> Graph:
    return graph(*(node.with_(**changes) if node.name == name else node for node in counting()))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            graph(*counting(), op("who", "Identity", "test", T=BOOL)),
            "who: expected a loop's condition to go to Switch, got Identity",
        ),
        (
            changed("merge", inputs=("enter", "one")),
            "merge: expected a Merge of Enter and NextIteration, got Enter, Const",
        ),
        (
            changed("next_value", inputs=("value", "merge:1")),
            "merge: expected nobody to ask which input of a loop's Merge came",
        ),
        (
            changed("limit", attrs={"frame_name": b"loop/frame", "is_constant": False, "T": INT32}),
            "limit: expected Enter to be constant, or to go round by way of a Merge",
        ),
        (
            changed("limit", attrs={"frame_name": b"elsewhere", "is_constant": True, "T": INT32}),
            "limit: expected no way into the middle of a loop, got Enter",
        ),
        (
            graph(
                *counting(),
                op("twice", "Mul", "merge", "two"),
                op("way", "Switch", "twice", "test"),
                op("out", "Exit", "way"),
            ),
            "out: expected a value that goes round to leave, got Mul",
        ),
        (
            changed("enter", attrs={"frame_name": b"loop/frame"}),
            "enter: expected a type in Enter's attribute 'T', got none",
        ),
        (
            graph(const("yes", True, "bool"), op("c", "LoopCond", "yes")),
            "c: expected values that go round in the loop, got none",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(source: Graph, message: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        raised(source)
    assert str(caught.value) == message
