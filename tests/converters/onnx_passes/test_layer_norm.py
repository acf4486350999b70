"""Layer normalisation, written out, is one op."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from tensorferry.converters.onnx_passes.layer_norm import LAYER_NORM

from ..onnx_model import ops_of
from .onnx_graph import Onnx, assert_same, fused, refused

X = np.random.default_rng(2).standard_normal((2, 3, 4)).astype(np.float32)
SCALE, OFFSET = [1, 2, 3, 4.0], [0, 1, 2, 3.0]


def moments(onnx: Onnx, axis: int = -1) -> tuple[str, str, str, str]:
    """x, mean, centred x, 1 / deviation."""
    x, axes = onnx.input("x", 2, 3, 4), onnx.const("axes", [axis], "int64")
    mean = onnx.op("mean", "ReduceMean", x, axes, keepdims=1)
    centred = onnx.op("centred", "Sub", x, mean)
    variance = onnx.op("variance", "ReduceMean", onnx.op("square", "Mul", centred, centred), axes, keepdims=1)
    shifted = onnx.op("shifted", "Add", variance, onnx.const("epsilon", 1e-3))
    return x, mean, centred, onnx.op("inverse", "Reciprocal", onnx.op("root", "Sqrt", shifted))


def centred_form(onnx: Onnx, axis: int = -1) -> str:
    _, _, centred, inverse = moments(onnx, axis)
    normal = onnx.op("normal", "Mul", centred, inverse)
    scaled = onnx.op("scaled", "Mul", onnx.const("scale", SCALE), normal)
    return onnx.op("y", "Add", scaled, onnx.const("offset", OFFSET), dims=(2, 3, 4))


def scaled_first(onnx: Onnx) -> str:
    _, _, centred, inverse = moments(onnx)
    factor = onnx.op("factor", "Mul", inverse, onnx.const("scale", [[SCALE]]))
    return onnx.op("y", "Add", onnx.op("scaled", "Mul", centred, factor), onnx.const("offset", OFFSET))


def without_offset(onnx: Onnx) -> str:
    _, _, centred, inverse = moments(onnx, 2)
    return onnx.op("y", "Mul", onnx.op("n", "Mul", centred, inverse), onnx.const("scale", SCALE))


def affine_form(onnx: Onnx) -> str:
    x, mean, _, inverse = moments(onnx)
    factor = onnx.op("factor", "Mul", inverse, onnx.const("scale", SCALE))
    rest = onnx.op("rest", "Sub", onnx.const("offset", OFFSET), onnx.op("shift", "Mul", mean, factor))
    return onnx.op("y", "Add", onnx.op("scaled", "Mul", x, factor), rest)


def negative_form(onnx: Onnx) -> str:
    x, mean, _, inverse = moments(onnx)
    factor = onnx.op("factor", "Mul", inverse, onnx.const("scale", [[SCALE]]))
    shift = onnx.op("shift", "Mul", onnx.op("negative", "Neg", mean), factor)
    rest = onnx.op("rest", "Add", shift, onnx.const("offset", [[OFFSET]]))
    return onnx.op("y", "Add", onnx.op("scaled", "Mul", x, factor), rest)


@pytest.mark.parametrize("form", [centred_form, scaled_first, without_offset, affine_form, negative_form])
def test_layer_normalisation(form: Callable[[Onnx], str]) -> None:
    onnx = Onnx()
    onnx.output(form(onnx), rank=3)
    found = fused(onnx, LAYER_NORM)
    assert ops_of(found) == ["LayerNormalization"]
    assert math.isclose(found.nodes["y"].attrs["epsilon"], 1e-3, rel_tol=1e-6)  # type: ignore[arg-type]
    assert_same(onnx, found, x=X)


def test_another_axis_is_no_layer_normalisation() -> None:
    onnx = Onnx()
    onnx.output(centred_form(onnx, 1), rank=3)
    assert "expected a mean over the last dimension, which stays, got one over [1]" in refused(onnx, LAYER_NORM)


@pytest.mark.parametrize("form", [affine_form, negative_form])
def test_a_shift_by_something_else_is_none(form: Callable[[Onnx], str]) -> None:
    onnx = Onnx()
    onnx.output(form(onnx), rank=3)
    place = next(
        i for i, node in enumerate(onnx.nodes) if node.name == ("negative" if form is negative_form else "shift")
    )
    inputs = onnx.nodes[place].inputs
    onnx.nodes[place] = onnx.nodes[place].with_(inputs=tuple("root:0" if v == "mean:0" else v for v in inputs))
    assert "expected the scaled input and the shifted mean to be added" in refused(onnx, LAYER_NORM)


@pytest.mark.parametrize("taken", ["normal", "scaled", "inverse"])
def test_steps_that_somebody_else_takes_stay(taken: str) -> None:
    onnx = Onnx()
    onnx.output(centred_form(onnx), rank=3)
    onnx.output(f"{taken}:0", "z", rank=3)
    found = fused(onnx, LAYER_NORM)
    assert_same(onnx, found, x=X)
    assert ("LayerNormalization" in ops_of(found)) == (taken == "scaled" and "Add" in ops_of(found))
