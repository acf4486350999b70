"""The builder by itself: constants, sizes as parts, names, casts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.inference.values import Value
from tensorferry.converters.ir import Node, Shape
from tensorferry.converters.lowering.builder import Builder
from tensorferry.converters.lowering.op_types import KERNELS, has_op, onnx_spelling, plan, schema
from tensorferry.formats.dtype import BFLOAT16, BOOL, DTYPES, FLOAT16, FLOAT32, FLOAT64, INT8, INT32, INT64, UINT8
from tensorferry.formats.errors import GraphError, UnsupportedError

from ..onnx_model import run_graph


def begun(*dims: int | str, opset: int = 18) -> tuple[Builder, Value]:
    """A builder with one input x of that shape, in the middle of lowering a node `f`."""
    g = Builder(opset, {"x", "f"})
    shape = Shape(
        tuple(d if isinstance(d, int) else -1 for d in dims), tuple(d if isinstance(d, str) else "" for d in dims)
    )
    (x,) = g.emit("Input", [], {"name": b"x", "dtype": FLOAT32, "shape": shape}, [(FLOAT32, dims)], name="x")
    g.provide(x)
    g.begin("f")
    return g, x


def value_of(g: Builder, value: Value, feed: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What a value is when the graph runs."""
    name = g.ref(value)
    g.finish([value.with_(name=name)])
    graph = g.graph({"y": name})
    # The node that makes it has taken the scope's name, unless it stands outside of the scope.
    made = "f:0" if "f" in graph.nodes else name
    rank = Shape((-1,) * (value.rank or 0)) if value.rank is not None else Shape()
    graph.nodes["o"] = Node("o", "Output", (made,), {"name": b"y", "dtype": value.dtype, "shape": rank})
    return run_graph(graph, {"x": feed}, g.opset)["y"]


@pytest.mark.parametrize("opset", [13, 18])
def test_vectors_of_sizes(opset: int) -> None:
    feed = np.zeros((3, 4, 5), np.float32)
    for entries, expected in (
        (("a", "b"), [3, 4]),
        (("b", 7, "c"), [4, 7, 5]),
        (("a*b", 2), [12, 2]),
        (("2*a+1", "a*a-b"), [7, 5]),
        (("((b+1)//2)",), [2]),
        ((8, 9), [8, 9]),
    ):
        g, _ = begun("a", "b", "c", opset=opset)
        value = Value.of_entries(INT64, entries)
        assert g.can_make(entries)
        assert value_of(g, value, feed).tolist() == expected


def test_sizes_that_nobody_can_make() -> None:
    g, _ = begun("a", 4)
    assert not g.can_make(("z",))
    assert not g.can_make(("((z)//2)",))
    assert not g.can_make((None,))
    assert g.can_make((4, "a"))


def test_sizes_in_other_types_and_shapes() -> None:
    feed = np.zeros((3, 4), np.float32)
    g, _ = begun("a", 4)
    found = value_of(g, Value.of_entries(INT32, ("a",), scalar=True), feed)
    assert (found.dtype, found.shape, found.item()) == (np.dtype(np.int32), (), 3)
    g, _ = begun("a", 4)
    grid = Value(INT64, (2, 2), None, ("a", 1, 2, "a"))
    assert value_of(g, grid, feed).tolist() == [[3, 1], [2, 3]]


def test_parts_are_numbers_and_symbols_as_long_as_can_be() -> None:
    g, x = begun("n", 4)
    assert g.sizes_of(x) == ["n", 4]
    assert g.plus("n", 1, 2) == "n+3"
    assert g.times("n", 0) == 0
    assert g.minus("n", "n") == 0
    assert g.floor_div("n", 2) == "((n)//2)"
    assert g.ceil_div(7, 2) == 4
    assert g.floor_div("3*n", "n") == 3
    assert not g.finish([])
    assert list(g.nodes) == ["x"]


def test_parts_that_are_computed() -> None:
    feed = np.zeros((6, 4), np.float32)
    g, x = begun("n", 4)
    hidden = x.with_(dims=(None, None))
    part = g.size(hidden, 0)
    assert isinstance(part, Value)
    total = g.plus(g.times(part, 3), "n", -2)
    assert isinstance(total, Value)
    vector = g.vector([total, 7, g.floor_div(part, 4), "n"])
    assert vector.entries == (None, 7, None, "n")
    assert value_of(g, vector, feed).tolist() == [22, 7, 1, 6]


