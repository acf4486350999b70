"""Runs ONNX-dialect graphs: through the checker, then in onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from tensorferry.converters.ir import Graph, Shape
from tensorferry.converters.to_onnx import to_model_proto

Arrays = dict[str, np.ndarray[Any, Any]]

needs_recent_runtime = pytest.mark.skipif(
    tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 24),
    reason=f"onnxruntime {onnxruntime.__version__} lacks kernels (of float64, ...) and opsets that newer ones have",
)
"""For tests of every op and opset: the last onnxruntime for Python 3.10 is too old for some of them."""


def model_of(graph: Graph, opset: int = 18) -> onnx.ModelProto:
    """The model, checked in full where the rank of inputs and outputs is known: the checker knows no other."""
    model = to_model_proto(graph, opset)
    borders = [node for node in graph if node.op in ("Input", "Output")]
    ranks = [shape.dims is not None for node in borders if isinstance(shape := node.attrs["shape"], Shape)]
    if all(ranks):
        onnx.checker.check_model(model, full_check=True)
    return model


def run_model(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray[Any, Any]]) -> Arrays:
    """What onnxruntime computes, by output name. Of the feeds those are taken that the model asks for."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    asked = {item.name: _fed(feeds[item.name]) for item in session.get_inputs()}
    names = [item.name for item in session.get_outputs()]
    return {name: np.asarray(value) for name, value in zip(names, session.run(names, asked), strict=True)}


def run_graph(graph: Graph, feeds: Mapping[str, np.ndarray[Any, Any]], opset: int = 18) -> Arrays:
    """Both."""
    return run_model(model_of(graph, opset), feeds)


def _fed(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Strings as onnxruntime takes them."""
    if array.dtype != object:
        return array
    texts = np.empty(array.shape, object)
    texts[...] = np.vectorize(lambda item: item.decode() if isinstance(item, bytes) else item, otypes=[object])(array)
    return texts


def assert_same(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], tolerance: float = 1e-5) -> None:
    """Equal types and shapes, and values within the tolerance of their type."""
    if expected.dtype == object:
        assert [str(item) for item in found.ravel()] == [item.decode() for item in expected.ravel()]
        assert found.shape == expected.shape
        return
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    limit = 2e-3 if expected.dtype == np.float16 else tolerance
    np.testing.assert_allclose(found.astype(np.float64), expected.astype(np.float64), rtol=limit, atol=limit)


def ops_of(graph: Graph) -> list[str]:
    """The ops that compute, in order."""
    return [node.op for node in graph.topological() if node.op not in ("Input", "Constant", "Output")]
