"""Inputs and outputs with their channels in front."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.ir import Shape
from tensorferry.converters.onnx_passes import run_passes
from tensorferry.converters.onnx_passes.borders import move_channels
from tensorferry.formats.errors import GraphError

from ..onnx_model import ops_of, run_graph
from .onnx_graph import Onnx

X = np.random.default_rng(6).standard_normal((2, 4, 5, 3)).astype(np.float32)


def network() -> Onnx:
    """NHWC in, NHWC out."""
    onnx = Onnx()
    inner = onnx.op(
        "lrn", "LRN", onnx.transpose("first", onnx.input("x", 2, 4, 5, 3), 0, 3, 1, 2), size=3, dims=(2, 3, 4, 5)
    )
    return onnx.output(onnx.transpose("last", inner, 0, 2, 3, 1))


@pytest.mark.parametrize(("inputs", "outputs"), [([], []), (["x"], []), ([], ["y"]), (["x"], ["y"])])
def test_channels_in_front(inputs: list[str], outputs: list[str]) -> None:
    onnx = network()
    found = run_passes(onnx.graph, onnx.dims, 18, inputs_as_nchw=inputs, outputs_as_nchw=outputs)
    assert ops_of(found).count("Transpose") == 2 - len(inputs) - len(outputs)
    (expected,) = run_graph(onnx.graph, {"x": X}).values()
    (y,) = run_graph(found, {"x": X.transpose(0, 3, 1, 2) if inputs else X}).values()
    np.testing.assert_allclose(y, expected.transpose(0, 3, 1, 2) if outputs else expected, rtol=1e-6)


def test_shapes_and_outputs_follow() -> None:
    onnx = network()
    graph, dims = move_channels(onnx.graph, onnx.dims, ["x"], ["y"])
    assert graph.nodes["x"].attrs["shape"] == Shape((2, 3, 4, 5), ("",) * 4)
    assert dims["x:0"] == (2, 3, 4, 5)
    assert graph.outputs == {"y": graph.nodes["y/output"].inputs[0]}


@pytest.mark.parametrize("dims", [(2, 3), (1, 2, 3, 4, 5, 6)])
def test_other_ranks_have_no_channels(dims: tuple[int, ...]) -> None:
    onnx = Onnx()
    onnx.output(onnx.op("y", "Relu", onnx.input("x", *dims), dims=dims))
    for inputs, outputs in ((["x"], []), ([], ["y"])):
        with pytest.raises(GraphError, match=r"[xy]: expected 3 to 5 dimensions, to put channels in front, got \["):
            move_channels(onnx.graph, onnx.dims, inputs, outputs)
