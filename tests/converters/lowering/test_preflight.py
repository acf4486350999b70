"""What has no lowering is said all at once, and where to cut instead; cutting there helps."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from tensorferry.converters.ir import Attr, AttrList, Graph, Node, Shape
from tensorferry.converters.lowering import lower
from tensorferry.formats.errors import UnsupportedError

from ..graph_text import const, dtype, graph, op, placeholder
from ..onnx_model import ops_of, run_graph

FLOAT: dict[str, Attr] = {"SrcT": dtype("uint8"), "DstT": dtype("float32")}


def refusal(given: Graph, outputs: Sequence[str]) -> UnsupportedError:
    with pytest.raises(UnsupportedError) as caught:
        lower(given, None, outputs)
    return caught.value


def suggested(error: UnsupportedError) -> list[str]:
    found = re.fullmatch(r"--inputs (\S+) leaves them out", error.hint)
    assert found is not None
    return found[1].split(",")


def head(*nodes: Node) -> Graph:
    """A decoded picture, made a batch and resized, into `scaled`, and then `nodes`."""
    return graph(
        placeholder("jpeg", [], "string"),
        Node("decoded", "DecodeJpeg", ("jpeg",), {"channels": 3}),
        Node("float", "Cast", ("decoded",), FLOAT),
        const("first", 0, "int32"),
        op("batch", "ExpandDims", "float", "first", Tdim=dtype("int32")),
        const("size", [4, 6], "int32"),
        op("resized", "ResizeBilinear", "batch", "size"),
        const("half", 0.5),
        op("scaled", "Mul", "resized", "half"),
        *nodes,
    )


def test_a_head_that_decodes_pictures_is_cut_where_the_size_is_known() -> None:
    error = refusal(head(), ["scaled"])
    assert str(error) == (
        "the graph: expected ops that ONNX can express, got 1 others: DecodeJpeg (1 node: decoded)"
        " (--inputs resized:0 leaves them out)"
    )
    lowered = lower(head(), suggested(error), ["scaled"])
    assert ops_of(lowered) == ["Mul"]
    picture = np.ones((1, 4, 6, 3), np.float32)
    assert (run_graph(lowered, {"resized:0": picture})["scaled:0"] == 0.5).all()


def test_without_a_known_size_it_is_cut_right_behind() -> None:
    given = head(op("mean", "Mean", "float", "first", Tidx=dtype("int32"), keep_dims=False))
    assert suggested(refusal(given, ["mean"])) == ["decoded:0"]


def test_a_value_that_others_take_too_is_cut_before_they_do() -> None:
    given = head(op("large", "Mul", "batch", "half"))
    assert suggested(refusal(given, ["scaled", "large"])) == ["decoded:0"]


def test_an_output_on_the_way_is_not_passed_by() -> None:
    assert suggested(refusal(head(), ["scaled", "float"])) == ["decoded:0"]


def test_batches_out_of_a_data_set() -> None:
    types = AttrList("dtype", (dtype("float32"), dtype("int64")))
    shapes = AttrList("shape", (Shape((-1, 3)), Shape((-1,))))
    given = graph(
        Node("iterator", "IteratorV2", (), {"output_types": types, "output_shapes": shapes}),
        Node("next", "IteratorGetNext", ("iterator",), {"output_types": types, "output_shapes": shapes}),
        placeholder("more", [3]),
        op("y", "Add", "next:0", "more"),
    )
    error = refusal(given, ["y"])
    assert "IteratorGetNext (1 node: next), IteratorV2 (1 node: iterator)" in str(error)
    assert suggested(error) == ["more:0", "next:0"]
    lowered = lower(given, suggested(error), ["y"])
    shape = next(node.attrs["shape"] for node in lowered if node.attrs.get("name") == b"next:0")
    assert isinstance(shape, Shape)
    assert shape.dims == (-1, 3)


def test_all_missing_ops_behind_one_another_are_left_out() -> None:
    given = graph(
        placeholder("x", [2, 3]),
        op("odd", "Odd", "x"),
        op("between", "Relu", "odd"),
        Node("qr", "Qr", ("between",), {"T": dtype("float32")}),
        op("y", "Relu", "qr:1"),
    )
    error = refusal(given, ["y"])
    assert "got 2 others: Odd (1 node: odd), Qr (1 node: qr)" in str(error)
    assert suggested(error) == ["qr:1"]


@pytest.mark.parametrize("outputs", [["qr"], ["y", "qr:1"]])
def test_a_result_of_such_an_op_can_not_be_helped(outputs: list[str]) -> None:
    given = graph(placeholder("x", [2, 3]), Node("qr", "Qr", ("x",), {"T": dtype("float32")}), op("y", "Relu", "x"))
    error = refusal(given, outputs)
    assert error.hint == ""


def test_a_value_that_nobody_can_feed_is_no_place_to_cut() -> None:
    given = graph(
        Node("stack", "StackV2", (), {"elem_type": dtype("float32")}),
        op("popped", "Odd"),
        op("y", "Add", "popped", "popped"),
    )
    assert refusal(given, ["y"]).hint == ""
