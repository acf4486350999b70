"""Verbs that move elements or choose among them, each tensor by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tensorferry.formats.dtype import BOOLEAN, COMPLEX, FLOAT, SIGNED, UNSIGNED
from tensorferry.formats.tensor import SplatTensor, Tensor

from ...views import flipped, reshaped, taken, transposed
from .lazy import Joined
from .verb import MisfitError, NoInverseError, Verb, axis_of, require, scalar_of

Shape = tuple[int, ...]

_MOST_PADDING = 1 << 24


@dataclass(frozen=True, slots=True)
class Transpose(Verb):
    """Dimension i of the result is dimension `perm[i]`."""

    name = "transpose"
    alone = "perm"
    perm: tuple[int, ...]

    def one(self, tensor: Tensor) -> Tensor:
        if sorted(self.perm) != list(range(tensor.rank)):
            raise MisfitError(f"expected each of the axes {list(range(tensor.rank))} once in {list(self.perm)}")
        return transposed(tensor, self.perm)

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        return Transpose(tuple(sorted(range(len(self.perm)), key=self.perm.__getitem__)))

    def condition(self, shape: list[Any]) -> list[Any] | None:
        return [shape[axis] for axis in self.perm] if len(shape) == len(self.perm) else None


@dataclass(frozen=True, slots=True)
class Reshape(Verb):
    """The same elements in the shape `to`, where one size may be -1; `from_`, where given, is the shape before."""

    name = "reshape"
    alone = "to"
    to: tuple[int, ...]
    from_: tuple[int, ...] | None = None

    def one(self, tensor: Tensor) -> Tensor:
        if self.from_ is not None and not _fits(tensor.shape, self.from_):
            raise MisfitError(f"expected {list(self.from_)} to reshape from")
        return reshaped(tensor, _sizes(self.to, tensor.size))

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        shapes = {tensor.shape for tensor in before or ()}
        if len(shapes) == 1:
            return Reshape(shapes.pop(), None)
        if self.from_ is None:
            raise NoInverseError("reshape does not say what shape it comes from: {from = [...], to = [...]} does")
        return Reshape(self.from_, self.to)


@dataclass(frozen=True, slots=True)
class Squeeze(Verb):
    """Without the dimensions `axes`, which are of size 1."""

    name = "squeeze"
    alone = "axes"
    axes: tuple[int, ...]

    def one(self, tensor: Tensor) -> Tensor:
        axes = {axis_of(axis, tensor.rank) for axis in self.axes}
        if any(tensor.shape[axis] != 1 for axis in axes):
            raise MisfitError(f"expected a size of 1 at the axes {sorted(axes)}")
        return reshaped(tensor, tuple(size for axis, size in enumerate(tensor.shape) if axis not in axes))

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        return Expand(self.axes)


@dataclass(frozen=True, slots=True)
class Expand(Verb):
    """With dimensions of size 1 more, which are the result's dimensions `axes`."""

    name = "expand"
    alone = "axes"
    axes: tuple[int, ...]

    def one(self, tensor: Tensor) -> Tensor:
        rank = tensor.rank + len(self.axes)
        axes = {axis_of(axis, rank) for axis in self.axes}
        if len(axes) < len(self.axes):
            raise MisfitError(f"expected different axes, got {list(self.axes)}")
        sizes = iter(tensor.shape)
        return reshaped(tensor, tuple(1 if axis in axes else next(sizes) for axis in range(rank)))

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        return Squeeze(self.axes)


@dataclass(frozen=True, slots=True)
class Flip(Verb):
    """The dimensions `axes` from behind."""

    name = "flip"
    alone = "axes"
    axes: tuple[int, ...]

    def one(self, tensor: Tensor) -> Tensor:
        return flipped(tensor, {axis_of(axis, tensor.rank) for axis in self.axes})

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        return self

    def condition(self, shape: list[Any]) -> list[Any] | None:
        return shape


@dataclass(frozen=True, slots=True)
class Slice(Verb):
    """The indices `start` to before `stop` of one dimension, every `step`th; negative ones count from the end."""

    name = "slice"
    axis: int
    start: int | None = None
    stop: int | None = None
    step: int | None = None

    def one(self, tensor: Tensor) -> Tensor:
        axis = axis_of(self.axis, tensor.rank)
        size = tensor.shape[axis]
        if any(place is not None and not -size <= place <= size for place in (self.start, self.stop)):
            raise MisfitError(f"expected places within {size} along axis {axis}")
        if self.step is not None and self.step < 1:
            raise MisfitError(f"expected a step of 1 or more, got {self.step}")
        kept = range(*slice(self.start, self.stop, self.step).indices(size))
        if not kept:
            raise MisfitError(f"expected something to remain of {size} along axis {axis}")
        return taken(tensor, axis, kept)


@dataclass(frozen=True, slots=True)
class Pad(Verb):
    """`before` and `after` more along one dimension, filled with `value` (default 0)."""

    name = "pad"
    axis: int
    before: int | None = None
    after: int | None = None
    value: float | None = None

    def one(self, tensor: Tensor) -> Tensor:
        axis = axis_of(self.axis, tensor.rank)
        before, after, value = self.before or 0, self.after or 0, self.value or 0
        if min(before, after) < 0 or before + after > _MOST_PADDING:
            raise MisfitError(f"expected from 0 to {_MOST_PADDING} more along an axis, got {before} and {after}")
        whole = () if value % 1 else (SIGNED, UNSIGNED, BOOLEAN)
        require(tensor, self.name, (FLOAT, COMPLEX, *whole))
        filling = scalar_of(value, tensor.dtype)
        shapes = [(*tensor.shape[:axis], size, *tensor.shape[axis + 1 :]) for size in (before, after)]
        first, last = (SplatTensor(filling, shape, tensor.dtype) for shape in shapes)
        return Joined([first, tensor, last], axis)

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        return Slice(self.axis, self.before or None, -self.after if self.after else None)


def _fits(shape: Shape, wanted: Sequence[int]) -> bool:
    return len(shape) == len(wanted) and all(want in (-1, size) for size, want in zip(shape, wanted, strict=True))


def _sizes(to: tuple[int, ...], size: int) -> Shape:
    """`to` with the number that -1 stands for."""
    known = math.prod(want for want in to if want != -1)
    if to.count(-1) > 1 or min(to, default=0) < -1:
        raise MisfitError(f"expected sizes, of which one may be -1, got {list(to)}")
    if to.count(-1) and known and size % known == 0:
        return tuple(size // known if want == -1 else want for want in to)
    if to.count(-1) or known != size:
        raise MisfitError(f"expected {size} elements, got the shape {list(to)}")
    return to


VERBS = (Transpose, Reshape, Squeeze, Expand, Flip, Slice, Pad)
