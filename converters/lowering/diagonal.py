"""Diagonals of matrices: bands put in, taken out, set.

A band is the diagonals k[0] to k[1], where diagonal d has the elements (i, j) with j - i = d. As a tensor it has a row
for each diagonal, the uppermost first, as long as the longest; `align` says on which side the shorter ones begin.
Where the sizes are known, the places of the elements are a constant table, and one Gather does it all; else they are
computed (`bands`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorferry.formats.dtype import INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .bands import band_of, matrices_of, with_band
from .builder import Builder, Part
from .linear import counted

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")

LARGEST = 1 << 24
"""Elements of the largest matrix that a table of places is made for."""

Table = np.ndarray[Any, Any]


class Band:
    """The diagonals `low` to `high` of matrices of known size."""

    def __init__(self, rows: int, columns: int, low: int, high: int, align: str) -> None:
        if rows * columns > LARGEST:
            raise UnsupportedError("", f"expected matrices of at most {LARGEST} elements, got {rows} times {columns}")
        if not -max(rows, 1) < low <= high < max(columns, 1):
            raise UnsupportedError("", f"expected diagonals of {rows} times {columns} elements, got {low} to {high}")
        self.rows, self.columns, self.low, self.high = rows, columns, low, high
        self.align = align
        self.longest = min(rows + min(high, 0), columns - max(low, 0))

    def places(self) -> Table:
        """[diagonals, longest]: row * columns + column of each element of the band, -1 where there is none."""
        table = np.full((self.high - self.low + 1, self.longest), -1, np.int64)
        for row, diagonal in enumerate(range(self.high, self.low - 1, -1)):
            length = min(self.rows + min(diagonal, 0), self.columns - max(diagonal, 0))
            steps = np.arange(max(length, 0))
            start = max(-diagonal, 0) * self.columns + max(diagonal, 0)
            offset = 0 if self._is_left(diagonal) else self.longest - length
            table[row, offset : offset + length] = start + steps * (self.columns + 1)
        return table

    def sources(self) -> Table:
        """[rows * columns]: the place in the band that each element of a matrix comes from, -1 where there is none."""
        table = np.full(self.rows * self.columns, -1, np.int64)
        places = self.places().reshape(-1)
        table[places[places >= 0]] = np.flatnonzero(places >= 0)
        return table

    def _is_left(self, diagonal: int) -> bool:
        upper, _, lower = self.align.partition("_")
        return (diagonal >= 0 and upper == "LEFT") or (diagonal <= 0 and lower == "LEFT")


def _span(k: Value) -> tuple[int, int] | None:
    numbers = k.integers()
    return (numbers[0], numbers[-1]) if numbers else None


def _align(node: OpNode) -> str:
    """V2 has no attribute: everything begins at the left."""
    return node.text("align") if node.op.endswith("V3") else "LEFT_LEFT"


def _picked(g: Builder, rows: Value, table: Table, padding: Value) -> Value:
    """rows [..., n] by a table of places along the last dimension, -1 meaning the padding."""
    rank = g.rank(rows)
    if (table < 0).any():
        ahead = [g.size(rows, axis) for axis in range(rank - 1)]
        element = g.reshape(g.cast(padding, rows.dtype), [1] * rank)
        end = g.op("Expand", element, g.vector([*ahead, 1]), dims=(*(rows.dims or ())[:-1], 1))
        # -1 is the last place, to ONNX's Gather too.
        rows = g.concat([rows, end], rank - 1)
    return g.gather(rows, g.constant_of(table), rank - 1)


def _flat(g: Builder, x: Value, count: int) -> Value:
    """The last `count` dimensions as one."""
    if count == 1:
        return x
    rank = g.rank(x)
    ahead = [g.size(x, axis) for axis in range(rank - count)]
    return g.reshape(x, [*ahead, g.times(*(g.size(x, axis) for axis in range(rank - count, rank)))])


@LOWERINGS.op("MatrixDiagPartV2", "MatrixDiagPartV3", attrs={"align"})
def matrix_diag_part(node: OpNode, g: Builder, x: Value, k: Value, padding: Value) -> Value:
    """The band of x [..., m, n]."""
    span = _span(k)
    rank = g.rank(x)
    rows, columns = (x.dims or ())[rank - 2 :]
    if span is None or not isinstance(rows, int) or not isinstance(columns, int):
        return band_of(g, x, k, padding, _align(node))
    low, high = span
    table = Band(rows, columns, low, high, _align(node)).places()
    found = _picked(g, _flat(g, x, 2), table if low != high else table[0], padding)
    return found.with_(dims=g.results[0].dims)


@LOWERINGS.op("MatrixDiagV2", "MatrixDiagV3", attrs={"align"})
def matrix_diag(
    node: OpNode, g: Builder, diagonal: Value, k: Value, rows: Value, columns: Value, padding: Value
) -> Value:
    """Matrices with a band, and padding around it."""
    span = _span(k)
    dims = g.results[0].dims
    height, width = (dims[-2], dims[-1]) if dims is not None else (None, None)
    if span is None or not isinstance(height, int) or not isinstance(width, int):
        return matrices_of(g, diagonal, k, rows, columns, padding, _align(node))
    low, high = span
    band = Band(height, width, low, high, _align(node))
    flat = _picked(g, _flat(g, diagonal, 1 if low == high else 2), band.sources(), padding)
    ahead = [g.size(flat, axis) for axis in range(g.rank(flat) - 1)]
    return g.reshape(flat, [*ahead, height, width])


def _spread(g: Builder, diagonal: Value, k: int, length: Part, rows: Part, columns: Part) -> tuple[Value, Value]:
    """[..., rows, columns] with the diagonal's elements in their places, and where these are [rows, columns]."""
    i, j = g.unsqueeze(counted(g, rows), [1]), g.unsqueeze(counted(g, columns), [0])
    chosen = g.op("Equal", g.op("Sub", j, i), g.scalar(k, like=INT64))
    place = g.op("Min", g.op("Min", i, j), g.vector([g.minus(length, 1)]))
    return g.gather(diagonal, place, g.rank(diagonal) - 1), chosen


