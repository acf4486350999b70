"""protobuf's wire form, field by field, without reading what is skipped.

    field     tag varint (number << 3 | type), then
              0  a varint        1  8 bytes        5  4 bytes
              2  a varint length and as many bytes (strings, bytes, messages, packed numbers)

So a reader finds large tensors in a file, and a writer streams them into it, with no message in memory. Fields of a message
may come in any order; a message field that comes twice is merged, a single value is the last one given.
Reference: protobuf's "Encoding" page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from .errors import FormatError

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5

_LONGEST_HEAD = 20
"""Bytes of two varints."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its value if it is a varint, else where its bytes are in the file."""

    number: int
    kind: int
    begin: int
    """Where its tag is."""
    start: int
    """Where its value is, behind the length."""
    length: int
    value: int = 0

    @property
    def end(self) -> int:
        return self.start + self.length


def varint(number: int) -> bytes:
    """The encoding of a number that is not negative."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def head(number: int, length: int) -> bytes:
    """What precedes the `length` bytes of field `number`."""
    return varint(number << 3 | BYTES) + varint(length)


def fields(file: IO[bytes], start: int, end: int, where: str) -> Iterator[Field]:
    """The fields of the message in bytes `start` to `end` of `file`.

    FormatError (at `where`) where the bytes are no message. Others may move the file's position in between.
    """
    position = start
    while position < end:
        file.seek(position)
        first = file.read(min(_LONGEST_HEAD, end - position))
        tag, used = _varint(first, 0, position, where)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29 or kind not in (VARINT, EIGHT, BYTES, FOUR):
            raise FormatError(where, f"expected a protobuf field, got tag {tag} at byte {position}")
        value, length = 0, {EIGHT: 8, FOUR: 4}.get(kind, 0)
        if kind == VARINT:
            before = used
            value, used = _varint(first, used, position, where)
            found = Field(number, kind, position, position + before, used - before, value)
        else:
            if kind == BYTES:
                length, used = _varint(first, used, position, where)
            found = Field(number, kind, position, position + used, length)
        if found.end > end:
            raise FormatError(where, f"expected {length} bytes of a field at byte {position}, got {end - position - used}")
        yield found
        position = found.end


def _varint(data: bytes, at: int, position: int, where: str) -> tuple[int, int]:
    """The varint at `data[at]`, and where it ends."""
    value = 0
    for index in range(at, min(at + 10, len(data))):
        value |= (data[index] & 0x7F) << 7 * (index - at)
        if data[index] < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, index + 1
    raise FormatError(where, f"expected a varint, got none at byte {position + at}")
