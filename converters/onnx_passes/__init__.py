"""Passes over ONNX-dialect graphs: each takes a graph and returns one.

    identities   nodes that only pass a value on
    unused       nodes that no result needs
    layout       transposes that meet, cancel or vanish in constants
"""

from __future__ import annotations

from collections.abc import Mapping

from ..dims import Dims
from ..ir import Graph
from .unused import remove_unused


def run_passes(graph: Graph, dims: Mapping[str, Dims], opset: int) -> Graph:
    """All passes, in order. `dims` has the shapes of the graph's values as far as they are known."""
    return remove_unused(graph)
