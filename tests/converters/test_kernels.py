"""Kernels: every recorded answer of real TensorFlow, the special functions, bounds and errors."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import AttrList, Graph, Node
from tensorferry.converters.kernels import FAMILIES, kernels, run
from tensorferry.converters.op_registry import op_defs, type_attrs
from tensorferry.converters.passes.fold_constants import fold_constants
from tensorferry.formats.dtype import (
    BFLOAT16,
    BOOL,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    STRING_TYPE,
    of_numpy,
)

from ..fixture import HOME, graph_def

RECORDED = sorted(path for folder in ("kernels", "single_ops") for path in (HOME / folder).glob("tensorflow*.pb"))

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
    for name, node in recorded(path).nodes.items()
    if name.endswith("/op") and node.op in kernels()
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
    assert [path.name for path in RECORDED] == ["tensorflow1.pb", "tensorflow2.pb"] * 2
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
    folded_cases = 0
    for path in RECORDED:
        graph = recorded(path)
        folded = fold_constants(graph, growth=1 << 20)
        for node in graph:
            if node.name.endswith("/op") and folded.nodes[node.name].op == "Const" and node.op != "Const":
                expected = expected_outputs(graph, node.name.removesuffix("/op"))
                folded_cases += 1
                if f"{node.name}:0" in expected:
                    value = folded.nodes[node.name].attrs["value"].numpy()  # type: ignore[union-attr]
                    assert_agree(value, expected[f"{node.name}:0"], node.op)
    assert folded_cases > 700


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
    Assert CheckNumericsV2 Const ControlTrigger DeepCopy DisableCopyOnRead Empty NoOp Print PrintV2
    Multinomial RandomShuffle RandomStandardNormal RandomUniform RandomUniformInt StatelessRandomNormal
    StatelessRandomUniform StatelessTruncatedNormal TruncatedNormal
    SampleDistortedBoundingBox SampleDistortedBoundingBoxV2
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


ONE = np.ones(1, np.float32)
F32 = {"T": FLOAT32}
CONV = F32 | {"strides": AttrList("int", (1, 1, 1, 1)), "padding": b"SAME"}
IMAGE = np.ones((1, 4, 4, 2), np.float32)
BACK = CONV | {"strides": AttrList("int", (1, 2, 2, 1))}


def test_a_transposed_convolution_may_be_told_only_the_spatial_sizes() -> None:
    kernel = np.arange(2 * 2 * 3 * 2, dtype=np.float32).reshape(2, 2, 3, 2)
    gradient = np.arange(2 * 2 * 3 * 2, dtype=np.float32).reshape(2, 2, 3, 2)
    full = run(node("Conv2DBackpropInput", **BACK), [np.array([2, 4, 5, 3], np.int32), kernel, gradient])
    short = run(node("Conv2DBackpropInput", **BACK), [np.array([4, 5], np.int32), kernel, gradient])
    np.testing.assert_array_equal(full[0], short[0])


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
        ("CheckNumerics", F32 | {"message": b""}),
    ]:
        (found,) = run(node(op, **attrs), [ONE])
        assert found is ONE
    assert run(node("NoOp"), []) == ()
    assert run(node("Assert", T=AttrList()), [np.array(True)]) == ()
    (printed,) = run(node("Print", T=FLOAT32, U=AttrList("dtype", (BOOL,))), [ONE, np.array(True)])
    assert printed is ONE
