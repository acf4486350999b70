"""Riegeli records: a file of byte strings, in chunks.

    file      blocks of 64 KiB, each with a header of 24 bytes that may interrupt anything, even a chunk's header
              header: its hash, and how far the interrupted chunk began before and ends after (needed for repairs only)
    chunk     header of 40 bytes, data, padding. Begins where the one before ends; never in a block's header
              header: its hash, data size, data hash, type (1 byte), records (7 bytes), size of all records
    type      s: the signature, first in the file    m, p: metadata, padding    r: records    t: records of protobuf
              messages with their fields in columns, that is not read here
    data (r)  compression (0 none, b brotli, z zstd), the sizes' length (varint), sizes (varint each), records; both of
              the latter compressed each by itself, after its size (varint)

Numbers are little-endian, hashes are HighwayHash. Chunks' headers are checked against theirs, and so are data of at
most `CHECKED` bytes: more would take longer than anybody waits.

A record is known by its position: where its chunk begins, plus its number in there.

Source: doc/riegeli_records_file_format.md in github.com/google/riegeli.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from dataclasses import dataclass

from .binary import BinaryFile, Path, Window, open_file
from .errors import FormatError, UnsupportedError
from .highway_hash import highway_hash

BLOCK = 1 << 16
CHECKED = 1 << 20
"""Bytes of data that are checked against their hash; as many as writers put into a chunk, unless a record is larger."""
MAX_RATIO = 4096
"""Bytes that a byte may stand for, compressed, ..."""
MAX_SPARE = 1 << 24
"""... beyond the first of these."""

_BLOCK_HEADER = 24
_CHUNK_HEADER = 40
_KEY = (0x2F696C6567656952, 0x0A7364726F636572) * 2
"""`Riegeli/records` and a line's end, twice."""
_SIGNATURE, _IGNORED, _RECORDS, _TRANSPOSED = "s", "mp", "r", "t"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk's header. `begin` and `end` are bytes of the file, `size` and `hash` those of its data."""

    begin: int
    end: int
    kind: str
    size: int
    hash: int
    records: int
    decoded: int
    """Bytes of all records together."""


class RiegeliFile:
    """The records of an open file; only chunks' headers are read until one is asked for."""

    def __init__(self, file: BinaryFile) -> None:
        self.file = file
        chunks = list(_read_headers(file))
        if not chunks or chunks[0].kind != _SIGNATURE:
            raise FormatError(file.path, "expected Riegeli records, got a file without their signature")
        self.chunks = [chunk for chunk in chunks if chunk.records]
        self._begins = [chunk.begin for chunk in self.chunks]
        self._decoded: tuple[int, list[bytes]] = (-1, [])

    def record(self, position: int, what: str) -> bytes:
        """The record at a position."""
        index = bisect_right(self._begins, position) - 1
        if index < 0 or position - self._begins[index] >= self.chunks[index].records:
            raise FormatError(self.file.path, f"expected {what} at position {position}, got no record there")
        return self._records(index)[position - self._begins[index]]

    def last(self, what: str) -> bytes:
        """The last record."""
        if not self.chunks:
            raise FormatError(self.file.path, f"expected {what}, got a file without records")
        return self._records(len(self.chunks) - 1)[-1]

    def _records(self, index: int) -> list[bytes]:
        if self._decoded[0] != index:
            self._decoded = index, _decoded(self.file, self.chunks[index])
        return self._decoded[1]


def open_riegeli(path: Path, what: str) -> BinaryFile:
    """Opens a file for `RiegeliFile`."""
    return open_file(os.fspath(path), what)


def _read_headers(file: BinaryFile) -> list[Chunk]:
    """All chunks, each beginning where the one before ends."""
    found: list[Chunk] = []
    begin = 0
    while begin < file.size:
        header = Window(_payload(file, begin, _CHUNK_HEADER, "a chunk's header"), file.path, begin)
        expected = header.fixed64("a hash")
        if highway_hash(header.data[8:], _KEY) != expected:
            header.fail("a chunk of Riegeli records", "a header whose checksum is wrong", at=0)
        size, data_hash = header.fixed64("the data's size"), header.fixed64("the data's hash")
        kind = chr(header.take(1, "the chunk's type")[0])
        records = int.from_bytes(header.take(7, "the number of records"), "little")
        decoded = header.fixed64("the records' size")
        end = max(_end(begin, _CHUNK_HEADER + size), _next_boundary(begin + records))
        if end > file.size:
            header.fail(f"a chunk that ends by byte {file.size}", f"one that ends at byte {end}", at=0)
        if kind not in (_SIGNATURE, *_IGNORED, _RECORDS, _TRANSPOSED):
            header.fail("a chunk of a known type", f"type {kind!r}", at=0)
        found.append(Chunk(begin, end, kind, size, data_hash, records, decoded))
        begin = end
    return found


