"""Inference: against TensorFlow's own, against every recorded answer, and on what it says of symbols."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.inference import infer, rules
from tensorferry.converters.inference.values import Value
from tensorferry.converters.ir import AttrList, Graph, Node, Shape, value_name
from tensorferry.converters.op_registry import op_defs, type_attrs
from tensorferry.formats.dtype import BOOL, FLOAT32, INT32, INT64
from tensorferry.formats.errors import GraphError

from ...fixture import FIXTURES, graph_def
from ..graph_text import const, graph, op, placeholder
from ..test_kernels import CASES, expected_outputs, recorded


def test_every_rule_declares_attributes_of_registered_ops() -> None:
    table = rules()
    assert len(table) > 300
    for name in table:
        assert name in op_defs(), name


def test_rules_declare_only_attributes_that_some_op_of_theirs_has() -> None:
    table = rules()
    for name in set(table) & set(op_defs()):
        known = {attr.name for attr in op_defs()[name].attr}
        siblings = [other for other in table if table._handlers[other] is table._handlers[name] and other in op_defs()]
        assert table._attrs[name] <= {attr.name for other in siblings for attr in op_defs()[other].attr}, name
        for attr in op_defs()[name].attr:
            undeclared = attr.name in known - table._attrs[name] - type_attrs(name)
            assert not undeclared or attr.HasField("default_value"), (name, attr.name)


def agrees(dims: Any, shape: tuple[int, ...]) -> bool:
    """Whether a shape may be what inference says it is."""
    if dims is None:
        return True
    return len(dims) == len(shape) and all(not isinstance(d, int) or d == n for d, n in zip(dims, shape, strict=True))


def fed(source: Graph, node: Node, shapes: str) -> Graph:
    """One recorded op on placeholders instead of constants: of known shapes, of known ranks, of none."""
    nodes = []
    for value in dict.fromkeys(value_name(v) for v in node.data_inputs):
        array = source.producer(value).attrs["value"]
        dims: Any = {"known": array.shape, "ranks": [None] * array.rank, "nothing": None}[shapes]  # type: ignore[union-attr]
        nodes.append(placeholder(value.removesuffix(":0"), dims, array.dtype.name))  # type: ignore[union-attr]
    return graph(*nodes, node)


def constants(source: Graph, node: Node) -> list[Node]:
    """The constants that a recorded op is fed with."""
    return list({value_name(value): source.producer(value) for value in node.data_inputs}.values())


RECORDED = [
    pytest.param(path, name, id=f"{path.stem}-{name}")
    for path, name in (case.values for case in CASES)
    if recorded(path).nodes[f"{name}/op"].op in rules()  # type: ignore[arg-type]
]


SCALARS_OF_SHAPES = ("Equal_3", "NotEqual_2")
"""Comparisons of shapes that can't be broadcast, which are a scalar: only known sizes tell."""


@pytest.mark.parametrize(("path", "name"), RECORDED)
def test_no_rule_contradicts_tensorflow(path: Path, name: str) -> None:
    source = recorded(path)
    node = source.nodes[f"{name}/op"]
    whole = graph(*constants(source, node), node)
    shapes = ("known",) if name in SCALARS_OF_SHAPES else ("known", "ranks", "nothing")
    for piece in (whole, *(fed(source, node, shape) for shape in shapes)):
        values = infer(piece)
        for value, expected in expected_outputs(source, name).items():
            found = values[value]
            assert (
                found.dtype.name == expected.dtype.name or expected.dtype == object or found.dtype.kind == "quantized"
            )
            assert agrees(found.dims, expected.shape), (found.dims, expected.shape)
            known = found.known_entries() if found.entries is not None else None
            if known is not None:
                assert all(
                    a is None or isinstance(a, str) or a == b for a, b in zip(known, expected.ravel(), strict=True)
                )
            if found.tensor is not None and expected.dtype.kind in "biu":
                np.testing.assert_array_equal(found.tensor.numpy(), expected)


