"""Lists of tensors outside of loops; the rest is in `test_loops`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.ir import Graph, Node
from tensorferry.converters.lowering import lower
from tensorferry.formats.dtype import FLOAT32, INT32, STRING_TYPE, VARIANT, DType
from tensorferry.formats.errors import UnsupportedError

from ..graph_text import const, graph, op, placeholder
from ..onnx_model import run_graph

X = np.arange(8, dtype=np.float32).reshape(4, 2)


def listed(name: str, kind: str, *inputs: str, dtype: DType = FLOAT32, **attrs: Any) -> Node:
    return Node(name, kind, inputs, {"element_dtype": dtype, **attrs})


def source(*nodes: Node, shape: Any = (2,), size: Any = (None, 2)) -> Graph:
    return graph(
        placeholder("x", size), const("shape", shape, "int32"), const("any", -1, "int32"), const("three", 3, "int32"),
        const("one", 1, "int32"), const("nought", 0, "int32"), placeholder("x0", [], "int32"),
        listed("items", "TensorListFromTensor", "x", "any", shape_type=INT32),
        listed("blank", "TensorListReserve", "shape", "three", shape_type=INT32),
        listed("open", "TensorListReserve", "any", "three", shape_type=INT32),
        listed("empty", "EmptyTensorList", "any", "nought", shape_type=INT32),
        listed("row", "TensorListGetItem", "items", "one", "any"),
        *nodes,
    )  # fmt: skip


def run(graph: Graph, *outputs: str) -> list[np.ndarray[Any, Any]]:
    values = run_graph(lower(graph, None, list(outputs)), {"x:0": X, "x0:0": np.array(2, np.int32)})
    return [values[f"{name}:0"] for name in outputs]


def test_get_and_gather_and_stack() -> None:
    some = [
        const("places", [3, 0], "int32"), listed("some", "TensorListGather", "items", "places", "any"),
        listed("all", "TensorListStack", "items", "any"), Node("count", "TensorListLength", ("items",)),
        Node("each", "TensorListElementShape", ("items",), {"shape_type": INT32}),
    ]  # fmt: skip
    row, gathered, stacked, count, each = run(source(*some), "row", "some", "all", "count", "each")
    np.testing.assert_array_equal(row, X[1])
    np.testing.assert_array_equal(gathered, X[[3, 0]])
    np.testing.assert_array_equal(stacked, X)
    assert (count, each.tolist()) == (4, [2])


def test_places_that_nobody_sets_are_zeros() -> None:
    nodes = [
        listed("set", "TensorListSetItem", "blank", "one", "row"), listed("out", "TensorListStack", "set", "any"),
        listed("nothing", "TensorListStack", "blank", "any"),
        listed("zero", "TensorListGetItem", "blank", "one", "any"),
    ]  # fmt: skip
    out, nothing, zero = run(source(*nodes), "out", "nothing", "zero")
    np.testing.assert_array_equal(out, np.stack([0 * X[1], X[1], 0 * X[1]]))
    np.testing.assert_array_equal(nothing, np.zeros([3, 2]))
    np.testing.assert_array_equal(zero, np.zeros(2))


def test_a_list_that_grows() -> None:
    nodes = [
        listed("far", "TensorListSetItem", "items", "n5", "row", resize_if_index_out_of_bounds=True),
        op("n5", "AddV2", "x0", "three", T=INT32),
        listed("out", "TensorListStack", "far", "any"), Node("more", "TensorListResize", ("items", "n5")),
        listed("longer", "TensorListStack", "more", "any"), Node("less", "TensorListResize", ("items", "x0")),
        listed("shorter", "TensorListStack", "less", "any"),
    ]  # fmt: skip
    out, longer, shorter = run(source(*nodes), "out", "longer", "shorter")
    np.testing.assert_array_equal(out, np.concatenate([X, [[0, 0]], X[1:2]]))
    np.testing.assert_array_equal(longer, np.concatenate([X, [[0, 0]]]))
    np.testing.assert_array_equal(shorter, X[:2])


def test_push_and_pop() -> None:
    nodes = [
        listed("a", "TensorListPushBack", "empty", "row"), listed("b", "TensorListPushBack", "a", "row"),
        listed("pop", "TensorListPopBack", "items", "any"), listed("c", "TensorListPushBack", "pop", "row"),
        listed("two", "TensorListStack", "b", "any"), listed("four", "TensorListStack", "c", "any"),
        op("last", "Identity", "pop:1"),
    ]  # fmt: skip
    two, four, last = run(source(*nodes), "two", "four", "last")
    np.testing.assert_array_equal(two, X[[1, 1]])
    np.testing.assert_array_equal(four, X[[0, 1, 2, 1]])
    np.testing.assert_array_equal(last, X[3])


def test_scatter_split_and_concat() -> None:
    nodes = [
        const("places", [4, 0, 2, 1], "int32"), const("six", 6, "int32"), const("minus", -1, "int32"),
        op("computed", "AddV2", "x0", "three", T=INT32),
        listed("c", "TensorListScatterV2", "x", "places", "any", "computed", shape_type=INT32),
        listed("five", "TensorListStack", "c", "any"),
        listed("s", "TensorListScatterV2", "x", "places", "any", "six", shape_type=INT32),
        listed("fit", "TensorListScatterV2", "x", "places", "any", "minus", shape_type=INT32),
        const("lengths", [2, 2], "int64"), listed("parts", "TensorListSplit", "x", "any", "lengths", shape_type=INT32),
        listed("scattered", "TensorListStack", "s", "any"), listed("fitted", "TensorListStack", "fit", "any"),
        listed("pairs", "TensorListStack", "parts", "any"), const("none", [], "int64"),
        listed("joined", "TensorListConcatV2", "parts", "any", "none", shape_type=INT32),
        listed("both", "TensorListConcatLists", "items", "items"), listed("twice", "TensorListStack", "both", "any"),
    ]  # fmt: skip
    fixed = source(*nodes, size=(4, 2))
    scattered, fitted, five = run(fixed, "scattered", "fitted", "five")
    pairs, joined, twice = run(fixed, "pairs", "joined", "twice")
    expected = np.zeros([6, 2], np.float32)
    expected[[4, 0, 2, 1]] = X
    np.testing.assert_array_equal(scattered, expected)
    np.testing.assert_array_equal(fitted, expected[:5])
    np.testing.assert_array_equal(five, expected[:5])
    np.testing.assert_array_equal(pairs, X.reshape(2, 2, 2))
    np.testing.assert_array_equal(joined, X)
    np.testing.assert_array_equal(twice, np.concatenate([X, X]))


def test_texts() -> None:
    nodes = [
        op("text", "AsString", "one", T=INT32), const("scalar", [], "int32"),
        listed("words", "TensorListReserve", "scalar", "three", dtype=STRING_TYPE, shape_type=INT32),
        listed("set", "TensorListSetItem", "words", "one", "text", dtype=STRING_TYPE),
        listed("out", "TensorListStack", "set", "any", dtype=STRING_TYPE),
    ]  # fmt: skip
    (out,) = run(source(*nodes), "out")
    assert out.tolist() == ["", "1", ""]


STACKED = listed("out", "TensorListStack", "l", "any")
UNEVEN = [const("lengths", [1, 3], "int64"), listed("l", "TensorListSplit", "x", "any", "lengths", shape_type=INT32)]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [listed("out", "TensorListStack", "open", "any")],
            "out: expected a list whose elements have a shape that is known before they are set",
        ),
        (
            [
                listed("l", "TensorListPushBack", "empty", "items", dtype=VARIANT),
                listed("out", "TensorListStack", "l", "any", dtype=VARIANT),
            ],
            "l: expected a list of tensors, got a list of lists",
        ),
        (
            [Node("l", "Placeholder", (), {"dtype": VARIANT}), STACKED],
            "out: expected a list of tensors that is made in the graph",
        ),
        ([*UNEVEN, STACKED], "l: expected elements of one shape in a list, got lengths [1, 3]"),
    ],
)
def test_what_is_refused(nodes: list[Node], message: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        lower(source(*nodes), None, ["out"])
    assert message in str(caught.value)
