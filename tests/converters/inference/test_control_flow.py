"""What is known behind loops and conditionals. The functions are made with `flow`, a While or If from plain nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from tensorferry.converters.inference import analyse
from tensorferry.converters.inference.engine import MAX_DEPTH, Inference
from tensorferry.converters.ir import Attr, AttrList, FuncRef, Function, Graph, Node
from tensorferry.converters.passes.raise_loops import body_graph, function
from tensorferry.formats.dtype import BOOL, FLOAT32, INT32, INT64, VARIANT, DType
from tensorferry.formats.errors import GraphError, UnsupportedError

from ..graph_text import const, graph, op, placeholder

KINDS = {"i": INT32, "x": FLOAT32, "l": VARIANT}


def made(name: str, arguments: str, nodes: Sequence[Node], results: Sequence[str], dtypes: Sequence[DType]) -> Function:
    """A function whose arguments are called by their kinds, `i x`."""
    given = {title: KINDS[title[0]] for title in arguments.split()}
    return function(name, given, body_graph(given, nodes, {}), results, dtypes)


def loop(
    starts: Sequence[str], arguments: str, body: Sequence[Node], results: Sequence[str], cond: Sequence[Node] = ()
) -> tuple[Node, dict[str, Function]]:
    """While the condition's `test`, by default `i < 5`."""
    dtypes = [KINDS[title[0]] for title in arguments.split()]
    cond = cond or [const("five", 5, "int32"), op("test", "Less", "i", "five", T=INT32)]
    functions = {
        "body": made("body", arguments, body, results, dtypes),
        "cond": made("cond", arguments, cond, ["test"], [BOOL]),
    }
    attrs: dict[str, Attr] = {"T": AttrList("dtype", tuple(dtypes)), "body": FuncRef("body"), "cond": FuncRef("cond")}
    return Node("loop", "While", tuple(starts), attrs), functions


def known(functions: Mapping[str, Function], *nodes: Node) -> Inference:
    source = graph(*nodes)
    source.functions = dict(functions)
    return analyse(source)


COUNT = [const("one", 1, "int32"), op("next", "AddV2", "i", "one", T=INT32)]
START = const("nought", 0, "int32")


def test_what_stays_is_known_in_the_loop_and_behind_it() -> None:
    node, functions = loop(["nought", "x", "w"], "i x xw", [*COUNT, op("y", "Mul", "x", "xw")], ["next", "y", "xw"])
    found = known(functions, START, placeholder("x", [None, 3]), const("w", [1.0, 2.0, 3.0]), node)
    assert [found.values[f"loop:{i}"].dims for i in range(3)] == [(), ("x_dim0", 3), (3,)]
    inside = found.regions["loop"]["body"].values
    assert inside["xw:0"].tensor is not None
    assert inside["y:0"].dims == ("x_dim0", 3)
    assert found.values["loop:2"].tensor is not None
    # A counter is another number with each step.
    assert found.values["loop:0"].entries is None


def test_a_size_that_changes_is_a_symbol_of_the_body() -> None:
    grow = [const("axis", 0, "int32"), op("y", "ConcatV2", "x", "x", "axis", N=2, Tidx=INT32)]
    node, functions = loop(["nought", "x"], "i x", [*COUNT, *grow], ["next", "y"])
    found = known(functions, START, placeholder("x", [None, 3]), node)
    body = found.regions["loop"]["body"]
    (inner, three) = body.values["x:0"].dims or ()
    assert inner in body.born
    assert three == 3
    assert body.values["y:0"].dims == (f"2*{inner}", 3)
    assert found.values["loop:1"].dims == ("loop.1_dim0", 3)


def test_a_rank_that_changes_is_unknown() -> None:
    node, functions = loop(
        ["nought", "x"], "i x", [*COUNT, const("axis", 0, "int32"), op("y", "ExpandDims", "x", "axis")], ["next", "y"]
    )
    found = known(functions, START, placeholder("x", [2]), node)
    assert found.values["loop:1"].dims is None
    assert found.regions["loop"]["body"].values["x:0"].dims is None


