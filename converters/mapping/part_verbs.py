"""Verbs from one tensor to several and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from tensorferry.formats.dtype import DTYPES, FLOAT, SIGNED, UNSIGNED
from tensorferry.formats.tensor import ArrayTensor, Tensor

from ..views import View, reshaped
from .lazy import Joined, Same, rows
from .verb import JOIN, SPLIT, MisfitError, NoInverseError, Verb, axis_of, require, require_alike

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_MOST_PARTS = 100_000


@dataclass(frozen=True, slots=True)
class Split(Verb):
    """Pieces of the given `sizes` along one dimension."""

    name = "split"
    arity = SPLIT
    axis: int
    sizes: tuple[int, ...]

    def apply(self, tensors: Sequence[Tensor], names: Sequence[str], wanted: int) -> list[Tensor]:
        (tensor,) = tensors
        axis = axis_of(self.axis, tensor.rank)
        if sum(self.sizes) != tensor.shape[axis] or min(self.sizes) < 1:
            raise MisfitError(f"expected sizes that make {tensor.shape[axis]}, got {list(self.sizes)}")
        return _split(tensor, axis, self.sizes)

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        return Concat(self.axis, self.sizes)


@dataclass(frozen=True, slots=True)
class Chunk(Verb):
    """`parts` pieces of one size along one dimension."""

    name = "chunk"
    arity = SPLIT
    axis: int
    parts: int

    def apply(self, tensors: Sequence[Tensor], names: Sequence[str], wanted: int) -> list[Tensor]:
        (tensor,) = tensors
        axis = axis_of(self.axis, tensor.rank)
        size, rest = divmod(tensor.shape[axis], self.parts) if self.parts > 0 else (0, 1)
        if rest or not size:
            raise MisfitError(f"expected a size along axis {axis} that {self.parts} divides")
        return _split(tensor, axis, [size] * self.parts)

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        return Concat(self.axis, None, self.parts)


@dataclass(frozen=True, slots=True)
class Unstack(Verb):
    """One tensor for each index of a dimension, which vanishes."""

    name = "unstack"
    arity = SPLIT
    alone = "axis"
    axis: int

    def apply(self, tensors: Sequence[Tensor], names: Sequence[str], wanted: int) -> list[Tensor]:
        (tensor,) = tensors
        axis = axis_of(self.axis, tensor.rank)
        if not 0 < tensor.shape[axis] <= _MOST_PARTS:
            raise MisfitError(f"expected a size from 1 to {_MOST_PARTS} along axis {axis}")
        shape = (*tensor.shape[:axis], *tensor.shape[axis + 1 :])
        return [reshaped(part, shape) for part in _split(tensor, axis, [1] * tensor.shape[axis])]

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        return Stack(self.axis)


@dataclass(frozen=True, slots=True)
class Tie(Verb):
    """The same tensor under several names."""

    name = "tie"
    arity = SPLIT

    def apply(self, tensors: Sequence[Tensor], names: Sequence[str], wanted: int) -> list[Tensor]:
        return list(tensors) * wanted

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        return AllSame()


@dataclass(frozen=True, slots=True)
class With(Verb):
    """The tensor, and a scalar of its own beside it, which the source does not have: a counter that begins at 0."""

    name = "with"
    arity = SPLIT
    dtype: str
    value: int

    def apply(self, tensors: Sequence[Tensor], names: Sequence[str], wanted: int) -> list[Tensor]:
        import numpy as np

        dtype = DTYPES[self.dtype]
        try:
            if dtype.kind not in (SIGNED, UNSIGNED, FLOAT):
                raise OverflowError
            with np.errstate(over="ignore"):
                scalar = np.array(self.value, dtype.numpy())
            if int(scalar) != self.value:
                raise OverflowError
        except OverflowError:
            raise MisfitError(f"expected a number that is a {self.dtype}, got {self.value}") from None
        return [*tensors, ArrayTensor(scalar, dtype)]

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        return First()


@dataclass(frozen=True, slots=True)
class Concat(Verb):
    """All behind each other along one dimension. Where `sizes`, or a number of equal `parts`, are given, they hold."""

    name = "concat"
    arity = JOIN
    alone = "axis"
    axis: int
    sizes: tuple[int, ...] | None = None
    parts: int | None = None

    def apply(self, tensors: Sequence[Tensor], names: Sequence[str], wanted: int) -> list[Tensor]:
        require_alike(tensors, shapes=False)
        axis = axis_of(self.axis, tensors[0].rank)
        shapes = [(*tensor.shape[:axis], *tensor.shape[axis + 1 :]) for tensor in tensors]
        if len(set(shapes)) > 1 or len({tensor.rank for tensor in tensors}) > 1:
            raise MisfitError(f"expected shapes that differ along axis {axis} alone")
        sizes = tuple(tensor.shape[axis] for tensor in tensors)
        if self.sizes not in (None, sizes):
            raise MisfitError(f"expected the sizes {list(self.sizes or ())} along axis {axis}")
        if self.parts is not None and (len(sizes) != self.parts or len(set(sizes)) > 1):
            raise MisfitError(f"expected {self.parts} tensors of one size along axis {axis}")
        shape = (*tensors[0].shape[:axis], sum(sizes), *tensors[0].shape[axis + 1 :])
        return [_joined(tensors, shape, axis)]

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        if before is not None:
            return Split(self.axis, tuple(tensor.shape[self.axis] for tensor in before))
        if self.sizes is not None:
            return Split(self.axis, self.sizes)
        if self.parts is not None:
            return Chunk(self.axis, self.parts)
        raise NoInverseError("concat does not say where it can be cut: sizes = [...] or parts = N do")


@dataclass(frozen=True, slots=True)
class Stack(Verb):
    """All in a new dimension, the result's `axis`."""

    name = "stack"
    arity = JOIN
    alone = "axis"
    axis: int

    def apply(self, tensors: Sequence[Tensor], names: Sequence[str], wanted: int) -> list[Tensor]:
        require_alike(tensors)
        axis = axis_of(self.axis, tensors[0].rank + 1)
        inner = tensors[0].shape
        parts = [reshaped(tensor, (*inner[:axis], 1, *inner[axis:])) for tensor in tensors]
        return [_joined(parts, (*inner[:axis], len(parts), *inner[axis:]), axis)]

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        return Unstack(self.axis)


