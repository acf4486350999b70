from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.ir import Node, Shape
from tensorferry.converters.passes.raise_tensor_arrays import raise_tensor_arrays
from tensorferry.formats.dtype import FLOAT32, INT32, VARIANT
from tensorferry.formats.errors import UnsupportedError
from tensorferry.formats.tensor import Tensor

from ..graph_text import const, graph, op, placeholder


def array(name: str = "a", **attrs: object) -> list[Node]:
    return [
        placeholder("x", [2]), const("n", 3, "int32"), const("i", 1, "int32"), const("nought", 0, "int32"),
        op(name, "TensorArrayV3", "n", dtype=FLOAT32, **attrs),
    ]  # fmt: skip


def constant(node: Node) -> np.ndarray[object, np.dtype[np.int32]]:
    tensor = node.attrs["value"]
    assert isinstance(tensor, Tensor)
    return tensor.numpy()


def test_without_arrays_nothing_changes() -> None:
    source = graph(placeholder("x", [2]), op("y", "Relu", "x"))
    assert raise_tensor_arrays(source) is source


def test_write_read_and_size() -> None:
    nodes = [
        op("w", "TensorArrayWriteV3", "a", "i", "x", "a:1"), op("r", "TensorArrayReadV3", "a", "i", "w", dtype=FLOAT32),
        op("s", "TensorArraySizeV3", "a", "w"),
    ]  # fmt: skip
    raised = raise_tensor_arrays(graph(*array(element_shape=Shape((2,))), *nodes)).nodes
    assert (raised["a"].op, raised["a"].inputs) == ("TensorListReserve", ("a/element_shape:0", "n"))
    assert constant(raised["a/element_shape"]).tolist() == [2]
    assert (raised["w"].op, raised["w"].inputs) == ("TensorListSetItem", ("a:0", "i", "x"))
    assert raised["w"].attrs == {"element_dtype": FLOAT32, "resize_if_index_out_of_bounds": False}
    assert (raised["r"].op, raised["r"].inputs) == ("TensorListGetItem", ("w:0", "i", "r/element_shape:0"))
    assert constant(raised["r/element_shape"]).tolist() == -1
    assert (raised["s"].op, raised["s"].inputs) == ("TensorListLength", ("w:0",))


def test_an_array_that_may_grow() -> None:
    write = op("w", "TensorArrayWriteV3", "enter", "i", "x", "a:1")
    nodes = [*array(dynamic_size=True), op("enter", "Enter", "a", frame_name="f"), write]
    assert raise_tensor_arrays(graph(*nodes)).nodes["w"].attrs["resize_if_index_out_of_bounds"] is True


def test_all_elements_in_order_are_a_stack() -> None:
    nodes = [
        op("w", "TensorArrayWriteV3", "a", "i", "x", "a:1"), op("s", "TensorArraySizeV3", "a", "w"),
        op("range", "Range", "nought", "s", "i"), op("g", "TensorArrayGatherV3", "a", "range", "w", dtype=FLOAT32),
        op("some", "TensorArrayGatherV3", "a", "i", "w", dtype=FLOAT32),
        op("before", "TensorArraySizeV3", "a", "a:1"), op("other", "Range", "nought", "before", "i"),
        op("wrong", "TensorArrayGatherV3", "a", "other", "w", dtype=FLOAT32),
    ]  # fmt: skip
    raised = raise_tensor_arrays(graph(*array(), *nodes)).nodes
    assert (raised["g"].op, raised["g"].inputs) == ("TensorListStack", ("w:0", "g/element_shape:0"))
    assert (raised["some"].op, raised["some"].inputs) == ("TensorListGather", ("w:0", "i", "some/element_shape:0"))
    assert raised["wrong"].op == "TensorListGather"


@pytest.mark.parametrize(
    ("indices", "in_order"),
    [
        ([const("indices", [0, 1, 2], "int32")], True),
        ([const("indices", [1, 0, 2], "int32")], False),
        ([op("r", "Range", "nought", "n", "i"), op("indices", "Identity", "r", T=INT32)], True),
        ([op("indices", "Range", "i", "n", "i")], False),
        ([placeholder("indices", [3], "int32")], False),
    ],
)
def test_a_scatter(indices: list[Node], in_order: bool) -> None:
    scatter = op("s", "TensorArrayScatterV3", "a", "indices", "x", "a:1")
    raised = raise_tensor_arrays(graph(*array(), *indices, scatter)).nodes["s"]
    assert (raised.op, raised.inputs) == ("TensorListScatterIntoExistingList", ("a:0", "x", "indices"))
    assert raised.attrs["_in_order"] is in_order


def test_split_and_concat() -> None:
    nodes = [
        const("lengths", [1, 1], "int64"), op("s", "TensorArraySplitV3", "a", "x", "lengths", "a:1"),
        op("c", "TensorArrayConcatV3", "a", "s", dtype=FLOAT32),
    ]  # fmt: skip
    raised = raise_tensor_arrays(graph(*array(), *nodes)).nodes
    assert (raised["s"].op, raised["s"].inputs) == ("TensorListSplit", ("x", "s/element_shape:0", "lengths"))
    assert (raised["c"].op, raised["c"].inputs) == (
        "TensorListConcatV2",
        ("s:0", "c/element_shape:0", "c/leading_dims:0"),
    )


def test_what_passes_flows_on_passes_lists_on() -> None:
    nodes = [
        placeholder("p", [], "bool"), op("switch", "Switch", "a:1", "p"),
        op("w", "TensorArrayWriteV3", "a", "i", "x", "switch:1"), op("merge", "Merge", "switch:0", "w", N=2),
        op("float", "Switch", "x", "p"),
    ]  # fmt: skip
    raised = raise_tensor_arrays(graph(*array(), *nodes)).nodes
    assert raised["switch"].inputs == ("a:0", "p")
    assert [raised[name].attrs["T"] for name in ("switch", "merge", "float")] == [VARIANT, VARIANT, FLOAT32]


def test_constants_are_as_dead_as_their_node() -> None:
    read = op("r", "TensorArrayReadV3", "a", "i", "w", "^x", dtype=FLOAT32)
    nodes = [op("w", "TensorArrayWriteV3", "a", "i", "x", "a:1"), read]
    assert raise_tensor_arrays(graph(*array(), *nodes)).nodes["r/element_shape"].inputs == ("^i", "^w", "^x")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [op("sum", "AddN", "a:1", N=1)],
            "sum: expected the flow of a TensorArray to go to its reads and writes, got AddN",
        ),
        (
            [op("m", "Merge", "a", "a", N=2), op("w", "TensorArrayWriteV3", "m", "i", "x", "a:1")],
            "w: expected to write to one TensorArray, got the handle of Merge",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(nodes: list[Node], message: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        raise_tensor_arrays(graph(*array(), *nodes))
    assert str(caught.value) == message
