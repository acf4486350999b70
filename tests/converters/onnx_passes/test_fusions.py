"""Every rewrite, on what TensorFlow's users and its Python write: fixtures/fusions."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import Graph
from tensorferry.converters.lowering import PASSES, lower
from tensorferry.converters.passes.simplify import simplify
from tensorferry.formats.errors import UsageError

from ...fixture import HOME, graph_def
from ..onnx_model import assert_same, model_of, ops_of, run_model

FOLDER = HOME / "fusions"
CASES: dict[str, dict[str, Any]] = {
    case["name"]: case for case in json.loads((FOLDER / "cases.json").read_text("utf-8"))["cases"]
}
NAMES = {name: name for name in CASES} | {"hard_swish": "hard_sigmoid"}
"""Case -> the rewrite that it is about."""

LEFT = {
    "clip": ["Clip", "Clip"],
    "hard_sigmoid": ["Mul", "HardSigmoid", "HardSigmoid"],
    "hard_swish": ["Mul", "HardSwish", "HardSwish"],
    "softmax": ["Transpose", "LogSoftmax", "Softmax"],
    "gelu": ["Gelu"] * 4,
    "layer_norm": ["LayerNormalization", "Mul", "LayerNormalization", "Mul", "LayerNormalization"],
    "tensordot": ["MatMul", "MatMul", "Add"],
    "one_dimension": ["Transpose", "Conv", "Relu", "MaxPool", "AveragePool", "Transpose", "Transpose"],
    "pads": ["Transpose", "Conv", "Relu", "MaxPool", "AveragePool", "Sub", "MaxPool"] + ["Transpose"] * 3,
    "batch_norm": ["Transpose", "Conv", "Relu", "Conv", "Transpose"],
    "conv_bias": ["Transpose", "Conv", "Relu", "ConvTranspose", "Transpose"],
    "gemm": ["Gemm", "Gemm"],
    "affine": ["Transpose", "Conv", "Relu", "BatchNormalization", "Relu", "Conv", "Transpose"],
    "reshapes": ["Exp", "Reshape"],
    "dilations": ["Transpose", "Conv", "Transpose"],
    "scales": ["Transpose", "Conv", "Relu", "Resize", "Resize", "Transpose", "Transpose"],
    "duplicates": ["Exp", "Add"],
    "layout": ["Transpose", "Conv", "Relu", "Add", "Concat", "Conv", "Transpose"],
}
"""The ops that are left at opset 20."""


@cache
def frozen(name: str) -> Graph:
    path = FOLDER / f"{name}.pb"
    return simplify(from_graph_def(graph_def(path), str(path)), CASES[name]["outputs"])


def lowered(name: str, opset: int, *without: str) -> Graph:
    return lower(frozen(name), ["x:0"], CASES[name]["outputs"], opset=opset, without=without)


def check(name: str, graph: Graph, opset: int) -> None:
    model = model_of(graph, opset)
    arrays = np.load(FOLDER / "cases.npz")
    for run in range(2):
        for output, value in run_model(model, {"x:0": arrays[f"{name}/{run}/x:0"]}).items():
            assert_same(value, arrays[f"{name}/{run}/{output}"])


def test_there_is_a_case_for_each() -> None:
    # Recurrent layers have cases of their own, in fixtures/loops.
    assert set(NAMES.values()) | {"recurrent"} == set(PASSES)


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_tensorflow(name: str) -> None:
    graph = lowered(name, 20)
    assert sorted(ops_of(graph)) == sorted(LEFT[name])
    check(name, graph, 20)


@pytest.mark.parametrize("name", CASES)
def test_at_the_oldest_opset(name: str) -> None:
    check(name, lowered(name, 13), 13)


@pytest.mark.parametrize("name", CASES)
def test_left_out_it_changes_nothing_but_the_nodes(name: str) -> None:
    graph = lowered(name, 20, NAMES[name])
    assert len(ops_of(graph)) > len(LEFT[name])
    check(name, graph, 20)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"speed, luck: expected the name of a rewrite, one of dilations, duplicates, "
    ):
        lowered("gemm", 18, "speed", "luck")
