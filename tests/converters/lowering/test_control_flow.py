"""What loops and conditionals refuse, and what is made of odd ones. The functions are made as for inference."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.ir import Attr, AttrList, FuncRef, Graph, Node
from tensorferry.converters.lowering import lower
from tensorferry.formats.dtype import FLOAT32, INT32
from tensorferry.formats.errors import GraphError, UnsupportedError

from ..graph_text import const, graph, op, placeholder
from ..inference.test_control_flow import COUNT, START, choice, loop, made
from ..onnx_model import ops_of, run_graph

X = np.array([1.0, -2.0, 3.0], np.float32)


def test_a_condition_that_is_constant() -> None:
    always = [const("test", True, "bool")]
    node, functions = loop(["nought", "x"], "i x", [*COUNT, op("y", "Neg", "x")], ["next", "y"], always)
    source = graph(START, placeholder("x", [3]), node, op("out", "Identity", "loop:1"))
    source.functions = functions
    lowered = lower(source, None, ["out"])
    (made_loop,) = (each for each in lowered if each.op == "Loop")
    assert not made_loop.inputs[0]


@pytest.mark.parametrize("start", [0, 3, 7])
def test_more_steps_than_none(start: int) -> None:
    node, functions = loop(["start", "x"], "i x", [*COUNT, op("y", "AddV2", "x", "x")], ["next", "y"])
    source = graph(
        const("start", start, "int32"), placeholder("x", [3]), node, op("out", "Identity", "loop:1"),
        op("count", "Identity", "loop:0", T=INT32),
    )  # fmt: skip
    source.functions = functions
    found = run_graph(lower(source, None, ["out", "count"]), {"x:0": X})
    np.testing.assert_array_equal(found["out:0"], X * 2 ** max(5 - start, 0))
    assert found["count:0"] == max(start, 5)


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [("int32", [0, 2], [False, True]), ("float32", [0.0, 0.5], [False, True]), ("bool", [False, True], [False, True])],
)
def test_what_a_condition_may_be(kind: str, values: list[float], expected: list[bool]) -> None:
    node, functions = choice([op("y", "Neg", "x")], [op("y", "Abs", "x")], ("y", "y"))
    predicate = placeholder("p", [], kind)
    source = graph(
        predicate, placeholder("x", [3]), node.with_(attrs={**node.attrs, "Tcond": predicate.attrs["dtype"]})
    )
    source.functions = functions
    lowered = lower(source, None, ["if"])
    for value, taken in zip(values, expected, strict=True):
        found = run_graph(lowered, {"x:0": X, "p:0": np.array(value, predicate.attrs["dtype"].numpy())})  # type: ignore[union-attr]
        np.testing.assert_array_equal(found["if:0"], -X if taken else abs(X))


def test_a_condition_that_is_no_scalar() -> None:
    node, functions = choice([op("y", "Neg", "x")], [], ("y", "x"))
    source = graph(placeholder("p", [2], "bool"), placeholder("x", [3]), node)
    source.functions = functions
    with pytest.raises(UnsupportedError, match="^if: expected a condition that is a scalar$"):
        lower(source, None, ["if"])


def cases(count: int) -> Graph:
    functions = {}
    for number in range(count):
        nodes = [const("number", float(number)), op("y", "AddV2", "x", "number")]
        functions[f"f{number}"] = made(f"f{number}", "x", nodes, ["y"], [FLOAT32])
    kinds = AttrList("dtype", (FLOAT32,))
    listed = AttrList("func", tuple(FuncRef(name) for name in functions))
    attrs: dict[str, Attr] = {"Tin": kinds, "Tout": kinds, "branches": listed}
    source = graph(placeholder("i", [], "int32"), placeholder("x", [3]), Node("case", "Case", ("i", "x"), attrs))
    source.functions = functions
    return source


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_a_case(count: int) -> None:
    lowered = lower(cases(count), ["i:0", "x:0"], ["case"])
    for number in (-5, -1, *range(count + 2)):
        taken = number if 0 <= number < count else count - 1
        found = run_graph(lowered, {"i:0": np.array(number, np.int32), "x:0": X})
        np.testing.assert_array_equal(found["case:0"], X + taken)


def test_a_case_of_many_branches_is_not_deep() -> None:
    lowered = lower(cases(150), ["i:0", "x:0"], ["case"])
    found = run_graph(lowered, {"i:0": np.array(131, np.int32), "x:0": X})
    np.testing.assert_array_equal(found["case:0"], X + 131)


def test_a_known_branch_takes_the_place_of_the_node() -> None:
    node, functions = choice([op("y", "Neg", "x")], [op("y", "Abs", "x")], ("y", "y"))
    source = graph(const("p", True, "bool"), placeholder("x", [3]), node)
    source.functions = functions
    assert ops_of(lower(source, None, ["if"])) == ["Neg"]


def test_ops_within_that_onnx_lacks_are_found_with_all_others() -> None:
    node, functions = choice([op("y", "Betainc", "x", "x", "x")], [op("z", "Erfinv", "x")], ("y", "z"))
    source = graph(placeholder("p", [], "bool"), placeholder("x", [3]), node)
    source.functions = functions
    with pytest.raises(UnsupportedError) as caught:
        lower(source, None, ["if"])
    assert "Betainc (1 node: y)" in str(caught.value)


def test_a_state_of_another_type() -> None:
    node, functions = loop(["nought", "x"], "i x", COUNT, ["next", "x"])
    source = graph(
        START, placeholder("x", [3], "int32"), node.with_(attrs={**node.attrs, "T": AttrList("dtype", (INT32, INT32))})
    )
    source.functions = functions
    with pytest.raises(GraphError, match="^loop: expected float32 for body's x, got int32$"):
        lower(source, None, ["loop:1"])


def test_symbols_of_the_next_step_are_not_those_of_this() -> None:
    """The condition of a step asks for a size that the step before has changed."""
    grow = [const("axis", 0, "int32"), op("y", "ConcatV2", "x", "x", "axis", N=2, Tidx=INT32)]
    test = [
        op("shape", "Shape", "x", out_type=INT32), const("axis", 0, "int32"), const("most", 20, "int32"),
        op("size", "Prod", "shape", "axis", T=INT32, Tidx=INT32), op("test", "Less", "size", "most", T=INT32),
    ]  # fmt: skip
    node, functions = loop(["nought", "x"], "i x", [*COUNT, *grow], ["next", "y"], test)
    source = graph(START, placeholder("x", [None]), node, op("out", "Identity", "loop:1"))
    source.functions = functions
    lowered = lower(source, None, ["out"])
    for size, expected in ((3, 24), (5, 20), (21, 21)):
        assert run_graph(lowered, {"x:0": np.ones(size, np.float32)})["out:0"].shape == (expected,)
