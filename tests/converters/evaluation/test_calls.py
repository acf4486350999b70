"""Functions, and what calls them: bounds, effects, and every error."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.ir import AttrList, FuncRef, Function, Graph, Shape
from tensorferry.formats.dtype import BOOL, FLOAT32, INT32, RESOURCE
from tensorferry.formats.tensor import ArrayTensor

from .building import F32, I32, const, error, function, graph, op, value

ONE = AttrList("dtype", (FLOAT32,))
TYPES = {"Tin": ONE, "Tout": ONE}

DOUBLE = function("double", {"x": FLOAT32}, [op("y", "Add", "x", "x", **F32)], {"result": ("y:z:0", FLOAT32)})
ODD = function("odd", {"x": FLOAT32}, [op("y", "BesselI0e", "x", **F32)], {"result": ("y:y:0", FLOAT32)})
TRUE = function("true", {"x": FLOAT32}, [op("y", "ZerosLike", "x", **F32), op("z", "Equal", "y:y:0", "y:y:0", **F32)],
                {"result": ("z:z:0", BOOL)})  # fmt: skip


def calling(kind: str, *functions: Function, **attrs: object) -> Graph:
    call = op("call", kind, "x", **attrs)
    return graph(const("x", 3.0), call, functions=functions)


def test_a_function_is_called_by_an_op_or_by_its_name() -> None:
    assert value(calling("PartitionedCall", DOUBLE, f=FuncRef("double"), **TYPES), "call") == 6
    assert value(calling("double", DOUBLE), "call") == 6


def test_a_function_of_the_name_of_an_op_is_the_function() -> None:
    add = function("Neg", {"x": FLOAT32}, [op("y", "Add", "x", "x", **F32)], {"result": ("y:z:0", FLOAT32)})
    assert value(calling("Neg", add), "call") == 6


def test_calls_inside_of_each_other_are_bounded() -> None:
    again = function("again", {"x": FLOAT32}, [op("y", "again", "x")], {"result": ("y:result:0", FLOAT32)})
    assert error(calling("again", again), "call") == "y: expected at most 60 calls inside of each other, got more"


def test_calls_that_multiply_are_bounded() -> None:
    """Forty functions, each of which calls the next one twice."""
    functions = [function("f0", {"x": FLOAT32}, [op("y", "Neg", "x", **F32)], {"result": ("y:y:0", FLOAT32)})]
    for i in range(1, 41):
        body = [op("a", f"f{i - 1}", "x"), op("b", f"f{i - 1}", "a:result:0")]
        functions.append(function(f"f{i}", {"x": FLOAT32}, body, {"result": ("b:result:0", FLOAT32)}))
    assert value(calling("f10", *functions), "call") == 3
    assert error(calling("f40", *functions), "call", steps=20_000).endswith(
        "expected loops and calls to end within 20000 steps in all, got more"
    )


@pytest.mark.parametrize("kind", ["While", "StatelessWhile"])
def test_a_while_without_an_end(kind: str) -> None:
    endless = calling(kind, TRUE, DOUBLE, cond=FuncRef("true"), body=FuncRef("double"), T=ONE)
    message = "call: expected loops and calls to end within 500 steps in all, got more"
    assert error(endless, "call", steps=500) == message


def test_a_condition_has_one_result() -> None:
    both = function("both", {"x": FLOAT32}, [], {"a": ("x", FLOAT32), "b": ("x", FLOAT32)})
    built = calling("While", both, DOUBLE, cond=FuncRef("both"), body=FuncRef("double"), T=ONE)
    assert error(built, "call") == "call: expected both to have 1 result, got 2"


def test_what_a_function_takes_and_gives_is_checked() -> None:
    two = function("two", {"x": FLOAT32, "y": FLOAT32}, [], {"result": ("x", FLOAT32)})
    assert error(calling("two", two), "call") == "call: expected 2 arguments of two, got 1"
    whole = function("whole", {"x": INT32}, [], {"result": ("x", INT32)})
    assert error(calling("whole", whole), "call") == (
        "call: expected x of the arguments of whole to be int32, got float32"
    )
    lies = function("lies", {"x": FLOAT32}, [], {"result": ("x", INT32)})
    assert error(calling("lies", lies), "call") == (
        "call: expected result of the results of lies to be int32, got float32"
    )
    assert error(calling("PartitionedCall", DOUBLE, f=FuncRef("gone"), **TYPES), "call") == (
        "gone: expected a function of the graph's library, got none of this name"
    )


def test_a_broken_body_names_function_and_node() -> None:
    broken = function("broken", {"x": FLOAT32}, [op("y", "Neg", "z:y:0", **F32)], {"result": ("y:y:0", FLOAT32)})
    assert error(calling("broken", broken), "call").startswith("broken/y: expected its input 'z:y:0'")


def test_case_needs_branches() -> None:
    built = graph(const("i", 0, INT32), op("call", "Case", "i", branches=AttrList(), Tin=AttrList(), Tout=AttrList()))
    assert error(graph(*built, op("after", "NoOp", "^call"), const("x", 1.0, FLOAT32, "^after")), "x") == (
        "call: expected Case to have branches, got none"
    )


def test_ops_of_functions_without_a_kernel_are_reported_before_anything_runs() -> None:
    outer = function("outer", {"x": FLOAT32}, [op("y", "odd", "x")], {"result": ("y:result:0", FLOAT32)})
    built = graph(
        op("x", "Placeholder", dtype=FLOAT32, shape=Shape()),
        op("boom", "CheckNumerics", "x", **F32, message=b"ran"),
        op("call", "StatefulPartitionedCall", "boom", f=FuncRef("outer"), **TYPES),
        op("odd", "Nonsense", "call"),
        functions=(outer, ODD),
    )
    assert error(built, "odd", {"x": np.float32(np.nan)}) == (
        "evaluation: no kernel for Nonsense (1: odd), BesselI0e (1: odd/y)"
    )


def test_ops_of_branches_without_a_kernel_matter_only_if_the_branch_is_taken() -> None:
    branches = {"then_branch": FuncRef("odd"), "else_branch": FuncRef("double")}
    built = graph(
        op("p", "Placeholder", dtype=BOOL, shape=Shape(())),
        const("x", 3.0),
        op("call", "If", "p", "x", Tcond=BOOL, Tin=ONE, Tout=ONE, **branches),
        functions=(ODD, DOUBLE),
    )
    assert value(built, "call", {"p": np.array(False)}) == 6
    assert error(built, "call", {"p": np.array(True)}) == "evaluation: no kernel for BesselI0e (1: odd/y)"


def test_what_a_function_has_to_run_besides_its_results() -> None:
    bump = function(
        "bump",
        {"v": RESOURCE},
        [const("one", 1.0), op("add", "AssignAddVariableOp", "v", "one:output:0", dtype=FLOAT32)],
        {},
        control=("add",),
    )
    built = graph(
        op("v", "VarHandleOp", dtype=FLOAT32, shape=Shape(())),
        op(
            "call",
            "StatefulPartitionedCall",
            "v",
            f=FuncRef("bump"),
            Tin=AttrList("dtype", (RESOURCE,)),
            Tout=AttrList(),
        ),
        op("read", "ReadVariableOp", "v", "^call", dtype=FLOAT32),
        functions=(bump,),
    )
    variables = {"v": ArrayTensor(np.float32(2).reshape(()))}
    assert value(built, "read", variables=variables) == 3
    assert value(built, "read", variables=variables) == 3  # the last run left nothing behind


def test_a_dead_result_of_a_function() -> None:
    nodes = [op("s", "Switch", "x", "p", **F32)]
    half = function("half", {"x": FLOAT32, "p": BOOL}, nodes, {"result": ("s:output_true:0", FLOAT32)})
    built = graph(const("x", 3.0), const("p", False, BOOL), op("call", "half", "x", "p"), functions=(half,))
    assert error(built, "call") == "s:1: expected a value, got none: it is in a branch that was not taken"


def test_conditions_are_true_if_not_empty_or_zero() -> None:
    for content, dtype, expected in [
        (2, INT32, True),
        (0, INT32, False),
        ([0], INT32, True),
        (np.zeros(0), INT32, False),
    ]:
        built = graph(const("x", content, dtype), op("y", "ToBool", "x", **I32))
        assert bool(value(built, "y")) is expected


def test_too_many_functions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorferry.converters.evaluation.run.FUNCTIONS", 1)
    outer = function("outer", {"x": FLOAT32}, [op("y", "double", "x")], {"result": ("y:result:0", FLOAT32)})
    assert error(calling("outer", outer, DOUBLE), "call") == (
        "double: expected at most 1 functions to be called, got more"
    )
