"""A tensor's bytes into a file, piece by piece and counted.

Headers are written before the values, from dtype and shape alone. So a tensor that gives more or fewer bytes than these
promise would shift all that follows: it is refused, as is a source that can't be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO

from .errors import FormatError
from .packed import pack, packed_size
from .tensor import Buffer, Tensor

MANY = 16 << 20
"""Bytes of a tensor from which on it is worth a second thread: one reads and checks while the other writes."""

watcher: ContextVar[Callable[[int], None] | None] = ContextVar("watcher", default=None)
"""Told of the bytes of each piece that was written."""


def copy(tensor: Tensor, name: str, file: IO[bytes], bits: int = 8) -> None:
    """Writes the value of `tensor` to `file`; elements of 2 or 4 `bits` are packed into whole bytes.

    FormatError where the source can't be read, is damaged, or gives another number of bytes than dtype and shape tell.
    """
    expected = tensor.nbytes if bits == 8 else packed_size(tensor.size, bits)
    chunks = _read(tensor, name)
    done = 0
    watch = watcher.get()
    with _writer(file, expected) as write:
        for chunk in chunks if bits == 8 else pack(chunks, bits):
            done += len(chunk)
            if done > expected:
                break
            write(chunk)
            if watch is not None:
                watch(len(chunk))
    if done != expected:
        found = "more" if done > expected else done
        raise FormatError(name, f"expected {expected} bytes of {tensor.dtype} {list(tensor.shape)}, got {found}")


@contextmanager
def _writer(file: IO[bytes], size: int) -> Iterator[Callable[[Buffer], object]]:
    """`file.write`; for many bytes in a thread of its own, one chunk behind the caller."""
    if size < MANY:
        yield file.write
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        behind: list[Future[int]] = []

        def write(chunk: Buffer) -> None:
            if behind:
                behind.pop().result()
            behind.append(thread.submit(file.write, chunk))

        yield write
        if behind:
            behind.pop().result()


def _read(tensor: Tensor, name: str) -> Iterator[Buffer]:
    """The chunks of `tensor`, the system's errors as FormatError."""
    chunks = tensor.chunks()
    while True:
        try:
            chunk = next(chunks)
        except StopIteration:
            return
        except OSError as error:
            where = error.filename or name
            raise FormatError(where, f"expected to read {name!r}, got: {error.strerror or error}") from None
        yield chunk
