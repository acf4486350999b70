"""Kernels: every recorded answer of real TensorFlow, the special functions, bounds and errors."""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.evaluate import evaluate
from tensorferry.converters.fold_constants import fold_constants
from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import AttrList, Graph, Node, Shape
from tensorferry.converters.kernels import FAMILIES, kernels, run
from tensorferry.converters.kernels.kernel import bounded
from tensorferry.converters.op_registry import op_defs, type_attrs
from tensorferry.formats.dtype import (
    BFLOAT16,
    BOOL,
    COMPLEX64,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    RESOURCE,
    STRING_TYPE,
    of_numpy,
)
from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.tensor import ArrayTensor

from ..fixture import HOME, graph_def

RECORDED = sorted((HOME / "kernels").glob("tensorflow*.pb"))

TOLERANCE = {
    "float16": 2e-3,
    "bfloat16": 8e-3,
    "float32": 2e-6,
    "float64": 1e-12,
    "complex64": 2e-6,
    "complex128": 1e-12,
}
"""Relative, and absolute for numbers around 1."""

LOOSER = {"Digamma": 4, "Lgamma": 4, "Erfinv": 8, "Ndtri": 8, "LRN": 4, "Pow": 4, "CumulativeLogsumexp": 4}
"""Where TensorFlow itself is further from the truth: so many times the tolerance."""


@cache
def recorded(path: Path) -> Graph:
    return from_graph_def(graph_def(path), str(path))


CASES = [
    pytest.param(path, name.removesuffix("/op"), id=f"{path.stem}-{name.removesuffix('/op')}")
    for path in RECORDED
    for name in recorded(path).nodes
    if name.endswith("/op")
]


def expected_outputs(graph: Graph, case: str) -> dict[str, np.ndarray[Any, Any]]:
    prefix = f"{case}/expected_"
    return {
        f"{case}/op:{name.removeprefix(prefix)}": node.attrs["value"].numpy()  # type: ignore[union-attr]
        for name, node in graph.nodes.items()
        if name.startswith(prefix)
    }


def assert_agree(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], op: str) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if expected.dtype.kind in "fcV":
        limit = TOLERANCE[of_numpy(expected.dtype).name] * LOOSER.get(op, 1)
        wide = np.complex128 if expected.dtype.kind == "c" else np.float64
        np.testing.assert_allclose(found.astype(wide), expected.astype(wide), rtol=limit, atol=limit)
    else:
        np.testing.assert_array_equal(found, expected)


def test_answers_are_recorded() -> None:
    assert [path.name for path in RECORDED] == ["tensorflow1.pb", "tensorflow2.pb"]
    assert len(CASES) > 600


@pytest.mark.parametrize(("path", "case"), CASES)
def test_agrees_with_tensorflow(path: Path, case: str) -> None:
    graph = recorded(path)
    expected = expected_outputs(graph, case)
    assert expected
    found = evaluate(graph, list(expected), {})
    for name, value in expected.items():
        assert_agree(found[name], value, graph.nodes[f"{case}/op"].op)


def test_folding_gives_what_evaluation_gives() -> None:
    for path in RECORDED:
        graph = recorded(path)
        folded = fold_constants(graph, growth=1 << 20)
        for node in graph:
            if node.name.endswith("/op") and folded.nodes[node.name].op == "Const" and node.op != "Const":
                expected = expected_outputs(graph, node.name.removesuffix("/op"))
                if f"{node.name}:0" in expected:
                    value = folded.nodes[node.name].attrs["value"].numpy()  # type: ignore[union-attr]
                    assert_agree(value, expected[f"{node.name}:0"], node.op)
    assert sum(node.op == "Const" and node.name.endswith("/op") for node in folded) > 40


def node(op: str, **attrs: Any) -> Node:
    return Node("n", op, (), attrs)


def test_each_family_is_merged() -> None:
    assert len(kernels()) > 250
    assert len(FAMILIES) == len(set(FAMILIES))


def test_every_kernel_is_of_a_registered_op_and_declares_attributes_that_it_has() -> None:
    defs = op_defs()
    for op in kernels():
        assert op in defs
        known = {attr.name for attr in defs[op].attr}
        # One handler may serve several ops, of which not all have an attribute.
        siblings = [other for other in kernels() if kernels()._handlers[other] is kernels()._handlers[op]]
        assert kernels()._attrs[op] <= {attr.name for other in siblings for attr in defs[other].attr}
        # Whatever a kernel leaves undeclared has a default that stands for what it does.
        left = known - kernels()._attrs[op] - type_attrs(op)
        for attr in defs[op].attr:
            assert attr.name not in left or attr.HasField("default_value"), (op, attr.name)


