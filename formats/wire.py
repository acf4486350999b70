"""protobuf's wire form, field by field, without reading what is skipped.

    field     tag varint (number << 3 | type), then
              0  a varint        1  8 bytes        5  4 bytes
              2  a varint length and as many bytes (strings, bytes, messages, packed numbers)

So a reader finds large tensors in a file, and a writer streams them into it, with no message in memory. Fields of a
message may come in any order; a message field that comes twice is merged, of a single value the last one counts.
Reference: protobuf's "Encoding" page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .binary import BinaryFile
from .errors import FormatError

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5

_LONGEST_HEAD = 20
"""Bytes of two varints."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message in a file: the bytes from `begin` to `end`, of which the value takes those from `start` on.

    `value` is that of a varint.
    """

    number: int
    kind: int
    begin: int
    start: int
    end: int
    value: int = 0


def varint(number: int) -> bytes:
    """The encoding of a number that is not negative."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def head(number: int, length: int) -> bytes:
    """What precedes the `length` bytes of the field `number`."""
    return varint(number << 3 | BYTES) + varint(length)


def fields(file: BinaryFile, start: int, end: int) -> Iterator[Field]:
    """The fields of the message in the bytes from `start` to `end`. FormatError where they are no message."""
    begin = start
    while begin < end:
        window = file.window(begin, min(_LONGEST_HEAD, end - begin), "a protobuf field")
        tag = window.varint64("a protobuf tag")
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29 or kind not in (VARINT, EIGHT, BYTES, FOUR):
            raise FormatError(file.path, f"expected a protobuf field at byte {begin}, got tag {tag}")
        at = begin + window.position
        if kind == VARINT:
            value = window.varint64("a protobuf number")
            found = Field(number, kind, begin, at, begin + window.position, value)
        elif kind == BYTES:
            length = window.varint64("a protobuf length")
            at = begin + window.position
            found = Field(number, kind, begin, at, at + length)
        else:
            found = Field(number, kind, begin, at, at + (8 if kind == EIGHT else 4))
        if found.end > end:
            raise FormatError(
                file.path, f"expected a protobuf field of {found.end - at} bytes at byte {at}, got {end - at}"
            )
        yield found
        begin = found.end
