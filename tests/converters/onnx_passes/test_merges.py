"""Duplicates, reshapes, layer normalisation: made one where they are, left alone where they aren't."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from tensorferry.converters.ir import Graph
from tensorferry.converters.onnx_passes.duplicates import merge_duplicates
from tensorferry.converters.onnx_passes.layer_norm import fuse_layer_norm
from tensorferry.converters.onnx_passes.reshapes import merge_reshapes
from tensorferry.converters.onnx_passes.unused import remove_unused

from ..onnx_model import ops_of, run_graph
from .onnx_graph import Onnx

X = np.random.default_rng(2).standard_normal((2, 3, 4)).astype(np.float32)


def same(onnx: Onnx, found: Graph) -> None:
    before, after = run_graph(onnx.graph, {"x": X}), run_graph(found, {"x": X})
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-5, atol=1e-5)


def test_duplicates_become_one_with_all_that_depends_on_them() -> None:
    onnx = Onnx()
    x = onnx.input("x", 2, 3, 4)
    for name in "ab":
        y = onnx.op(f"exp_{name}", "Exp", x)
        onnx.output(onnx.op(f"pool_{name}", "ReduceMax", y, keepdims=0), name, rank=0)
    found = merge_duplicates(onnx.graph)
    assert ops_of(found) == ["Exp", "ReduceMax"]
    assert found.outputs == {"a": "pool_a:0", "b": "pool_a:0"}
    same(onnx, found)


def test_what_differs_stays() -> None:
    onnx = Onnx()
    x = onnx.input("x", 2, 3, 4)
    for name, attrs in (("a", {"alpha": 1.0}), ("b", {"alpha": 0.5}), ("c", {})):
        onnx.output(onnx.op(name, "LeakyRelu", x, **attrs), name, rank=3)
    for name, order in (("d", ("a:0", "b:0")), ("e", ("b:0", "a:0"))):
        onnx.output(onnx.op(name, "Sub", *order), name, rank=3)
    for name in "fg":
        onnx.output(onnx.op(name, "RandomUniformLike", x), name, rank=3)
    assert len(ops_of(merge_duplicates(onnx.graph))) == 7


def reshaped(first: list[int], second: list[int]) -> Onnx:
    onnx = Onnx()
    y = onnx.op("first", "Reshape", onnx.input("x", 2, 3, 4), onnx.const("a", first, "int64"))
    onnx.output(onnx.op("second", "Reshape", y, onnx.const("b", second, "int64")), rank=len(second))
    return onnx


@pytest.mark.parametrize(("second", "left"), [([4, 6], 1), ([-1], 1), ([0, 4], 2)])
def test_reshapes(second: list[int], left: int) -> None:
    onnx = reshaped([6, 4], second)
    found = remove_unused(merge_reshapes(onnx.graph))
    assert ops_of(found) == ["Reshape"] * left
    same(onnx, found)


def test_a_reshape_that_somebody_else_takes_stays() -> None:
    onnx = reshaped([6, 4], [24])
    onnx.output("first:0", "z", rank=2)
    found = remove_unused(merge_reshapes(onnx.graph))
    assert [node.inputs[0] for node in found if node.op == "Reshape"] == ["x:0", "x:0"]
    same(onnx, found)


def moments(onnx: Onnx, axis: int = -1) -> tuple[str, str, str, str]:
    """x, its mean, x - mean, 1 / deviation."""
    x = onnx.input("x", 2, 3, 4)
    axes = onnx.const("axes", [axis], "int64")
    mean = onnx.op("mean", "ReduceMean", x, axes, keepdims=1)
    centred = onnx.op("centred", "Sub", x, mean)
    variance = onnx.op("variance", "ReduceMean", onnx.op("square", "Mul", centred, centred), axes, keepdims=1)
    shifted = onnx.op("shifted", "Add", variance, onnx.const("epsilon", 1e-3))
    return x, mean, centred, onnx.op("inverse", "Reciprocal", onnx.op("root", "Sqrt", shifted))


def centred_form(onnx: Onnx, axis: int = -1) -> str:
    _, _, centred, inverse = moments(onnx, axis)
    normal = onnx.op("normal", "Mul", centred, inverse)
    scaled = onnx.op("scaled", "Mul", onnx.const("scale", [1, 2, 3, 4.0]), normal)
    return onnx.op("y", "Add", scaled, onnx.const("offset", [0, 1, 2, 3.0]), dims=(2, 3, 4))


def scaled_first(onnx: Onnx) -> str:
    _, _, centred, inverse = moments(onnx)
    factor = onnx.op("factor", "Mul", inverse, onnx.const("scale", [1, 2, 3, 4.0]))
    return onnx.op("y", "Add", onnx.op("scaled", "Mul", centred, factor), onnx.const("offset", [0, 1, 2, 3.0]))


def without_offset(onnx: Onnx) -> str:
    _, _, centred, inverse = moments(onnx, 2)
    return onnx.op("y", "Mul", onnx.op("n", "Mul", centred, inverse), onnx.const("scale", [1, 2, 3, 4.0]))


def affine_form(onnx: Onnx) -> str:
    x, mean, _, inverse = moments(onnx)
    factor = onnx.op("factor", "Mul", inverse, onnx.const("scale", [1, 2, 3, 4.0]))
    rest = onnx.op("rest", "Sub", onnx.const("offset", [0, 1, 2, 3.0]), onnx.op("shift", "Mul", mean, factor))
    return onnx.op("y", "Add", onnx.op("scaled", "Mul", x, factor), rest)


@pytest.mark.parametrize("form", [centred_form, scaled_first, without_offset, affine_form])
def test_layer_normalisation(form: Callable[[Onnx], str]) -> None:
    onnx = Onnx()
    onnx.output(form(onnx), rank=3)
    found = remove_unused(fuse_layer_norm(onnx.graph, onnx.dims))
    assert ops_of(found) == ["LayerNormalization"]
    assert math.isclose(found.nodes["y"].attrs["epsilon"], 1e-3, rel_tol=1e-6)  # type: ignore[arg-type]
    same(onnx, found)


def test_another_axis_is_no_layer_normalisation() -> None:
    onnx = Onnx()
    onnx.output(centred_form(onnx, 1), rank=3)
    assert "LayerNormalization" not in ops_of(fuse_layer_norm(onnx.graph, onnx.dims))


@pytest.mark.parametrize("taken", ["normal", "scaled", "inverse"])
def test_steps_that_somebody_else_takes_stay(taken: str) -> None:
    onnx = Onnx()
    onnx.output(centred_form(onnx), rank=3)
    onnx.output(f"{taken}:0", "z", rank=3)
    found = remove_unused(fuse_layer_norm(onnx.graph, onnx.dims))
    same(onnx, found)
    assert ("LayerNormalization" in ops_of(found)) == (taken == "scaled" and "Add" in ops_of(found))
