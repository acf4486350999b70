"""Transposes that vanish, and results that stay what they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.ir import Graph
from tensorferry.converters.onnx_passes.layout import compose, keeps_order, push_transposes
from tensorferry.converters.onnx_passes.unused import remove_unused

from ..onnx_model import ops_of, run_graph
from .onnx_graph import Onnx

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)
RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 4, 5, 3)).astype(np.float32)
NEXT = RNG.standard_normal((2, 4, 5, 3)).astype(np.float32)


def pushed(onnx: Onnx, opset: int = 18) -> Graph:
    graph, _ = push_transposes(onnx.graph, onnx.dims, opset)
    return remove_unused(graph)


def check(onnx: Onnx, transposes: int, opset: int = 18, **feeds: np.ndarray[Any, Any]) -> Graph:
    """The pass leaves as many transposes, and onnxruntime computes the same before and after."""
    found = pushed(onnx, opset)
    assert ops_of(found).count("Transpose") == transposes
    feeds = {"x": X, **feeds}
    before, after = run_graph(onnx.graph, feeds, opset), run_graph(found, feeds, opset)
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-6)
    return found


def between(make: Callable[[Onnx, str], str], dims: Any = (2, 4, 5, 3)) -> Onnx:
    """x, channels last -> LRN on channels first -> `make` on channels last -> LRN on channels first -> y."""
    onnx = Onnx()
    x = onnx.input("x", 2, 4, 5, 3)
    inner = onnx.op("lrn", "LRN", onnx.transpose("t1", x, *FIRST), size=1, dims=(2, 3, 4, 5))
    outer = make(onnx, onnx.transpose("t2", inner, *LAST))
    onnx.dims[outer] = dims
    onnx.output(onnx.op("end", "LRN", onnx.transpose("t3", outer, *FIRST), size=1), rank=4)
    return onnx


@pytest.mark.parametrize(
    "make",
    [
        lambda onnx, v: onnx.op("f", "Relu", v),
        lambda onnx, v: onnx.op("f", "Add", v, onnx.const("bias", [1.0, 2, 3])),
        lambda onnx, v: onnx.op("f", "Sub", onnx.const("bias", [1.0, 2, 3]), v),
        lambda onnx, v: onnx.op("f", "Mul", v, onnx.const("one", 2.0)),
        lambda onnx, v: onnx.op("f", "Mul", v, onnx.const("row", RNG.random((5, 1)))),
        lambda onnx, v: onnx.op("f", "Clip", v, onnx.const("low", 0.0), onnx.const("high", 6.0)),
        lambda onnx, v: onnx.op("f", "Clip", v, "", onnx.const("high", 6.0)),
        lambda onnx, v: onnx.op("f", "Softmax", v, axis=-1),
        lambda onnx, v: onnx.op("f", "Softmax", v, axis=1),
        lambda onnx, v: onnx.op("f", "Add", v, onnx.op("g", "Exp", v, dims=(2, 4, 5, 3))),
    ],
)
def test_ops_that_let_transposes_through(make: Callable[[Onnx, str], str]) -> None:
    found = check(between(make), 1)
    assert "Reshape" not in ops_of(found)


@pytest.mark.parametrize(
    ("make", "dims"),
    [
        (lambda o, v: o.op("f", "Concat", v, o.const("c", np.ones((2, 4, 5, 1))), axis=-1), (2, 4, 5, 4)),
        (lambda o, v: o.op("f", "Concat", v, v, axis=2), (2, 4, 10, 3)),
        (lambda o, v: o.op("f", "Pad", v, o.const("p", [0, 1, 2, 0, 0, 3, 0, 1], "int64")), (2, 8, 7, 4)),
        (lambda o, v: o.op("f", "Tile", v, o.const("r", [1, 2, 1, 3], "int64")), (2, 8, 5, 9)),
        (
            lambda o, v: o.op(
                "f", "Slice", v, *(o.const(n, i, "int64") for n, i in (("s", [1, 0]), ("e", [9, 2]), ("a", [1, -1])))
            ),
            (2, 3, 5, 2),
        ),
        (lambda o, v: o.op("f", "ReduceMean", v, o.const("a", [1, 2], "int64"), keepdims=1), (2, 1, 1, 3)),
        (lambda o, v: o.op("f", "Gather", v, o.const("i", [2, 0], "int64"), axis=3), (2, 4, 5, 2)),
    ],
)
def test_ops_with_axes(make: Callable[[Onnx, str], str], dims: tuple[int, ...]) -> None:
    check(between(make, dims), 1)


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("axes", [[1, 2], [3], [-1], [0, 1, 2, 3]])
def test_reductions_without_their_dimensions(axes: list[int], opset: int) -> None:
    onnx = Onnx()
    inner = onnx.op("lrn", "LRN", onnx.transpose("t1", onnx.input("x", 2, 4, 5, 3), *FIRST), size=1, dims=(2, 3, 4, 5))
    back = onnx.transpose("t2", inner, *LAST)
    if opset < 18:
        reduced = onnx.op("max", "ReduceMax", back, axes=axes, keepdims=0)
    else:
        reduced = onnx.op("max", "ReduceMax", back, onnx.const("a", axes, "int64"), keepdims=0)
    onnx.output(reduced, rank=4 - len(axes))
    check(onnx, 1, opset)


def test_arg_max_and_squeeze_and_split() -> None:
    onnx = Onnx()
    inner = onnx.op("lrn", "LRN", onnx.transpose("t1", onnx.input("x", 2, 4, 5, 3), *FIRST), size=1, dims=(2, 3, 4, 5))
    back = onnx.transpose("t2", inner, *LAST)
    onnx.output(onnx.op("best", "ArgMax", back, axis=-1, keepdims=0), "best", "int64", rank=3)
    mean = onnx.op("mean", "ReduceMean", back, onnx.const("a", [1, 2], "int64"), dims=(2, 1, 1, 3))
    onnx.output(onnx.op("flat", "Squeeze", mean, onnx.const("s", [1, 2], "int64")), "flat", rank=2)
    parts = onnx.op("parts", "Split", back, onnx.const("z", [1, 2], "int64"), axis=3, _outputs=2, dims=(2, 4, 5, 1))
    onnx.dims["parts:1"] = (2, 4, 5, 2)
    for name, part in (("a0", parts), ("a1", "parts:1")):
        onnx.output(onnx.transpose(f"t{name}", part, *FIRST), name, rank=4)
    check(onnx, 1)


def test_shapes_are_those_of_the_view() -> None:
    for opset in (13, 18):
        onnx = Onnx()
        inner = onnx.op(
            "lrn", "LRN", onnx.transpose("t1", onnx.input("x", 2, 4, 5, 3), *FIRST), size=1, dims=(2, 3, 4, 5)
        )
        back = onnx.transpose("t2", inner, *LAST)
        onnx.output(onnx.op("shape", "Shape", back), "shape", "int64", rank=1)
        if opset > 13:
            onnx.output(onnx.op("one", "Shape", back, start=3, end=4), "one", "int64", rank=1)
            onnx.output(onnx.op("two", "Shape", back, start=1, end=3), "two", "int64", rank=1)
        found = check(onnx, 1, opset)
        assert run_graph(found, {"x": X}, opset)["shape"].tolist() == [2, 4, 5, 3]


def test_additions_join_two_branches() -> None:
    onnx = Onnx()
    x = onnx.transpose("t1", onnx.input("x", 2, 4, 5, 3), *FIRST)
    a = onnx.transpose("ta", onnx.op("a", "LRN", x, size=1, dims=(2, 3, 4, 5)), *LAST)
    b = onnx.transpose("tb", onnx.op("b", "LRN", x, size=3, dims=(2, 3, 4, 5)), *LAST)
    total = onnx.op("sum", "Add", a, b, dims=(2, 4, 5, 3))
    onnx.output(onnx.op("end", "LRN", onnx.transpose("t4", total, *FIRST), size=1), rank=4)
    check(onnx, 1)


def test_a_small_factor_is_reshaped_instead() -> None:
    """Squeeze and excitation: a gate [N, 1, 1, C] that never was in the other layout."""
    onnx = Onnx()
    x = onnx.op("lrn", "LRN", onnx.transpose("t1", onnx.input("x", "n", 4, 5, 3), *FIRST), size=1, dims=("n", 3, 4, 5))
    back = onnx.transpose("t2", x, *LAST)
    gate = onnx.input("gate", "n", 1, 1, 3)
    scaled = onnx.op("scaled", "Mul", back, gate, dims=("n", 4, 5, 3))
    onnx.output(onnx.op("end", "LRN", onnx.transpose("t3", scaled, *FIRST), size=1), rank=4)
    found = check(onnx, 1, gate=RNG.random((2, 1, 1, 3), np.float32))
    assert ops_of(found).count("Reshape") == 1


def test_a_value_that_is_there_in_both_layouts_is_taken_in_the_right_one() -> None:
    onnx = Onnx()
    x = onnx.input("x", 2, 4, 5, 3)
    y = onnx.op("lrn", "LRN", onnx.transpose("t1", x, *FIRST), size=1, dims=(2, 3, 4, 5))
    joined = onnx.op("add", "Add", onnx.transpose("t2", y, *LAST), x, dims=(2, 4, 5, 3))
    onnx.output(onnx.op("end", "LRN", onnx.transpose("t3", joined, *FIRST), size=1), rank=4)
    check(onnx, 1)


def test_flattening_before_a_matrix() -> None:
    """Rows flattened from pictures: the weights' rows change places, and no transpose is left."""
    onnx = Onnx()
    x = onnx.op("pool", "GlobalMaxPool", onnx.input("x", 2, 4, 5, 3), dims=(2, 4, 1, 1))
    y = onnx.op("mul", "Mul", x, onnx.const("m", RNG.random((1, 1, 2, 3))), dims=(2, 4, 2, 3))
    flat = onnx.op("flat", "Reshape", onnx.transpose("t", y, *LAST), onnx.const("s", [-1, 24], "int64"), dims=(2, 24))
    onnx.output(onnx.op("y", "MatMul", flat, onnx.const("w", RNG.random((24, 2))), dims=(2, 2)))
    check(onnx, 0)
    onnx.output(flat, "flat")
    check(onnx, 1)


