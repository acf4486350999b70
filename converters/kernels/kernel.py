"""What every kernel shares: its type, the room that a result may take, and arithmetic in narrow floating types.

A kernel is a pure function `f(node, *inputs)` of arrays. It returns an array for an op with one output, else a tuple
with one array an output, in TensorFlow's element types. It never writes into an input, and may return a view of one.

A few bytes of a graph can ask for any amount of memory (Fill, Tile, Range, a broadcast, ...), so a kernel calls
`make_room` with the shape of its result before it allocates one that is larger than its inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tensorferry.formats.dtype import of_numpy
from tensorferry.formats.errors import GraphError, UnsupportedError

from ..ops import OpNode

Array: TypeAlias = npt.NDArray[Any]
Kernel: TypeAlias = Callable[..., "Array | tuple[Array, ...]"]

LIMIT = 1 << 31
"""Bytes that one result may take, unless `bounded` says otherwise."""

_limit: ContextVar[int] = ContextVar("limit", default=LIMIT)


@contextmanager
def bounded(nbytes: int) -> Iterator[None]:
    """Within, a kernel whose result would be larger than `nbytes` raises UnsupportedError."""
    token = _limit.set(nbytes)
    try:
        yield
    finally:
        _limit.reset(token)


def make_room(node: OpNode, shape: Sequence[int], dtype: Any) -> tuple[int, ...]:
    """`shape` as a tuple, if an array of it may be made.

    GraphError for a negative size, UnsupportedError where it would be larger than the limit (`bounded`).
    """
    if any(size < 0 for size in shape):
        raise GraphError(node.name, f"expected {node.op} to make sizes of 0 and more, got {list(shape)}")
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    if nbytes > _limit.get():
        raise UnsupportedError(
            node.name,
            f"expected {node.op} to make at most {_limit.get()} bytes, "
            f"got {nbytes} for {np.dtype(dtype)} {list(shape)}",
        )
    return tuple(shape)


def broadcast_room(node: OpNode, *arrays: Array) -> tuple[int, ...]:
    """The shape that `arrays` broadcast to, if an array of it and of the first one's type may be made."""
    if all(array.shape == arrays[0].shape for array in arrays):
        return tuple(arrays[0].shape)
    return make_room(node, np.broadcast_shapes(*(array.shape for array in arrays)), arrays[0].dtype)


def zero(dtype: np.dtype[Any]) -> Array:
    """The scalar that TensorFlow fills with: 0, False or an empty string."""
    return np.array(b"" if dtype.kind == "O" else 0, dtype)


def widened(x: Array) -> Array:
    """`x`, as float32 where it is of a narrower floating type: sums and formulas are computed in that."""
    return x.astype(np.float32) if _is_narrow(x.dtype) else x


@cache
def _is_narrow(dtype: np.dtype[Any]) -> bool:
    element = of_numpy(dtype)
    return element.is_floating and element.bits < 32


def axis_of(node: OpNode, axis: Array, rank: int) -> int:
    """The dimension that the scalar (or only element of) `axis` names, counted from the front; it may be negative."""
    if axis.size != 1:
        raise GraphError(node.name, f"expected {node.op}'s axis to be a scalar, got shape {list(axis.shape)}")
    return front_axis(node, int(axis.reshape(-1)[0]), rank)


def front_axis(node: OpNode, axis: int, rank: int) -> int:
    """`axis` counted from the front; it may be negative. GraphError where there is none of that number."""
    if not -rank <= axis < rank:
        raise GraphError(node.name, f"expected {node.op}'s axis to be below rank {rank}, got {axis}")
    return axis % rank


def check_indices(node: OpNode, indices: Array, size: int) -> None:
    """GraphError unless every index lies in [0, size): numpy would count negative ones from the end."""
    if indices.size and (int(indices.min()) < 0 or int(indices.max()) >= size):
        raise GraphError(
            node.name,
            f"expected {node.op}'s indices in [0, {size}), got them from {indices.min()} to {indices.max()}",
        )


def sizes(x: Array) -> list[int]:
    """A vector (or scalar) of integers as a list."""
    return [int(value) for value in x.reshape(-1)]


def scalar(node: OpNode, x: Array, name: str) -> Any:
    """The only element of `x` as a Python value; `name` is the argument's, for the message."""
    if x.size != 1:
        raise GraphError(node.name, f"expected {node.op}'s {name} to be a scalar, got shape {list(x.shape)}")
    return x.reshape(-1).tolist()[0]
