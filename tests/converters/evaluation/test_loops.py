"""Loops of TensorFlow 1: what they may not be, and what they cost."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.ir import Graph, Node, Shape
from tensorferry.formats.dtype import BOOL, FLOAT32, INT32, INT64

from .building import F32, I32, const, error, graph, op, value

FRAME = b"loop"


def loop(*body: Node, limit: int = 3, frame: bytes = FRAME, carried: str = "next_i") -> list[Node]:
    """i = 0; while i < limit: i += 1; and what `body` adds."""
    enter = I32 | {"frame_name": frame}
    return [
        const("zero", 0, INT32),
        const("limit", limit, INT32),
        op("enter_i", "Enter", "zero", **enter),
        op("enter_limit", "Enter", "limit", **enter, is_constant=True),
        op("merge_i", "Merge", "enter_i", carried, **I32, N=2),
        op("less", "Less", "merge_i", "enter_limit", **I32),
        op("cond", "LoopCond", "less"),
        op("switch_i", "Switch", "merge_i", "cond", **I32),
        op("i", "Identity", "switch_i:1", **I32),
        const("one", 1, INT32, "^i"),
        op("plus", "Add", "i", "one", **I32),
        op("next_i", "NextIteration", "plus", **I32),
        op("exit", "Exit", "switch_i:0", **I32),
        *body,
    ]


def test_a_loop_runs_until_its_condition_is_false() -> None:
    assert value(graph(*loop(limit=5)), "exit") == 5
    assert value(graph(*loop(limit=0)), "exit") == 0


def test_a_loop_without_an_end_is_an_error_that_says_its_bound() -> None:
    endless = graph(*loop(limit=2**31 - 1))
    message = "enter_i: expected loops and calls to end within 1000 steps in all, got more"
    assert error(endless, "exit", steps=1000) == message


def test_all_loops_count_together() -> None:
    built = graph(*loop(limit=50), *nested(limit=50))
    assert value(built, "outer_exit", steps=40_000) == 2500
    assert "within 20000 steps" in error(built, "outer_exit", steps=20_000)


def nested(limit: int) -> list[Node]:
    """An outer loop whose body runs an inner one from where it was on, limit more."""
    enter, inner = I32 | {"frame_name": b"outer"}, I32 | {"frame_name": b"inner"}
    return [
        op("outer_enter", "Enter", "zero", **enter),
        op("outer_total", "Enter", "zero", **enter),
        op("outer_limit", "Enter", "exit", **enter, is_constant=True),
        op("outer_merge", "Merge", "outer_enter", "outer_next", **I32, N=2),
        op("total_merge", "Merge", "outer_total", "total_next", **I32, N=2),
        op("outer_less", "Less", "outer_merge", "outer_limit", **I32),
        op("outer_switch", "Switch", "outer_merge", "outer_less", **I32),
        op("total_switch", "Switch", "total_merge", "outer_less", **I32),
        const("outer_one", 1, INT32, "^outer_switch"),
        const("inner_zero", 0, INT32, "^outer_switch"),
        op("outer_plus", "Add", "outer_switch:1", "outer_one", **I32),
        op("outer_next", "NextIteration", "outer_plus", **I32),
        op("inner_enter", "Enter", "total_switch:1", **inner),
        op("count_enter", "Enter", "inner_zero", **inner),
        op("inner_limit", "Enter", "outer_limit", **inner, is_constant=True),
        op("inner_merge", "Merge", "inner_enter", "inner_next", **I32, N=2),
        op("count_merge", "Merge", "count_enter", "count_next", **I32, N=2),
        op("inner_less", "Less", "count_merge", "inner_limit", **I32),
        op("inner_switch", "Switch", "inner_merge", "inner_less", **I32),
        op("count_switch", "Switch", "count_merge", "inner_less", **I32),
        const("inner_one", 1, INT32, "^count_switch"),
        op("inner_plus", "Add", "inner_switch:1", "inner_one", **I32),
        op("count_plus", "Add", "count_switch:1", "inner_one", **I32),
        op("inner_next", "NextIteration", "inner_plus", **I32),
        op("count_next", "NextIteration", "count_plus", **I32),
        op("inner_exit", "Exit", "inner_switch", **I32),
        op("total_next", "NextIteration", "inner_exit", **I32),
        op("outer_exit", "Exit", "total_switch", **I32),
    ]


def test_a_value_of_outside_has_to_enter() -> None:
    built = graph(*loop(op("mixed", "Add", "i", "limit", **I32), op("out", "Exit", "mixed", **I32)))
    assert error(built, "out") == "mixed: expected inputs of one loop, got i (loop), limit (no loop)"


def test_what_goes_round_is_of_the_same_loop() -> None:
    enter = op("enter_other", "Enter", "zero", **I32, frame_name=b"other")
    other = [enter, op("n", "NextIteration", "enter_other", **I32)]
    assert error(graph(*loop(*other, carried="n")), "exit") == (
        "merge_i: expected inputs of one loop, got enter_i (loop), n (other)"
    )


@pytest.mark.parametrize("kind", ["Exit", "NextIteration"])
def test_what_belongs_into_loops(kind: str) -> None:
    message = f"x: expected {kind} in a loop, got one outside of loops"
    assert error(graph(const("c", 1.0), op("x", kind, "c", **F32)), "x") == message


def test_an_output_inside_of_a_loop() -> None:
    assert error(graph(*loop()), "plus") == "plus: expected an output outside of loops, got one in a loop"


def test_loops_that_wait_for_each_other() -> None:
    enter = F32 | {"frame_name": b"f"}
    built = graph(
        const("x", 1.0),
        op("enter", "Enter", "x", **enter),
        op("exit", "Exit", "enter", **F32),
        op("again", "Enter", "exit", **enter),
        op("out", "Exit", "again", **F32),
    )
    assert "expected loops that don't wait for each other, got f, f" in error(built, "out")


def test_loops_in_loops_have_a_bound() -> None:
    nodes = [const("e0", 1.0)]
    nodes += [op(f"e{i}", "Enter", f"e{i - 1}", **F32, frame_name=b"f%d" % i) for i in range(1, 52)]
    nodes += [op(f"x{i}", "Exit", "e51" if i == 51 else f"x{i + 1}", **F32) for i in range(51, 0, -1)]
    assert error(graph(*nodes), "x1") == "e51: expected at most 50 loops in each other, got more"
    shallower = [node for node in nodes if node.name not in ("e51", "x51")]
    shallower = [node.with_(inputs=("e50",)) if node.name == "x50" else node for node in shallower]
    assert value(graph(*shallower), "x1") == 1


def test_one_input_enters() -> None:
    enter = op("enter", "Enter", "x", "x", **F32, frame_name=b"f")
    built = graph(const("x", 1.0), enter, op("exit", "Exit", "enter", **F32))
    assert error(built, "exit") == "enter: expected Enter to have 1 input, got 2"


def test_a_loop_in_a_branch_that_is_not_taken() -> None:
    nodes = [node for node in loop() if node.name not in ("zero", "limit")]
    built = graph(
        op("p", "Placeholder", dtype=BOOL, shape=Shape(())),
        const("start", 0, INT32),
        const("end", 4, INT32),
        op("zero", "Switch", "start", "p", **I32),
        op("limit", "Switch", "end", "p", **I32),
        *(
            node.with_(inputs=tuple(f"{name}:1" if name in ("zero", "limit") else name for name in node.inputs))
            for node in nodes
        ),
        op("out", "Merge", "exit", "zero:0", **I32, N=2),
    )
    assert value(built, "out", {"p": np.array(True)}) == 4
    assert value(built, "out", {"p": np.array(False)}) == 0


def test_each_iteration_forgets_its_values() -> None:
    size = 1 << 18
    body: list[Any] = [
        op("x", "Placeholder", dtype=FLOAT32, shape=Shape((size,))),
        op("enter_x", "Enter", "x", **F32, frame_name=FRAME),
        op("merge_x", "Merge", "enter_x", "next_x", **F32, N=2),
        op("switch_x", "Switch", "merge_x", "cond", **F32),
        op("neg0", "Neg", "switch_x:1", **F32),
        *(op(f"neg{i}", "Neg", f"neg{i - 1}", **F32) for i in range(1, 20)),
        op("next_x", "NextIteration", "neg19", **F32),
        op("exit_x", "Exit", "switch_x", **F32),
    ]
    built, feeds = graph(*loop(*body, limit=10)), {"x": np.ones(size, np.float32)}
    tracemalloc.start()
    found = value(built, "exit_x", feeds)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * 4 * size
    np.testing.assert_array_equal(found, feeds["x"])


def test_random_numbers_are_others_in_each_iteration() -> None:
    body = [
        const("shape", [4], INT32, "^i"),
        op("drawn", "RandomUniform", "shape", T=INT32, dtype=FLOAT32, seed=1, seed2=2),
        const("nothing", np.zeros((0, 4))),
        op("enter_all", "Enter", "nothing", **F32, frame_name=FRAME),
        op("merge_all", "Merge", "enter_all", "next_all", **F32, N=2),
        op("switch_all", "Switch", "merge_all", "cond", **F32),
        const("axis", 0, INT32, "^i"),
        op("row", "ExpandDims", "drawn", "axis", T=FLOAT32, Tdim=INT32),
        op("joined", "ConcatV2", "switch_all:1", "row", "axis", **F32, N=2, Tidx=INT32),
        op("next_all", "NextIteration", "joined", **F32),
        op("exit_all", "Exit", "switch_all", **F32),
    ]
    built = graph(*loop(*body, limit=5))
    found = value(built, "exit_all")
    assert len(np.unique(found)) == 20
    np.testing.assert_array_equal(value(built, "exit_all"), found)


def test_an_op_without_a_kernel_in_a_loop_matters_when_it_runs() -> None:
    built = graph(*loop(op("odd", "Nonsense", "i"), op("out", "Exit", "odd", **I32), limit=1))
    assert error(built, "out") == "evaluation: no kernel for Nonsense (1: odd)"
    idle = graph(*loop(op("odd", "Nonsense", "i"), op("out", "Exit", "odd", **I32), limit=0))
    assert error(idle, "out") == "out: expected a value, got none: it is in a branch that was not taken"


@pytest.mark.parametrize("count", [3000])
def test_many_loops_are_planned_in_time(count: int) -> None:
    """Loops one after another: a plan that looked at all nodes for each loop would take minutes."""
    nodes = [const("x0", 1, INT64)]
    for i in range(count):
        nodes += [
            op(f"enter{i}", "Enter", f"x{i}", T=INT64, frame_name=b"f%d" % i),
            op(f"x{i + 1}", "Exit", f"enter{i}", T=INT64),
        ]
    assert evaluate(Graph.of(nodes), [f"x{count}"], {})[f"x{count}"] == 1
