"""Expected values: what TensorFlow's documentation and source say of these ops, by hand."""

import pytest

from tensorferry.converters.ir import AttrList, Node
from tensorferry.converters.op_registry import (
    attr_defaults,
    attr_value,
    input_dtypes,
    op_defs,
    output_arguments,
    output_dtypes,
    type_attrs,
)
from tensorferry.formats.dtype import BOOL, FLOAT32, FLOAT64, INT32, INT64, STRING_TYPE
from tensorferry.formats.errors import GraphError

from ..fixture import GRAPH_FILES, graph_def


def test_it_is_the_union_of_two_tensorflows():
    assert len(op_defs()) > 2000
    # of both; of 2.21 alone; of 1.15 alone, from its contrib
    assert {"MatMul", "StatefulPartitionedCall", "XlaSparseDenseMatmul", "GatherTree", "Resampler"} <= set(op_defs())


def test_there_is_no_documentation_text():
    texts = [text for op in op_defs().values() for text in (op.summary, op.description)]
    texts += [item.description for op in op_defs().values() for item in (*op.attr, *op.input_arg, *op.output_arg)]
    assert set(texts) == {""}


@pytest.mark.parametrize("path", GRAPH_FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_it_has_every_op_of_every_graph(path):
    message = graph_def(path)
    functions = {function.signature.name for function in message.library.function}
    assert {node.op for node in message.node} - functions <= set(op_defs())


@pytest.mark.parametrize(
    ("op", "defaults"),
    [
        ("MatMul", {"transpose_a": False, "transpose_b": False}),
        ("ConcatV2", {"Tidx": INT32}),
        ("Squeeze", {"squeeze_dims": AttrList()}),
        ("LeakyRelu", {"alpha": pytest.approx(0.2), "T": FLOAT32}),
        ("Conv2D", {"data_format": b"NHWC", "dilations": AttrList("int", (1, 1, 1, 1)), "use_cudnn_on_gpu": True}),
    ],
)
def test_defaults(op, defaults):
    assert attr_defaults(op).items() >= defaults.items()


def test_an_op_of_nobody_has_no_defaults():
    assert attr_defaults("MyOp") == {}
    assert type_attrs("MyOp") == frozenset()


def test_the_node_comes_before_the_default():
    assert attr_value(Node("m", "MatMul", (), {"transpose_a": True}), "transpose_a") is True
    assert attr_value(Node("m", "MatMul"), "transpose_a") is False
    assert attr_value(Node("m", "MatMul"), "T") is None


def test_type_attrs():
    assert type_attrs("ConcatV2") == {"N", "T", "Tidx"}
    assert type_attrs("IdentityN") == {"T"}
    assert type_attrs("MatMul") == {"T"}


@pytest.mark.parametrize(
    ("node", "inputs", "outputs"),
    [
        (Node("n", "MatMul", (), {"T": FLOAT64}), (FLOAT64,) * 2, (FLOAT64,)),
        (Node("n", "Equal", (), {"T": INT64}), (INT64,) * 2, (BOOL,)),
        (Node("n", "ConcatV2", (), {"N": 3, "T": FLOAT32}), (FLOAT32,) * 3 + (INT32,), (FLOAT32,)),
        (Node("n", "ConcatV2", (), {"N": 1, "T": FLOAT32, "Tidx": INT64}), (FLOAT32, INT64), (FLOAT32,)),
        (Node("n", "IdentityN", (), {"T": AttrList("dtype", (INT32, BOOL))}), (INT32, BOOL), (INT32, BOOL)),
        (Node("n", "Split", (), {"num_split": 2, "T": FLOAT32}), (INT32, FLOAT32), (FLOAT32,) * 2),
        (Node("n", "NoOp"), (), ()),
        (Node("n", "ReadFile"), (STRING_TYPE,), (STRING_TYPE,)),
    ],
    ids=lambda item: item.op if isinstance(item, Node) else "",
)
def test_types_of_arguments(node, inputs, outputs):
    assert input_dtypes(node) == inputs
    assert output_dtypes(node) == outputs


def test_names_of_output_arguments():
    node = Node("n", "TopKV2", (), {"T": FLOAT32})
    assert output_arguments(node) == [("values", (FLOAT32,)), ("indices", (INT32,))]
    node = Node("n", "Split", (), {"num_split": 2, "T": FLOAT32})
    assert output_arguments(node) == [("output", (FLOAT32, FLOAT32))]


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (Node("n", "MyOp"), "n: expected an op that TensorFlow registers, got MyOp"),
        (Node("n", "MatMul"), "n: expected a type in MatMul's attribute 'T'"),
        (Node("n", "MatMul", (), {"T": 1}), "n: expected a type in MatMul's attribute 'T'"),
        (Node("n", "IdentityN", (), {"T": FLOAT32}), "n: expected a list of types in IdentityN's attribute 'T'"),
        (
            Node("n", "IdentityN", (), {"T": AttrList("int", (1,))}),
            "n: expected a list of types in IdentityN's attribute 'T'",
        ),
        (Node("n", "Split", (), {"T": INT32}), "n: expected a count in Split's attribute 'num_split', got None"),
        (
            Node("n", "Split", (), {"T": INT32, "num_split": -1}),
            "n: expected a count in Split's attribute 'num_split', got -1",
        ),
        (
            Node("n", "Split", (), {"T": INT32, "num_split": 1 << 40}),
            "n: expected a count in Split's attribute 'num_split', got 1099511627776",
        ),
    ],
    ids=lambda item: "" if isinstance(item, Node) else item,
)
def test_errors(node, message):
    with pytest.raises(GraphError) as error:
        output_dtypes(node)
    assert str(error.value) == message
