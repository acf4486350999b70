"""ONNX-dialect graphs in a few lines of Python, and what they compute."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorferry.converters.inference.dims import Dims
from tensorferry.converters.ir import Attr, AttrList, Graph, Node, Shape
from tensorferry.converters.onnx_passes import fuse
from tensorferry.converters.onnx_passes.editing import Fusion
from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.tensor import ArrayTensor

from ..onnx_model import run_graph


class Onnx:
    """Collects nodes; every method returns the name of the node's value."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.dims: dict[str, Dims] = {}

    def input(self, name: str, *dims: int | str, dtype: str = "float32") -> str:
        """A graph input; a text is a symbol."""
        shape = Shape(
            tuple(dim if isinstance(dim, int) else -1 for dim in dims),
            tuple(dim if isinstance(dim, str) else "" for dim in dims),
        )
        return self._add(Node(name, "Input", (), {"name": name.encode(), "dtype": DTYPES[dtype], "shape": shape}), dims)

    def const(self, name: str, value: Any, dtype: str = "float32") -> str:
        """A constant."""
        array = np.array(value, dtype)
        return self._add(Node(name, "Constant", (), {"value": ArrayTensor(array)}), array.shape)

    def op(self, name: str, kind: str, *inputs: str, dims: Dims = None, **attrs: Any) -> str:
        """Any op; lists are lists of integers."""
        given: dict[str, Attr] = {
            key: AttrList("int", tuple(value)) if isinstance(value, (list, tuple)) else value
            for key, value in attrs.items()
        }
        return self._add(Node(name, kind, inputs, given), dims)

    def transpose(self, name: str, x: str, *perm: int) -> str:
        """A Transpose."""
        before = self.dims.get(x)
        dims = None if before is None else tuple(before[axis] for axis in perm)
        return self.op(name, "Transpose", x, dims=dims, perm=perm)

    def output(self, value: str, name: str = "y", dtype: str = "float32", rank: int | None = None) -> Onnx:
        """A result."""
        dims = self.dims.get(value)
        known = (-1,) * rank if rank is not None else None if dims is None else (-1,) * len(dims)
        attrs = {"name": name.encode(), "dtype": DTYPES[dtype], "shape": Shape(known)}
        self.nodes.append(Node(f"{name}/output", "Output", (value,), attrs))
        return self

    @property
    def graph(self) -> Graph:
        """The graph so far."""
        outputs = {node.attrs["name"].decode(): node.inputs[0] for node in self.nodes if node.op == "Output"}  # type: ignore[union-attr]
        return Graph({node.name: node for node in self.nodes}, outputs=outputs, dialect="onnx")

    def _add(self, node: Node, dims: Dims) -> str:
        self.nodes.append(node)
        self.dims[f"{node.name}:0"] = dims
        return f"{node.name}:0"


def fused(onnx: Onnx, *fusions: Fusion, opset: int = 18) -> Graph:
    """The graph after some fusions."""
    return fuse(onnx.graph, onnx.dims, opset, fusions)[0]


def refused(onnx: Onnx, *fusions: Fusion, opset: int = 18) -> str:
    """Why they were not made, a line each; the graph has to be as it was."""
    reasons: list[str] = []
    graph, _ = fuse(onnx.graph, onnx.dims, opset, fusions, reasons)
    assert graph.nodes == onnx.graph.nodes
    return "\n".join(reasons)


def assert_same(onnx: Onnx, graph: Graph, **feeds: Any) -> None:
    """onnxruntime computes the same from both graphs."""
    before, after = run_graph(onnx.graph, feeds), run_graph(graph, feeds)
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-5, atol=1e-5)
