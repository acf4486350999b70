"""A tensor that is stored in pieces: boxes of a grid, or any layout of boxes that covers every element once.

    Part            where a piece begins in the whole, and the piece
    SlicedTensor    the whole, put together when somebody asks

TensorFlow writes these for partitioned variables (embeddings split by rows, mostly) and where one tensor is spread over
several shards. Whether the boxes cover the whole is a matter of their corners alone, and checked before any byte is
read; it is not checked before the value is wanted, so that one incomplete variable doesn't hinder the others.

Memory: pieces that divide axis 0 are streamed one after another. Pieces that lie side by side are read in step, a few
rows at a time from each; only where more than 32 lie side by side is that band of rows put together whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .binary import Path
from .dtype import DType
from .errors import FormatError, UnsupportedError, listing
from .tensor import CHUNK, Buffer, Tensor, refuse_strings

if TYPE_CHECKING:
    import numpy as np

SIDE_BY_SIDE = 32
"""How many pieces (each an open file and a buffer) are read in step."""

CHECKS = 4_000_000
"""Boxes looked at until the layout counts as too irregular: enough for 100,000 pieces of a grid."""

Box = tuple[tuple[int, int], ...]
"""(first, end) along each axis, the end excluded."""


@dataclass(frozen=True, slots=True)
class Part:
    """The piece `tensor`, which begins at the index `start` of the whole."""

    start: tuple[int, ...]
    tensor: Tensor

    @property
    def box(self) -> Box:
        return tuple((first, first + size) for first, size in zip(self.start, self.tensor.shape, strict=True))


class SlicedTensor(Tensor):
    """The tensor `name` of `shape`, made of `parts`; `path` is the file that says so, for messages.

    Parts have the whole's dtype and rank and lie within its shape: the reader of the format checks that.
    """

    __slots__ = ("name", "parts", "path")

    def __init__(
        self, dtype: DType, shape: tuple[int, ...], parts: Sequence[Part], *, name: str = "", path: Path = ""
    ) -> None:
        super().__init__(dtype, shape)
        self.parts = tuple(parts)
        self.name = name
        self.path = path

    def check(self) -> None:
        """Raises FormatError that names the first box which no piece covers, or two do."""
        if not self.size:
            return
        fault = first_fault(self.shape, [part.box for part in self.parts], f"{self.path}: {self.name!r}")
        if fault is None:
            return
        count, box = fault
        got = "none" if count == 0 else f"{count} pieces"
        raise FormatError(
            self.path,
            f"expected one piece of {self.name!r} {list(self.shape)} for each element, got {got} for {box_text(box)}",
        )

    def numpy(self) -> np.ndarray[Any, Any]:
        import numpy as np

        self.check()
        whole = np.empty(self.shape, self.dtype.numpy())
        for part in self.parts:
            _place(whole, part, 0)
        return whole

    def chunks(self) -> Iterator[Buffer]:
        refuse_strings(self)
        self.check()
        if not self.size:
            return
        for band in _bands([part for part in self.parts if part.tensor.size]):
            if len(band) == 1:
                yield from band[0].tensor.chunks()
            elif len(band) <= SIDE_BY_SIDE:
                yield from self._in_step(band)
            else:
                yield self._together(band)

    def _together(self, band: list[Part]) -> Buffer:
        """The rows of `band` in memory."""
        import numpy as np

        first, end = band[0].box[0][0], max(part.box[0][1] for part in band)
        rows = np.empty((end - first, *self.shape[1:]), self.dtype.numpy())
        for part in band:
            _place(rows, part, first)
        return rows.reshape(-1).view(np.uint8).data

    def _in_step(self, band: list[Part]) -> Iterator[Buffer]:
        """The rows of `band`, as many at a time as fit a chunk, each piece's part of them from its own stream."""
        import numpy as np

        boxes = [part.box for part in band]
        first, end = boxes[0][0][0], max(box[0][1] for box in boxes)
        step = min(end - first, max(1, CHUNK * self.shape[0] // self.nbytes))
        streams = [Cursor(part.tensor.chunks()) for part in band]
        buffer = np.empty((step, *self.shape[1:]), self.dtype.numpy())
        for low in range(first, end, step):
            rows = buffer[: min(step, end - low)]
            for part, box, stream in zip(band, boxes, streams, strict=True):
                begin, stop = max(low, box[0][0]), min(low + len(rows), box[0][1])
                if begin >= stop:
                    continue
                shape = (stop - begin, *part.tensor.shape[1:])
                data = stream.take((stop - begin) * part.tensor.nbytes // part.tensor.shape[0])
                where = slice(begin - low, stop - low), *_slices(part)[1:]
                rows[where] = np.frombuffer(data, self.dtype.numpy()).reshape(shape)
                if stop == box[0][1]:
                    stream.finish()
            yield rows.reshape(-1).view(np.uint8).data


class Cursor:
    """The chunks of a tensor in pieces of the size that is asked for, each valid until the next."""

    __slots__ = ("_chunks", "_rest")

    def __init__(self, chunks: Iterator[Buffer]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def take(self, count: int) -> Buffer:
        if not self._rest:
            self._rest = memoryview(next(self._chunks))
        if len(self._rest) >= count:
            piece, self._rest = self._rest[:count], self._rest[count:]
            return piece
        data = bytearray()
        while len(data) < count:
            self._rest = self._rest or memoryview(next(self._chunks))
            missing = count - len(data)
            data += self._rest[:missing]
            self._rest = self._rest[missing:]
        return data

    def finish(self) -> None:
        """Runs to the end, where the checksum is compared."""
        for _ in self._chunks:
            pass


def refuse_incomplete(tensors: Iterable[Tensor]) -> None:
    """Raises FormatError, of all at once, where slices don't cover their tensor; reads nothing."""
    faults = []
    for tensor in tensors:
        if isinstance(tensor, SlicedTensor):
            try:
                tensor.check()
            except FormatError as error:
                faults.append(error)
    if faults:
        raise FormatError(faults[0].where, listing((error.problem for error in faults), 8), hint="--exclude them")


def first_fault(shape: tuple[int, ...], boxes: Sequence[Box], where: str = "") -> tuple[int, Box] | None:
    """The first box that not exactly one of `boxes` covers and how many do; None if they tile `shape`.

    Axis by axis: the boxes' corners cut an axis into intervals, and what lies over each interval has to tile the
    other axes. UnsupportedError (at `where`) if the layout is so irregular that this takes too long.
    """
    work = [CHECKS]

    def scan(inside: list[Box], done: Box) -> tuple[int, Box] | None:
        axis = len(done)
        if not inside or axis == len(shape):
            rest = tuple((0, size) for size in shape[axis:])
            return None if len(inside) == 1 else (len(inside), done + rest)
        order = sorted(inside, key=lambda box: box[axis], reverse=True)
        cuts = sorted({0, shape[axis]}.union(*(box[axis] for box in inside)))
        over: list[Box] = []
        for first, end in pairwise(cuts):
            over = [box for box in over if box[axis][1] > first]
            while order and order[-1][axis][0] <= first:
                over.append(order.pop())
            work[0] -= len(over) + 1
            if work[0] < 0:
                raise UnsupportedError(where, f"expected pieces in a grid, got {len(boxes)} in too irregular a layout")
            fault = scan(over, (*done, (first, end)))
            if fault is not None:
                return fault
        return None

    return scan([box for box in boxes if all(first < end for first, end in box)], ())


def box_text(box: Box) -> str:
    """`[0:2, 3:6]`, as one would index an array."""
    return "[" + ", ".join(f"{first}:{end}" for first, end in box) + "]"


def _bands(parts: list[Part]) -> Iterator[list[Part]]:
    """The parts in order of axis 0, those together that share rows, directly or through others."""
    if parts[0].tensor.rank == 0:
        yield parts
        return
    band: list[Part] = []
    end = 0
    for part in sorted(parts, key=lambda part: part.start):
        if band and part.start[0] >= end:
            yield band
            band = []
        band.append(part)
        end = max(end, part.box[0][1])
    yield band


def _slices(part: Part) -> tuple[slice, ...]:
    return tuple(slice(first, end) for first, end in part.box)


def _place(rows: np.ndarray[Any, Any], part: Part, first: int) -> None:
    """Copies `part` into `rows`, which begin at row `first` of the whole."""
    where = _slices(part)
    if where:
        where = (slice(where[0].start - first, where[0].stop - first), *where[1:])
    rows[where] = part.tensor.numpy()
