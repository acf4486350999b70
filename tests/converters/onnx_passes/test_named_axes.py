"""A Pad before a MaxPool, as every onnxruntime understands it."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.onnx_passes import fuse
from tensorferry.converters.onnx_passes.named_axes import NAMED_AXES

from ..onnx_model import run_graph
from .onnx_graph import Onnx

X = -1 - np.random.default_rng(6).random((1, 1, 4, 4), np.float32)


def network() -> Onnx:
    onnx = Onnx()
    pads = onnx.const("pads", [0, 0, 1, 1, 0, 0, 1, 1], "int64")
    padded = onnx.op("pad", "Pad", onnx.input("x", 1, 1, 4, 4), pads, dims=(1, 1, 6, 6))
    return onnx.output(onnx.op("y", "MaxPool", padded, dims=(1, 1, 4, 4), kernel_shape=[3, 3], strides=[1, 1]))


@pytest.mark.parametrize(("opset", "inputs"), [(18, 4), (13, 2)])
def test_axes(opset: int, inputs: int) -> None:
    onnx = network()
    found, _ = fuse(onnx.graph, onnx.dims, opset, [NAMED_AXES])
    assert len(found.nodes["pad"].inputs) == inputs
    again, _ = fuse(found, onnx.dims, opset, [NAMED_AXES])
    assert again.nodes == found.nodes


def test_the_zeros_count() -> None:
    onnx = network()
    found, _ = fuse(onnx.graph, onnx.dims, 18, [NAMED_AXES])
    (y,) = run_graph(found, {"x": X}).values()
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(X, [(0, 0), (0, 0), (1, 1), (1, 1)]), (3, 3), axis=(2, 3))
    np.testing.assert_array_equal(y, windows.max(axis=(-1, -2)))
