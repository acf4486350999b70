"""What the values of one output share while it is written: arrays of their sources, and checks of these.

Several values may be made of one source: the pieces of a fused matrix. Each by itself would read all of it, for its
checksum covers the whole.

    borrowed   the array of a source: all that want it get the same one
    stretch    some of a file's bytes as they are; whether the whole is good is known once all of it was read

Where nothing is being written there is nothing to share, and each value reads what it needs. In a room, the arrays
take `LIMIT` bytes at most, or as many as the largest of them: whoever wants one waits until there is place, unless he
has borrowed already (so that nobody waits for somebody who waits). A room that is stopped lets nobody wait any more:
who failed may keep what he has borrowed for as long as his error is looked at.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .crc import combined, crc32c
from .dtype import UINT8
from .errors import FormatError
from .tensor import Buffer, FileTensor, Tensor

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import Self

LIMIT = 64 << 20
"""Bytes of arrays that are held at once, if each of them is smaller."""

_room: ContextVar[Room | None] = ContextVar("room", default=None)


class StoppedError(Exception):
    """The room was stopped: what was to be made in it is not wanted any more."""


@contextmanager
def borrowed(tensor: Tensor, readers: int = 1) -> Iterator[np.ndarray[Any, Any]]:
    """The array of `tensor`, of which `readers` values are made; nobody may change it."""
    room = _room.get()
    if room is None:
        yield tensor.numpy()
        return
    borrower = threading.get_ident()
    held = room.borrow(tensor, readers, borrower)
    try:
        assert held.array is not None
        yield held.array
    finally:
        room.give_back(held, borrower)


def stretch(tensor: FileTensor, first: int, end: int, readers: int = 1) -> Iterator[Buffer]:
    """The bytes `first` to before `end` of a tensor, as the file has them, of which `readers` such stretches are read.

    FormatError where the whole is damaged: at the end of the stretch, or, in a room, when the room is left.
    """
    room = _room.get()
    if tensor.crc32c is None:
        yield from _part(tensor, first, end).chunks()
    elif room is not None and readers > 1 and (seen := room.claim(tensor, first, end)) is not None:
        crc = 0
        for chunk in _part(tensor, first, end).chunks():
            crc = crc32c(chunk, crc)
            yield chunk
        seen.crcs[first] = crc
    else:
        place = 0
        for chunk in tensor.chunks():
            low, high = max(first - place, 0), min(end - place, len(chunk))
            if low < high:
                yield memoryview(chunk)[low:high]
            place += len(chunk)


@dataclass(slots=True)
class _Held:
    tensor: Tensor
    left: int
    """Readers that have not borrowed it yet."""
    users: int = 0
    array: np.ndarray[Any, Any] | None = None


class _Seen:
    """The stretches that are read of a tensor; none has bytes of another."""

    def __init__(self, tensor: FileTensor) -> None:
        self.tensor = tensor
        self.firsts: list[int] = []
        """Where they begin, in order."""
        self.ends: dict[int, int] = {}
        self.crcs: dict[int, int] = {}
        """The checksums of those that were read to their ends."""

    def add(self, first: int, end: int) -> bool:
        """Adds a stretch, unless it has bytes of another."""
        place = bisect_left(self.firsts, first)
        if place and self.ends[self.firsts[place - 1]] > first:
            return False
        if place < len(self.firsts) and self.firsts[place] < end:
            return False
        self.firsts.insert(place, first)
        self.ends[first] = end
        return True

    def check(self) -> None:
        """Reads what nobody has read. FormatError where the tensor is damaged."""
        crc = place = 0
        for first in [*(first for first in self.firsts if first in self.crcs), self.tensor.nbytes]:
            try:
                for chunk in _part(self.tensor, place, first).chunks():
                    crc = crc32c(chunk, crc)
            except OSError as error:
                problem = f"expected to read {self.tensor.name!r}, got: {error.strerror or error}"
                raise FormatError(self.tensor.path, problem) from None
            place = self.ends.get(first, first)
            crc = combined(crc, self.crcs.get(first, 0), place - first)
        self.tensor.verify(crc)


class Room:
    """A block in which values share; at its end all checks that are left are made."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._held: dict[int, _Held] = {}
        self._borrowing: Counter[int] = Counter()
        """Thread -> how many arrays it has."""
        self._seen: dict[int, _Seen] = {}
        self._stopped = False
        self._token: Token[Room | None] | None = None

    def borrow(self, tensor: Tensor, readers: int, borrower: int) -> _Held:
        """What `borrowed` does first; waits for place, or for the thread that is reading the same tensor.

        StoppedError where the room was stopped.
        """
        with self._changed:
            while True:
                if self._stopped:
                    raise StoppedError
                held = self._held.get(id(tensor))
                if held is None and (self._borrowing[borrower] or self._has_place(tensor.nbytes)):
                    self._limit = max(self._limit, tensor.nbytes)
                    held = self._held[id(tensor)] = _Held(tensor, readers)
                    is_new = True
                    break
                if held is not None and held.array is not None:
                    is_new = False
                    break
                self._changed.wait()
            held.users += 1
            held.left -= 1
            self._borrowing[borrower] += 1
        if is_new:
            try:
                held.array = tensor.numpy()
            except BaseException:
                held.left = 0
                self.give_back(held, borrower)
                raise
            with self._changed:
                self._changed.notify_all()
        return held

    def give_back(self, held: _Held, borrower: int) -> None:
        """What `borrowed` does last."""
        with self._changed:
            self._borrowing[borrower] -= 1
            held.users -= 1
            if not held.users and held.left <= 0 and self._held.get(id(held.tensor)) is held:
                del self._held[id(held.tensor)]
            self._changed.notify_all()

    def _has_place(self, size: int) -> bool:
        """Whether there is place for so many bytes more; what nobody uses at the moment goes for it, oldest first."""
        for key, held in list(self._held.items()):
            if self._taken() + size <= self._limit:
                break
            if not held.users:
                del self._held[key]
        return not self._held or self._taken() + size <= self._limit

    def _taken(self) -> int:
        return sum(held.tensor.nbytes for held in self._held.values())

    def claim(self, tensor: FileTensor, first: int, end: int) -> _Seen | None:
        """Where to note the checksum of a stretch; None where others have bytes of it already."""
        with self._changed:
            seen = self._seen.setdefault(id(tensor), _Seen(tensor))
            return seen if seen.add(first, end) else None

    def stop(self) -> None:
        """Whoever waits for an array, or comes for one, gets a StoppedError."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def enter(self) -> None:
        """From here on values share."""
        self._token = _room.set(self)

    def leave(self, *, check: bool) -> None:
        """The end of it. FormatError where a source of which pieces were read proves damaged."""
        assert self._token is not None
        _room.reset(self._token)
        self._held.clear()
        if check:
            for seen in self._seen.values():
                seen.check()

    def __enter__(self) -> Self:
        self.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave(check=kind is None)


def _part(tensor: FileTensor, first: int, end: int) -> FileTensor:
    return FileTensor(UINT8, (end - first,), tensor.path, tensor.offset + first, name=tensor.name)
