"""Writing a sorted table: the layout that `table` draws, cut and compressed as TensorFlow does it, byte for byte.

    data blocks     plain, never snappy; a block ends with the entry that brings it to 256 KiB (entries, restart offsets
                    and their number counted), and before an entry of 512 KiB (key and value counted)
    restarts        the first of every 16 entries; in the index block every entry
    index key       the shortest key that is not below the last of its block, and below the first of the next; behind
                    the last block, a short key that is not below its last
    metaindex       an empty block

TensorFlow 1.15 and 2.21 write the same. Neither writes a block for no entries: then the index block is empty.

Source: TensorFlow's lib/io/table_builder.cc, block_builder.cc and table_options.h.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO

from .crc import crc32c, mask
from .table import FOOTER_SIZE, MAGIC, PLAIN, TRAILER_SIZE
from .wire import varint

BLOCK_SIZE = 262_144
OVERLY_LARGE = 2 * BLOCK_SIZE
RESTART_INTERVAL = 16


def write_table(file: IO[bytes], entries: Mapping[bytes, bytes]) -> None:
    """Writes the whole table of `entries`, by rising key, at the beginning of `file`."""
    blocks = _Blocks(file)
    index = _Block(1)
    last, handle = b"", b""
    for block in _data_blocks(entries):
        if handle:
            index.add(shortest_separator(last, block.first), handle)
        last, handle = block.last, blocks.write(block)
    if handle:
        index.add(short_successor(last), handle)
    handles = blocks.write(_Block(RESTART_INTERVAL)) + blocks.write(index)
    file.write(handles.ljust(FOOTER_SIZE - len(MAGIC), b"\0") + MAGIC)


def shortest_separator(low: bytes, high: bytes) -> bytes:
    """A key k, as short as TensorFlow makes it, with low <= k < high."""
    at = _shared(low, high)
    if at < min(len(low), len(high)) and low[at] + 1 < high[at]:
        return low[:at] + bytes([low[at] + 1])
    return low


def short_successor(key: bytes) -> bytes:
    """A short key that is not below `key`: its first byte that isn't ff, one higher."""
    rest = key.lstrip(b"\xff")
    return key[: len(key) - len(rest)] + bytes([rest[0] + 1]) if rest else key


def _data_blocks(entries: Mapping[bytes, bytes]) -> Iterator[_Block]:
    block = _Block(RESTART_INTERVAL)
    for key in sorted(entries):
        value = entries[key]
        if block.restarts and len(key) + len(value) >= OVERLY_LARGE:
            yield block
            block = _Block(RESTART_INTERVAL)
        block.add(key, value)
        if block.size >= BLOCK_SIZE:
            yield block
            block = _Block(RESTART_INTERVAL)
    if block.restarts:
        yield block


class _Block:
    """Entries in rising order of keys, `first` to `last`, of which every `interval`-th is a restart."""

    __slots__ = ("count", "data", "first", "interval", "last", "restarts")

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.data = bytearray()
        self.restarts: list[int] = []
        self.count = 0
        self.first = b""
        self.last = b""

    @property
    def size(self) -> int:
        """Bytes of the contents."""
        return len(self.data) + 4 * (len(self.restarts) + 1)

    def add(self, key: bytes, value: bytes) -> None:
        if self.count % self.interval == 0:
            shared = 0
            self.restarts.append(len(self.data))
            if not self.count:
                self.first = key
        else:
            shared = _shared(self.last, key)
        self.data += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        self.count += 1
        self.last = key

    def contents(self) -> bytes:
        restarts = self.restarts or [0]  # an empty block has one too
        numbers = [*restarts, len(restarts)]
        return bytes(self.data) + b"".join(number.to_bytes(4, "little") for number in numbers)


class _Blocks:
    """The file, and where the next block begins in it."""

    __slots__ = ("file", "position")

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.position = 0

    def write(self, block: _Block) -> bytes:
        """Writes a block with its trailer; returns its handle."""
        contents = block.contents()
        kind = bytes([PLAIN])
        checksum = mask(crc32c(kind, crc32c(contents)))
        self.file.write(contents + kind + checksum.to_bytes(4, "little"))
        handle = varint(self.position) + varint(len(contents))
        self.position += len(contents) + TRAILER_SIZE
        return handle


def _shared(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
