"""Verbs from one tensor to several and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from tensorferry.formats.dtype import DTYPES, FLOAT, SIGNED, UNSIGNED
from tensorferry.formats.errors import FormatError
from tensorferry.formats.tensor import ArrayTensor, SplatTensor, Tensor

from ...views import reshaped, taken
from .lazy import Elementwise, Joined, Same, computed
from .verb import JOIN, SPLIT, MisfitError, NoInverseError, Verb, axis_of, require, require_alike, scalar_of

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
        if sum(self.sizes) != tensor.shape[axis] or min(self.sizes, default=0) < 1:
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
        if self.parts > _MOST_PARTS:
            raise MisfitError(f"expected at most {_MOST_PARTS} parts, got {self.parts}")
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
        dtype = DTYPES[self.dtype]
        problem = f"expected a number that is a {self.dtype}, got {self.value}"
        if dtype.kind not in (SIGNED, UNSIGNED, FLOAT):
            raise MisfitError(problem)
        scalar = scalar_of(self.value, dtype)
        if int(scalar) != self.value:
            raise MisfitError(problem)
        return [*tensors, ArrayTensor(scalar, dtype)]

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        return First()


@dataclass(frozen=True, slots=True)
class Fill(Verb):
    """The tensor, and one of its type and shape beside it that is `value` everywhere: gains of 1 that are left out."""

    name = "fill"
    arity = SPLIT
    alone = "value"
    value: float

    def apply(self, tensors: Sequence[Tensor], names: Sequence[str], wanted: int) -> list[Tensor]:
        (tensor,) = tensors
        return [tensor, SplatTensor(_scalar(self.value, tensor, self.name), tensor.shape, tensor.dtype)]

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        return Unfill(self.value)


@dataclass(frozen=True, slots=True)
class Unfill(Verb):
    """The first of two, if the second is `value` everywhere; when it is read, that is an error otherwise."""

    name = "unfill"
    arity = JOIN
    alone = "value"
    value: float

    def apply(self, tensors: Sequence[Tensor], names: Sequence[str], wanted: int) -> list[Tensor]:
        if len(tensors) != 2:
            raise MisfitError(f"expected two tensors, got {len(tensors)}")
        require_alike(tensors)
        first, second = tensors
        scalar = _scalar(self.value, first, self.name)

        def checked(pieces: Iterator[list[Array]]) -> Iterator[Array]:
            for array, beside in pieces:
                if (beside != scalar).any():
                    raise FormatError(names[1], f"expected {self.value} everywhere, got other values too")
                yield array

        return [Elementwise(first.dtype, checked, first, second)]

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        return Fill(self.value)


def _scalar(value: float, tensor: Tensor, verb: str) -> Array:
    """A number as one of the tensor's type. MisfitError where it is none."""
    require(tensor, verb, (FLOAT, SIGNED, UNSIGNED))
    return scalar_of(value, tensor.dtype)


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
        return [Joined(tensors, axis)]

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
        return [Joined([reshaped(tensor, (*inner[:axis], 1, *inner[axis:])) for tensor in tensors], axis)]

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
        return [computed(_add, *tensors)]

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
    places = pairwise(accumulate(sizes, initial=0))
    return [taken(tensor, axis, range(first, end), readers=len(sizes)) for first, end in places]


def _add(total: Array, *others: Array) -> None:
    for other in others:
        total += other


VERBS = (Split, Chunk, Unstack, Tie, With, Fill, Unfill, Concat, Stack, Sum, AllSame, First)
