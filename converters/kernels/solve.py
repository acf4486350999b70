"""Systems of linear equations, in the last two dimensions."""

from __future__ import annotations

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, make_room

KERNELS: OpTable[Kernel] = OpTable("kernel")


def _adjoint(x: Array) -> Array:
    return np.conj(np.swapaxes(x, -1, -2))


@KERNELS.op("MatrixSolve", attrs={"adjoint"})
def matrix_solve(node: OpNode, matrix: Array, rhs: Array) -> Array:
    """x with matrix @ x = rhs; matrix [..., N, N], rhs [..., N, K]."""
    return _solved(node, _adjoint(matrix) if node.flag("adjoint") else matrix, rhs)


@KERNELS.op("MatrixTriangularSolve", attrs={"lower", "adjoint"})
def matrix_triangular_solve(node: OpNode, matrix: Array, rhs: Array) -> Array:
    """The same, of which matrix only one triangle counts; batches broadcast."""
    triangle = np.tril(matrix) if node.flag("lower") else np.triu(matrix)
    return _solved(node, _adjoint(triangle) if node.flag("adjoint") else triangle, rhs)


def _solved(node: OpNode, matrix: Array, rhs: Array) -> Array:
    if matrix.ndim < 2 or rhs.ndim < 2:
        raise GraphError(node.name, f"expected matrices, got {list(matrix.shape)} and {list(rhs.shape)}")
    batch = np.broadcast_shapes(matrix.shape[:-2], rhs.shape[:-2])
    make_room(node, (*batch, *rhs.shape[-2:]), rhs.dtype)
    return np.linalg.solve(np.broadcast_to(matrix, (*batch, *matrix.shape[-2:])), rhs)


@KERNELS.op("Cholesky")
def cholesky(node: OpNode, x: Array) -> Array:
    """The lower triangle whose product with its adjoint is x [..., N, N], of which the lower triangle counts."""
    return np.linalg.cholesky(np.tril(x) + _adjoint(np.tril(x, -1)))
