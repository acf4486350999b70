"""Passes over ONNX-dialect graphs: each takes a graph and returns one.

layout       transposes that meet, cancel or vanish in constants (layout_rules: op by op)
conv_bias    Conv and the bias after it are one Conv
batch_norm   batch normalisation goes into the convolution before it
gemm         MatMul and the bias after it are one Gemm
unused       nodes that no result needs
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..inference.dims import Dims
from ..ir import Graph
from .batch_norm import fold_batch_norm
from .conv_bias import fuse_conv_bias
from .duplicates import merge_duplicates
from .gemm import fuse_gemm
from .layer_norm import OPSET as LAYER_NORM
from .layer_norm import fuse_layer_norm
from .layout import push_transposes
from .reshapes import merge_reshapes
from .unused import remove_unused

PASSES = ("duplicates", "layer_norm", "layout", "reshapes", "conv_bias", "batch_norm", "gemm")
"""The passes that can be left out, by name."""


def run_passes(graph: Graph, dims: Mapping[str, Dims], opset: int, *, without: Collection[str] = ()) -> Graph:
    """All passes but those named in `without`. `dims` has the shapes of the graph's values as far as they are known."""
    graph = remove_unused(graph)
    if "duplicates" not in without:
        graph = merge_duplicates(graph)
    if "layer_norm" not in without and opset >= LAYER_NORM:
        graph = fuse_layer_norm(graph, dims)
    if "layout" not in without:
        graph, dims = push_transposes(graph, dims, opset)
    if "reshapes" not in without:
        graph = merge_reshapes(graph)
    if "conv_bias" not in without:
        graph = fuse_conv_bias(graph)
    if "batch_norm" not in without:
        graph = fold_batch_norm(graph)
    if "gemm" not in without:
        graph = fuse_gemm(graph, dims)
    return remove_unused(graph)
