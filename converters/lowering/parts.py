"""Parts: sizes in shape arithmetic.

A part is one size: a number, a symbol, or an int64 value [1] where only the running model knows. Arithmetic on parts
makes nodes only for the last kind, or where a symbol has to become a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from tensorferry.formats.dtype import INT64, DType
from tensorferry.formats.errors import UnsupportedError
from tensorferry.formats.tensor import ArrayTensor

from ..inference import dims as sizes_of
from ..inference.dims import Dim
from ..inference.values import Value
from .sizes import SizeEmitter

if TYPE_CHECKING:
    import numpy as np

Part: TypeAlias = "int | str | Value"
"""One size: known, symbolic, or computed (an int64 value [1])."""


class PartEmitter(SizeEmitter):
    """An emitter that computes with sizes."""

    # Constants

    def constant_of(self, array: np.ndarray[Any, Any], dtype: DType | None = None) -> Value:
        """A constant from an array."""
        return Value.of_tensor(ArrayTensor(array, dtype))

    def scalar(self, number: complex, *, like: Value | DType) -> Value:
        """A scalar constant of some value's type."""
        import numpy as np

        dtype = like.dtype if isinstance(like, Value) else like
        with np.errstate(all="ignore"):
            return self.constant_of(np.array(number).astype(dtype.numpy()), dtype)

    def ints(self, numbers: Sequence[int]) -> Value:
        """A constant vector of int64."""
        return Value.of_entries(INT64, numbers)

    def rank(self, x: Value, what: str = "input") -> int:
        """The rank of a value; UnsupportedError where it is unknown."""
        if x.dims is None:
            raise UnsupportedError("", f"expected an {what} of known rank", hint="give the inputs' shapes")
        return len(x.dims)

    def cast(self, x: Value, dtype: DType) -> Value:
        """x converted to another type."""
        return self._cast(x, dtype)

    def ranked(self, x: Value, rank: int) -> Value:
        """x with the rank that its op asks for, if nothing else tells it."""
        return x if x.dims is not None else x.with_(dims=(None,) * rank)

    def int64(self, x: Value) -> Value:
        """An integer value as int64, without a node where its contents are known."""
        if x.entries is not None and self.can_make(x.entries):
            return Value(INT64, x.dims, None, x.entries)
        integers = x.integers() if x.rank is not None and x.rank <= 1 else None
        if integers is not None:
            return Value.of_entries(INT64, integers, scalar=x.rank == 0)
        return self._cast(x, INT64)

    # Shape arithmetic

    def part(self, x: Value) -> Part:
        """A scalar (or vector of one) of integers as a part."""
        entries = x.known_entries()
        if entries and len(entries) == 1 and entries[0] is not None and self.can_make(entries):
            return entries[0]
        wide = self.int64(x)
        return wide if x.dims == (1,) else self.op("Reshape", wide, self.ints([1]), dims=(1,))

    def parts(self, x: Value) -> list[Part]:
        """The elements of a vector of integers as parts; UnsupportedError where nobody knows how many there are."""
        entries = x.known_entries()
        if entries is None:
            raise UnsupportedError("", "expected a vector of known length, got one of any length")
        found: list[Part] = []
        for i, entry in enumerate(entries):
            if entry is not None and self.can_make((entry,)):
                found.append(entry)
            else:
                found.append(self._element(self.int64(x), i))
        return found

    def _element(self, x: Value, index: int) -> Value:
        """x[index : index + 1] of a vector."""
        return self.op("Slice", x, self.ints([index]), self.ints([index + 1]), dims=(1,))

    def size(self, x: Value, axis: int) -> Part:
        """The size of one dimension."""
        dim = x.dims[axis] if x.dims is not None else None
        if dim is not None and self.can_make((dim,)):
            return dim
        at = axis if axis >= 0 else self.rank(x) + axis
        if self.opset >= 15:
            return self.op("Shape", x, dims=(1,), start=at, end=at + 1)
        return self._element(self.op("Shape", x, dims=(x.rank,)), at)

    def sizes_of(self, x: Value) -> list[Part]:
        """The sizes of all dimensions."""
        return [self.size(x, axis) for axis in range(self.rank(x))]

    def shape(self, x: Value) -> Value:
        """The shape as an int64 vector; any rank."""
        if x.dims is not None and self.can_make(x.dims):
            return Value.of_entries(INT64, x.dims)
        return self.op("Shape", x, dims=(x.rank,))

    def vector(self, parts: Sequence[Part]) -> Value:
        """Parts joined to an int64 vector."""
        if not any(isinstance(part, Value) for part in parts):
            return Value.of_entries(INT64, parts)  # type: ignore[arg-type]
        pieces: list[Value] = []
        run: list[Dim] = []
        for part in parts:
            if isinstance(part, Value):
                if run:
                    pieces.append(Value.of_entries(INT64, run))
                    run = []
                pieces.append(part)
            else:
                run.append(part)
        if run:
            pieces.append(Value.of_entries(INT64, run))
        if len(pieces) == 1:
            return pieces[0]
        entries = tuple(part if not isinstance(part, Value) else None for part in parts)
        joined = self.op("Concat", *pieces, dims=(len(parts),), axis=0)
        return joined.with_(entries=entries)

    def plus(self, *parts: Part) -> Part:
        """The sum of parts."""
        return self._combined("Add", sizes_of.add, parts)

    def times(self, *parts: Part) -> Part:
        """The product of parts."""
        return self._combined("Mul", sizes_of.multiply, parts)

    def minus(self, a: Part, b: Part) -> Part:
        """a - b."""
        return self.plus(a, self.times(b, -1))

    def floor_div(self, a: Part, b: Part) -> Part:
        """a // b for parts that are not negative, b positive."""
        if isinstance(b, int) and not isinstance(a, Value):
            exact = sizes_of.floor_divide(a, b)
            if exact is not None:
                return exact
        if not isinstance(a, Value) and not isinstance(b, Value):
            exact = sizes_of.exact_divide(a, b)
            if exact is not None:
                return exact
        return self.op("Div", self.vector([a]), self.vector([b]))

    def ceil_div(self, a: Part, b: int) -> Part:
        """a / b, rounded up."""
        return self.floor_div(self.plus(a, b - 1), b)

    def _combined(self, op: str, function: Any, parts: Sequence[Part]) -> Part:
        known_part = function(*(part for part in parts if not isinstance(part, Value)))
        computed = [part for part in parts if isinstance(part, Value)]
        if known_part is None:
            computed += [self.vector([part]) for part in parts if not isinstance(part, Value)]
        elif not computed:
            return known_part  # type: ignore[no-any-return]
        elif known_part != (0 if op == "Add" else 1):
            computed.append(self.vector([known_part]))
        total = computed[0]
        for value in computed[1:]:
            total = self.op(op, total, value)
        return total