@dataclass(frozen=True, slots=True)
class Sum(Verb):
    """All added up, element by element; computed in 64 bits, rounded once."""

    name = "sum"
    arity = JOIN

    def apply(self, tensors: Sequence[Tensor], names: Sequence[str], wanted: int) -> list[Tensor]:
        require_alike(tensors)
        require(tensors[0], self.name)
        return [View(tensors[0].dtype, tensors[0].shape, _added, *tensors)]

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        raise NoInverseError("sum does not keep its parts")


@dataclass(frozen=True, slots=True)
class AllSame(Verb):
    """The first, if all have the same bytes; when it is read, that is an error otherwise."""

    name = "same"
    arity = JOIN

    def apply(self, tensors: Sequence[Tensor], names: Sequence[str], wanted: int) -> list[Tensor]:
        require_alike(tensors)
        return [Same(tensors, names)]

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        return Tie()


@dataclass(frozen=True, slots=True)
class First(Verb):
    """The first of several; the others, of any type and shape, are left out."""

    name = "first"
    arity = JOIN

    def apply(self, tensors: Sequence[Tensor], names: Sequence[str], wanted: int) -> list[Tensor]:
        return [tensors[0]]

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        raise NoInverseError("first leaves the others out")


def _split(tensor: Tensor, axis: int, sizes: Sequence[int]) -> list[Tensor]:
    starts = [0, *accumulate(sizes)][:-1]
    if axis == 0:
        return rows(tensor, starts)
    parts: list[Tensor] = []
    for start, size in zip(starts, sizes, strict=True):
        where = (*[slice(None)] * axis, slice(start, start + size))
        shape = (*tensor.shape[:axis], size, *tensor.shape[axis + 1 :])
        parts.append(View(tensor.dtype, shape, lambda array, where=where: array[where], tensor))
    return parts


def _joined(parts: Sequence[Tensor], shape: tuple[int, ...], axis: int) -> Tensor:
    if math.prod(shape[:axis]) == 1:
        return Joined(parts, shape)
    import numpy as np

    return View(parts[0].dtype, shape, lambda *arrays: np.concatenate(arrays, axis), *parts)


def _added(*arrays: Array) -> Array:
    import numpy as np

    wide = np.complex128 if arrays[0].dtype.kind == "c" else np.float64
    total = arrays[0].astype(wide)
    with np.errstate(all="ignore"):
        for array in arrays[1:]:
            total += array
        value: Array = total.astype(arrays[0].dtype)
    return value


VERBS = (Split, Chunk, Unstack, Tie, With, Concat, Stack, Sum, AllSame, First)
