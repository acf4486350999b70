"""A matrix product with constant weights and the bias after it are one Gemm.

MatMul(a [m, k], w [k, n]) + b [n]  = Gemm(a, w, b)
"""

from __future__ import annotations

from ..ir import Node
from .editing import Editor, Fusion, Unfit, either_way


def fuse_gemm(editor: Editor, add: Node) -> None:
    """Anchored at the Add; both operands of the product have to be known to be matrices."""
    either_way(add, lambda made, bias: _fuse(editor, add, made, bias))


def _fuse(editor: Editor, add: Node, made: str, bias: str) -> None:
    product = editor.made_alone(made, "MatMul")
    weights, added = editor.weights(product.inputs[1]), editor.weights(bias)
    if weights.rank != 2 or editor.rank(product.inputs[0]) != 2:
        raise Unfit("expected a product of matrices, got one of higher ranks")
    if added.shape not in ((weights.shape[1],), (1, weights.shape[1])):
        raise Unfit(f"expected a bias of {weights.shape[1]} numbers, got {list(added.shape)}")
    editor.replace(add, Node(add.name, "Gemm", (*product.inputs, bias)), product)


GEMM = Fusion("gemm", ("Add",), fuse_gemm)
