"""The way through: pieces cut out, refusals, names, symbols, sizes that need no shape arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.inference.values import Value
from tensorferry.converters.ir import AttrList, Graph, Node, Shape
from tensorferry.converters.lowering import lower, lowerings, newest_opset
from tensorferry.converters.lowering.builder import Builder
from tensorferry.converters.op_registry import op_defs, type_attrs
from tensorferry.converters.ops import OpNode, OpTable
from tensorferry.formats.dtype import BOOL, FLOAT32, FLOAT64, INT32, INT64
from tensorferry.formats.errors import GraphError, UnsupportedError, UsageError

from ..graph_text import const, dtype, graph, op, placeholder
from ..onnx_model import model_of, ops_of, run_graph

X = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_every_lowering_is_of_a_registered_op_and_declares_its_attributes() -> None:
    table = lowerings()
    assert len(table) > 200
    for name in table:
        known = {attr.name for attr in op_defs()[name].attr}
        siblings = [other for other in table if table._handlers[other] is table._handlers[name]]
        assert table._attrs[name] <= {attr.name for other in siblings for attr in op_defs()[other].attr}, name
        for attr in op_defs()[name].attr:
            undeclared = attr.name in known - table._attrs[name] - type_attrs(name)
            assert not undeclared or attr.HasField("default_value"), (name, attr.name)


def test_an_op_lowered_by_two_families_is_an_error() -> None:
    table: OpTable[Any] = OpTable("lowering")
    table.add("Relu", lambda node, g, x: x)
    with pytest.raises(KeyError, match="two lowerings for Relu"):
        OpTable.merged("lowering", [lowerings(), table])


# --- what is refused --------------------------------------------------------------------------------


def test_all_unknown_ops_are_reported_at_once() -> None:
    nodes = [placeholder("x", [3, 4]), op("a", "Relu", "x")]
    nodes += [Node(f"odd{i}", "Odd", ("a" if not i else f"odd{i - 1}",)) for i in range(4)]
    nodes += [op("q", "Qr", "odd3"), op("r", "Relu", "q", strange=1)]
    with pytest.raises(UnsupportedError) as caught:
        lower(graph(*nodes), None, ["r"])
    assert str(caught.value) == (
        "the graph: expected ops that ONNX can express, got 3 others: "
        "Odd (4 nodes: odd0, odd1, odd2, ... and 1 more), Qr (1 node: q), Relu with strange (1 node: r)"
    )


def test_what_the_outputs_do_not_need_is_not_looked_at() -> None:
    nodes = [placeholder("x", [3, 4]), op("odd", "Odd", "x"), op("y", "Relu", "x", "^odd")]
    assert ops_of(lower(graph(*nodes), None, ["y"])) == ["Relu"]


def test_refusals_while_lowering_are_collected() -> None:
    nodes = [
        placeholder("x", [3, 4]),
        placeholder("axis", [], "int32"),
        op("a", "ArgMax", "x", "axis", Tidx=INT32),
        op("b", "ArgMin", "x", "axis", Tidx=INT32),
    ]
    with pytest.raises(UnsupportedError) as caught:
        lower(graph(*nodes), None, ["a", "b"])
    problem = "expected the axis to be a constant, got a computed one"
    assert str(caught.value) == f"the graph: a: {problem}, b: {problem}"
    with pytest.raises(UnsupportedError) as alone:
        lower(graph(*nodes), None, ["a"])
    assert str(alone.value) == f"a: {problem}"


def test_inference_of_a_contradiction() -> None:
    with pytest.raises(GraphError, match="y: expected an input of 2 dimensions, got 1"):
        lower(graph(placeholder("x", [3]), op("y", "MatMul", "x", "x")), None, ["y"])


@pytest.mark.parametrize("opset", [12, 99])
def test_opsets(opset: int) -> None:
    with pytest.raises(UsageError, match=rf"opset {opset}: expected one of 13 to {newest_opset()}"):
        lower(graph(placeholder("x", [3]), op("y", "Relu", "x")), None, ["y"], opset=opset)


def test_an_op_that_the_opset_lacks() -> None:
    nodes = [placeholder("x", [3], "int32"), op("y", "BitwiseAnd", "x", "x", T=INT32)]
    with pytest.raises(UnsupportedError, match=r"y: opset 17 has no op BitwiseAnd \(choose a newer opset\)"):
        lower(graph(*nodes), None, ["y"], opset=17)


def test_a_cast_that_truncates() -> None:
    node = Node("y", "Cast", ("x",), {"SrcT": FLOAT32, "DstT": dtype("float16"), "Truncate": True})
    with pytest.raises(UnsupportedError, match="y: ONNX rounds casts to float16, got a cast that truncates"):
        lower(graph(placeholder("x", [3]), node), None, ["y"])


def test_an_output_that_has_no_counterpart() -> None:
    statistics = [const(name, [1.0, 2.0]) for name in ("scale", "offset", "mean", "variance")]
    node = op("y", "FusedBatchNormV3", "x", "scale", "offset", "mean", "variance", U=FLOAT32, is_training=False)
    source = graph(placeholder("x", [1, 1, 1, 2]), *statistics, node, op("z", "Relu", "y:3"))
    with pytest.raises(UnsupportedError, match="z: its input y:3 has no counterpart in ONNX"):
        lower(source, None, ["z"])
    with pytest.raises(UnsupportedError, match="y:4: expected a value that ONNX can express"):
        lower(source, None, ["y:4"])


@pytest.mark.parametrize("lists", [{"strides": [1]}, {"strides": []}, {"strides": [1, 0, 0, 1]}])
def test_attributes_that_make_no_sense(lists: dict[str, list[int]]) -> None:
    kernel = const("kernel", np.ones([2, 2, 3, 2]))
    conv = op("y", "Conv2D", "x", "kernel", padding="SAME", **lists)
    with pytest.raises((GraphError, UnsupportedError), match=r"^y: expected "):
        lower(graph(placeholder("x", [1, 4, 4, 3]), kernel, conv), None, ["y"])


# --- inputs and outputs -----------------------------------------------------------------------------


def chain() -> Graph:
    return graph(
        placeholder("x", [None, 4]),
        placeholder("unused", [2]),
        op("a", "Relu", "x"),
        op("b", "Exp", "a"),
        op("c", "Neg", "b"),
    )


def test_inputs_are_all_placeholders_that_are_needed() -> None:
    model = model_of(lower(chain(), None, ["c"]))
    assert [item.name for item in model.graph.input] == ["x:0"]
    assert [item.name for item in model.graph.output] == ["c:0"]


def test_inputs_keep_the_order_that_was_asked_for() -> None:
    model = model_of(lower(chain(), ["unused", "x:0"], ["c:0", "a"]))
    assert [item.name for item in model.graph.input] == ["unused:0", "x:0"]
    assert [item.name for item in model.graph.output] == ["c:0", "a:0"]


def test_a_graph_may_be_cut_anywhere() -> None:
    found = lower(chain(), ["b"], ["c"])
    model = model_of(found)
    assert ops_of(found) == ["Neg"]
    assert [item.name for item in model.graph.input] == ["b:0"]
    assert [d.dim_value or d.dim_param for d in model.graph.input[0].type.tensor_type.shape.dim] == ["b_dim0", 4]
    np.testing.assert_array_equal(run_graph(found, {"b:0": X})["c:0"], -X)


def test_a_cut_at_one_output_of_several() -> None:
    parts = op("parts", "Split", "axis", "x", num_split=2)
    source = graph(
        placeholder("x", [3, 4]), const("axis", 1, "int32"), parts, op("sum", "AddV2", "parts", "parts:1")
    )  # fmt: skip
    found = run_graph(lower(source, ["parts:1", "x"], ["sum"]), {"parts:1": X[:, 2:], "x:0": X})
    np.testing.assert_array_equal(found["sum:0"], X[:, :2] + X[:, 2:])
    left, right = X[:, :2], X[:, 2:]
    found = run_graph(lower(source, ["parts", "parts:1"], ["sum"]), {"parts:0": right, "parts:1": left})
    np.testing.assert_array_equal(found["sum:0"], left + right)


def test_placeholders_that_are_missing() -> None:
    with pytest.raises(GraphError) as caught:
        lower(chain(), ["unused"], ["c"])
    assert str(caught.value) == (
        "the graph: expected all placeholders that the outputs need among the inputs, got none of: x"
    )
    with pytest.raises(GraphError, match="^expected nodes of the graph, got none of the name: 'nothing'$"):
        lower(chain(), ["nothing"], ["c"])
    with pytest.raises(GraphError, match="^c:1: expected an output of Neg, which has 1$"):
        lower(chain(), None, ["c:1"])


def test_public_names() -> None:
    model = model_of(lower(chain(), {"pictures": "x"}, {"scores": "c", "again": "c:0", "same": "x:0"}))
    assert [item.name for item in model.graph.input] == ["pictures"]
    assert [item.name for item in model.graph.output] == ["scores", "again", "same"]
    found = run_graph(lower(chain(), {"pictures": "x"}, {"scores": "c", "same": "x"}), {"pictures": X})
    np.testing.assert_array_equal(found["same"], X)
    np.testing.assert_allclose(found["scores"], -np.exp(X), rtol=1e-6)


def test_a_graph_without_inputs() -> None:
    source = graph(const("a", [1.5, 2.0]), op("b", "AddV2", "a", "a"))
    found = lower(source, [], ["b"])
    assert not model_of(found).graph.input
    np.testing.assert_array_equal(run_graph(found, {})["b:0"], [3, 4])


def default(shape: list[int]) -> Graph:
    node = Node("x", "PlaceholderWithDefault", ("d",), {"dtype": FLOAT32, "shape": Shape(tuple(shape))})
    return graph(const("d", [2.0, 3.0]), node, op("y", "Neg", "x"))


def test_a_placeholder_with_default_is_its_default_unless_it_is_an_input() -> None:
    np.testing.assert_array_equal(run_graph(lower(default([2]), None, ["y"]), {})["y:0"], [-2, -3])
    fed = lower(default([-1]), ["x"], ["y"])
    np.testing.assert_array_equal(run_graph(fed, {"x:0": X[0]})["y:0"], -X[0])


def test_shapes_of_inputs_may_be_given() -> None:
    source = graph(placeholder("x"), op("y", "Relu", "x"))
    model = model_of(lower(source, None, ["y"], input_shapes={"x:0": ["batch", 4, None]}))
    for item in (model.graph.input[0], model.graph.output[0]):
        assert [d.dim_value or d.dim_param for d in item.type.tensor_type.shape.dim] == ["batch", 4, "x_dim2"]


def test_an_unknown_rank_has_no_shape() -> None:
    model = model_of(lower(graph(placeholder("x"), op("y", "Relu", "x")), None, ["y"]))
    assert not model.graph.input[0].type.tensor_type.HasField("shape")
    assert not model.graph.output[0].type.tensor_type.HasField("shape")


# --- names ------------------------------------------------------------------------------------------


def test_nodes_have_the_names_of_tensorflow() -> None:
    kernel = const("net/conv/kernel", np.ones([1, 1, 3, 2]))
    conv = op("net/conv", "Conv2D", "x", "net/conv/kernel", strides=[1, 1, 1, 1], padding="SAME")
    source = graph(placeholder("x", [1, 4, 4, 3]), kernel, conv, op("net/relu", "Relu", "net/conv"))
    found = lower(source, None, ["net/relu"])
    assert {node.name for node in found if node.op in ("Conv", "Relu")} == {"net/conv", "net/relu"}
    values = {value for node in model_of(found).graph.node for value in (*node.input, *node.output)}
    assert all(":" in value for value in values)


def test_helpers_do_not_take_names_that_tensorflow_uses() -> None:
    source = graph(
        placeholder("x", [3, 4]), op("y", "Rsqrt", "x"), op("y/Sqrt", "Neg", "x"), op("z", "AddV2", "y", "y/Sqrt")
    )  # fmt: skip
    found = lower(source, None, ["z"])
    assert found.nodes["y/Sqrt"].op == "Neg"
    assert found.nodes["y"].op == "Reciprocal"
    assert len(found.nodes) == len({node.name for node in found})
    expected = 1 / np.sqrt(X + 1) - (X + 1)
    np.testing.assert_allclose(run_graph(found, {"x:0": X + 1})["z:0"], expected, rtol=1e-6)


def test_weights_keep_their_names() -> None:
    nodes = [placeholder("x", [3, 4]), const("dense/kernel", np.ones([4, 2])), op("y", "MatMul", "x", "dense/kernel")]
    found = lower(graph(*nodes, op("z", "AddV2", "y", "y")), None, ["z"])
    assert [node.name for node in found if node.op == "Constant"] == ["dense/kernel"]


def test_equal_constants_are_shared() -> None:
    nodes = [
        placeholder("x", [3, 4]),
        const("a", 0.5),
        const("b", 0.5),
        op("y", "Mul", "x", "a"),
        op("z", "AddV2", "y", "b"),
    ]
    assert len([node for node in lower(graph(*nodes), None, ["z"]) if node.op == "Constant"]) == 1


# --- sizes ------------------------------------------------------------------------------------------


def reshapes(*parts: str | int) -> Graph:
    """x [batch, length, 6] reshaped to sizes taken from tf.shape, one by one and packed again."""
    nodes = [placeholder("x", [None, None, 6]), op("shape", "Shape", "x")]
    nodes += [const(f"c{i}", i, "int32") for i in (0, 1, 2)]
    for name, start in (("batch", 0), ("length", 1)):
        nodes += [const(f"from{start}", [start], "int32"), const(f"to{start}", [start + 1], "int32")]
        nodes.append(const(f"by{start}", [1], "int32"))
        spec = (f"from{start}", f"to{start}", f"by{start}")
        nodes.append(op(name, "StridedSlice", "shape", *spec, T=INT32, Index=INT32, shrink_axis_mask=1))
    nodes.append(op("both", "Mul", "batch", "length", T=INT32))
    names = []
    for part in parts:
        if isinstance(part, int):
            nodes.append(const(f"n{part}", part, "int32"))
        names.append(f"n{part}" if isinstance(part, int) else part)
    nodes.append(op("target", "Pack", *names, N=len(names), T=INT32, axis=0))
    nodes.append(op("y", "Reshape", "x", "target", Tshape=INT32))
    return graph(*{node.name: node for node in nodes}.values())


@pytest.mark.parametrize(
    ("parts", "shape", "ops"),
    [
        (("batch", "length", 6), (2, 5, 6), []),
        (("batch", "length", 2, 3), (2, 5, 2, 3), ["Reshape"]),
        (("both", 6), (10, 6), ["Reshape"]),
        (("batch", 30), (2, 30), ["Reshape"]),
        (("length", "batch", 6), (5, 2, 6), ["Shape", "Shape", "Concat", "Reshape"]),
        ((2, 3, "batch", "length"), (2, 3, 2, 5), ["Shape", "Concat", "Reshape"]),
        ((3, "both", 2), (3, 10, 2), ["Reshape"]),
    ],
)
def test_sizes_need_no_shape_arithmetic(parts: tuple[str | int, ...], shape: tuple[int, ...], ops: list[str]) -> None:
    found = lower(reshapes(*parts), None, ["y"])
    if ops:
        assert sorted(ops_of(found)) == sorted(ops)
    x = np.arange(60, dtype=np.float32).reshape(2, 5, 6)
    np.testing.assert_array_equal(run_graph(found, {"x:0": x})["y:0"], x.reshape(shape))


@pytest.mark.parametrize("opset", [13, 18])
def test_shape_arithmetic_as_a_result(opset: int) -> None:
    found = lower(reshapes("both", 6), None, ["target", "both", "shape"], opset=opset)
    values = run_graph(found, {"x:0": np.zeros([2, 5, 6], np.float32)}, opset)
    assert [values[name].tolist() for name in ("target:0", "both:0", "shape:0")] == [[10, 6], 10, [2, 5, 6]]
    assert {value.dtype for value in values.values()} == {np.dtype(np.int32)}


def test_sizes_are_read_once_for_the_whole_graph() -> None:
    source = reshapes("length", "batch", 6)
    unary = ("Relu", "Exp", "Neg", "Abs", "Tanh")
    more = [op(kind, kind, "x") for kind in unary]
    more += [op(f"y{kind}", "Reshape", kind, "target", Tshape=INT32) for kind in unary]
    ops = ops_of(lower(graph(*source.nodes.values(), *more), None, [f"y{kind}" for kind in unary]))
    assert ops.count("Reshape") == 5
    assert ops.count("Concat") == 1


def test_sizes_of_inner_values_that_nobody_knows() -> None:
    nodes = [
        placeholder("x", [None], "bool"), op("w", "Where", "x", T=BOOL), op("shape", "Shape", "w", T=INT64),
        const("two", 2.0), op("y", "Fill", "shape", "two", index_type=INT32),
    ]  # fmt: skip
    found = run_graph(lower(graph(*nodes), None, ["y"]), {"x:0": np.array([True, False, True])})
    np.testing.assert_array_equal(found["y:0"], [[2.0], [2.0]])


# --- element types ----------------------------------------------------------------------------------


def test_types_that_the_runtime_lacks_are_cast_around() -> None:
    source = graph(placeholder("x", [3], "float64"), op("y", "Erf", "x", T=FLOAT64))
    found = lower(source, None, ["y"])
    assert ops_of(found) == ["Cast", "Erf", "Cast"]
    assert run_graph(found, {"x:0": np.array([0, 1, -1.0])})["y:0"].dtype == np.float64


def test_types_that_it_has_are_not() -> None:
    source = graph(placeholder("x", [3], "float64"), op("y", "Exp", "x", T=FLOAT64))
    assert ops_of(lower(source, None, ["y"])) == ["Exp"]


@pytest.mark.parametrize("name", ["int8", "uint8", "int16", "uint16", "uint32", "uint64", "int64"])
def test_narrow_integers_wrap_around(name: str) -> None:
    x = np.array([np.iinfo(name).max, 1, 0], name)
    source = graph(placeholder("x", [3], name), op("y", "AddV2", "x", "x", T=dtype(name)))
    np.testing.assert_array_equal(run_graph(lower(source, None, ["y"]), {"x:0": x})["y:0"], x + x)


def test_a_lowering_that_makes_another_type_than_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    broken: OpTable[Any] = OpTable("lowering")
    broken.add("Relu", lambda node, g, x: g.cast(x, FLOAT64))
    monkeypatch.setattr("tensorferry.converters.lowering.engine.lowerings", lambda: broken)
    with pytest.raises(GraphError, match="y: expected float32 of Relu, got float64"):
        lower(graph(placeholder("x", [3]), op("y", "Relu", "x")), None, ["y"])


def test_lists_of_attributes_are_understood() -> None:
    node = op("y", "Squeeze", "x", squeeze_dims=[0, -1])
    source = graph(placeholder("x", [1, 3, 1]), node)
    assert isinstance(node.attrs["squeeze_dims"], AttrList)
    assert run_graph(lower(source, None, ["y"]), {"x:0": np.zeros([1, 3, 1], np.float32)})["y:0"].shape == (3,)


# --- more lowerings ---------------------------------------------------------------------------------

OWN: OpTable[Any] = OpTable("lowering")


@OWN.op("MyScale", attrs={"factor"})
def my_scale(node: OpNode, g: Builder, x: Value) -> Value:
    """What a package with an op of its own writes."""
    return g.op("Mul", x, g.scalar(node.real("factor"), like=x))


def test_an_installed_package_adds_lowerings(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        def load(self) -> OpTable[Any]:
            return OWN

    monkeypatch.setattr(
        "tensorferry.converters.lowering.engine.entry_points",
        lambda group: [Entry()] if group == "tensorferry.lowerings" else [],
    )
    lowerings.cache_clear()
    try:
        nodes = [placeholder("x", [3, 4]), Node("s", "MyScale", ("x",), {"factor": 2.5}), op("y", "Neg", "s")]
        found = lower(graph(*nodes), None, ["y"])
    finally:
        monkeypatch.undo()
        lowerings.cache_clear()
    np.testing.assert_array_equal(run_graph(found, {"x:0": X})["y:0"], X * -2.5)


def test_passes_can_be_left_out() -> None:
    kernel = const("kernel", np.ones([1, 1, 3, 2]))
    conv = op("y", "Conv2D", "x", "kernel", padding="SAME", strides=[1, 1, 1, 1])
    source = graph(placeholder("x", [1, 4, 4, 3]), kernel, conv, op("z", "Relu", "y"), op("zz", "Relu", "y"))
    assert ops_of(lower(source, None, ["z", "zz"])).count("Relu") == 1
    assert ops_of(lower(source, None, ["z", "zz"], without=["duplicates"])).count("Relu") == 2