SHAPES_OF_DATA = {
    "Where", "Unique", "UniqueWithCounts", "UniqueV2", "UniqueWithCountsV2", "ListDiff", "DynamicPartition",
    "SegmentSum", "SegmentProd", "SegmentMax", "SegmentMin", "SegmentMean", "SparseSegmentSum", "SparseSegmentMean",
    "SparseSegmentSqrtN", "NonMaxSuppression", "NonMaxSuppressionV2", "NonMaxSuppressionV3", "NonMaxSuppressionV4",
    "NonMaxSuppressionV5", "FusedBatchNormV3", "Einsum", "StringSplit", "StringSplitV2", "DenseToDenseSetOperation",
    "CTCGreedyDecoder", "SparseFillEmptyRows", "SparseSlice", "RaggedRange", "RaggedGather", "RaggedTensorToTensor",
    "DecodeRaw",
}  # fmt: skip
"""Ops whose results have sizes that only their data tell."""


@pytest.mark.parametrize(("path", "name"), RECORDED)
def test_of_known_inputs_the_shape_is_known(path: Path, name: str) -> None:
    source = recorded(path)
    node = source.nodes[f"{name}/op"]
    if node.op in SHAPES_OF_DATA:
        return
    values = infer(graph(*constants(source, node), node))
    for value, expected in expected_outputs(source, name).items():
        assert values[value].dims == expected.shape


@pytest.mark.parametrize("name", ["encoder", "mnist", "add", "ema"])
def test_at_least_as_precise_as_tensorflow(name: str) -> None:
    """TensorFlow writes what it inferred into every .meta."""
    source = from_graph_def(graph_def(FIXTURES[name].graph), name)
    values = infer(source)
    compared = 0
    for node in source:
        noted = node.attrs.get("_output_shapes")
        for index, shape in enumerate(noted.items if isinstance(noted, AttrList) else ()):
            found = values.get(f"{node.name}:{index}")
            if not isinstance(shape, Shape) or shape.dims is None or found is None or node.op not in rules():
                continue
            compared += 1
            assert found.dims is not None, node
            assert len(found.dims) == len(shape.dims), node
            for ours, theirs in zip(found.dims, shape.dims, strict=True):
                assert theirs < 0 or ours == theirs, node
    assert compared > 10


def test_sizes_of_inputs_are_followed_through_shape_arithmetic() -> None:
    source = from_graph_def(graph_def(FIXTURES["encoder"].frozen["raw"]), "encoder")
    values = infer(source)
    assert values["ids:0"].dims == ("ids_dim0", "ids_dim1")
    assert values["bert/Reshape:0"].dims == ("ids_dim0*ids_dim1", 32)
    assert values["bert/encoder/layer_1/attention/self/Reshape/shape:0"].entries == ("ids_dim0", "ids_dim1", 4, 8)
    assert values["sequence_output:0"].dims == ("ids_dim0", "ids_dim1", 32)
    named = infer(source, {"ids:0": ["batch", "length"], "mask": ["batch", "length"]})
    assert named["pooled_output:0"].dims == ("batch", 32)
    fixed = infer(source, {"ids": [2, 7]})
    assert fixed["sequence_output:0"].dims == (2, 7, 32)


def test_symbols_have_one_meaning() -> None:
    found = infer(
        graph(
            placeholder("a/b", [None]),
            placeholder("a_b", [None, 3]),
            placeholder("c", None),
            op("twice", "ConcatV2", "a/b", "a/b", "zero", N=2, Tidx=INT32),
            const("zero", 0, "int32"),
            op("shape", "Shape", "c"),
        )
    )
    assert found["a/b:0"].dims == ("a_b_dim0",)
    assert found["a_b:0"].dims == ("a_b_dim0_2", 3)
    assert found["twice:0"].dims == ("2*a_b_dim0",)
    assert found["c:0"].dims is None
    assert found["shape:0"].dims == ("shape_dim0",)


def test_names_of_dimensions_are_kept() -> None:
    node = Node("x", "Placeholder", (), {"dtype": FLOAT32, "shape": Shape((-1, 3, -1), ("batch", "", ""))})
    assert infer(graph(node))["x:0"].dims == ("batch", 3, "x_dim2")


def test_what_no_rule_knows_has_a_type_and_maybe_a_hint() -> None:
    noted = AttrList("shape", (Shape((2, -1)),))
    nodes = [
        placeholder("x", [2, 2]),
        op("qr", "Qr", "x", _output_shapes=AttrList("shape", (Shape((2, -1)), Shape()))),
        op("same", "Relu", "qr", _output_shapes=noted),
        Node("odd", "NobodyKnows", ("x",)),
        op("after", "Relu", "odd"),
    ]
    found = infer(graph(*nodes))
    assert found["qr:0"].dims == (2, "qr_dim1")
    assert found["qr:1"] == Value(FLOAT32)
    assert found["same:0"].dims == (2, "qr_dim1")
    assert "odd:0" not in found
    assert found["after:0"] == Value(FLOAT32)
    assert infer(graph(*nodes), {"x": [4, 4]})["qr:0"].dims is None


