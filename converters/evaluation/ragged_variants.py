"""Ragged tensors as values of type variant, one of each or one of each row: what tf.map_fn sends through loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tensorferry.formats.errors import GraphError

from ..kernels.kernel import Kernel, make_room
from ..kernels.ragged import check_splits
from ..ops import OpNode, OpTable
from .values import Array, boxed, unboxed

if TYPE_CHECKING:
    from .run import Run

OPERATIONS: OpTable[Kernel] = OpTable("kernel")


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Nested splits, outermost first, and the values that the innermost divide."""

    splits: tuple[Array, ...]
    values: Array

    @property
    def rows(self) -> int:
        return len(self.splits[0]) - 1 if self.splits else len(self.values)

    def row(self, index: int) -> Ragged:
        """One row, with a ragged dimension less."""
        if not self.splits:
            return Ragged((), np.asarray(self.values[index, ...]))
        start, stop = int(self.splits[0][index]), int(self.splits[0][index + 1])
        inner = []
        for splits in self.splits[1:]:
            inner.append(splits[start : stop + 1] - splits[start])
            start, stop = int(splits[start]), int(splits[stop])
        return Ragged(tuple(inner), self.values[start:stop])


@OPERATIONS.op("RaggedTensorToVariant", attrs={"batched_input"})
def ragged_to_variant(node: OpNode, run: Run, *inputs: Array) -> Array:
    """The whole in one variant, or with batched_input each row in one of its own."""
    *splits, values = inputs
    check_splits(node, splits, len(values) if splits else 0)
    whole = Ragged(tuple(splits), values)
    if not node.flag("batched_input"):
        return boxed(whole)
    rows = np.empty(make_room(node, (whole.rows,), object), object)
    for index in range(len(rows)):
        rows[index] = whole.row(index)
    return rows


@OPERATIONS.op("RaggedTensorFromVariant", attrs={"input_ragged_rank", "output_ragged_rank", "Tvalues"})
def ragged_from_variant(node: OpNode, run: Run, encoded: Array) -> tuple[Array, ...]:
    """The nested splits and values of a variant, or of an array of them, whose dimensions come first."""
    kind, dtype = node.dtype("Tsplits").numpy(), node.dtype("Tvalues").numpy()
    wanted = node.integer("output_ragged_rank")
    parts = [unboxed(node, boxed(item), Ragged, "ragged tensor") for item in encoded.reshape(-1)]
    rank = wanted - encoded.ndim
    if node.integer("input_ragged_rank") not in (-1, rank) or any(len(part.splits) != rank for part in parts):
        raise GraphError(node.name, f"expected ragged tensors of {max(rank, 0)} ragged dimensions, got others")
    if any(part.values.dtype != dtype for part in parts):
        raise GraphError(node.name, f"expected ragged tensors of {node.dtype('Tvalues')}, got others")
    if not encoded.ndim:
        return (*(splits.astype(kind) for splits in parts[0].splits), parts[0].values)
    found: list[Array] = []
    for axis in range(encoded.ndim - 1):
        count = int(np.prod(encoded.shape[: axis + 1]))
        found.append(np.arange(count + 1, dtype=kind) * kind.type(encoded.shape[axis + 1]))
    found.append(_running([part.rows for part in parts], kind))
    for depth in range(rank):
        lengths = [np.diff(part.splits[depth]) for part in parts]
        found.append(_running(np.concatenate(lengths) if lengths else [], kind))
    values = [part.values for part in parts]
    return (*found, np.concatenate(values) if values else np.empty(0, dtype))


def _running(lengths: Array | list[int], kind: np.dtype[np.int64]) -> Array:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(kind)