def test_constants_are_transformed_without_nodes() -> None:
    g, _ = begun(1)
    c = g.constant_of(np.arange(6, dtype=np.float32).reshape(2, 3))
    for made, expected in (
        (g.transpose(c, [1, 0]), (3, 2)),
        (g.reshape(c, [6]), (6,)),
        (g.unsqueeze(c, [0, -1]), (1, 2, 3, 1)),
        (g.squeeze(g.unsqueeze(c, [0]), [0]), (2, 3)),
        (g.cast(c, FLOAT16), (2, 3)),
    ):
        assert made.dims == expected
        assert made.tensor is not None
    assert g.cast(c, FLOAT16).dtype == FLOAT16
    assert not g.finish([])
    assert list(g.nodes) == ["x"]


def test_a_value_without_a_name_or_contents() -> None:
    g, _ = begun(1)
    with pytest.raises(GraphError, match="f: expected a value of the graph under construction, got one without a name"):
        g.ref(Value(FLOAT32, (1,)))


def test_types_that_only_the_lowering_can_know() -> None:
    g, _ = begun(1)
    with pytest.raises(TypeError, match="ConstantOfShape needs to be told the types of its outputs"):
        g.op("ConstantOfShape", g.ints([2]))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda g, x: g.rank(x.with_(dims=None)), r"expected an input of known rank \(give the inputs' shapes\)"),
        (lambda g, x: g.axis(Value(INT32, ()), 2), "expected the axis to be a constant, got a computed one"),
        (lambda g, x: g.axis(3, 2), "expected the axis within 2 dimensions, got 3"),
        (lambda g, x: g.numbers(Value(INT32, (2,)), "order"), "expected the order to be constant, got computed ones"),
        (lambda g, x: g.parts(Value(INT32)), "expected a vector of known length, got one of any length"),
        (lambda g, x: g.pair(x), "expected a complex value, got one of float32"),
    ],
)
def test_what_lowerings_ask(ask: Any, message: str) -> None:
    g, x = begun(2, 3)
    with pytest.raises(UnsupportedError, match=message):
        ask(g, x)


def test_a_reshape_to_nothing_needs_opset_14() -> None:
    g, x = begun(0, 3, opset=13)
    with pytest.raises(UnsupportedError, match="expected opset 14 or newer for a reshape to a dimension of 0"):
        g.reshape(x, [3, 0])


# --- element types ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "dtype", "through"),
    [
        ("Add", FLOAT32, None), ("Add", INT8, "int32"), ("Add", BFLOAT16, "float32"), ("Erf", FLOAT64, "float32"),
        ("Conv", FLOAT16, None), ("ReduceMax", BOOL, "uint8"), ("Abs", UINT8, None), ("ReduceSum", UINT8, "int32"),
    ],
)  # fmt: skip
def test_plans(op: str, dtype: Any, through: str | None) -> None:
    inputs = (dtype, dtype) if op in ("Add", "Conv") else (dtype,)
    found = plan(op, 18, inputs, 1)
    assert found.inputs == tuple(DTYPES[through] if through else None for _ in inputs)
    assert found.computed == (DTYPES[through] if through else dtype,)
    assert found.outputs == (dtype,)


def test_results_of_another_type() -> None:
    assert plan("Greater", 18, (INT8, INT8), 1).outputs == (BOOL,)
    assert plan("Shape", 18, (INT8,), 1).outputs == (INT64,)
    assert plan("Where", 18, (BOOL, INT8, INT8), 1).inputs[0] is None
    assert plan("Where", 18, (BOOL, INT8, INT8), 1).outputs == (INT8,)
    assert plan("Clip", 18, (FLOAT32, None, FLOAT32), 1).inputs == (None, None, None)


@pytest.mark.parametrize(
    ("op", "dtype", "message"),
    [
        ("Add", "string", "ONNX's Add takes no string at opset 18, nor a type that could stand in for it"),
        ("Equal", "string", r"ONNX's Equal takes no string at opset 18.*\(a newer opset takes it\)"),
        (
            "Reshape",
            "complex64",
            "ONNX's Reshape takes no complex64: complex values are for transforms and their parts",
        ),
    ],
)
def test_types_that_nothing_helps(op: str, dtype: str, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        plan(op, 18, (DTYPES[dtype], DTYPES[dtype]), 1)


def test_ops_that_an_opset_lacks() -> None:
    assert has_op("LayerNormalization", 17)
    assert not has_op("LayerNormalization", 16)
    assert not has_op("Upsample", 18)
    with pytest.raises(UnsupportedError, match=r"opset 16 has no op LayerNormalization \(choose a newer opset\)"):
        schema("LayerNormalization", 16)


def test_noted_kernels_are_of_standard_ops_and_types() -> None:
    import onnx

    for op, types in KERNELS.items():
        known = onnx.defs.get_schema(op, 20).type_constraints
        allowed = {kind for constraint in known for kind in constraint.allowed_type_strs}
        assert {onnx_spelling(DTYPES[name]) for name in types} <= allowed, op