def test_the_rule_is_believed_over_the_hint() -> None:
    noted = AttrList("shape", (Shape((7, 7)),))
    found = infer(graph(placeholder("x", [2, 3]), op("y", "Relu", "x", _output_shapes=noted)))
    assert found["y:0"].dims == (2, 3)


@pytest.mark.parametrize("producer", [21, 22])
def test_in_old_graphs_a_scalar_placeholder_has_any_shape(producer: int) -> None:
    from tensorferry.formats import protos

    message = protos.GraphDef()
    message.versions.producer = producer
    node = message.node.add(name="x", op="Placeholder")
    node.attr["dtype"].type = 1
    node.attr["shape"].shape.SetInParent()
    assert infer(from_graph_def(message))["x:0"].dims == (None if producer == 21 else ())


def test_small_constants_are_computed() -> None:
    found = infer(graph(const("x", [1.5, 2.5]), op("y", "Floor", "x"), op("t", "Greater", "y", "x")))
    tensor = found["y:0"].tensor
    assert tensor is not None
    assert tensor.numpy().tolist() == [1.0, 2.0]
    assert found["t:0"].dtype == BOOL


def test_random_numbers_are_not_constants() -> None:
    uniform = op("y", "RandomUniform", "shape", T=INT32, dtype=FLOAT32)
    stateless = op("z", "StatelessRandomUniform", "shape", "seed", T=INT32, Tseed=INT64, dtype=FLOAT32)
    found = infer(graph(const("shape", [2], "int32"), const("seed", [1, 2], "int64"), uniform, stateless))
    assert found["y:0"] == Value(FLOAT32, (2,))
    assert found["z:0"] == Value(FLOAT32, (2,))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([op("y", "MatMul", "x", "x")], "y: expected an input of 2 dimensions, got 3"),
        ([op("y", "Relu", "x", "x")], "y: expected 1 inputs of Relu, got 2"),
        ([op("y", "Sum", "x", "axis", Tidx=INT32)], "y: expected an axis of 3 dimensions, got 5"),
        ([op("y", "Transpose", "x", "axis", Tperm=INT32)], "y: expected a permutation of 3 dimensions, got [5]"),
        ([op("y", "ConcatV2", "x", "v", "axis", N=2, Tidx=INT32)], "y: expected inputs of one rank, got [3, 1]"),
        ([op("y", "Relu", "axis")], "y: expected input 0 of Relu to be float32, got int32"),
        (
            [
                op("y", "AvgPool", "x4", ksize=[1, 5, 1, 1], strides=[1, 1, 1, 1], padding="VALID"),
                placeholder("x4", [1, 2, 2, 1]),
            ],
            "y: expected AvgPool to make a shape of sizes, got [1, -2, 2, 1]",
        ),
        (
            [op("y", "Conv2D", "x4", "x4", strides=[1], padding="VALID"), placeholder("x4", [1, 2, 2, 1])],
            "y: expected attributes and inputs that Conv2D can work on, got ones that fail: tuple index out of range",
        ),
        ([op("y", "Relu", "z")], "y: expected its input 'z' in the graph, got none of that name"),
    ],
)
def test_graphs_that_contradict_themselves(nodes: list[Node], message: str) -> None:
    given = (placeholder("x", [2, 3, 4]), placeholder("v", [4]), const("axis", 5, "int32"))
    with pytest.raises(GraphError) as caught:
        infer(graph(*given, *nodes))
    assert str(caught.value) == message


def test_integers_beyond_their_type_are_unknown() -> None:
    found = infer(
        graph(const("x", [2**31 - 1], "int32"), placeholder("y", [1], "int32"), op("z", "AddV2", "x", "x", T=INT32))
    )
    tensor, entries = found["z:0"].tensor, found["z:0"].entries
    assert entries in (None, (None,))
    assert tensor is None or tensor.numpy().tolist() == [-2]
