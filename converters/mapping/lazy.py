"""What transforms make: tensors whose values are computed when they are asked for, from others that are lazy too.

    Rows      some of the rows (indices of axis 0) of a tensor
    Joined    several tensors below each other: concat or stack along axis 0
    Same      one tensor under the condition that others have the same bytes
    Computed  every element on its own: scale, add

Rows and Joined are streamed. All others hold a tensor at most while it is read (`converters.views`). The checksum of a
file is verified for every tensor that is made of it: before the first block of rows is read, all are, which verifies
the whole and gives a checksum for each block; then a block is read, and checked, by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from tensorferry.formats.errors import FormatError
from tensorferry.formats.tensor import ArrayTensor, Buffer, FileTensor, Tensor, refuse_strings

if TYPE_CHECKING:
    import numpy as np


class Blocks:
    """The rows of `base` in blocks that begin at the rows `starts` and end where the next begins."""

    __slots__ = ("_crcs", "_lock", "base", "ends", "starts")

    def __init__(self, base: Tensor, starts: Sequence[int]) -> None:
        self.base = base
        self.starts = list(starts)
        self.ends = [*self.starts[1:], base.shape[0]]
        self._crcs: list[int] = []
        self._lock = Lock()

    def chunks(self, index: int) -> Iterator[Buffer]:
        """Streams one block."""
        base = self.base
        first, end = (row * _row_bytes(base) for row in (self.starts[index], self.ends[index]))
        if isinstance(base, FileTensor) and not base.big_endian:
            shape = (self.ends[index] - self.starts[index], *base.shape[1:])
            crc = self._checked(base)[index] if base.crc32c is not None else None
            block = FileTensor(base.dtype, shape, base.path, base.offset + first, name=base.name, crc32c=crc)
            yield from block.chunks()
            return
        place = 0
        for chunk in base.chunks():
            low, high = max(first - place, 0), min(end - place, len(chunk))
            if low < high:
                yield memoryview(chunk)[low:high]
            place += len(chunk)

    def _checked(self, base: Tensor) -> list[int]:
        """The checksum of each block, once all of `base` has proved good."""
        from tensorferry.formats.crc import crc32c

        with self._lock:
            if not self._crcs:
                width = _row_bytes(base)
                sums = [0] * len(self.starts)
                place = index = 0
                for chunk in base.chunks():
                    view = memoryview(chunk)
                    while view:
                        count = min(self.ends[index] * width - place, len(view))
                        sums[index] = crc32c(view[:count], sums[index])
                        place += count
                        index += place == self.ends[index] * width
                        view = view[count:]
                self._crcs = sums
        return self._crcs


class Rows(Tensor):
    """Block `index` of `blocks`."""

    __slots__ = ("blocks", "index")

    def __init__(self, blocks: Blocks, index: int) -> None:
        base = blocks.base
        super().__init__(base.dtype, (blocks.ends[index] - blocks.starts[index], *base.shape[1:]))
        self.blocks = blocks
        self.index = index

    @property
    def bases(self) -> tuple[Tensor]:
        return (self.blocks.base,)

    def numpy(self) -> np.ndarray[Any, Any]:
        import numpy as np

        if not self.dtype.is_plain:
            whole = self.blocks.base.numpy()
            rows: np.ndarray[Any, Any] = whole[self.blocks.starts[self.index] : self.blocks.ends[self.index]]
            return rows
        array: np.ndarray[Any, Any] = np.frombuffer(bytearray(self.tobytes()), self.dtype.numpy())
        return array.reshape(self.shape)

    def chunks(self) -> Iterator[Buffer]:
        refuse_strings(self)
        if self.size:
            yield from self.blocks.chunks(self.index)


def rows(base: Tensor, starts: Sequence[int]) -> list[Tensor]:
    """The blocks of rows that begin at `starts` (0 first)."""
    blocks = Blocks(base, starts)
    return [Rows(blocks, index) for index in range(len(blocks.starts))]


class Joined(Tensor):
    """`bases` below each other; all have one dtype, and one shape but for axis 0 where they are concatenated."""

    __slots__ = ("bases",)

    def __init__(self, bases: Sequence[Tensor], shape: tuple[int, ...]) -> None:
        super().__init__(bases[0].dtype, shape)
        self.bases = tuple(bases)

    def numpy(self) -> np.ndarray[Any, Any]:
        import numpy as np

        whole = np.empty(self.size, self.dtype.numpy())
        place = 0
        for part in self.bases:
            whole[place : place + part.size] = part.numpy().reshape(-1)
            place += part.size
        return whole.reshape(self.shape)

    def chunks(self) -> Iterator[Buffer]:
        refuse_strings(self)
        for part in self.bases:
            yield from part.chunks()


class Same(Tensor):
    """The first of `bases`; FormatError when it is read and another differs. `names` are theirs, for the message."""

    __slots__ = ("bases", "names")

    def __init__(self, bases: Sequence[Tensor], names: Sequence[str]) -> None:
        super().__init__(bases[0].dtype, bases[0].shape)
        self.bases = tuple(bases)
        self.names = tuple(names)

    def _check(self) -> None:
        from ..jobs.diff import diff_tensors

        for part, name in zip(self.bases[1:], self.names[1:], strict=True):
            difference = diff_tensors(name, self.bases[0], part)
            if difference is not None:
                raise FormatError(name, f"expected the same values as {self.names[0]}, got: {difference.reason}")

    def numpy(self) -> np.ndarray[Any, Any]:
        self._check()
        return self.bases[0].numpy()

    def chunks(self) -> Iterator[Buffer]:
        self._check()
        yield from self.bases[0].chunks()


class Computed(Tensor):
    """`make` of every element of a floating-point or complex `base`, computed in 64 bits or more and rounded once."""

    __slots__ = ("_make", "base")

    def __init__(self, base: Tensor, make: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> None:
        super().__init__(base.dtype, base.shape)
        self.base = base
        self._make = make

    @property
    def bases(self) -> tuple[Tensor]:
        return (self.base,)

    def numpy(self) -> np.ndarray[Any, Any]:
        return self._computed(self.base.numpy())

    def chunks(self) -> Iterator[Buffer]:
        import numpy as np

        for chunk in self.base.chunks():
            stored = np.frombuffer(chunk, self.dtype.numpy())
            yield from ArrayTensor(self._computed(stored), self.dtype).chunks()

    def _computed(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        import numpy as np

        wide = np.complex128 if self.dtype.kind == "complex" else np.float64
        with np.errstate(all="ignore"):
            value: np.ndarray[Any, Any] = self._make(array.astype(wide)).astype(self.dtype.numpy())
        return value


def _row_bytes(tensor: Tensor) -> int:
    return tensor.nbytes // tensor.shape[0] if tensor.shape[0] else 0