def test_transposes_that_only_move_ones_are_reshapes() -> None:
    onnx = Onnx()
    onnx.output(onnx.op("relu", "GlobalMaxPool", onnx.transpose("t", onnx.input("x", "n", 4, 5, 1), *FIRST)), rank=4)
    assert ops_of(check(onnx, 0, x=X[..., :1])) == ["Reshape", "GlobalMaxPool"]


def test_constants_are_transposed_once() -> None:
    onnx = Onnx()
    onnx.input("x", 2, 4, 5, 3)
    weight = onnx.transpose("t", onnx.const("w", RNG.random((4, 5, 3, 2))), 3, 2, 0, 1)
    for name in "ab":
        onnx.output(onnx.op(name, "GlobalMaxPool", weight), name, rank=4)
    assert sum(node.op == "Constant" for node in check(onnx, 0)) == 1


def test_results_are_in_their_own_layout() -> None:
    onnx = Onnx()
    x = onnx.transpose("t1", onnx.input("x", 2, 4, 5, 3), *FIRST)
    onnx.output(onnx.transpose("t2", x, *LAST), "same").output(x, "moved")
    assert ops_of(check(onnx, 1)).count("Identity") == 0


def test_a_graph_that_would_not_gain_is_left_alone() -> None:
    onnx = Onnx()
    x = onnx.transpose("t1", onnx.input("x", 2, 4, 5, 3), *FIRST)
    for name in ("Abs", "Exp", "Neg"):  # one transpose before them, or one after each
        onnx.output(onnx.op(name, name, x, dims=(2, 3, 4, 5)), name)
    graph = onnx.graph
    assert push_transposes(graph, onnx.dims, 18)[0] is graph


def test_a_graph_without_transposes_is_left_alone() -> None:
    onnx = Onnx()
    onnx.output(onnx.op("y", "Abs", onnx.input("x", 2, 4, 5, 3), dims=(2, 4, 5, 3)))
    graph = onnx.graph
    assert push_transposes(graph, onnx.dims, 18)[0] is graph


def test_permutations() -> None:
    assert compose(FIRST, LAST) == (0, 1, 2, 3)
    assert compose((1, 2, 0), (1, 2, 0)) == (2, 0, 1)
    assert keeps_order((1, 4, 5, 1), FIRST)
    assert not keeps_order((1, 4, 5, 3), FIRST)
    assert keeps_order(("n", 1, 1, 3), FIRST)
