"""Passes over ONNX-dialect graphs: each takes a graph and returns one.

    layout       transposes that meet, cancel or vanish in constants (layout_rules: op by op)
    flattened    a transpose before a flattening goes into the weights behind it
    gemm         MatMul and the bias after it are one Gemm
    conv_bias    so are Conv and its bias
    unused       nodes that no result needs
"""

from __future__ import annotations

from collections.abc import Mapping

from ..dims import Dims
from ..ir import Graph
from .layout import push_transposes
from .unused import remove_unused


def run_passes(graph: Graph, dims: Mapping[str, Dims], opset: int) -> Graph:
    """All passes, in order. `dims` has the shapes of the graph's values as far as they are known."""
    graph = remove_unused(graph)
    graph, dims = push_transposes(graph, dims, opset)
    return remove_unused(graph)
