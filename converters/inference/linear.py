"""Rules of linear algebra: matrix products, diagonals, decompositions, transforms."""

from __future__ import annotations

from collections.abc import Callable

from ..ops import OpNode, OpTable
from .dims import Dim, Dims, broadcast_dims, merge_dims
from .facts import Result, dim_at, same, unknown, with_rank
from .values import Value

RULES: OpTable[Callable[..., Result]] = OpTable("inference rule")


@RULES.op("MatMul", attrs={"transpose_a", "transpose_b", "grad_a", "grad_b"})
def mat_mul(node: OpNode, a: Value, b: Value) -> Result:
    """[m, k] times [k, n]."""
    left, right = with_rank(node, a, 2), with_rank(node, b, 2)
    return (left[node.flag("transpose_a")], right[not node.flag("transpose_b")])


@RULES.op("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", attrs={"adj_x", "adj_y", "grad_x", "grad_y"})
def batch_mat_mul(node: OpNode, x: Value, y: Value) -> Result:
    """[..., m, k] times [..., k, n]; V2 broadcasts what is in front."""
    rows, columns = dim_at(x, -1 if node.flag("adj_x") else -2), dim_at(y, -2 if node.flag("adj_y") else -1)
    if x.dims is None or y.dims is None:
        return None
    batch = broadcast_dims if node.op != "BatchMatMul" else lambda shapes: merge_dims(*shapes)
    ahead = batch((x.dims[:-2], y.dims[:-2]))
    return None if ahead is None else (*ahead, rows, columns)


@RULES.op("Einsum", attrs={"equation"})
def einsum(node: OpNode, *inputs: Value) -> Result:
    """Each letter is one size; `...` are the dimensions that no letter names, broadcast."""
    left, arrow, right = node.text("equation").replace(" ", "").partition("->")
    operands = left.split(",")
    if not arrow or len(operands) != len(inputs) or any(value.dims is None for value in inputs):
        return None
    sizes: dict[str, Dim] = {}
    middle: list[Dims] = []
    for labels, value in zip(operands, inputs, strict=True):
        assert value.dims is not None
        before, dots, after = labels.partition("...")
        if len(value.dims) < len(before) + len(after) or (not dots and len(value.dims) != len(before)):
            return None
        tail = len(value.dims) - len(after)
        middle.append(value.dims[len(before) : tail])
        named = zip(before + after, value.dims[: len(before)] + value.dims[tail:], strict=True)
        for label, dim in named:
            sizes[label] = _known_better(sizes.get(label), dim)
    spread = broadcast_dims(middle)
    before, dots, after = right.partition("...")
    if spread is None or any(label not in sizes for label in before + after):
        return None
    return (*(sizes[label] for label in before), *(spread if dots else ()), *(sizes[label] for label in after))


def _known_better(a: Dim, b: Dim) -> Dim:
    if a in (None, 1):
        return a if b is None else b
    return b if isinstance(b, int) and b != 1 else a


@RULES.op("MatrixDiag", "BatchMatrixDiag")
def matrix_diag(node: OpNode, x: Value) -> Result:
    """[..., n] -> [..., n, n]."""
    return None if x.dims is None else (*x.dims, *x.dims[-1:])


@RULES.op("MatrixDiagPart", "BatchMatrixDiagPart")
def matrix_diag_part(node: OpNode, x: Value) -> Result:
    """[..., m, n] -> [..., min(m, n)]."""
    if x.dims is None or len(x.dims) < 2:
        return None
    rows, columns = x.dims[-2:]
    if isinstance(rows, int) and isinstance(columns, int):
        return (*x.dims[:-2], min(rows, columns))
    return (*x.dims[:-2], rows if rows == columns else None)


def _is_one_diagonal(k: Value) -> bool:
    """Whether a band that is computed has a single diagonal: two bounds may well be equal."""
    return k.rank == 0 or k.dims == (1,)


