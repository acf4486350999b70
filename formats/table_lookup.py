"""Single keys of a table (see `table`), found by its index, without the blocks that don't hold them.

    TableLookup(path).find(key)    the value of a key, or None
    LoadedValue                    ... in memory, from a block that was read whole
    StreamedValue                  ... still in the file: a large value that makes up most of a plain block

The block that was read last is kept, as the keys that are looked up next mostly lie in it too. A value that is streamed
is checked with its block's checksum each time it is read, so the rest of the block is read with it: the value has to be
more than half of it. Large values mostly are, for TensorFlow ends a block at 256 KiB.
"""

from __future__ import annotations

import io
import os
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from .binary import BinaryFile, Path, open_file
from .crc import crc32c, unmask
from .errors import FormatError
from .table import PLAIN, TRAILER_SIZE, BlockHandle, block_entries, read_block, read_index
from .tensor import CHUNK, Buffer

LARGE = 1 << 20
"""Bytes from which on a block's values may be streamed."""

_HEADS = 1 << 14
"""Entries that are looked through for a large one; 256 KiB of values before it hold no more."""

_LONGEST_HEAD = 15
"""Bytes of three varint32."""


@dataclass(frozen=True, slots=True)
class LoadedValue:
    """A value in memory. Places within it are counted from its first byte, `start` (0), to its `end`."""

    path: Path
    data: bytes

    @property
    def start(self) -> int:
        return 0

    @property
    def end(self) -> int:
        return len(self.data)

    def open(self, what: str) -> BinaryFile:
        """The value as a file of its own; `what` it is, for messages that tell places in it."""
        return BinaryFile(f"{os.fspath(self.path)}: {what}", io.BytesIO(self.data), len(self.data))

    def chunks(self, start: int, end: int) -> Iterator[Buffer]:
        """The bytes from `start` to `end`, in pieces."""
        if start < end:
            yield memoryview(self.data)[start:end]


@dataclass(frozen=True, slots=True)
class StreamedValue:
    """A value in the plain block at `handle`; `start` and `end` are bytes of the file."""

    path: Path
    handle: BlockHandle
    start: int
    end: int

    def open(self, what: str) -> BinaryFile:
        """The file that the value is in."""
        return open_file(self.path, what)

    def chunks(self, start: int, end: int) -> Iterator[Buffer]:
        """The bytes from `start` to `end`, in pieces; FormatError after the last if the block is damaged."""
        crc, at = 0, self.handle.offset
        with self.open("a table") as file:
            checked = self.handle.end - 4
            while at < checked:
                piece = memoryview(file.window(at, min(CHUNK, checked - at), "a data block").data)
                crc = crc32c(piece, crc)
                if max(start, at) < min(end, at + len(piece)):
                    yield piece[max(start - at, 0) : end - at]
                at += len(piece)
            expected = unmask(file.window(checked, 4, "a block's checksum").fixed32("a checksum"))
        if crc != expected:
            raise FormatError(
                self.path,
                f"expected checksum {expected:08x} for a data block at byte {self.handle.offset}, got {crc:08x}: "
                "the file is damaged",
            )


Value = LoadedValue | StreamedValue


class TableLookup:
    """The table at `path`, of which only the index is in memory. FormatError if it is none."""

    __slots__ = ("_entries", "_handles", "_loaded", "_separators", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_file(path, "a table") as file:
            rows = read_index(file)
        self._separators = [separator for separator, _ in rows]
        self._handles = [handle for _, handle in rows]
        self._loaded = -1
        self._entries: dict[bytes, bytes] = {}

    def find(self, key: bytes) -> Value | None:
        """The value of `key`; None where the table has none."""
        number = bisect_left(self._separators, key)
        if number == len(self._handles):
            return None
        if number != self._loaded:
            handle = self._handles[number]
            with open_file(self.path, "a table") as file:
                large = _find_large(file, handle, key)
                if large is not None:
                    return large
                self._loaded, self._entries = -1, {}  # frees the last block before the next is read
                self._entries = dict(block_entries(read_block(file, handle, "a data block")))
                self._loaded = number
        value = self._entries.get(key)
        return None if value is None else LoadedValue(self.path, value)


def _find_large(file: BinaryFile, handle: BlockHandle, key: bytes) -> StreamedValue | None:
    """The value of `key` if it is to be streamed; the entries before it are passed over, not read."""
    if handle.size < LARGE:
        return None
    tail = file.window(handle.offset + handle.size - 4, 4 + TRAILER_SIZE, "the end of a data block").data
    end = handle.offset + handle.size - 4 - 4 * int.from_bytes(tail[:4], "little")
    position, found = handle.offset, b""
    for _ in range(_HEADS if tail[4] == PLAIN else 0):
        if position >= end:
            break
        window = file.window(position, min(_LONGEST_HEAD, end - position), "an entry of a data block")
        shared = window.varint32("the shared length of a key")
        unshared = window.varint32("the unshared length of a key")
        length = window.varint32("the length of a value")
        start = position + window.position + unshared
        position = start + length
        if position > end or unshared > LARGE or shared > len(found):
            break  # whoever reads the block whole will say so
        found = found[:shared] + file.window(start - unshared, unshared, "a key").data
        if found == key and 2 * length > handle.size:
            return StreamedValue(file.path, handle, start, position)
    return None
