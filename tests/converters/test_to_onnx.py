"""ModelProtos: names, versions, types, weights in and outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from tensorferry.converters.ir import AttrList, Graph, Node, Placeholder, Shape
from tensorferry.converters.lowering import lower, newest_opset
from tensorferry.converters.to_onnx import tensor_proto, to_model_proto, to_onnx_model
from tensorferry.formats.dtype import DTYPES, FLOAT32, RESOURCE, STRING_TYPE
from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.onnx_file import write_onnx
from tensorferry.formats.tensor import ArrayTensor, SplatTensor

from .graph_text import const, graph, op, placeholder
from .onnx_model import run_model


def dense(opset: int = 18) -> Graph:
    nodes = [
        placeholder("x", [None, 4]), const("kernel", np.arange(8).reshape(4, 2)), const("bias", [1.0, -1.0]),
        op("product", "MatMul", "x", "kernel"), op("dense", "BiasAdd", "product", "bias"),
    ]  # fmt: skip
    return lower(graph(*nodes), None, {"scores": "dense"}, opset=opset)


def test_a_model() -> None:
    model = to_model_proto(dense(), 18, {"source": "model.ckpt"})
    assert model.producer_name == "tensorferry"
    assert model.producer_version == "" or model.producer_version[0].isdigit()
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 18)]
    assert {item.key: item.value for item in model.metadata_props} == {"source": "model.ckpt"}
    (node,) = model.graph.node
    assert (node.name, node.op_type, list(node.input), list(node.output)) == (
        "dense", "Gemm", ["x:0", "kernel:0", "bias:0"], ["scores"],
    )  # fmt: skip
    assert {item.name for item in model.graph.initializer} == {"kernel:0", "bias:0"}
    found = run_model(model, {"x:0": np.ones([1, 4], np.float32)})
    np.testing.assert_array_equal(found["scores"], [[13, 15]])


@pytest.mark.parametrize(
    ("opset", "ir"), [(13, 7), (14, 7), (15, 8), (18, 8), (19, 9), (20, 9), (21, 10), (22, 10), (23, 11), (24, 12)]
)
def test_the_ir_version_is_the_lowest_that_fits(opset: int, ir: int) -> None:
    if opset <= newest_opset():
        model = to_model_proto(dense(opset), opset)
        assert model.ir_version == ir
        onnx.checker.check_model(model, full_check=True)


def test_weights_stay_outside_for_the_writer(tmp_path: Path) -> None:
    model, weights = to_onnx_model(dense(), 18)
    assert not model.graph.initializer
    assert {name: tensor.shape for name, tensor in weights.items()} == {"kernel:0": (4, 2), "bias:0": (2,)}
    path = tmp_path / "dense.onnx"
    write_onnx(path, model, weights)
    assert onnx.load(path).graph.node == to_model_proto(dense(), 18).graph.node
    onnx.checker.check_model(str(path), full_check=True)


def test_too_many_weights_for_one_message() -> None:
    big = SplatTensor(np.array(1, np.float32), (1 << 29,), FLOAT32)
    source = Graph({"w": Node("w", "Constant", (), {"value": big})}, dialect="onnx")
    with pytest.raises(UnsupportedError, match="the model: expected weights below 2 GiB, got 2147483648 bytes"):
        to_model_proto(source, 18)


def border(name: str, value: str | None = None, public: str | None = None) -> Node:
    attrs = {"name": (public or name).encode(), "dtype": FLOAT32, "shape": Shape((2,))}
    return Node(name, "Output" if value else "Input", (value,) if value else (), attrs)


def onnx_graph(*nodes: Node) -> Graph:
    return Graph.of(nodes, like=Graph(dialect="onnx"))


def test_names_inside_step_aside_for_names_outside() -> None:
    """An inner value is called as some output is: the output has the right to it."""
    source = onnx_graph(
        border("x"),
        Node("a", "Neg", ("x:0",)),
        Node("b", "Exp", ("a:0",)),
        border("o", "b:0", "a:0"),
        border("p", "a:0", "q"),
    )
    model = to_model_proto(source, 18)
    assert [(node.name, list(node.output)) for node in model.graph.node] == [("a", ["q"]), ("b", ["a:0"])]
    found = run_model(model, {"x": np.zeros(2, np.float32)})
    np.testing.assert_array_equal(found["a:0"], [1, 1])


def test_an_input_or_a_constant_as_an_output_goes_through_an_identity() -> None:
    source = onnx_graph(
        border("x"),
        Node("c", "Constant", (), {"value": ArrayTensor(np.ones(2, np.float32))}),
        border("o", "x:0", "same"),
        border("p", "c:0", "c:0"),
    )
    model = to_model_proto(source, 18)
    assert [node.op_type for node in model.graph.node] == ["Identity", "Identity"]
    assert [item.name for item in model.graph.initializer] == ["c:0/inner"]
    onnx.checker.check_model(model, full_check=True)


def test_one_name_for_two() -> None:
    source = onnx_graph(border("x", public="y"), Node("a", "Neg", ("x:0",)), border("o", "a:0", "y"))
    with pytest.raises(GraphError) as caught:
        to_model_proto(source, 18)
    assert str(caught.value) == "the graph: expected inputs and outputs of different names, got y twice"


def test_attributes() -> None:
    body = onnx_graph(Node("c", "Capture", (), {"index": 0}), Node("n", "Neg", ("c:0",)))
    attrs = {
        "flag": True, "count": 3, "share": 0.5, "text": b"abc", "to": DTYPES["bfloat16"],
        "ints": AttrList("int", (1, 2)),
        "floats": AttrList("float", (1.5,)), "texts": AttrList("bytes", (b"a",)), "_outputs": 2, "body": body,
        "_captures": 1,
        "value": ArrayTensor(np.array([1, 2], np.int64)),
    }  # fmt: skip
    model = to_model_proto(onnx_graph(border("x"), Node("n", "custom::Op", ("x:0",), attrs)), 18)
    (node,) = model.graph.node
    assert (node.domain, node.op_type, list(node.output)) == ("custom", "Op", ["n:0", "n:1"])
    assert {item.domain for item in model.opset_import} == {"", "custom"}
    found = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    assert onnx.numpy_helper.to_array(found.pop("value")).tolist() == [1, 2]
    inner = found.pop("body").node[0]
    assert (inner.op_type, list(inner.input)) == ("Neg", ["x"])
    assert not node.input
    assert found == {
        "flag": 1, "count": 3, "share": 0.5, "text": b"abc", "to": onnx.TensorProto.BFLOAT16, "ints": [1, 2],
        "floats": [1.5], "texts": [b"a"],
    }  # fmt: skip


def test_weights_of_bodies() -> None:
    """Large ones are the model's, whoever uses them; small ones stay where they are."""
    large, small = ArrayTensor(np.zeros(2000, np.float32)), ArrayTensor(np.ones(2, np.float32))

    def body(title: str) -> Graph:
        weights = [Node(f"{title}_w", "Constant", (), {"value": large}), Node("s", "Constant", (), {"value": small})]
        sums = [Node(f"{title}_sum", "Add", (f"{title}_w:0", "s:0"))]
        return onnx_graph(*weights, *sums, border(f"{title}_out", f"{title}_sum:0"))

    node = Node("if", "If", ("p:0",), {"then_branch": body("a"), "else_branch": body("b")})
    other = Node("other", "If", ("p:0",), {"then_branch": body("c"), "else_branch": body("d")})
    model = to_model_proto(onnx_graph(border("p"), node, other), 18)
    (weight,) = (item.name for item in model.graph.initializer)
    for each in model.graph.node:
        for attribute in each.attribute:
            assert [item.name for item in attribute.g.initializer] == ["s:0"]
            assert attribute.g.node[0].input[0] == weight


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (Node("n", "Neg", (), {"odd": Placeholder("T")}), "n: expected an attribute 'odd' that ONNX has a form for"),
        (Node("n", "Constant", (), {"value": 3}), "n: expected a tensor in attribute 'value'"),
        (Node("n", "Input", (), {"name": 3}), "n: expected a name in attribute 'name'"),
        (
            Node("n", "Input", (), {"name": b"n", "dtype": 1, "shape": Shape()}),
            "n: expected a type and a shape of an input or output",
        ),
    ],
)
def test_graphs_that_are_none(node: Node, message: str) -> None:
    with pytest.raises(GraphError) as caught:
        to_model_proto(onnx_graph(node), 18)
    assert str(caught.value).startswith(message)


def test_types_without_a_counterpart() -> None:
    node = Node("x", "Input", (), {"name": b"x", "dtype": RESOURCE, "shape": Shape()})
    with pytest.raises(UnsupportedError, match="has no element type resource"):
        to_model_proto(onnx_graph(node), 18)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, -2]], np.float32), np.array(7, np.int64), np.zeros((0, 3), np.uint8), np.array([True, False]),
        np.array([1.5], np.float16),
    ],
)  # fmt: skip
def test_tensors(array: np.ndarray) -> None:  # type: ignore[type-arg]
    back = onnx.numpy_helper.to_array(tensor_proto(ArrayTensor(array), "t"))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_strings_and_narrow_integers() -> None:
    texts = np.array([b"a", b"\xc3\xa4"], object)
    assert list(tensor_proto(ArrayTensor(texts, STRING_TYPE)).string_data) == [b"a", b"\xc3\xa4"]
    narrow = np.array([1, -2, 7], DTYPES["int4"].numpy())
    assert tensor_proto(ArrayTensor(narrow, DTYPES["int4"])).raw_data == bytes([0xE1, 0x07])