UNRECORDED = """
    Assert CheckNumericsV2 Const ControlTrigger DeepCopy DisableCopyOnRead Empty IsVariableInitialized NoOp Print
    PrintV2 ReadVariableOp RefIdentity ResourceGather ResourceGatherNd VarIsInitializedOp VariableShape
    Multinomial RandomShuffle RandomStandardNormal RandomUniform RandomUniformInt StatelessRandomNormal
    StatelessRandomUniform StatelessTruncatedNormal TruncatedNormal
    TopK BatchMatrixBandPart BatchMatrixDiag BatchMatrixDiagPart BatchMatrixSetDiag
"""
"""State, randomness, and names that TensorFlow itself no longer runs."""


def test_every_kernel_has_a_recorded_answer() -> None:
    answered = {recorded(path).nodes[f"{case}/op"].op for path, case in (param.values for param in CASES)}  # type: ignore[index, misc]
    assert set(kernels()) - answered == set(UNRECORDED.split())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["erf", "erfc", "lgamma"])
def test_special_functions_are_those_of_the_c_library(name: str, dtype: type) -> None:
    x = np.concatenate([np.linspace(-6, 26, 20_001), np.geomspace(1e-300 if dtype == np.float64 else 1e-30, 1, 500)])
    x = x.astype(dtype)
    function = getattr(math, name)
    exact = [math.inf if name == "lgamma" and v <= 0 and v == int(v) else function(v) for v in x.tolist()]
    (found,) = run(node(name.capitalize(), T=of_numpy(np.dtype(dtype))), [x])
    assert found.dtype == dtype
    ulp = np.spacing(np.maximum(np.abs(np.array(exact, dtype)), np.finfo(dtype).tiny).astype(dtype)).astype(float)
    finite = np.isfinite(exact)
    assert (np.abs(found[finite].astype(float) - np.array(exact)[finite]) <= ulp[finite]).all()
    assert np.isinf(found[~finite]).all()


def test_erfinv_and_ndtri_are_inverses() -> None:
    y = np.concatenate([np.linspace(-0.999999, 0.999999, 2001), np.geomspace(1e-30, 1e-3, 50)])
    (x,) = run(node("Erfinv", T=FLOAT64), [y])
    np.testing.assert_allclose([math.erf(v) for v in x], y, rtol=4e-15)
    p = np.linspace(1e-6, 1 - 1e-6, 999)
    (z,) = run(node("Ndtri", T=FLOAT64), [p])
    np.testing.assert_allclose([math.erfc(-v / math.sqrt(2)) / 2 for v in z], p, rtol=1e-13)


def test_sigmoid_does_not_overflow() -> None:
    (found,) = run(node("Sigmoid", T=FLOAT32), [np.array([-1e4, -80, 0, 80, 1e4], np.float32)])
    np.testing.assert_allclose(found, [0, math.exp(-80), 0.5, 1, 1], rtol=1e-6, atol=0)


def test_bfloat16_is_computed_in_float32_and_rounded_once() -> None:
    x = np.array([1.0, 2**-8, 2**-8], BFLOAT16.numpy())
    (total,) = run(node("Sum", T=BFLOAT16, Tidx=INT32), [x, np.array([0], np.int32)])
    assert total.dtype == x.dtype
    assert float(total) == 1 + 2**-7
    (product,) = run(node("MatMul", T=BFLOAT16), [np.ones((1, 300), x.dtype), np.ones((300, 1), x.dtype)])
    assert float(product[0, 0]) == 300


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
    from tensorferry.formats.tensor import SplatTensor

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
        ("ReadVariableOp", {"dtype": FLOAT16}, [ONE], "expected a variable of float16, got float32"),
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


def test_a_transposed_convolution_may_be_told_only_the_spatial_sizes() -> None:
    kernel = np.arange(2 * 2 * 3 * 2, dtype=np.float32).reshape(2, 2, 3, 2)
    gradient = np.arange(2 * 2 * 3 * 2, dtype=np.float32).reshape(2, 2, 3, 2)
    full = run(node("Conv2DBackpropInput", **BACK), [np.array([2, 4, 5, 3], np.int32), kernel, gradient])
    short = run(node("Conv2DBackpropInput", **BACK), [np.array([4, 5], np.int32), kernel, gradient])
    np.testing.assert_array_equal(full[0], short[0])


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


def test_empty_is_zeros() -> None:
    (found,) = run(node("Empty", dtype=FLOAT32), [np.array([2], np.int32)])
    np.testing.assert_array_equal(found, np.zeros(2, np.float32))


