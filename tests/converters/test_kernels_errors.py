"""Kernels: bounds, and every error of a wrong input or attribute."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.ir import AttrList, Node, Shape
from tensorferry.converters.kernels import kernels, run
from tensorferry.converters.kernels.kernel import bounded
from tensorferry.formats.dtype import COMPLEX64, FLOAT16, FLOAT32, FLOAT64, INT32, INT64, RESOURCE, STRING_TYPE
from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.tensor import ArrayTensor, SplatTensor


def node(op: str, **attrs: Any) -> Node:
    return Node("n", op, (), attrs)


HUGE = np.array(1 << 40, np.int64)


ONE = np.ones(1, np.float32)


@pytest.mark.parametrize(
    ("op", "attrs", "inputs"),
    [
        ("Fill", {"T": FLOAT32, "index_type": INT64}, [HUGE.reshape(1), ONE[0]]),
        ("Range", {"Tidx": INT64}, [np.array(0), HUGE, np.array(1)]),
        ("LinSpace", {"T": FLOAT32, "Tidx": INT64}, [ONE[0], ONE[0], HUGE]),
        ("Tile", {"T": FLOAT32, "Tmultiples": INT64}, [ONE, HUGE.reshape(1)]),
        ("BroadcastTo", {"T": FLOAT32, "Tidx": INT64}, [ONE, HUGE.reshape(1)]),
        ("Pad", {"T": FLOAT32, "Tpaddings": INT64}, [ONE, np.array([[0, 1 << 40]])]),
        (
            "MirrorPad",
            {"T": FLOAT32, "Tpaddings": INT32, "mode": b"SYMMETRIC"},
            [np.broadcast_to(ONE, 1 << 30), np.array([[0, 1 << 30]], np.int32)],
        ),
        (
            "OneHot",
            {"T": FLOAT32, "TI": INT64},
            [np.zeros(1 << 20, np.int64), np.array(1 << 20, np.int32), ONE[0], ONE[0]],
        ),
        ("ScatterNd", {"T": FLOAT32, "Tindices": INT64}, [np.zeros((1, 1), np.int64), ONE, HUGE.reshape(1)]),
        ("Add", {"T": FLOAT32}, [np.broadcast_to(ONE, (1 << 20, 1)), np.broadcast_to(ONE, 1 << 20)]),
        ("Less", {"T": FLOAT32}, [np.broadcast_to(ONE, (1 << 20, 1)), np.broadcast_to(ONE, 1 << 20)]),
        ("SelectV2", {"T": FLOAT32}, [np.ones((1 << 20, 1), bool), np.broadcast_to(ONE, 1 << 20), ONE]),
        ("MatMul", {"T": FLOAT32}, [np.broadcast_to(ONE, (1 << 20, 1)), np.broadcast_to(ONE, (1, 1 << 20))]),
        ("Einsum", {"T": FLOAT32, "N": 2, "equation": b"i,j->ij"}, [np.broadcast_to(ONE, 1 << 20)] * 2),
        (
            "GatherV2",
            {"Tparams": FLOAT32, "Tindices": INT32, "Taxis": INT32},
            [np.broadcast_to(ONE, (2, 1 << 20)), np.zeros(1 << 20, np.int32), np.array(0, np.int32)],
        ),
        (
            "GatherNd",
            {"Tparams": FLOAT32, "Tindices": INT32},
            [np.broadcast_to(ONE, (2, 1 << 20)), np.zeros((1 << 20, 1), np.int32)],
        ),
        ("MatrixDiag", {"T": FLOAT32}, [np.broadcast_to(ONE, 1 << 20)]),
        (
            "MatrixDiagV3",
            {"T": FLOAT32},
            [ONE, np.array(0, np.int32), np.array(1 << 30, np.int32), np.array(1, np.int32), ONE[0]],
        ),
        (
            "ConcatV2",
            {"T": FLOAT32, "Tidx": INT32, "N": 3},
            [*[np.broadcast_to(ONE, 1 << 28)] * 3, np.array(0, np.int32)],
        ),
        ("Pack", {"T": FLOAT32, "N": 3}, [np.broadcast_to(ONE, 1 << 28)] * 3),
        ("Cast", {"SrcT": FLOAT32, "DstT": FLOAT64}, [np.broadcast_to(ONE, 1 << 28 | 1)]),
        (
            "SpaceToBatchND",
            {"T": FLOAT32, "Tblock_shape": INT32, "Tpaddings": INT32},
            [np.ones((1, 1), np.float32), np.array([1], np.int32), np.array([[0, 1 << 30]], np.int32)],
        ),
        (
            "Conv2D",
            {
                "T": FLOAT32,
                "strides": AttrList("int", (1, 1, 1, 1)),
                "padding": b"EXPLICIT",
                "explicit_paddings": AttrList("int", (0, 0, 1 << 30, 0, 0, 0, 0, 0)),
            },
            [np.ones((1, 1, 1, 1), np.float32), np.ones((1, 1, 1, 1), np.float32)],
        ),
        ("Bincount", {"T": FLOAT32}, [np.zeros(1, np.int32), np.array(1 << 30, np.int32), ONE]),
        (
            "UnsortedSegmentSum",
            {"T": FLOAT32, "Tindices": INT32, "Tnumsegments": INT64},
            [ONE, np.zeros(1, np.int32), HUGE],
        ),
        ("RandomUniform", {"T": INT64, "dtype": FLOAT32}, [HUGE.reshape(1)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_huge_result_is_refused_before_it_is_made(op: str, attrs: dict[str, Any], inputs: list[Any]) -> None:
    with pytest.raises(UnsupportedError, match=rf"^n: expected {op} to make at most 2147483648 bytes, got \d+ for "):
        run(node(op, **attrs), [np.asarray(value) for value in inputs])


def test_the_bound_can_be_set() -> None:
    fill = node("Fill", T=FLOAT32, index_type=INT32)
    inputs = [np.array([5], np.int32), np.array(1, np.float32)]
    with bounded(20):
        run(fill, inputs)
    with bounded(19), pytest.raises(UnsupportedError, match=r"at most 19 bytes, got 20 for float32 \[5\]"):
        run(fill, inputs)


def test_a_huge_splat_constant_is_refused() -> None:
    value = SplatTensor(np.zeros((), np.float32), (1 << 40,), FLOAT32)
    with pytest.raises(UnsupportedError, match="expected Const to make at most"):
        run(node("Const", dtype=FLOAT32, value=value), [])


F32 = {"T": FLOAT32}


@pytest.mark.parametrize(
    ("op", "attrs", "inputs", "message"),
    [
        ("Add", F32, [np.ones(2), ONE], r"expected input 0 of Add to be float32, got float64 \[2\]"),
        ("Add", F32, [ONE], "expected Add to have 2 inputs, got 1"),
        ("Add", F32, [np.ones(2, "f"), np.ones(3, "f")], r"Add of float32 \[2\], float32 \[3\] failed: .*"),
        (
            "FloorDiv",
            {"T": INT32},
            [np.ones(1, "i"), np.zeros(1, "i")],
            "expected FloorDiv by integers other than 0, .*",
        ),
        ("Pow", {"T": INT32}, [np.ones(1, "i"), -np.ones(1, "i")], r"Pow of int32 \[1\], int32 \[1\] failed: .*"),
        ("AddN", F32 | {"N": 2}, [ONE, np.ones(2, "f")], r"expected inputs of one shape, got \[\[1\], \[2\]\]"),
        (
            "Select",
            F32,
            [np.ones(3, bool), np.ones((2, 2), "f"), np.ones((2, 2), "f")],
            "Select of .* failed: shapes differ",
        ),
        ("MatMul", F32, [ONE, ONE], r"expected matrices, got shapes \[1\] and \[1\]"),
        ("BatchMatMulV2", F32, [ONE, ONE], r"expected matrices, got shapes \[1\] and \[1\]"),
        (
            "Einsum",
            F32 | {"N": 1, "equation": b"ij"},
            [np.ones((2, 2), "f")],
            "expected an equation with an arrow, got 'ij'",
        ),
        ("Sum", F32 | {"Tidx": INT32}, [ONE, np.array([1], "i")], "expected Sum's axis to be below rank 1, got 1"),
        (
            "Sum",
            F32 | {"Tidx": INT32},
            [ONE, np.array([0, -1], "i")],
            r"expected each of Sum's axes once, got \[0, -1\]",
        ),
        (
            "ArgMax",
            F32 | {"Tidx": INT32, "output_type": INT64},
            [ONE, np.array([0, 0], "i")],
            r"expected ArgMax's axis to be a scalar, .*",
        ),
        ("Reshape", F32 | {"Tshape": INT32}, [ONE, np.array([2], "i")], "Reshape of .* failed: .*"),
        ("EnsureShape", F32, [ONE], "expected EnsureShape's attribute 'shape' to be a shape, got none"),
        ("EnsureShape", F32 | {"shape": Shape((2,))}, [ONE], r"expected shape \[2\], got \[1\]"),
        ("TopKV2", F32, [ONE[0], np.array(0, "i")], r"expected 0 elements or more in each row, got shape \[\]"),
        (
            "UnsortedSegmentSum",
            F32 | {"Tindices": INT32, "Tnumsegments": INT32},
            [ONE, np.zeros(2, "i"), np.array(1, "i")],
            r"expected data of shape \[2\] and more, got \[1\]",
        ),
        ("Unpack", F32 | {"num": 2}, [np.ones((3,), "f")], "expected size 2 at axis 0, got 3"),
        (
            "SplitV",
            F32 | {"num_split": 2, "Tlen": INT32},
            [np.ones(3, "f"), np.array([1, 1], "i"), np.array(0, "i")],
            r"expected 2 sizes that add up to 3, got \[1, 1\]",
        ),
        (
            "Pad",
            F32 | {"Tpaddings": INT32},
            [ONE, np.array([[-1, 0]], "i")],
            r"expected paddings of 0 and more in shape \[1, 2\], .*",
        ),
        (
            "MirrorPad",
            F32 | {"Tpaddings": INT32, "mode": b"REFLECT"},
            [ONE, np.array([[1, 0]], "i")],
            r"expected paddings within .*",
        ),
        (
            "ReverseSequence",
            F32 | {"Tlen": INT32, "seq_dim": 1},
            [np.ones((1, 2), "f"), np.array([3], "i")],
            r"expected ReverseSequence's indices in \[0, 3\), got them from 3 to 3",
        ),
        ("InvertPermutation", {"T": INT32}, [np.array([0, 0], "i")], "expected a permutation, got an index twice"),
        (
            "Fill",
            F32 | {"index_type": INT32},
            [np.array([-1], "i"), ONE[0]],
            r"expected Fill to make sizes of 0 and more, got \[-1\]",
        ),
        (
            "Fill",
            F32 | {"index_type": INT32},
            [np.array([1], "i"), np.ones(2, "f")],
            r"expected a scalar value, got shape \[2\]",
        ),
        (
            "Range",
            {"Tidx": INT32},
            [np.array(0, "i"), np.array(1, "i"), np.array(0, "i")],
            "expected finite numbers and a step other than 0, .*",
        ),
        (
            "Range",
            {"Tidx": INT32},
            [np.array(0, "i"), np.array(9, "i"), np.array(-1, "i")],
            "expected a step towards the limit, got 0, 9, -1",
        ),
        (
            "Range",
            {"Tidx": INT32},
            [np.array([0, 1], "i"), np.array(9, "i"), np.array(1, "i")],
            r"expected Range's start to be a scalar, got shape \[2\]",
        ),
        ("LinSpace", F32 | {"Tidx": INT32}, [ONE[0], ONE[0], np.array(0, "i")], "expected 1 value or more, got 0"),
        (
            "Slice",
            F32 | {"Index": INT32},
            [ONE, np.array([0], "i"), np.array([2], "i")],
            "expected a slice within 1, got 2 from 0",
        ),
        (
            "StridedSlice",
            F32 | {"Index": INT32, "shrink_axis_mask": 1},
            [ONE, *[np.array([0], "i")] * 3],
            "expected a stride of 1 .*, got 0",
        ),
        (
            "StridedSlice",
            F32 | {"Index": INT32, "shrink_axis_mask": 1},
            [ONE, *[np.array([5], "i")] * 3],
            "StridedSlice of .* failed: .*",
        ),
        (
            "GatherV2",
            {"Tparams": FLOAT32, "Tindices": INT32, "Taxis": INT32},
            [ONE, np.array([-1], "i"), np.array(0, "i")],
            r"expected GatherV2's indices in \[0, 1\), got them from -1 to -1",
        ),
        (
            "GatherV2",
            {"Tparams": FLOAT32, "Tindices": INT32, "Taxis": INT32, "batch_dims": 1},
            [np.ones((2, 2), "f"), np.zeros((3, 1), "i"), np.array(1, "i")],
            "expected 1 common dimensions before axis 1, .*",
        ),
        (
            "GatherNd",
            {"Tparams": FLOAT32, "Tindices": INT32},
            [ONE, np.zeros((1, 2), "i")],
            "expected vectors of up to 1 indices, .*",
        ),
        (
            "ScatterNd",
            F32 | {"Tindices": INT32},
            [np.zeros((2, 1), "i"), ONE, np.array([3], "i")],
            r"expected updates of shape \[2\], got \[1\]",
        ),
        (
            "DynamicPartition",
            F32 | {"num_partitions": 1},
            [ONE, np.zeros(2, "i")],
            r"expected data of shape \[2\] and more, got \[1\]",
        ),
        ("DepthToSpace", F32 | {"block_size": 2}, [ONE], r"expected an image batch of rank 4, got shape \[1\]"),
        (
            "BatchToSpaceND",
            F32 | {"Tblock_shape": INT32, "Tcrops": INT32},
            [np.ones((1, 1), "f"), np.array([1], "i"), np.array([[2, 0]], "i")],
            r"expected crops within \[1\], got \[\[2, 0\]\]",
        ),
        ("DiagPart", F32, [np.ones((2, 3), "f")], r"expected a shape that repeats itself, got \[2, 3\]"),
        (
            "MatrixDiagPartV3",
            F32,
            [np.ones((2, 2), "f"), np.array([1, 0], "i"), ONE[0]],
            r"expected one diagonal or two in rising order, got \[1, 0\]",
        ),
        (
            "MatrixDiagPartV3",
            F32,
            [np.ones((2, 2), "f"), np.array([2], "i"), ONE[0]],
            r"expected diagonals within 2 rows and 2 columns, got \[2, 2\]",
        ),
        (
            "MatrixSetDiag",
            F32,
            [np.ones((2, 2), "f"), np.ones(3, "f")],
            r"expected diagonals of shape \[1, 2\], got \[1, 3\]",
        ),
        ("TopKV2", F32, [ONE, np.array(2, "i")], r"expected 2 elements or more in each row, got shape \[1\]"),
        (
            "Bincount",
            F32,
            [np.array([-1], "i"), np.array(2, "i"), np.zeros(0, "f")],
            "expected values of 0 and more, got -1",
        ),
        (
            "SegmentSum",
            F32 | {"Tindices": INT32},
            [np.ones(2, "f"), np.array([1, 0], "i")],
            "expected a vector of ids in rising order",
        ),
        (
            "ResizeBilinear",
            F32,
            [ONE, np.ones(2, "i")],
            r"expected images of rank 4 and two sizes, got \[1\] and \[1, 1\]",
        ),
        (
            "ResizeBilinear",
            F32,
            [np.ones((1, 0, 1, 1), "f"), np.ones(2, "i")],
            "expected sizes of 1 and more, got 0 to 1",
        ),
        (
            "NonMaxSuppressionV2",
            F32 | {"T_threshold": FLOAT32},
            [np.ones((2, 4), "f"), ONE, np.array(1, "i"), ONE[0]],
            r"expected boxes \[N, 4\] and scores \[N\], got \[2, 4\] and \[1\]",
        ),
        ("FFT2D", {"Tcomplex": COMPLEX64}, [np.ones(2, "F")], r"expected rank 2 or more, got shape \[2\]"),
        (
            "RFFT",
            {"Treal": FLOAT32, "Tcomplex": COMPLEX64},
            [ONE, np.array([4], "i")],
            r"expected at least \[4\] numbers, got shape \[1\]",
        ),
        (
            "RFFT",
            {"Treal": FLOAT32, "Tcomplex": COMPLEX64},
            [ONE, np.array([4, 4], "i")],
            r"expected 1 lengths, got \[4, 4\]",
        ),
        ("FakeQuantWithMinMaxArgs", {"num_bits": 99}, [ONE], "expected 2 to 63 bits, got 99"),
        ("BiasAdd", F32, [np.ones((2, 3), "f"), np.ones(2, "f")], r"expected a bias for x \[2, 3\], got shape \[2\]"),
        (
            "CheckNumerics",
            F32 | {"message": b"loss"},
            [np.array(np.nan, "f")],
            "expected finite numbers, got infinity or NaN: loss",
        ),
        (
            "Assert",
            {"T": AttrList("dtype", (STRING_TYPE,))},
            [np.array(False), np.array(b"broken", object)],
            "expected an assertion to hold, got b'broken'",
        ),
        (
            "RandomUniformInt",
            {"T": INT32, "Tout": INT32},
            [np.array([1], "i"), np.array(2, "i"), np.array(2, "i")],
            r"expected a range, got \[2, 2\)",
        ),
        ("Const", {"dtype": INT32, "value": ArrayTensor(ONE)}, [], "expected a tensor of int32, got float32"),
    ],
)
def test_a_wrong_input_is_an_error_that_names_node_and_op(
    op: str, attrs: dict[str, Any], inputs: list[Any], message: str
) -> None:
    with pytest.raises(GraphError) as caught:
        run(node(op, **attrs), [np.asarray(value) for value in inputs])
    assert re.fullmatch(f"n: {message}", str(caught.value))


CONV = {"T": FLOAT32, "strides": AttrList("int", (1, 1, 1, 1)), "padding": b"SAME"}


IMAGE, FILTER = np.ones((1, 4, 4, 2), np.float32), np.ones((1, 1, 2, 1), np.float32)


@pytest.mark.parametrize(
    ("attrs", "inputs", "error", "message"),
    [
        ({}, [ONE, FILTER], GraphError, r"expected Conv2D's input to have rank 4, got shape \[1\]"),
        ({}, [IMAGE, FILTER[:, :, :0]], GraphError, "expected a filter for 2 channels or equal groups, .*"),
        (
            {"strides": AttrList("int", (1, 0, 1, 1))},
            [IMAGE, FILTER],
            GraphError,
            "expected 4 strides of 1 and more, .*",
        ),
        (
            {"strides": AttrList("int", (2, 1, 1, 1))},
            [IMAGE, FILTER],
            UnsupportedError,
            "expected strides of 1 for batch and channels, .*",
        ),
        ({"padding": b"FULL"}, [IMAGE, FILTER], GraphError, "expected padding SAME, VALID or EXPLICIT, got FULL"),
        ({"padding": b"EXPLICIT"}, [IMAGE, FILTER], GraphError, r"expected 4 pairs of explicit paddings, got \[\]"),
        (
            {"padding": b"EXPLICIT", "explicit_paddings": AttrList("int", (1, 0, 0, 0, 0, 0, 0, 0))},
            [IMAGE, FILTER],
            UnsupportedError,
            "expected no padding of batch and channels, .*",
        ),
        (
            {"data_format": b"NCHW_VECT_C"},
            [IMAGE, FILTER],
            UnsupportedError,
            "expected data_format NHWC or .*, got NCHW_VECT_C",
        ),
    ],
)
def test_wrong_windows_are_errors(attrs: dict[str, Any], inputs: list[Any], error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        run(node("Conv2D", **(CONV | attrs)), inputs)
    assert re.fullmatch(f"n: {message}", str(caught.value))


BACK = CONV | {"strides": AttrList("int", (1, 2, 2, 1))}


def test_a_gradient_of_the_wrong_size_is_an_error() -> None:
    message = r"^n: expected a gradient of \[2, 2\] places and 1 channels, got \[1, 4, 4, 2\]$"
    with pytest.raises(GraphError, match=message):
        run(node("Conv2DBackpropInput", **BACK), [np.array([1, 4, 4, 2], np.int32), FILTER, IMAGE])


def test_a_depthwise_filter_needs_the_channels_of_its_input() -> None:
    with pytest.raises(GraphError, match=r"^n: expected a filter for 2 channels, got \[1, 1, 1, 1\]$"):
        run(node("DepthwiseConv2dNative", **CONV), [IMAGE, FILTER[:, :, :1]])


def test_running_out_of_memory_names_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*_: object) -> None:
        raise MemoryError

    monkeypatch.setitem(kernels()._handlers, "Neg", greedy)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match=r"^n: expected memory for Neg of float32 \[1\], got none$"):
        run(node("Neg", T=FLOAT32), [ONE])


def test_a_kernel_that_gives_another_type_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kernels()._handlers, "Neg", lambda node, x: (x.astype(np.float64), x))
    with pytest.raises(GraphError, match="^n: expected Neg to make float32, got float64, float32$"):
        run(node("Neg", T=FLOAT32), [ONE])


def test_a_constant_of_a_type_that_no_array_holds_is_refused() -> None:
    value = SplatTensor(np.zeros(()), (1,), RESOURCE)
    with pytest.raises(UnsupportedError, match="^n: no array holds resource$"):
        run(node("Const", dtype=RESOURCE, value=value), [])


def test_blocks_know_two_data_formats() -> None:
    with pytest.raises(UnsupportedError, match="^n: expected data_format NHWC or NCHW, got NCHW_VECT_C$"):
        run(node("DepthToSpace", T=FLOAT32, block_size=1, data_format=b"NCHW_VECT_C"), [IMAGE])


def test_a_huge_window_is_refused() -> None:
    sizes = AttrList("int", (1, 1 << 40, 1, 1))
    attrs = {"T": FLOAT32, "strides": AttrList("int", (1, 1, 1, 1)), "padding": b"VALID", "ksize": sizes}
    with pytest.raises(UnsupportedError, match=r"^n: expected windows of at most 1048576 elements, got \[\d+, 1\]$"):
        run(node("MaxPool", **attrs), [IMAGE])


def test_a_huge_number_of_outputs_is_refused() -> None:
    with pytest.raises(GraphError, match="^n: expected a count in DynamicPartition's attribute 'num_partitions', got "):
        run(node("DynamicPartition", T=FLOAT32, num_partitions=1 << 40), [ONE, np.zeros(1, np.int32)])


def test_attributes_that_are_not_understood_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="the kernel of Cast knows no attribute Truncate"):
        run(node("Cast", SrcT=FLOAT32, DstT=FLOAT16, Truncate=True), [ONE])


def test_an_op_without_a_kernel_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="n: no kernel for Assign"):
        run(node("Assign"), [])