@LOWERINGS.op("MatrixSetDiag")
def matrix_set_diag(node: OpNode, g: Builder, x: Value, diagonal: Value) -> Value:
    """x [..., m, n] with another main diagonal."""
    return _set(g, x, diagonal, 0)


@LOWERINGS.op("MatrixSetDiagV2", "MatrixSetDiagV3", attrs={"align"})
def matrix_set_diag_v3(node: OpNode, g: Builder, x: Value, diagonal: Value, k: Value) -> Value:
    """x with another band."""
    span = _span(k)
    rank = g.rank(x)
    rows, columns = (x.dims or ())[rank - 2 :]
    if span is not None and span[0] == span[1]:
        return _set(g, x, diagonal, span[0])
    if span is None or not isinstance(rows, int) or not isinstance(columns, int):
        return with_band(g, x, diagonal, k, _align(node))
    low, high = span
    sources = Band(rows, columns, low, high, _align(node)).sources()
    table = np.where(sources < 0, np.arange(rows * columns), sources + rows * columns)
    both = g.concat([_flat(g, x, 2), _flat(g, diagonal, 2)], rank - 2)
    flat = g.gather(both, g.constant_of(table), rank - 2)
    return g.reshape(flat, [*(g.size(x, axis) for axis in range(rank - 2)), rows, columns])


def _set(g: Builder, x: Value, diagonal: Value, k: int) -> Value:
    rank = g.rank(x)
    length = g.size(diagonal, g.rank(diagonal) - 1)
    spread, chosen = _spread(g, diagonal, k, length, g.size(x, rank - 2), g.size(x, rank - 1))
    return g.select(chosen, spread, x).with_(dims=x.dims)


@LOWERINGS.op("Diag")
def diag(node: OpNode, g: Builder, x: Value) -> Value:
    """x of any rank on the diagonal of a tensor of twice the rank."""
    sizes = g.sizes_of(x)
    flat = g.reshape(x, [g.times(*sizes)]) if len(sizes) != 1 else x
    places = counted(g, g.size(flat, 0))
    matrix = g.select(
        g.op("Equal", g.unsqueeze(places, [1]), g.unsqueeze(places, [0])), g.unsqueeze(flat, [1]), g.scalar(0, like=x)
    )
    return g.reshape(matrix, [*sizes, *sizes]) if len(sizes) != 1 else matrix


@LOWERINGS.op("DiagPart")
def diag_part(node: OpNode, g: Builder, x: Value) -> Value:
    """The inverse."""
    half = g.sizes_of(x)[: g.rank(x) // 2]
    count = g.times(*half)
    flat = g.reshape(x, [g.times(count, count)])
    places = g.op("Mul", counted(g, count), g.vector([g.plus(count, 1)]))
    return g.reshape(g.gather(flat, places, 0), half)
