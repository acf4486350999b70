"""Elements in any order of memory, gathered in the order that they are wanted in.

A layout is a shape and, for each dimension, how far its indices lie apart: numpy's strides, in elements. Transposing,
slicing and flipping give another layout of the same memory; only when the bytes are written does anything move.

Gathering the columns of a matrix one after the other would fetch a line of the cache for every element, and rows whose
length is a power of two push each other out of it. So each block of the result is made in two steps, in memory that
stays in the cache: runs of elements that lie together are copied below each other, a little apart, and then transposed.
That took a fifth of the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Shape = tuple[int, ...]

BLOCK = 1 << 20
"""Bytes of a block."""

_MOST = 16 << 20
"""Bytes of a block that is larger, so that its runs are of `_RUN` bytes."""

_RUN = 512
"""Bytes that should be fetched at a time, lest the same lines of memory are fetched over and over."""

_RUNS = 256
"""Runs that are transposed together: so many lines stay in the innermost cache."""

_PADDING = 64
"""Bytes between runs: one line."""

_FEW = 8
"""Elements of a run that is not worth two steps."""


def row_major(shape: Sequence[int]) -> Shape:
    """The strides of a whole tensor in the order of its elements."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def merged(shape: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """The (size, stride) of as few dimensions as hold the same elements in the same order, none of them of size 1."""
    found: list[tuple[int, int]] = []
    for size, stride in zip(shape, strides, strict=True):
        if size == 1:
            continue
        if found and found[-1][1] == size * stride:
            found[-1] = found[-1][0] * size, stride
        else:
            found.append((size, stride))
    return found


def restrided(shape: Sequence[int], strides: Sequence[int], to: Sequence[int]) -> Shape | None:
    """The strides of the shape `to` for the same elements in the same order, or None where there are none."""
    left = merged(shape, strides)
    found: list[int] = []
    for size in reversed(to):
        if size == 1:
            found.append(1)
            continue
        if not left or left[-1][0] % size:
            return None
        rest, stride = left.pop()
        found.append(stride)
        if rest > size:
            left.append((rest // size, stride * size))
    return tuple(reversed(found))


def blocks(array: Array) -> Iterator[Array]:
    """The elements of `array`, not empty, in row-major order, as contiguous arrays; each is valid until the next."""
    import numpy as np

    if array.flags.c_contiguous:
        flat = array.reshape(-1)
        step = max(1, BLOCK // array.itemsize)
        for first in range(0, len(flat), step):
            yield flat[first : first + step]
        return
    array = array.reshape([size for size, _ in merged(array.shape, array.strides)])  # a view: it lies in order
    row = array[0].nbytes
    is_fastest = abs(array.strides[0]) == min(map(abs, array.strides))
    count = max(BLOCK // row, min(_RUN // array.itemsize, _MOST // row) if is_fastest else 0)
    if not count:
        for each in array:
            yield from blocks(each)
        return
    made = np.empty((min(count, len(array)), *array.shape[1:]), array.dtype)
    for first in range(0, len(array), count):
        part = array[first : first + count]
        _copy(made[: len(part)], part)
        yield made[: len(part)]


def _copy(made: Array, part: Array) -> None:
    """`part` into the contiguous `made`."""
    import numpy as np

    fastest = min(range(part.ndim), key=lambda axis: (abs(part.strides[axis]), -axis))
    run = part.shape[fastest]
    if fastest == part.ndim - 1 or run < _FEW:
        made[...] = part
        return
    runs, result = np.moveaxis(part, fastest, -1), np.moveaxis(made, fastest, -1)
    apart = run + max(1, _PADDING // part.itemsize)
    longest = max(range(runs.ndim - 1), key=runs.shape.__getitem__)
    runs, result = np.moveaxis(runs, longest, 0), np.moveaxis(result, longest, 0)
    step = max(1, _RUNS // math.prod(runs.shape[1:-1]))
    room = np.empty((min(step, len(runs)), *runs.shape[1:-1], apart), part.dtype)
    for first in range(0, len(runs), step):
        some = runs[first : first + step]
        beside = room[: len(some), ..., :run]
        beside[...] = some
        result[first : first + step] = beside
