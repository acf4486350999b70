"""Sizes as values: vectors of numbers and symbols, taken from the shapes of values that are there.

A symbol is the size of some dimension of some value, mostly of a graph input, so a shape like [batch, 7, 64] needs no
shape arithmetic: one Shape node reads the batch, one Concat joins it with the numbers, and both are made once for the
whole graph, however often TensorFlow's graph computes that shape anew.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Sequence
from typing import TypeVar

from tensorferry.formats.dtype import INT64, DType
from tensorferry.formats.tensor import ArrayTensor, Tensor

from ..inference.dims import Dim, Dims, quotient, terms
from ..inference.values import Value
from ..ir import Attr
from .emitter import Emitter

_Sizes = TypeVar("_Sizes", bound="SizeEmitter")


class SizeEmitter(Emitter):
    """An emitter that knows where sizes come from."""

    def __init__(self, opset: int, reserved: Collection[str] = ()) -> None:
        super().__init__(opset, reserved)
        self._providers: ChainMap[str, tuple[str, int]] = ChainMap({})

    def inner(self: _Sizes, title: str = "body") -> _Sizes:
        """A builder for a body, which knows the sizes of the values around it."""
        made = super().inner(title)
        made._providers = self._providers.new_child()
        return made

    def provide(self, value: Value) -> None:
        """Notes that the sizes of a value that is there are what the symbols in its shape stand for."""
        for axis, dim in enumerate(value.dims or ()):
            if isinstance(dim, str) and dim not in self._providers and terms(dim) == (((dim,), 1),):
                self._providers[dim] = (value.name, axis)

    def can_make(self, entries: Sequence[Dim]) -> bool:
        """Whether every symbol in `entries` is the size of some value."""
        return all(self._can_make(entry) for entry in entries)

    def _can_make(self, dim: Dim) -> bool:
        if dim is None:
            return False
        for names, _ in terms(dim):
            for name in names:
                if name not in self._providers:
                    parts = quotient(name)
                    if parts is None or not self._can_make(parts[0]):
                        return False
        return True

    def sizes(self, dtype: DType, entries: tuple[Dim, ...], dims: tuple[int, ...]) -> Value:
        """A vector of known sizes, or a tensor `dims` of them in order."""
        key = (dtype.name, entries, dims)
        if key in self._shared:
            return self._shared[key]
        if all(isinstance(entry, int) for entry in entries):
            value = self.constant(_integers(dtype, entries, dims))
        elif isinstance(self._outer, SizeEmitter) and self._outer.can_make(entries):
            value = self._outer.sizes(dtype, entries, dims)
        elif dtype != INT64:
            value = self._lasting("Cast", [self.sizes(INT64, entries, dims)], dtype, dims, to=dtype)
        elif len(dims) == 1:
            value = self._vector(entries)
        else:
            shape = self.constant(_integers(INT64, dims, (len(dims),)))
            value = self._lasting("Reshape", [self.sizes(INT64, entries, (len(entries),)), shape], INT64, dims)
        self._shared[key] = value
        return value

    def _vector(self, entries: tuple[Dim, ...]) -> Value:
        pieces: list[Value] = []
        at = 0
        while at < len(entries):
            count = self._run(entries, at)
            first = entries[at]
            if not isinstance(first, str):
                piece = entries[at : at + count]
                pieces.append(self.constant(_integers(INT64, piece, (count,))))
            elif first in self._providers:
                pieces.append(self._read(self._providers[first], count))
            else:
                pieces.append(self._polynomial(first))
            at += count
        if len(pieces) == 1:
            return pieces[0]
        return self._lasting("Concat", pieces, INT64, (len(entries),), axis=0)

    def _run(self, entries: tuple[Dim, ...], start: int) -> int:
        """How many entries from `start` on come from one place: numbers, or neighbouring sizes of one value."""
        first = entries[start]
        place = self._providers.get(first) if isinstance(first, str) else None
        count = 1
        while start + count < len(entries):
            entry = entries[start + count]
            numbers = isinstance(first, int) and isinstance(entry, int)
            follows = place and isinstance(entry, str) and self._providers.get(entry) == (place[0], place[1] + count)
            if not numbers and not follows:
                break
            count += 1
        return count

    def _read(self, place: tuple[str, int], count: int) -> Value:
        """Sizes of a value: [count]."""
        source, axis = place
        key = ("size", source, axis, count)
        if key not in self._shared:
            rank = len(self.dims.get(source) or ())
            if self.opset >= 15:
                span: dict[str, Attr] = {"start": axis, "end": axis + count} if count != rank else {}
                self._shared[key] = self._lasting_named(source, "Shape", [source], count, span)
            else:
                whole = self._read_whole(source, rank)
                if count == rank:
                    return whole
                ends = [self.ref(Value.of_entries(INT64, [end])) for end in (axis, axis + count)]
                self._shared[key] = self._lasting_named(source, "Slice", [whole.name, *ends], count, {})
        return self._shared[key]

    def _read_whole(self, source: str, rank: int) -> Value:
        key = ("size", source)
        if key not in self._shared:
            self._shared[key] = self._lasting_named(source, "Shape", [source], rank, {})
        return self._shared[key]

    def _polynomial(self, dim: str) -> Value:
        key = ("polynomial", dim)
        if key in self._shared:
            return self._shared[key]
        parts = quotient(dim)
        if parts is not None:
            below = self.constant(_integers(INT64, (parts[1],), (1,)))
            value = self._lasting("Div", [self._vector((parts[0],)), below], INT64, (1,))
        else:
            value = self._sum(dim)
        self._shared[key] = value
        return value

    def _sum(self, dim: str) -> Value:
        total: Value | None = None
        for names, coefficient in terms(dim):
            factors = [self._vector((name,)) for name in names]
            if coefficient != 1 or not factors:
                factors.append(self.constant(_integers(INT64, (coefficient,), (1,))))
            term = factors[0]
            for factor in factors[1:]:
                term = self._lasting("Mul", [term, factor], INT64, (1,))
            total = term if total is None else self._lasting("Add", [total, term], INT64, (1,))
        assert total is not None
        return total

    def _lasting(self, op: str, inputs: Sequence[Value], dtype: DType, dims: Dims, **attrs: Attr) -> Value:
        """A node that outlives the scope."""
        name = self.unique(self.under("shape"))
        return self.emit(op, [value.name for value in inputs], attrs, [(dtype, dims)], name=name)[0]

    def _lasting_named(self, source: str, op: str, inputs: Sequence[str], count: int, attrs: dict[str, Attr]) -> Value:
        name = self.unique(f"{source.rpartition(':')[0]}/{op.lower()}")
        return self.emit(op, inputs, attrs, [(INT64, (count,))], name=name)[0]


def _integers(dtype: DType, entries: Sequence[Dim], dims: tuple[int, ...]) -> Tensor:
    import numpy as np

    return ArrayTensor(np.array(entries, dtype.numpy()).reshape(dims), dtype)
