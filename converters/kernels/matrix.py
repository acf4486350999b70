"""Bands and diagonals of matrices, in the last two dimensions.

Diagonal d of a matrix runs from column d of row 0 (d > 0), or from row -d of column 0 (d < 0). Several at once, from
k[0] to k[1], are rows of a [k[1]-k[0]+1, longest] array, the uppermost first; shorter ones are aligned as `align` says
(the superdiagonals' side, then the subdiagonals'), and filled up. Versions 1 and 2 of the ops align to the left.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, make_room, scalar, sizes

KERNELS: OpTable[Kernel] = OpTable("kernel")


@KERNELS.op("MatrixBandPart", "BatchMatrixBandPart")
def matrix_band_part(node: OpNode, x: Array, num_lower: Array, num_upper: Array) -> Array:
    """x [..., M, N], zero beyond num_lower diagonals below the main one and num_upper above it; -1 keeps all."""
    lower, upper = scalar(node, num_lower, "num_lower"), scalar(node, num_upper, "num_upper")
    below = np.arange(x.shape[-2])[:, None] - np.arange(x.shape[-1])
    kept = ((lower < 0) | (below <= lower)) & ((upper < 0) | (-below <= upper))
    return np.where(kept, x, np.zeros((), x.dtype))


@KERNELS.op("Diag")
def diag(node: OpNode, x: Array) -> Array:
    """x [D...] on the diagonal of [D..., D...]."""
    make_room(node, x.shape * 2, x.dtype)
    return np.diag(x.reshape(-1)).reshape(x.shape * 2)


@KERNELS.op("DiagPart")
def diag_part(node: OpNode, x: Array) -> Array:
    """The diagonal [D...] of x [D..., D...]."""
    half = x.shape[: x.ndim // 2]
    if x.shape != half * 2:
        raise GraphError(node.name, f"expected a shape that repeats itself, got {list(x.shape)}")
    side = int(np.prod(half, dtype=np.int64))
    return np.diagonal(x.reshape(side, side)).reshape(half)


@KERNELS.op("MatrixDiag", "BatchMatrixDiag")
def matrix_diag(node: OpNode, diagonal: Array) -> Array:
    """[..., N] on the main diagonals of [..., N, N] zeros."""
    side = diagonal.shape[-1]
    value = np.zeros(make_room(node, (*diagonal.shape, side), diagonal.dtype), diagonal.dtype)
    _put(node, value, diagonal[..., None, :], (0, 0))
    return value


@KERNELS.op("MatrixDiagV2", "MatrixDiagV3", attrs={"align"})
def matrix_diag_v3(node: OpNode, diagonal: Array, k: Array, num_rows: Array, num_cols: Array, padding: Array) -> Array:
    """Diagonals k[0] to k[1] of matrices that hold `padding` elsewhere; sizes of -1 follow from the diagonals."""
    low, high = _range(node, k)
    bands = diagonal[..., None, :] if low == high else diagonal
    longest = bands.shape[-1]
    rows, columns = scalar(node, num_rows, "num_rows"), scalar(node, num_cols, "num_cols")
    # The longest diagonal is the one closest to the main one; it ends at the last row or column.
    least_rows, least_columns = longest - min(high, 0), longest + max(low, 0)
    if rows == -1 and columns == -1:
        rows = columns = max(least_rows, least_columns)
    rows = least_rows if rows == -1 else rows
    columns = least_columns if columns == -1 else columns
    value = np.full(
        make_room(node, (*bands.shape[:-2], rows, columns), diagonal.dtype), padding.reshape(()), diagonal.dtype
    )
    _put(node, value, bands, (low, high))
    return value


@KERNELS.op("MatrixSetDiag", "BatchMatrixSetDiag")
def matrix_set_diag(node: OpNode, x: Array, diagonal: Array) -> Array:
    """x [..., M, N] with other main diagonals."""
    value = np.array(x)
    _put(node, value, diagonal[..., None, :], (0, 0))
    return value


@KERNELS.op("MatrixSetDiagV2", "MatrixSetDiagV3", attrs={"align"})
def matrix_set_diag_v3(node: OpNode, x: Array, diagonal: Array, k: Array) -> Array:
    """x [..., M, N] with other diagonals k[0] to k[1]."""
    low, high = _range(node, k)
    value = np.array(x)
    _put(node, value, diagonal[..., None, :] if low == high else diagonal, (low, high))
    return value


@KERNELS.op("MatrixDiagPart", "BatchMatrixDiagPart")
def matrix_diag_part(node: OpNode, x: Array) -> Array:
    """The main diagonals [..., min(M, N)] of x [..., M, N]."""
    return np.diagonal(x, axis1=-2, axis2=-1)


@KERNELS.op("MatrixDiagPartV2", "MatrixDiagPartV3", attrs={"align"})
def matrix_diag_part_v3(node: OpNode, x: Array, k: Array, padding: Array) -> Array:
    """Diagonals k[0] to k[1] of x [..., M, N], filled up with `padding`."""
    low, high = _range(node, k)
    longest = max(_lengths(node, x.shape, (low, high)))
    shape = (*x.shape[:-2], high - low + 1, longest)
    value = np.full(make_room(node, shape, x.dtype), padding.reshape(()), x.dtype)
    for d, row, along in _rows(node, x.shape, (low, high), longest):
        value[..., row, along] = np.diagonal(x, d, axis1=-2, axis2=-1)
    return value[..., 0, :] if low == high else value


def _range(node: OpNode, k: Array) -> tuple[int, int]:
    listed = sizes(k)
    if len(listed) not in (1, 2) or listed[0] > listed[-1]:
        raise GraphError(node.name, f"expected one diagonal or two in rising order, got {listed}")
    return listed[0], listed[-1]


def _lengths(node: OpNode, shape: tuple[int, ...], k: tuple[int, int]) -> list[int]:
    rows, columns = shape[-2:]
    if not (-rows < k[0] or k[0] == 0) or not (k[1] < columns or k[1] == 0):
        raise GraphError(node.name, f"expected diagonals within {rows} rows and {columns} columns, got {list(k)}")
    return [min(rows + min(d, 0), columns - max(d, 0)) for d in range(k[0], k[1] + 1)]


def _rows(node: OpNode, shape: tuple[int, ...], k: tuple[int, int], longest: int) -> Iterator[tuple[int, int, slice]]:
    """For each diagonal: its number, its row in the bands [count, longest] and the places that it takes there."""
    align = node.text("align") if node.has("align") else "LEFT_LEFT"
    above, _, below = align.partition("_")
    for d, length in zip(range(k[0], k[1] + 1), _lengths(node, shape, k), strict=True):
        right = (above if d >= 0 else below) == "RIGHT"
        yield d, k[1] - d, slice(longest - length, longest) if right else slice(0, length)


def _put(node: OpNode, value: Array, bands: Array, k: tuple[int, int]) -> None:
    """Writes bands [..., count, longest] to the diagonals k[0] to k[1] of value [..., M, N]."""
    longest = max(_lengths(node, value.shape, k))
    wanted = (*value.shape[:-2], k[1] - k[0] + 1, longest)
    if bands.shape != wanted:
        raise GraphError(node.name, f"expected diagonals of shape {list(wanted)}, got {list(bands.shape)}")
    for d, row, along in _rows(node, value.shape, k, longest):
        place = np.arange(along.stop - along.start)
        value[..., place - min(d, 0), place + max(d, 0)] = bands[..., row, along]
