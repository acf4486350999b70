"""Writes Riegeli records as their specification says, one chunk for each group of records."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import cramjam

from tensorferry.formats.highway_hash import highway_hash

KEY = (0x2F696C6567656952, 0x0A7364726F636572) * 2
SIGNATURE = bytes.fromhex(
    "83af70d10d884a3f000000000000000040000000000000009" "1bac23c9287e1a90000000000000000e19f13c0e9b1c372"
    "73000000000000000000000000000000"
)  # fmt: skip
"""The first 64 bytes of every file, as the specification gives them: a block's header, and a chunk without records."""


def hashed(data: bytes) -> bytes:
    return highway_hash(data, KEY).to_bytes(8, "little")


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def packed(data: bytes, compression: str) -> bytes:
    if not compression:
        return data
    codec = {"b": cramjam.brotli, "z": cramjam.zstd}[compression]
    return varint(len(data)) + bytes(codec.compress(data))


def chunk_data(records: Sequence[bytes], compression: str = "") -> bytes:
    """The data of a chunk of records."""
    sizes = packed(b"".join(map(varint, map(len, records))), compression)
    return (compression.encode() or b"\0") + varint(len(sizes)) + sizes + packed(b"".join(records), compression)


def header(data: bytes, kind: str, records: int, decoded: int) -> bytes:
    rest = struct.pack("<Q", len(data)) + hashed(data) + kind.encode() + records.to_bytes(7, "little")
    rest += struct.pack("<Q", decoded)
    return hashed(rest) + rest


class Writer:
    """A file in memory; `positions` are those of its records."""

    def __init__(self) -> None:
        self.data = bytearray(SIGNATURE)
        self.positions: list[int] = []

    def chunk(self, data: bytes, kind: str, records: int = 0, decoded: int = 0) -> None:
        """Adds a chunk, with the blocks' headers that interrupt it and its padding."""
        begin = len(self.data)
        self.positions += range(begin, begin + records)
        payload = header(data, kind, records, decoded) + data
        interrupted = []
        for index in range(len(payload)):
            if len(self.data) % (1 << 16) == 0:
                interrupted.append(len(self.data))
                self.data += bytes(24)
            self.data.append(payload[index])
        while len(self.data) - begin < records or 0 < len(self.data) % (1 << 16) <= 24:
            self.data.append(0)
        for block in interrupted:
            rest = struct.pack("<QQ", block - begin, len(self.data) - block)
            self.data[block : block + 24] = hashed(rest) + rest

    def records(self, records: Sequence[bytes], compression: str = "") -> None:
        """Adds a chunk of records."""
        self.chunk(chunk_data(records, compression), "r", len(records), sum(map(len, records)))