def test_stateless_random_numbers_follow_from_their_seed() -> None:
    stateless = node("StatelessRandomNormal", T=INT32, Tseed=INT32, dtype=FLOAT32)
    shape = np.array([50], np.int32)
    (first,), (same,), (other,) = (
        run(stateless, [shape, np.array(seed, np.int32)]) for seed in ([1, 2], [1, 2], [1, -3])
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_digamma_has_poles() -> None:
    (found,) = run(node("Digamma", T=FLOAT64), [np.array([0.0, -2.0, np.nan])])
    assert np.isnan(found).all()


def test_a_constant_of_a_type_that_no_array_holds_is_refused() -> None:
    from tensorferry.formats.tensor import SplatTensor

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


def test_strings_stay_objects() -> None:
    words = np.array([b"a", b"bcd"], object)
    for op, attrs, inputs in [
        ("Unpack", {"T": STRING_TYPE, "num": 2}, [words]),
        ("Reshape", {"T": STRING_TYPE, "Tshape": INT32}, [words[:1], np.zeros(0, np.int32)]),
    ]:
        found = run(node(op, **attrs), inputs)
        first = found[0]
        assert (first.dtype, first.shape, first.item()) == (np.dtype(object), (), b"a")


def test_a_window_that_does_not_fit_has_no_place() -> None:
    kernel = np.ones((5, 1, 2, 3), np.float32)
    (found,) = run(node("Conv2D", **(CONV | {"padding": b"VALID"})), [IMAGE, kernel])
    assert found.shape == (1, 0, 4, 3)


def test_a_convolution_in_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    image = random.standard_normal((3, 9, 8, 2)).astype(np.float32)
    kernel = random.standard_normal((3, 3, 2, 4)).astype(np.float32)
    (whole,) = run(node("Conv2D", **CONV), [image, kernel])
    monkeypatch.setattr("tensorferry.converters.kernels.conv.BLOCK", 2000)
    (blocks,) = run(node("Conv2D", **CONV), [image, kernel])
    np.testing.assert_allclose(blocks, whole, rtol=1e-6, atol=1e-6)


def test_attributes_that_are_not_understood_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="the kernel of Cast knows no attribute Truncate"):
        run(node("Cast", SrcT=FLOAT32, DstT=FLOAT16, Truncate=True), [ONE])


def test_an_op_without_a_kernel_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="n: no kernel for Assign"):
        run(node("Assign"), [])


def test_random_numbers_repeat_and_follow_their_distribution() -> None:
    shape = [np.array([20_000], np.int32)]
    seeded = node("RandomUniform", T=INT32, dtype=FLOAT32, seed=7, seed2=1)
    (first,), (second,) = run(seeded, shape), run(seeded, shape)
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32
    assert first.min() >= 0
    assert first.max() < 1
    assert abs(first.mean() - 0.5) < 0.02
    (half,) = run(node("RandomUniform", T=INT32, dtype=FLOAT16), shape)
    assert half.max() < 1
    (other,) = run(node("RandomUniform", T=INT32, dtype=FLOAT32, seed=8, seed2=1), shape)
    assert not np.array_equal(first, other)
    (normal,) = run(node("RandomStandardNormal", T=INT32, dtype=FLOAT32), shape)
    assert abs(normal.std() - 1) < 0.05
    (cut,) = run(node("TruncatedNormal", T=INT32, dtype=FLOAT32), shape)
    assert np.abs(cut).max() <= 2
    low, high = np.array(-3, np.int32), np.array(4, np.int32)
    (whole,) = run(node("RandomUniformInt", T=INT32, Tout=INT32), [*shape, low, high])
    assert set(np.unique(whole)) == set(range(-3, 4))
    (shuffled,) = run(node("RandomShuffle", T=FLOAT32), [first])
    np.testing.assert_array_equal(np.sort(shuffled), np.sort(first))
    logits = np.log(np.array([[0.7, 0.3, 1e-9]], np.float32))
    (drawn,) = run(node("Multinomial", T=FLOAT32, output_dtype=INT64), [logits, np.array(5000, np.int32)])
    assert drawn.shape == (1, 5000)
    assert abs((drawn == 0).mean() - 0.7) < 0.03


def test_what_passes_a_value_on_and_what_does_nothing() -> None:
    for op, attrs in [
        ("Identity", F32),
        ("ReadVariableOp", {"dtype": FLOAT32}),
        ("CheckNumerics", F32 | {"message": b""}),
    ]:
        (found,) = run(node(op, **attrs), [ONE])
        assert found is ONE
    assert run(node("NoOp"), []) == ()
    assert run(node("Assert", T=AttrList()), [np.array(True)]) == ()
    (printed,) = run(node("Print", T=FLOAT32, U=AttrList("dtype", (BOOL,))), [ONE, np.array(True)])
    assert printed is ONE