def test_what_changes_slowly_is_given_up() -> None:
    # The narrow one moves up by a place with each step.
    names = [f"x{i}" for i in range(30)]
    starts = ["nought", *["wide"] * 29, "narrow", "wide"]
    node, functions = loop(starts, " ".join(["i", *names, "xk"]), COUNT, ["next", *names[1:], "x29", "xk"])
    found = known(functions, START, placeholder("wide", [7, 2]), placeholder("narrow", [5, 2]), node)
    assert {found.values[f"loop:{i}"].dims for i in range(1, 30)} == {None}
    assert found.values["loop:31"].dims == (7, 2)


def test_the_elements_of_a_list_that_a_loop_writes() -> None:
    write = Node("set", "TensorListSetItem", ("l", "i", "x"), {"element_dtype": FLOAT32})
    node, functions = loop(["nought", "list", "x"], "i l x", [*COUNT, write], ["next", "set", "x"])
    reserve = Node("list", "TensorListReserve", ("shape", "n"), {"element_dtype": FLOAT32, "shape_type": INT32})
    stack = Node("stack", "TensorListStack", ("loop:1", "shape"), {"element_dtype": FLOAT32})
    found = known(
        functions, START, const("shape", -1, "int32"), const("n", 5, "int32"), placeholder("x", [None, 3]),
        reserve, node, stack,
    )  # fmt: skip
    assert found.values["stack:0"].dims == (5, "x_dim0", 3)


def choice(
    then: Sequence[Node], other: Sequence[Node], results: tuple[str, str], predicate: str = "p"
) -> tuple[Node, dict[str, Function]]:
    functions = {
        "then": made("then", "x", then, results[:1], [FLOAT32]),
        "else": made("else", "x", other, results[1:], [FLOAT32]),
    }
    kinds = AttrList("dtype", (FLOAT32,))
    attrs = {"Tcond": BOOL, "Tin": kinds, "Tout": kinds, "then_branch": FuncRef("then"), "else_branch": FuncRef("else")}
    return Node("if", "If", (predicate, "x"), attrs), functions


def test_of_two_branches_what_they_have_in_common() -> None:
    wide = [const("one", 1, "int32"), op("y", "ConcatV2", "x", "x", "one", N=2, Tidx=INT32)]
    node, functions = choice([op("y", "Neg", "x")], wide, ("y", "y"))
    found = known(functions, placeholder("p", [], "bool"), placeholder("x", [None, 3]), node)
    assert found.values["if:0"].dims == ("x_dim0", "if_dim1")
    assert set(found.regions["if"]) == {"then_branch", "else_branch"}


def test_of_a_known_condition_only_the_branch_that_runs() -> None:
    node, functions = choice([op("y", "Neg", "x")], [const("y", [1.0, 2.0])], ("y", "y"))
    found = known(functions, const("p", False, "bool"), placeholder("x", [None, 3]), node)
    assert set(found.regions["if"]) == {"else_branch"}
    assert found.values["if:0"].tensor is not None


@pytest.mark.parametrize(("number", "taken"), [(0, "0"), (1, "1"), (2, "1"), (-1, "1")])
def test_a_case_of_a_known_number(number: int, taken: str) -> None:
    functions = {name: made(name, "x", [op("y", "Neg", "x")], ["y"], [FLOAT32]) for name in ("a", "b")}
    kinds = AttrList("dtype", (FLOAT32,))
    attrs = {"Tin": kinds, "Tout": kinds, "branches": AttrList("func", (FuncRef("a"), FuncRef("b")))}
    node = Node("case", "Case", ("i", "x"), attrs)
    found = known(functions, const("i", number, "int32"), placeholder("x", [2]), node)
    assert set(found.regions["case"]) == {taken}


def test_symbols_of_a_body_mean_nothing_behind_it() -> None:
    # How many there are, only the running graph knows.
    found_in = [op("where", "Where", "x"), Node("y", "Cast", ("where",), {"SrcT": INT64, "DstT": FLOAT32})]
    node, functions = choice(found_in, found_in, ("y", "y"))
    found = known(functions, placeholder("p", [], "bool"), placeholder("x", [4]), node)
    assert found.values["if:0"].dims == ("if_dim0", 1)


PLAIN, LIBRARY = loop(["nought", "x"], "i x", COUNT, ["next", "x"])
SHORT = PLAIN.with_(inputs=("nought",), attrs={**PLAIN.attrs, "T": AttrList("dtype", (INT32,))})
CHOICE, BRANCHES = choice([op("y", "Neg", "x")], [], ("y", "x"))
NO_BRANCH = Node("case", "Case", ("nought", "x"), {"Tin": AttrList("dtype", (FLOAT32,)), "branches": AttrList()})


