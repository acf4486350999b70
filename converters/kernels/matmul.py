"""Matrix products, Einsum, inverses, determinants. Floating types below 32 bits are multiplied and added in float32."""

from __future__ import annotations

import string

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, make_room, widened

KERNELS: OpTable[Kernel] = OpTable("kernel")


def product(node: OpNode, x: Array, y: Array) -> Array:
    """x [..., M, K] times y [..., K, N], leading dimensions broadcast: [..., M, N] in x's type."""
    make_room(node, (*np.broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-1]), x.dtype)
    return np.matmul(widened(x), widened(y)).astype(x.dtype, copy=False)


@KERNELS.op("MatMul", "SparseMatMul", attrs={"transpose_a", "transpose_b", "a_is_sparse", "b_is_sparse"})
def mat_mul(node: OpNode, a: Array, b: Array) -> Array:
    """a [M, K] times b [K, N], either one transposed on request. That one is sparse is only a hint."""
    if a.ndim != 2 or b.ndim != 2:
        raise GraphError(node.name, f"expected matrices, got shapes {list(a.shape)} and {list(b.shape)}")
    return product(node, a.T if node.flag("transpose_a") else a, b.T if node.flag("transpose_b") else b)


@KERNELS.op("BatchMatMul", "BatchMatMulV2", attrs={"adj_x", "adj_y"})
def batch_mat_mul(node: OpNode, x: Array, y: Array) -> Array:
    """x [..., M, K] times y [..., K, N], either one adjoint (transposed, conjugate) on request."""
    return _batch_product(node, x, y)


@KERNELS.op("BatchMatMulV3", attrs={"adj_x", "adj_y"})
def batch_mat_mul_v3(node: OpNode, x: Array, y: Array) -> Array:
    """BatchMatMulV2 with an element type of its own for the result."""
    dtype = node.dtype("Tout").numpy()
    if x.dtype == y.dtype == dtype:
        return _batch_product(node, x, y)
    wide = widened(np.zeros((), dtype)).dtype
    return _batch_product(node, x.astype(wide), y.astype(wide)).astype(dtype, copy=False)


def _batch_product(node: OpNode, x: Array, y: Array) -> Array:
    if x.ndim < 2 or y.ndim < 2:
        raise GraphError(node.name, f"expected matrices, got shapes {list(x.shape)} and {list(y.shape)}")
    return product(node, _adjoint(x) if node.flag("adj_x") else x, _adjoint(y) if node.flag("adj_y") else y)


@KERNELS.op("MatrixInverse", attrs={"adjoint"})
def matrix_inverse(node: OpNode, x: Array) -> Array:
    """The inverses of x [..., M, M], or of their adjoints."""
    return np.linalg.inv(_adjoint(x) if node.flag("adjoint") else x)


@KERNELS.op("MatrixDeterminant")
def matrix_determinant(node: OpNode, x: Array) -> Array:
    """The determinants of x [..., M, M]."""
    return np.asarray(np.linalg.det(x))


def _adjoint(x: Array) -> Array:
    return np.conj(np.swapaxes(x, -1, -2)) if x.dtype.kind == "c" else np.swapaxes(x, -1, -2)


@KERNELS.op("Einsum", attrs={"equation"})
def einsum(node: OpNode, *inputs: Array) -> Array:
    """The sum of products that the attribute `equation` spells, with letters as labels and `...` for batches."""
    equation = node.text("equation").replace(" ", "")
    terms, arrow, result = equation.partition("->")
    if not arrow or not set(equation) <= set(string.ascii_letters + ",.->"):
        raise GraphError(node.name, f"expected an equation with an arrow, got {equation!r}")
    make_room(node, _einsum_shape(terms.split(","), result, inputs), inputs[0].dtype)
    value = np.einsum(equation, *(widened(x) for x in inputs), optimize="greedy")
    return np.asarray(value).astype(inputs[0].dtype, copy=False)


def _einsum_shape(terms: list[str], result: str, inputs: tuple[Array, ...]) -> list[int]:
    """The shape of the result; what doesn't fit is left to numpy's own messages."""
    extent: dict[str, int] = {}
    batch: tuple[int, ...] = ()
    for term, x in zip(terms, inputs, strict=True):
        head, dots, tail = term.partition("...")
        last = x.ndim - len(tail)
        named = [*zip(head, x.shape, strict=False), *zip(tail, x.shape[last:], strict=False)]
        extent.update((label, max(size, extent.get(label, 0))) for label, size in named)
        if dots:
            batch = np.broadcast_shapes(batch, x.shape[len(head) : last])
    return [*(extent.get(label, 1) for label in result.replace("...", "")), *batch]
