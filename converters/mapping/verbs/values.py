"""Verbs that compute new values or types, each tensor by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tensorferry.formats.dtype import DTYPES, FLOAT, SIGNED, UNSIGNED, DType
from tensorferry.formats.tensor import Tensor

from ...cast import Cast as CastTensor
from .lazy import computed, narrowed
from .verb import MisfitError, NoInverseError, Verb, require


@dataclass(frozen=True, slots=True)
class Scale(Verb):
    """Every element times `factor`; computed in 64 bits, rounded once."""

    name = "scale"
    alone = "factor"
    factor: float

    def one(self, tensor: Tensor) -> Tensor:
        import numpy as np

        require(tensor, self.name)
        return computed(lambda array: np.multiply(array, self.factor, array), tensor)

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        if self.factor != -1:
            raise NoInverseError(f"scale {self.factor} rounds")
        return self

    def condition(self, shape: list[Any]) -> list[Any] | None:
        return shape


@dataclass(frozen=True, slots=True)
class Add(Verb):
    """Every element plus `number`; computed in 64 bits, rounded once."""

    name = "add"
    alone = "number"
    number: float

    def one(self, tensor: Tensor) -> Tensor:
        import numpy as np

        require(tensor, self.name)
        return computed(lambda array: np.add(array, self.number, array), tensor)

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        raise NoInverseError(f"add {self.number} rounds")


@dataclass(frozen=True, slots=True)
class Cast(Verb):
    """The elements as the type `to`, integers as one that holds them all; `from_`, where given, is the type before."""

    name = "cast"
    alone = "to"
    to: str
    from_: str | None = None

    def one(self, tensor: Tensor) -> Tensor:
        if self.from_ not in (None, str(tensor.dtype)):
            raise MisfitError(f"expected {self.from_} to cast from")
        dtype = DTYPES[self.to]
        if tensor.dtype == dtype:
            return tensor
        require(tensor, self.name, (FLOAT, SIGNED, UNSIGNED) if dtype.is_floating else (SIGNED, UNSIGNED))
        if not dtype.is_floating and not _widens(tensor.dtype, dtype):
            raise MisfitError(f"expected an integer type that holds all of {tensor.dtype}, got {self.to}")
        return CastTensor(tensor, dtype)

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        known = _known_type(before, self.from_)
        if known is None:
            raise NoInverseError('cast does not say what type it comes from: {from = "...", to = "..."} does')
        if not _widens(DTYPES[known], DTYPES[self.to]):
            raise NoInverseError(f"cast from {known} to {self.to} rounds")
        return Narrow(known, self.to)


@dataclass(frozen=True, slots=True)
class Narrow(Verb):
    """The elements of a wider type back as the type `to`, from which they came; other values are an error when read."""

    name = "narrow"
    alone = "to"
    to: str
    from_: str | None = None

    def one(self, tensor: Tensor) -> Tensor:
        dtype = DTYPES[self.to]
        if dtype == tensor.dtype:
            return tensor
        if not _widens(dtype, tensor.dtype):
            raise MisfitError(f"expected a type that holds all of {self.to}")
        return narrowed(tensor, dtype)

    def inverse(self, before: Sequence[Tensor] | None) -> Verb:
        known = _known_type(before, self.from_)
        if known is None:
            raise NoInverseError('narrow does not say what type it comes from: {from = "...", to = "..."} does')
        return Cast(known, self.to)


def _known_type(before: Sequence[Tensor] | None, given: str | None) -> str | None:
    types = {str(tensor.dtype) for tensor in before or ()}
    return (types.pop() if len(types) == 1 else None) if before else given


def _widens(narrow: DType, wide: DType) -> bool:
    """Whether each value of one type is one of the other's."""
    if narrow == wide:
        return True
    if narrow.is_integer and wide.is_integer:
        return wide.bits > narrow.bits and (wide.kind == SIGNED or narrow.kind == UNSIGNED)
    digits = {"float64": 53, "float32": 24}.get(wide.name, 0)
    if narrow.is_integer:
        return narrow.bits <= digits
    return narrow.is_floating and narrow.bits < wide.bits and bool(digits)


VERBS = (Scale, Add, Cast, Narrow)
