"""What transforms make: tensors whose values are computed when they are asked for, from others that are lazy too.

    Joined       several tensors behind each other along an axis, streamed side by side
    Same         one tensor under the condition that others have the same bytes
    Elementwise  every element from those at the same place, a piece at a time: computed, narrowed

Layouts are in `converters.views`. The checksum of a file is verified for every tensor that is made of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from tensorferry.formats.dtype import COMPLEX, DType
from tensorferry.formats.errors import FormatError
from tensorferry.formats.sliced import Cursor, Part, SlicedTensor
from tensorferry.formats.tensor import ArrayTensor, Buffer, Tensor

from ...views import reshaped

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Pieces = Iterator[list[Array]]

PIECE = 32 << 10
"""Elements that are computed at a time: what they pass through in 64 bits stays in a processor's cache."""


class Joined(Tensor):
    """`bases` behind each other along `axis`; they have one dtype, and one shape but for that axis."""

    __slots__ = ("_whole", "bases")

    def __init__(self, bases: Sequence[Tensor], axis: int) -> None:
        self.bases = tuple(bases)
        before, after = bases[0].shape[:axis], bases[0].shape[axis + 1 :]
        super().__init__(bases[0].dtype, (*before, sum(base.shape[axis] for base in bases), *after))
        rows = () if math.prod(before) == 1 else (math.prod(before),)
        *starts, size = accumulate((base.shape[axis] * math.prod(after) for base in bases), initial=0)
        parts = [
            Part((*[0] * len(rows), start), reshaped(base, (*rows, base.shape[axis] * math.prod(after))))
            for start, base in zip(starts, bases, strict=True)
        ]
        self._whole = SlicedTensor(self.dtype, (*rows, size), parts)

    def numpy(self) -> Array:
        return self._whole.numpy().reshape(self.shape)

    def chunks(self) -> Iterator[Buffer]:
        return self._whole.chunks()


class Same(Tensor):
    """The first of `bases`; FormatError when it is read and another differs. `names` are theirs, for the message."""

    __slots__ = ("bases", "names")

    def __init__(self, bases: Sequence[Tensor], names: Sequence[str]) -> None:
        super().__init__(bases[0].dtype, bases[0].shape)
        self.bases = tuple(bases)
        self.names = tuple(names)

    def _check(self) -> None:
        from ...difference import diff_tensors

        for part, name in zip(self.bases[1:], self.names[1:], strict=True):
            difference = diff_tensors(name, self.bases[0], part)
            if difference is not None:
                raise FormatError(name, f"expected the same values as {self.names[0]}, got: {difference.reason}")

    def numpy(self) -> Array:
        self._check()
        return self.bases[0].numpy()

    def chunks(self) -> Iterator[Buffer]:
        self._check()
        yield from self.bases[0].chunks()


class Elementwise(Tensor):
    """What `make` makes of the elements of `bases`, which have one dtype and shape.

    It gets them in pieces, those of all bases at the same places together, and gives the same pieces of the result,
    each valid until the next.
    """

    __slots__ = ("_make", "bases")

    def __init__(self, dtype: DType, make: Callable[[Pieces], Iterator[Array]], *bases: Tensor) -> None:
        super().__init__(dtype, bases[0].shape)
        self._make = make
        self.bases = bases

    @property
    def held(self) -> Tensor | None:
        return next((base.held for base in self.bases if base.held is not None), None)

    def numpy(self) -> Array:
        import numpy as np

        made = np.empty(self.size, self.dtype.numpy())
        place = 0
        for piece in self._make(self._pieces()):
            made[place : place + len(piece)] = piece
            place += len(piece)
        return made.reshape(self.shape)

    def chunks(self) -> Iterator[Buffer]:
        for piece in self._make(self._pieces()):
            yield from ArrayTensor(piece, self.dtype).chunks()

    def _pieces(self) -> Pieces:
        import numpy as np

        stored = self.bases[0].dtype.numpy()
        cursors = [Cursor(base.chunks()) for base in self.bases]
        for first in range(0, self.size, PIECE):
            count = min(PIECE, self.size - first) * stored.itemsize
            yield [np.frombuffer(cursor.take(count), stored) for cursor in cursors]
        for cursor in cursors:
            cursor.finish()


def narrowed(base: Tensor, dtype: DType) -> Tensor:
    """`base` in a narrower type that holds all of its values: FormatError when it is read if it does not."""

    def make(pieces: Pieces) -> Iterator[Array]:
        import numpy as np

        lost = 0
        for (array,) in pieces:
            with np.errstate(all="ignore"):
                value: Array = array.astype(dtype.numpy())
                differs = np.asarray(value.astype(array.dtype) != array)
            lost += np.count_nonzero(differs & np.asarray(array == array))  # noqa: PLR0124 - no NaN
            yield value
        if lost:
            raise FormatError(f"narrow {dtype}", f"expected values that {dtype} holds, got {lost} others")

    return Elementwise(dtype, make, base)


def computed(change: Callable[..., object], *bases: Tensor) -> Tensor:
    """Floating-point or complex elements, computed in 64 bits or more and rounded once.

    `change` gets an array of the first base's in that width, to change in place, and the others' as they are.
    """
    dtype, size = bases[0].dtype, min(PIECE, bases[0].size)

    def make(pieces: Pieces) -> Iterator[Array]:
        import numpy as np

        # Used for all pieces: to get memory takes longer than what is done in it.
        wide, rounded = np.empty(size, "c16" if dtype.kind == COMPLEX else "f8"), np.empty(size, dtype.numpy())
        for first, *others in pieces:
            exact, made = wide[: len(first)], rounded[: len(first)]
            with np.errstate(all="ignore"):
                exact[...] = first
                change(exact, *others)
                made[...] = exact
            yield made

    return Elementwise(dtype, make, *bases)