@RULES.op("MatrixDiagV2", "MatrixDiagV3", attrs={"align"})
def matrix_diag_v3(node: OpNode, diagonal: Value, k: Value, rows: Value, columns: Value, padding: Value) -> Result:
    """[..., (diagonals,) length] -> [..., rows, columns]."""
    span = k.integers()
    if diagonal.dims is None:
        return None
    if span is None:
        return (*diagonal.dims[:-1], None, None) if _is_one_diagonal(k) else None
    low, high = span[0], span[-1]
    ahead = diagonal.dims[:-1] if low == high else diagonal.dims[:-2]
    height, width, length = rows.integer(), columns.integer(), diagonal.dims[-1]
    if height == -1 and width == -1 and isinstance(length, int):
        size = length + max(abs(low) if low > 0 else 0, abs(high) if high < 0 else 0)
        return (*ahead, size, size)
    if height is None or width is None or not isinstance(length, int):
        return (*ahead, None, None)
    if height == -1:
        height = max(length - min(high, 0), 1) if width != -1 else height
    if width == -1:
        width = length + max(low, 0)
    return (*ahead, height, width)


@RULES.op("MatrixDiagPartV2", "MatrixDiagPartV3", attrs={"align"})
def matrix_diag_part_v3(node: OpNode, x: Value, k: Value, padding: Value) -> Result:
    """[..., m, n] -> [..., (diagonals,) longest]."""
    span = k.integers()
    if x.dims is None or len(x.dims) < 2:
        return None
    if span is None:
        return (*x.dims[:-2], None) if _is_one_diagonal(k) else None
    low, high = span[0], span[-1]
    rows, columns = x.dims[-2:]
    longest: Dim = None
    if isinstance(rows, int) and isinstance(columns, int):
        longest = min(rows + min(high, 0), columns - max(low, 0))
    return (*x.dims[:-2], *((high - low + 1,) if low != high else ()), longest)


RULES.add("MatrixSetDiag", same)
RULES.add("MatrixSetDiagV2", same)
RULES.add("MatrixSetDiagV3", same, {"align"})
RULES.add("MatrixInverse", same, {"adjoint"})
RULES.add("BatchMatrixInverse", same, {"adjoint"})
RULES.add("Cholesky", same)
RULES.add("FFT", same)
RULES.add("IFFT", same)
RULES.add("FFT2D", same)
RULES.add("IFFT2D", same)
RULES.add("FFT3D", same)
RULES.add("IFFT3D", same)


@RULES.op("MatrixDeterminant", "BatchMatrixDeterminant")
def matrix_determinant(node: OpNode, x: Value) -> Result:
    """[..., n, n] -> [...]."""
    return None if x.dims is None else x.dims[:-2]


@RULES.op("RFFT", "RFFT2D", "RFFT3D")
def rfft(node: OpNode, x: Value, length: Value) -> Result:
    """The inner dimensions take the given lengths, the last one half of its own, and one."""
    sizes = length.integers()
    if x.dims is None or sizes is None:
        return x.dims and unknown(len(x.dims))
    return (*x.dims[: len(x.dims) - len(sizes)], *sizes[:-1], sizes[-1] // 2 + 1)


@RULES.op("IRFFT", "IRFFT2D", "IRFFT3D")
def irfft(node: OpNode, x: Value, length: Value) -> Result:
    """The inner dimensions take the given lengths."""
    sizes = length.integers()
    if x.dims is None or sizes is None:
        return x.dims and unknown(len(x.dims))
    return (*x.dims[: len(x.dims) - len(sizes)], *sizes)


@RULES.op("Cross")
def cross(node: OpNode, a: Value, b: Value) -> Result:
    """[..., 3]."""
    return merge_dims(a.dims, b.dims)


@RULES.op("L2Loss")
def l2_loss(node: OpNode, x: Value) -> Result:
    """A scalar."""
    return ()


@RULES.op("MatrixSolve", "BatchMatrixSolve", attrs={"adjoint"})
def matrix_solve(node: OpNode, matrix: Value, right: Value) -> Result:
    """The right side's shape."""
    return right.dims


@RULES.op("MatrixTriangularSolve", "BatchMatrixTriangularSolve", attrs={"lower", "adjoint"})
def matrix_triangular_solve(node: OpNode, matrix: Value, right: Value) -> Result:
    """The right side's, but batches broadcast."""
    if matrix.dims is None or right.dims is None:
        return None
    ahead = broadcast_dims((matrix.dims[:-2], right.dims[:-2]))
    return None if ahead is None else (*ahead, *right.dims[-2:])


RULES.add("BatchCholesky", same)


@RULES.op("SparseMatMul", attrs={"transpose_a", "transpose_b", "a_is_sparse", "b_is_sparse"})
def sparse_mat_mul(node: OpNode, a: Value, b: Value) -> Result:
    """MatMul of matrices with many zeros."""
    return mat_mul(node, a, b)
