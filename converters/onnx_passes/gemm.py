"""A matrix product with constant weights and the bias after it are one Gemm.

Add(MatMul(a [m, k], w [k, n]), b [n])  =  Gemm(a, w, b)
"""

from __future__ import annotations

from collections.abc import Mapping

from ..inference.dims import Dims
from ..ir import Graph, Node
from .editing import Editor


def fuse_gemm(graph: Graph, dims: Mapping[str, Dims]) -> Graph:
    """The graph with Gemm wherever both operands are known to be matrices. `dims` has the shapes of values."""
    editor = Editor(graph)
    for add in editor.of("Add"):
        for left, right in (add.inputs, add.inputs[::-1]):
            product, bias = editor.lone_maker(left, "MatMul"), editor.constant(right)
            if product is None or bias is None:
                continue
            weights, shape = editor.constant(product.inputs[1]), dims.get(product.inputs[0])
            if weights is None or shape is None or len(shape) != 2 or weights.rank != 2:
                continue
            if weights.dtype.is_floating and bias.shape in ((weights.shape[1],), (1, weights.shape[1])):
                editor.replace(add, Node(add.name, "Gemm", (*product.inputs, right)), product)
                break
    return editor.graph()
