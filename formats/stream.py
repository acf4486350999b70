"""Tensors' bytes into files, piece by piece and counted.

    copy    one tensor into any binary file
    Sink    a file from its beginning to its end: heads by its owner, large values by threads meanwhile

Headers are written before the values, from dtype and shape alone. So a tensor that gives more or fewer bytes than these
promise would shift all that follows: it is refused, as is a source that can't be read.

Because sizes are known beforehand, so are places: several values can be under way at once. Each thread reads, checks
and writes pieces that fit its processor's cache, which took 0.8 times what `cp` takes on a memory filesystem, where one
thread took 1.1 times. Values that are made of the same tensor are left to one thread in the end, wherever in the file
they are: so it is read once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from .crc import crc32c
from .errors import FormatError
from .packed import pack, packed_size
from .room import Room, StoppedError, borrowed
from .tensor import Buffer, Tensor

if TYPE_CHECKING:
    from typing_extensions import Self

LARGE = 1 << 20
"""Bytes of a value from which on it is worth a thread."""

THREADS = min(2, os.cpu_count() or 1)
"""More don't help: the system lets one write to a file at a time."""

watcher: ContextVar[Callable[[int], None] | None] = ContextVar("watcher", default=None)
"""Told of the bytes of each piece that was written."""


def copy(tensor: Tensor, name: str, file: IO[bytes], bits: int = 8) -> None:
    """Writes the value of `tensor` to `file`; elements of 2 or 4 `bits` are packed into whole bytes.

    FormatError where the source can't be read, is damaged, or gives another number of bytes than dtype and shape tell.
    """
    watch = watcher.get()
    for piece in _pieces(tensor, name, bits):
        file.write(piece)
        if watch is not None:
            watch(len(piece))


@dataclass(slots=True)
class Written:
    """A value that was handed to a sink. `crc32c` is that of its bytes, if asked for, once the sink is done."""

    tensor: Tensor
    name: str
    bits: int
    position: int
    summed: bool
    crc32c: int = 0


class Sink:
    """A file, written from where it stands. `size` counts the bytes; the values are complete when the block ends.

    A value's error is raised then at the latest, the one that comes first in the file.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.size = 0
        self._file = file
        self._watch = watcher.get()
        self._lock = threading.Lock()
        # Files of an `OutputSet` can be written at any place, by any thread.
        self._write_at: Callable[[Buffer, int], None] | None = getattr(getattr(file, "raw", None), "write_at", None)
        self._start = file.tell() if self._write_at is not None else 0
        self._waiting: SimpleQueue[list[Written] | None] = SimpleQueue()
        self._together: dict[int, list[Written]] = {}
        """Values that one thread will write in the end, since they need the same tensor in memory."""
        self._threads: list[threading.Thread] = []
        self._failed: tuple[int, BaseException] | None = None
        self._stopped = False
        self._room = Room()

    def write(self, data: Buffer) -> None:
        """Appends bytes."""
        self._file.write(data)
        self.size += len(data)

    def append(self, tensor: Tensor, name: str, bits: int = 8, *, summed: bool = False) -> Written:
        """Appends a value as `copy` does; with `summed`, its checksum is computed."""
        value = Written(tensor, name, bits, self.size, summed)
        size = _expected(tensor, bits)
        held = tensor.held
        if self._write_at is None or THREADS < 2 or (size < LARGE and held is None):
            for piece in self._accounted(value):
                self._file.write(piece)
        else:
            self._file.seek(size, os.SEEK_CUR)
            self._start_threads()
            if held is None:
                self._waiting.put([value])
            else:
                self._together.setdefault(id(held), []).append(value)
        self.size += size
        return value

    def _accounted(self, value: Written) -> Iterator[Buffer]:
        """The pieces of a value, each told to whoever watches when the next one is asked for."""
        for piece in _pieces(value.tensor, value.name, value.bits):
            if value.summed:
                value.crc32c = crc32c(piece, value.crc32c)
            yield piece
            if self._watch is not None:
                with self._lock:
                    self._watch(len(piece))

    def _start_threads(self) -> None:
        while len(self._threads) < THREADS:
            work = partial(copy_context().run, self._work)
            self._threads.append(threading.Thread(target=work, daemon=True))
            self._threads[-1].start()

    def _work(self) -> None:
        while (values := self._waiting.get()) is not None and not self._stopped:
            position = values[0].position
            try:
                with _kept(values):
                    for value in values:
                        position = value.position
                        self._fill(value)
            except StoppedError:
                pass
            except BaseException as error:
                self._stop()
                with self._lock:
                    if self._failed is None or position < self._failed[0]:
                        self._failed = position, error

    def _stop(self) -> None:
        """Nothing more is to be written: threads end at their next piece, or where they wait for a tensor."""
        self._stopped = True
        self._room.stop()

    def _fill(self, value: Written) -> None:
        assert self._write_at is not None
        if self._stopped:
            return
        position = self._start + value.position
        for piece in self._accounted(value):
            if self._stopped:
                return
            self._write_at(piece, position)
            position += len(piece)

    def __enter__(self) -> Self:
        self._room.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        whole = False
        try:
            if kind is not None:
                self._stop()
            self._join()
            if self._failed is not None and (kind is None or kind is StoppedError):
                raise self._failed[1] from None
            whole = kind is None
        except BaseException:  # an interrupt while waiting
            self._stop()
            self._join()
            raise
        finally:
            self._room.leave(check=whole)

    def _join(self) -> None:
        for values in self._together.values():
            self._waiting.put(values)
        self._together = {}
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            if thread.is_alive():  # or an interrupt came before it was started
                thread.join()


def _expected(tensor: Tensor, bits: int) -> int:
    """The bytes that dtype and shape promise."""
    return tensor.nbytes if bits == 8 else packed_size(tensor.size, bits)


def _pieces(tensor: Tensor, name: str, bits: int) -> Iterator[Buffer]:
    """The bytes of a value as they are stored, never more than are expected, and FormatError if they are fewer."""
    expected, done = _expected(tensor, bits), 0
    chunks: Any = _read(tensor, name)
    for piece in chunks if bits == 8 else pack(chunks, bits):
        done += len(piece)
        if done > expected:
            break
        yield piece
    if done != expected:
        found = "more" if done > expected else done
        raise FormatError(name, f"expected {expected} bytes of {tensor.dtype} {list(tensor.shape)}, got {found}")


@contextmanager
def _kept(values: list[Written]) -> Iterator[None]:
    """Within, what the values are made of stays in memory, lest another thread takes its place between them."""
    held, name = values[0].tensor.held, values[0].name
    with ExitStack() as stack:
        if held is not None:
            try:
                stack.enter_context(borrowed(held, len(values) + 1))
            except OSError as error:
                raise _unreadable(error, name) from None
        yield


def _read(tensor: Tensor, name: str) -> Iterator[Buffer]:
    """The chunks of `tensor`, the system's errors as FormatError."""
    chunks = tensor.chunks()
    while True:
        try:
            chunk = next(chunks)
        except StopIteration:
            return
        except OSError as error:
            raise _unreadable(error, name) from None
        yield chunk


def _unreadable(error: OSError, name: str) -> FormatError:
    return FormatError(error.filename or name, f"expected to read {name!r}, got: {error.strerror or error}")