@pytest.mark.parametrize(
    ("node", "functions", "message"),
    [
        (PLAIN, {}, "body: expected a function of the graph's library"),
        (SHORT, LIBRARY, "loop: expected 2 arguments of body, got 1"),
        (PLAIN, {"body": made("body", "x xx", [], ["x"], [FLOAT32])}, "loop: expected float32 for body's x, got int32"),
        (PLAIN, {"body": made("body", "i x", COUNT, ["next"], [INT32])}, "loop: expected a body of 2 results, got 1"),
        (
            PLAIN,
            {"body": made("body", "i x", COUNT, ["next", "next"], [INT32, INT32])},
            "loop: expected one type where While joins values, got float32 and int32",
        ),
        (
            PLAIN,
            {**LIBRARY, "cond": made("cond", "i x", [], ["i", "i"], [INT32, INT32])},
            "loop: expected a condition of one result, got 2",
        ),
        (
            CHOICE,
            {**BRANCHES, "then": made("then", "x", [], ["x", "x"], [FLOAT32, FLOAT32])},
            "if: expected branches of If with as many results each",
        ),
        (
            CHOICE.with_(attrs={**CHOICE.attrs, "Tout": AttrList("dtype", (INT32,))}),
            BRANCHES,
            "if: expected results of If of the types that it says, got others",
        ),
        (
            NO_BRANCH.with_(attrs={**NO_BRANCH.attrs, "Tout": AttrList()}),
            {},
            "case: expected functions in Case's attribute 'branches', got none",
        ),
    ],
)
def test_what_contradicts_itself(node: Node, functions: Mapping[str, Function], message: str) -> None:
    with pytest.raises(GraphError) as caught:
        known(functions, START, placeholder("p", [], "bool"), placeholder("x", [2, 2]), node)
    assert str(caught.value).startswith(message)


def test_bodies_without_end() -> None:
    node, functions = choice([], [], ("x", "x"))
    kinds = AttrList("dtype", (FLOAT32,))
    attrs = {"Tcond": BOOL, "Tin": kinds, "Tout": kinds, "then_branch": FuncRef("then"), "else_branch": FuncRef("else")}
    within = [Node("again", "If", ("test", "x"), attrs), op("test", "Less", "x", "x")]
    functions["then"] = made("then", "x", within, ["again"], [FLOAT32])
    with pytest.raises(UnsupportedError) as caught:
        known(functions, placeholder("p", [], "bool"), placeholder("x", []), node)
    expected = f"again: expected at most {MAX_DEPTH} bodies within each other and 20000 in all, got more"
    assert str(caught.value) == expected


def test_bodies_that_multiply() -> None:
    """Twenty conditionals within each other, with two branches each, are a million bodies."""
    kinds = AttrList("dtype", (FLOAT32,))
    functions: dict[str, Function] = {"f0": made("f0", "x", [], ["x"], [FLOAT32])}
    for depth in range(1, 21):
        below = FuncRef(f"f{depth - 1}")
        attrs = {"Tcond": BOOL, "Tin": kinds, "Tout": kinds, "then_branch": below, "else_branch": below}
        nodes = [op("test", "Less", "x", "x"), Node("if", "If", ("test", "x"), attrs)]
        functions[f"f{depth}"] = made(f"f{depth}", "x", nodes, ["if"], [FLOAT32])
    attrs["then_branch"] = attrs["else_branch"] = FuncRef("f20")
    with pytest.raises(UnsupportedError, match="^if: expected at most 40 bodies within each other and 20000 in all"):
        known(functions, placeholder("p", [], "bool"), placeholder("x", []), Node("top", "If", ("p", "x"), attrs))


def test_the_graph_is_what_it_was() -> None:
    node, functions = loop(["nought", "x"], "i x", COUNT, ["next", "x"])
    source = graph(START, placeholder("x", [2]), node)
    source.functions = functions
    before = Graph(dict(source.nodes), dict(source.functions))
    analyse(source)
    assert (source.nodes, source.functions) == (before.nodes, before.functions)
