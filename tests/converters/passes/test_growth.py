"""Expected values: what `inline` then made."""

from __future__ import annotations

import pytest

from tensorferry.converters.ir import AttrList, FuncRef, Node
from tensorferry.converters.passes.growth import Growth, Size
from tensorferry.converters.passes.inline import inline
from tensorferry.formats.dtype import FLOAT32
from tensorferry.formats.errors import UnsupportedError
from tests.converters.function_text import call, function, graph_with

LEAF = function("leaf", ["a"], {"y": "mul:z:0"}, Node("mul", "Mul", ("a", "a"), {"T": FLOAT32}))


def tower(height: int, name: str = "n") -> list:
    """Functions that call each other in a row."""
    functions = [LEAF]
    for index in range(height):
        node = call(name, functions[-1].name, "a")
        functions.append(function(f"f{index}", ["a"], {"y": f"{name}:output:0"}, node))
    return functions


def by_name(functions: list) -> dict:
    return {each.name: each for each in functions}


def test_a_leaf() -> None:
    assert Growth(by_name([LEAF])).size("leaf") == Size(3, 5)


def test_calls_add_up() -> None:
    """A call `n` of the leaf: n, its input a, and n/mul with two inputs."""
    assert Growth(by_name(tower(1))).size("f0") == Size(2 + 3, 2 + 5 + 3 * 2)


def test_it_is_no_less_than_what_there_is() -> None:
    functions = tower(30, "call")
    graph = inline(graph_with(functions, Node("x", "Placeholder"), call("c", "f29", "x")))
    size = Growth(by_name(functions)).size("f29")
    nodes = [node for node in graph if node.name != "x"]
    assert size.values >= sum(1 + len(node.inputs) for node in nodes)
    assert size.text + size.values * 1 >= sum(len(node.name) for node in nodes)


def test_of_a_choice_the_largest() -> None:
    empty = function("empty", ["a"], {"y": "a"})
    branches = AttrList("func", (FuncRef("empty"), FuncRef("leaf"), FuncRef("gone")))
    case = function("case", ["a"], {"y": "c:output:0"}, Node("c", "Case", ("a",), {"branches": branches}))
    assert Growth(by_name([LEAF, empty, case])).size("case").values == 2 + 3


def test_shared_branches_count_once() -> None:
    functions = [LEAF]
    for index in range(60):
        refs = {"then_branch": FuncRef(functions[-1].name), "else_branch": FuncRef(functions[-1].name)}
        functions.append(function(f"f{index}", ["a"], {"y": "n:output:0"}, Node("n", "If", ("a",), refs)))
    assert Growth(by_name(functions)).size("f59").values == 3 + 60 * 2


def test_what_calls_itself_has_an_end() -> None:
    ring = [function(name, ["a"], {"y": "n:output:0"}, call("n", other, "a")) for name, other in ("fg", "gf")]
    assert Growth(by_name(ring)).size("f").values == 4


def test_a_tall_tower_needs_no_stack() -> None:
    assert Growth(by_name(tower(20_000))).size("f19999").values == 3 + 40_000


def test_names_without_bounds() -> None:
    """Four thousand calls inside of each other, with names of two hundred characters."""
    growth = Growth(by_name(tower(4000, "n" * 200)))
    with pytest.raises(UnsupportedError, match="^c: expected at most 1073741824 characters of names in all functions"):
        growth.take(call("c", "f3999", "x"), "f3999")


def test_many_calls_together() -> None:
    growth = Growth(by_name([LEAF]))
    growth.values_left = 5
    growth.take(call("c", "leaf", "x"), "leaf")
    with pytest.raises(
        UnsupportedError, match="^d: expected at most 10000000 values in all functions called, got more$"
    ):
        growth.take(call("d", "leaf", "x"), "leaf")