def _end(begin: int, size: int) -> int:
    """Where `size` bytes end that begin at `begin`, blocks' headers between them."""
    usable = BLOCK - _BLOCK_HEADER
    return begin + size + (size + (begin + usable - 1) % BLOCK) // usable * _BLOCK_HEADER


def _next_boundary(position: int) -> int:
    """The first place from `position` on that a chunk may begin at."""
    left = -position % BLOCK
    return position + max(0, left - (BLOCK - _BLOCK_HEADER - 1)) if left else position


def _payload(file: BinaryFile, begin: int, size: int, what: str) -> bytes:
    """`size` bytes from `begin` on without the blocks' headers."""
    stored = file.window(begin, _end(begin, size) - begin, what).data
    pieces = []
    at = 0
    while at < len(stored):
        inside = (begin + at) % BLOCK
        at += max(0, _BLOCK_HEADER - inside)
        until = at + BLOCK - (begin + at) % BLOCK
        pieces.append(stored[at:until])
        at = until
    return b"".join(pieces)


def _decoded(file: BinaryFile, chunk: Chunk) -> list[bytes]:
    """The records of a chunk."""
    if chunk.kind != _RECORDS:
        got = "transposed ones" if chunk.kind == _TRANSPOSED else f"a chunk of type {chunk.kind!r}"
        raise UnsupportedError(file.path, f"expected records in rows, got {got} at byte {chunk.begin}")
    stored = _payload(file, chunk.begin, _CHUNK_HEADER + chunk.size, "a chunk")
    data = Window(stored[_CHUNK_HEADER:], file.path, chunk.begin, " (a chunk's begin)")
    if chunk.size <= CHECKED and highway_hash(data.data, _KEY) != chunk.hash:
        data.fail("a chunk that fits its checksum", "one that is damaged", at=0)
    compression = data.take(1, "the compression")
    packed = Window(data.take(data.varint64("the sizes' size"), "the sizes"), file.path, chunk.begin, data.within)
    sizes = Window(_unpacked(packed, compression, None), file.path, chunk.begin, data.within)
    packed = Window(data.take(data.left, "the records"), file.path, chunk.begin, data.within)
    values = Window(_unpacked(packed, compression, chunk.decoded), file.path, chunk.begin, data.within)
    if chunk.records > len(sizes.data):
        data.fail(f"{chunk.records} sizes of records", f"{len(sizes.data)} bytes of them", at=0)
    records = [values.take(sizes.varint64("a record's size"), "a record") for _ in range(chunk.records)]
    if sizes.left or values.left:
        data.fail("records that fill their chunk", f"{values.left} bytes beyond", at=0)
    return records


def _unpacked(packed: Window, compression: bytes, size: int | None) -> bytes:
    """What a window holds, of `size` bytes where that is known."""
    if compression == b"\0":
        claimed, found = len(packed.data), packed.data
    elif compression in (b"b", b"z"):
        claimed = packed.varint64("the uncompressed size")
        limit = MAX_RATIO * len(packed.data) + MAX_SPARE
        if claimed > limit:
            packed.fail(f"data of at most {limit} bytes uncompressed", f"a claim of {claimed}", at=0)
        found = _decompressed(packed, compression, claimed)
    else:
        packed.fail("no compression, brotli or zstd", f"compression {compression!r}", at=0)
    if size is not None and claimed != size:
        packed.fail(f"records of {size} bytes", f"{claimed}", at=0)
    return found


def _decompressed(packed: Window, compression: bytes, size: int) -> bytes:
    import cramjam

    output = bytearray(size)
    codec = cramjam.brotli if compression == b"b" else cramjam.zstd
    name = "brotli" if compression == b"b" else "zstd"
    if not size:
        return b""
    try:
        written = codec.decompress_into(packed.data[packed.position :], output)
    except cramjam.DecompressionError as error:
        packed.fail(f"{size} bytes in {name}'s form", f"{error}", at=0)
    if written != size:
        packed.fail(f"{size} bytes in {name}'s form", f"{written}", at=0)
    return bytes(output)
