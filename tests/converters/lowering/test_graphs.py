"""Graphs as people build them: fixtures/lowering, and the models of the other fixtures."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import Graph
from tensorferry.converters.lowering import lower, newest_opset
from tensorferry.converters.passes.simplify import simplify
from tensorferry.formats.errors import UnsupportedError

from ...fixture import FIXTURES, HOME, graph_def
from ..onnx_model import assert_same, model_of, needs_recent_runtime, ops_of, run_model

LOWERING = HOME / "lowering"
CASES: dict[str, dict[str, Any]] = {
    case["name"]: case for case in json.loads((LOWERING / "cases.json").read_text("utf-8"))["cases"]
}


@cache
def graph_of(name: str) -> Graph:
    path = LOWERING / f"{name}.pb"
    return from_graph_def(graph_def(path), str(path))


def lowered(name: str, opset: int = 18) -> Graph:
    return lower(graph_of(name), CASES[name]["inputs"], CASES[name]["outputs"], opset=opset)


def check(name: str, graph: Graph, opset: int) -> None:
    """Every recorded run, on one model."""
    model = model_of(graph, opset)
    arrays = np.load(LOWERING / f"{name}.npz")
    for run in CASES[name]["runs"]:
        found = run_model(model, {value: arrays[key] for value, key in run["feeds"].items()})
        for value, key in run["fetches"].items():
            assert_same(found[value], arrays[key])


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_tensorflow(name: str) -> None:
    check(name, lowered(name), 18)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"integers", "any_rank"}))
@pytest.mark.parametrize("opset", [16, pytest.param(newest_opset(), marks=needs_recent_runtime)])
def test_agrees_at_other_opsets(name: str, opset: int) -> None:
    check(name, lowered(name, opset), opset)


@pytest.mark.parametrize("name", ["lenet", "resnet", "mobilenet", "attention", "slices", "transposed", "types"])
def test_agrees_at_the_oldest_opset(name: str) -> None:
    check(name, lowered(name, 13), 13)


@pytest.mark.parametrize(
    ("name", "transposes"),
    [("lenet", 1), ("resnet", 1), ("mobilenet", 2), ("densenet", 2), ("unet", 2), ("transposed", 5), ("attention", 4)],
)
def test_transposes_are_left_at_the_borders_only(name: str, transposes: int) -> None:
    """One for a picture that comes in, one for each that goes out; attention has its own, which mean something."""
    assert ops_of(lowered(name)).count("Transpose") == transposes


@pytest.mark.parametrize(
    ("name", "nodes"),
    [("lenet", 12), ("resnet", 18), ("mobilenet", 17), ("densenet", 20), ("dilated", 11), ("unrolled_lstm", 46)],
)
def test_models_are_no_larger_than_they_were(name: str, nodes: int) -> None:
    assert len(ops_of(lowered(name))) <= nodes


def test_dilations_are_in_the_convolution() -> None:
    assert not {"Reshape", "Slice"} & set(ops_of(lowered("dilated")))
    dilations = [node.attrs["dilations"].items for node in lowered("dilated") if node.op == "Conv"]  # type: ignore[union-attr]
    assert sorted(dilations) == [(2,), (2, 2), (3, 3)]


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("add", "raw"),
        ("add_resource", "raw"),
        ("add_tf2", "raw"),
        ("encoder", "raw"),
        ("mnist", "raw"),
        ("mnist", "ema"),
    ],
)
def test_fixtures_agree_with_tensorflow(name: str, variables: str) -> None:
    fixture = FIXTURES[name]
    frozen = from_graph_def(graph_def(fixture.frozen[variables]), name)
    graph = lower(simplify(frozen, fixture.outputs), None, fixture.outputs)
    model = model_of(graph)
    for answer in fixture.answers(variables):
        found = run_model(model, answer.feeds)
        assert found.keys() == answer.fetches.keys()
        for value, expected in answer.fetches.items():
            assert_same(found[value], expected)


def test_old_opsets_need_constant_axes() -> None:
    with pytest.raises(UnsupportedError, match=r"Mean: expected constant axes, got computed ones \(opset 18 can"):
        lowered("any_rank", 16)


def test_a_small_network_becomes_a_small_model() -> None:
    """Training is gone, batch normalisation is in the weights, and no transpose is left at all."""
    fixture = FIXTURES["mnist"]
    frozen = from_graph_def(graph_def(fixture.frozen["ema"]), "mnist")
    ops = ops_of(lower(simplify(frozen, fixture.outputs), None, fixture.outputs))
    assert ops == [
        "Reshape", "Conv", "Relu", "MaxPool", "Conv", "Relu", "MaxPool", "Reshape", "Gemm", "Relu", "Gemm",
        "Softmax", "ArgMax",
    ]  # fmt: skip
