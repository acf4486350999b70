"""Tensor arrays: what the loops of TensorFlow 1 read their inputs from and gather their results in, by handle.

Each element is written once. One that was never written is zeros if the shape of all elements is known; one that
was read is gone, unless clear_after_read is false. `flow` is a number that only orders the operations; every one
takes it from the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tensorferry.formats.dtype import DType
from tensorferry.formats.errors import GraphError

from ..kernels.kernel import Kernel, make_room, scalar, sizes
from ..ops import OpNode, OpTable
from .partial import Partial, joined, merged, split, stacked, zeros
from .values import Array, Dead, boxed, unboxed

if TYPE_CHECKING:
    from .run import Run

OPERATIONS: OpTable[Kernel] = OpTable("kernel")


class TensorArray:
    """The elements, None for those never written, and _READ for those that are gone."""

    def __init__(self, node: OpNode, size: int) -> None:
        self.dtype = node.dtype("dtype")
        self.shape: Partial = node.shape("element_shape").dims
        self.grows = node.flag("dynamic_size")
        self.forgets = node.flag("clear_after_read")
        self.uniform = node.flag("identical_element_shapes")
        self.items: list[Array | Dead | None] = [None] * make_room(node, (size,), object)[0]

    def write(self, node: OpNode, index: int, value: Array) -> None:
        if index >= len(self.items) and self.grows:
            self.items += [None] * (make_room(node, (index + 1,), object)[0] - len(self.items))
        if not 0 <= index < len(self.items):
            raise GraphError(node.name, f"expected an index below {len(self.items)}, got {index}")
        if self.items[index] is not None:
            raise GraphError(node.name, f"expected element {index} to be written once, got it again")
        shape = merged(node, self.shape, value.shape)
        if self.uniform:
            self.shape = shape
        self.items[index] = value

    def read(self, node: OpNode, index: int) -> Array:
        if not 0 <= index < len(self.items):
            raise GraphError(node.name, f"expected an index below {len(self.items)}, got {index}")
        item = self.items[index]
        if item is READ:
            raise GraphError(node.name, f"expected element {index} to be read once, got it again")
        if self.forgets:
            self.items[index] = READ
        return zeros(node, self.shape, self.dtype) if item is None else item  # type: ignore[return-value]


READ = Dead()
"""In place of an element that was read and cleared."""


@OPERATIONS.op(
    "TensorArrayV3",
    attrs={
        "dtype", "element_shape", "dynamic_size", "clear_after_read", "identical_element_shapes", "tensor_array_name",
    },
)  # fmt: skip
def tensor_array(node: OpNode, run: Run, size: Array) -> tuple[Array, Array]:
    """A new array each time that the node runs, and the first flow."""
    return boxed(TensorArray(node, scalar(node, size, "size"))), np.zeros((), np.float32)


@OPERATIONS.op("TensorArrayWriteV3")
def tensor_array_write(node: OpNode, run: Run, handle: Array, index: Array, value: Array, flow: Array) -> Array:
    """Writes one element."""
    _held(node, handle, node.dtype("T")).write(node, scalar(node, index, "index"), value)
    return flow


@OPERATIONS.op("TensorArrayReadV3", attrs={"dtype"})
def tensor_array_read(node: OpNode, run: Run, handle: Array, index: Array, flow: Array) -> Array:
    """One element."""
    return _held(node, handle, node.dtype("dtype")).read(node, scalar(node, index, "index"))


@OPERATIONS.op("TensorArrayGatherV3", attrs={"dtype", "element_shape"})
def tensor_array_gather(node: OpNode, run: Run, handle: Array, indices: Array, flow: Array) -> Array:
    """Some elements as the rows of a tensor."""
    held = _held(node, handle, node.dtype("dtype"))
    shape = merged(node, held.shape, node.shape("element_shape").dims)
    return stacked(node, [held.read(node, index) for index in sizes(indices)], shape, held.dtype)


@OPERATIONS.op("TensorArrayScatterV3")
def tensor_array_scatter(node: OpNode, run: Run, handle: Array, indices: Array, value: Array, flow: Array) -> Array:
    """Writes the rows of a tensor as elements."""
    held = _held(node, handle, node.dtype("T"))
    if value.ndim < 1 or indices.shape != value.shape[:1]:
        raise GraphError(node.name, f"expected an index for each row of {list(value.shape)}, got {list(indices.shape)}")
    for row, index in enumerate(sizes(indices)):
        held.write(node, index, np.asarray(value[row, ...]))
    return flow


@OPERATIONS.op("TensorArrayConcatV3", attrs={"dtype", "element_shape_except0"})
def tensor_array_concat(node: OpNode, run: Run, handle: Array, flow: Array) -> tuple[Array, Array]:
    """All elements one after another, and the length of each."""
    held = _held(node, handle, node.dtype("dtype"))
    items = [held.read(node, index) for index in range(len(held.items))]
    return joined(node, items, node.shape("element_shape_except0").dims, held.dtype)


@OPERATIONS.op("TensorArraySplitV3")
def tensor_array_split(node: OpNode, run: Run, handle: Array, value: Array, lengths: Array, flow: Array) -> Array:
    """Writes parts of a tensor, of different lengths along its first dimension, as elements."""
    held = _held(node, handle, node.dtype("T"))
    parts = split(node, value, lengths)
    if len(parts) != len(held.items) and not held.grows:
        raise GraphError(node.name, f"expected {len(held.items)} lengths, got {len(parts)}")
    for index, part in enumerate(parts):
        held.write(node, index, part)
    return flow


@OPERATIONS.op("TensorArraySizeV3")
def tensor_array_size(node: OpNode, run: Run, handle: Array, flow: Array) -> Array:
    """The number of elements."""
    return np.array(len(_held(node, handle).items), np.int32)


@OPERATIONS.op("TensorArrayCloseV3")
def tensor_array_close(node: OpNode, run: Run, handle: Array) -> tuple[Array, ...]:
    """No elements are left."""
    _held(node, handle).items.clear()
    return ()


def _held(node: OpNode, handle: Array, dtype: DType | None = None) -> TensorArray:
    """The array behind a handle. GraphError where there is none, or one of other elements than the node says."""
    held = unboxed(node, handle, TensorArray, "tensor array")
    if dtype is not None and held.dtype != dtype:
        raise GraphError(node.name, f"expected an array of {dtype}, got one of {held.dtype}")
    return held
