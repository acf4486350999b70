"""Partly known shapes: a tuple with -1 for an unknown size, None for an unknown rank.

A vector of sizes says one, or the scalar -1 for an unknown rank. Lists and arrays of tensors know so much of their
elements, and an element that was never set is zeros of it.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from tensorferry.formats.dtype import OPAQUE, DType
from tensorferry.formats.errors import GraphError

from ..ir import Shape
from ..kernels.kernel import make_room, sizes, zero
from ..ops import OpNode
from .values import Array

Partial: TypeAlias = "tuple[int, ...] | None"


def from_vector(node: OpNode, shape: Array) -> Partial:
    """The partly known shape that a tensor of sizes says."""
    if shape.ndim == 0:
        if int(shape) != -1:
            raise GraphError(node.name, f"expected a shape to be a vector, or -1 if unknown, got {int(shape)}")
        return None
    return tuple(max(size, -1) for size in sizes(shape))


def merged(node: OpNode, a: Partial, b: Partial) -> Partial:
    """What two partly known shapes say together; GraphError where they contradict each other."""
    if a is None or b is None:
        return b if a is None else a
    if len(a) != len(b) or any(-1 not in (x, y) and x != y for x, y in zip(a, b, strict=True)):
        raise GraphError(node.name, f"expected elements of shape {_text(a)}, got {_text(b)}")
    return tuple(max(x, y) for x, y in zip(a, b, strict=True))


def zeros(node: OpNode, shape: Partial, dtype: DType) -> Array:
    """An element that was never set."""
    if shape is None or -1 in shape or dtype.kind == OPAQUE:
        problem = f"expected an element that has been set, got none, and its shape {_text(shape)} is not known"
        raise GraphError(node.name, problem)
    stored = dtype.numpy()
    return np.full(make_room(node, shape, stored), zero(stored), stored)


def stacked(node: OpNode, items: list[Array], shape: Partial, dtype: DType) -> Array:
    """Elements along a new first dimension; of no elements, the shape has to be known."""
    if not items:
        return zeros(node, None if shape is None else (0, *shape), dtype)
    make_room(node, (len(items), *items[0].shape), items[0].dtype)
    if any(item.shape != items[0].shape for item in items):
        shapes = sorted({str(list(item.shape)) for item in items})
        raise GraphError(node.name, f"expected elements of one shape to stack, got {', '.join(shapes[:4])}")
    return np.stack(items)


def joined(node: OpNode, items: list[Array], shape: Partial, dtype: DType) -> tuple[Array, Array]:
    """Elements one after another along their first dimension, and the size of each there."""
    if any(not item.ndim or item.shape[1:] != items[0].shape[1:] for item in items):
        raise GraphError(node.name, "expected elements that differ in their first size alone, to join them")
    lengths = np.array([len(item) for item in items], np.int64)
    if not items:
        return zeros(node, None if shape is None else (0, *shape), dtype), lengths
    make_room(node, (int(lengths.sum()), *items[0].shape[1:]), items[0].dtype)
    return np.concatenate(items), lengths


def split(node: OpNode, value: Array, lengths: Array) -> list[Array]:
    """Parts of `value` along its first dimension, of the lengths given."""
    parts = sizes(lengths)
    if not value.ndim or lengths.ndim != 1 or any(part < 0 for part in parts) or sum(parts) != len(value):
        raise GraphError(
            node.name, f"expected lengths that add up to the size of {list(value.shape)}, got {parts[:20]}"
        )
    return np.split(value, np.cumsum(parts)[:-1].tolist()) if parts else []


def _text(shape: Partial) -> str:
    return str(Shape(shape))
