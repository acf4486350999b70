"""What single lowerings refuse, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from tensorferry.converters.ir import AttrList, Node
from tensorferry.converters.lowering import lower
from tensorferry.formats.errors import UnsupportedError

from ..graph_text import const, dtype, graph, op, placeholder

I32 = {"T": dtype("int32")}


def untyped(name: str, kind: str, *inputs: str, **attrs: Any) -> Node:
    """A node of an op without a type T."""
    node = op(name, kind, *inputs, **attrs)
    return node.with_(attrs={key: value for key, value in node.attrs.items() if key != "T"})


def texts(*values: str) -> AttrList:
    return AttrList("bytes", tuple(value.encode() for value in values))


CASES: dict[str, tuple[Node, list[Node], str]] = {
    "set operation": (
        op("y", "DenseToDenseSetOperation", "a", "a", **I32, set_operation="xor"),
        [placeholder("a", [2, 3], "int32")],
        "expected union, intersection, a-b or b-a, got xor",
    ),
    "encoding": (
        untyped("y", "StringLower", "a", encoding="latin1"),
        [placeholder("a", [2], "string")],
        "expected the encoding utf-8 or none, got latin1",
    ),
    "width of texts": (
        op("y", "AsString", "a", **I32, width=4),
        [placeholder("a", [2], "int32")],
        "expected texts of no particular width",
    ),
    "fractions as texts": (
        op("y", "AsString", "a"),
        [placeholder("a", [2])],
        "ONNX does not say how float32 is written: expected whole numbers or truths",
    ),
    "number of strings to join": (
        untyped("y", "ReduceJoin", "a", "axes"),
        [placeholder("a", [2, None], "string"), const("axes", [1], "int32")],
        "expected to join a known number of strings",
    ),
    "separator": (
        untyped("y", "StringSplitV2", "a", "b"),
        [placeholder("a", [2], "string"), placeholder("b", [], "string")],
        "expected a constant separator, got a computed one",
    ),
    "real matrices": (
        op("y", "MatrixInverse", "a", T=dtype("complex64")),
        [placeholder("a", [3, 3], "complex64")],
        "expected real matrices, got complex64",
    ),
    "rank of matrices": (
        op("y", "MatrixInverse", "a"),
        [placeholder("a", [3])],
        "expected matrices, got a value of 1 dimensions",
    ),
    "ranks of both sides": (
        op("y", "MatrixTriangularSolve", "a", "b"),
        [placeholder("a", [3, 3]), placeholder("b", [2, 3, 1])],
        "expected as many dimensions of both sides",
    ),
    "rank of a sparse tensor": (
        untyped("y", "SparseReshape", "a", "b", "c"),
        [placeholder("a", None, "int64"), placeholder("b", [None], "int64"), const("c", [4], "int64")],
        "expected a sparse tensor of known rank",
    ),
    "rank of a sparse tensor's rows": (
        op("y", "SparseFillEmptyRows", "a", "b", "c", "d"),
        [
            placeholder("a", [None, None], "int64"),
            placeholder("b", [None]),
            placeholder("c", [None], "int64"),
            placeholder("d", []),
        ],
        "expected a sparse tensor of known rank",
    ),
    "rank of a new shape": (
        untyped("y", "SparseReshape", "a", "b", "c"),
        [placeholder("a", [None, 2], "int64"), const("b", [2, 2], "int64"), placeholder("c", [None], "int64")],
        "expected a new shape of known rank",
    ),
    "ragged rows": (
        op(
            "y", "RaggedTensorToTensor", "a", "b", "c", "d",
            Tindex=dtype("int64"), Tshape=dtype("int64"), num_row_partition_tensors=1,
            row_partition_types=texts("VALUE_ROWIDS"),
        ),
        [const("a", [-1, -1], "int64"), placeholder("b", [None]), const("c", 0.0), placeholder("d", [None], "int64")],
        "expected row splits, or rows of values and their number, got VALUE_ROWIDS",
    ),
    "size of a picture": (
        op("y", "ResizeArea", "a", "b"),
        [placeholder("a", [1, None, None, 3]), const("b", [4, 4], "int32")],
        "expected a picture of known size",
    ),
    "sizes of a layout": (
        op("y", "DataFormatVecPermute", "a", **I32),
        [placeholder("a", [3], "int32")],
        "expected a size for each letter of NHWC",
    ),
    "attempts at a crop": (
        op("y", "SampleDistortedBoundingBox", "a", "b", **I32, max_attempts=0),
        [placeholder("a", [3], "int32"), placeholder("b", [1, 1, 4])],
        "expected 1 to 10000 attempts and ranges of two numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_refused(name: str) -> None:
    node, others, message = CASES[name]
    opset = 20 if node.op in ("StringSplitV2", "ReduceJoin") else 18
    with pytest.raises(UnsupportedError, match=f"^y: {message}"):
        lower(graph(*others, node), None, ["y"], opset=opset)


@pytest.mark.parametrize(
    ("node", "op_of_onnx"),
    [
        (untyped("y", "StringJoin", "a", "a", N=2), "StringConcat"),
        (untyped("y", "StaticRegexFullMatch", "a", pattern="a"), "RegexFullMatch"),
    ],
)
def test_texts_that_need_a_newer_opset(node: Node, op_of_onnx: str) -> None:
    with pytest.raises(UnsupportedError, match=f"y: opset 18 has no op {op_of_onnx}.*choose a newer opset"):
        lower(graph(placeholder("a", [2], "string"), node), None, ["y"])


def test_older_opsets_scatter_no_sums() -> None:
    attrs: dict[str, Any] = {"Tindices": dtype("int64")}
    nodes = [placeholder("a", [4]), placeholder("i", [2, 1], "int64"), placeholder("b", [2])]
    with pytest.raises(UnsupportedError, match="y: opset 15 can't scatter with add.*choose opset 18"):
        lower(graph(*nodes, op("y", "TensorScatterAdd", "a", "i", "b", **attrs)), None, ["y"], opset=15)
