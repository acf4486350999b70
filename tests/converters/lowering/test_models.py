"""Whole networks (fixtures/models), for two sizes of batch, beside what tf2onnx makes of them."""

from __future__ import annotations

import json
import lzma
from functools import cache
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import Graph
from tensorferry.converters.lowering import lower
from tensorferry.converters.passes.inline import inline
from tensorferry.converters.passes.simplify import simplify
from tensorferry.formats import protos

from ...fixture import HOME
from ..onnx_model import model_of, needs_recent_runtime, ops_of, run_model

FOLDER = HOME / "models"
MODELS: dict[str, dict[str, Any]] = {
    model["name"]: model for model in json.loads((FOLDER / "models.json").read_text("utf-8"))["models"]
}


@cache
def frozen(name: str) -> Graph:
    encoded = lzma.decompress((FOLDER / f"{name}.pb.xz").read_bytes())
    graph = inline(from_graph_def(protos.parse("GraphDef", encoded, name), name))
    return simplify(graph, MODELS[name]["outputs"])


def check(name: str, opset: int) -> Graph:
    """Both recorded runs; the graph."""
    about = MODELS[name]
    graph = lower(frozen(name), about["inputs"], about["outputs"], opset=opset)
    model = model_of(graph, opset)
    with np.load(FOLDER / f"{name}.npz") as arrays:
        for run in about["runs"]:
            found = run_model(model, {value: arrays[key] for value, key in run["feeds"].items()})
            for value, key in run["fetches"].items():
                assert found[value].dtype == arrays[key].dtype
                np.testing.assert_allclose(found[value], arrays[key], rtol=1e-3, atol=1e-5)
    return graph


@pytest.mark.parametrize("name", MODELS)
def test_agrees_with_tensorflow_and_is_no_larger_than_by_tf2onnx(name: str) -> None:
    ops, peer = ops_of(check(name, 18)), MODELS[name]["tf2onnx"]
    if "error" not in peer:
        assert len(ops) <= peer["nodes"]
        assert ops.count("Transpose") <= peer["transposes"]


@pytest.mark.parametrize("name", ["bert", "deeplab", "mobilenet", "ssd", "t5", "unet", "wavenet"])
@pytest.mark.parametrize("opset", [13, pytest.param(23, marks=needs_recent_runtime)])
def test_agrees_at_other_opsets(name: str, opset: int) -> None:
    check(name, opset)
