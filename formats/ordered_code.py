"""OrderedCode: numbers and strings as bytes that sort as they do, and the keys of tensor slices made of them.

    unsigned number   one byte n, then its n significant bytes, the highest first (0 is the byte 00 alone)
    string            its bytes with 00 as 00 ff and ff as ff 00; then 00 01, the end
    signed number     the fewest bytes, n of them, that hold it and leave n + 1 bits at the top that equal its sign;
                      two's complement, the highest first, and the top n bits inverted. So a number that isn't negative
                      begins with n ones and a zero, a negative one with n zeros and a one: -64..63 take one byte
                      (80 is 0, 81 is 1, 7f is -1), the whole of int64 takes ten

    slice key         unsigned 0 | string name | unsigned rank | for each dimension: signed start, signed length

A length of -1 (with a start of 0) means the whole dimension. The unsigned 0 in front, a byte 00, sorts the keys of
slices before all names.

Source: TensorFlow's lib/strings/ordered_code.cc and util/saved_tensor_slice_util.cc.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .binary import Path, Window

FULL = -1
"""The length of an extent that spans its whole dimension."""

MAX_RANK = 254

_END = b"\x00\x01"
_ESCAPES = {b"\x00": b"\x00\xff", b"\xff": b"\xff\x00"}
_UNESCAPED = {escaped: byte for byte, escaped in _ESCAPES.items()}
_SPECIAL = re.compile(rb"[\x00\xff]")
_PAIR = re.compile(rb"[\x00\xff].", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SliceKey:
    """What the key of a slice says: the tensor's name, and (start, length) along each dimension."""

    name: bytes
    extents: tuple[tuple[int, int], ...]


def encode_slice_key(name: bytes, extents: Sequence[tuple[int, int]]) -> bytes:
    """The key of a slice of the tensor `name`; `extents` are (start, length), length -1 for the whole dimension."""
    numbers = (number for extent in extents for number in extent)
    start = encode_number(0) + encode_string(name) + encode_number(len(extents))
    return start + b"".join(map(encode_signed, numbers))


def decode_slice_key(key: bytes, where: Path) -> SliceKey:
    """The inverse; FormatError (at `where`) for bytes that no slice is encoded as."""
    window = Window(key, where, within=f" of the key {key[:80]!r}")
    if decode_number(window) != 0:
        window.fail("the key of a slice, which begins with 0", str(key[0]), at=0)
    name = decode_string(window)
    rank = decode_number(window)
    if rank > MAX_RANK:
        window.fail(f"a slice of {MAX_RANK} dimensions at most", str(rank))
    extents = tuple((decode_signed(window), decode_signed(window)) for _ in range(rank))
    if window.left:
        window.fail(f"the end of a slice's key of {rank} dimensions", f"{window.left} bytes more")
    return SliceKey(name, extents)


def encode_number(value: int) -> bytes:
    """An unsigned number below 2**64."""
    size = (value.bit_length() + 7) // 8
    return bytes([size]) + value.to_bytes(size, "big")


def decode_number(window: Window) -> int:
    """The inverse of `encode_number`."""
    start = window.position
    size = window.take(1, "the size of a number")[0]
    if size > 8:
        window.fail("a number of 8 bytes at most", f"{size} bytes", at=start)
    value = int.from_bytes(window.take(size, "a number"), "big")
    if size and not value >> 8 * (size - 1):
        window.fail("a number without leading zeros", f"{value} in {size} bytes", at=start)
    return value


def encode_string(value: bytes) -> bytes:
    """A string of any bytes."""
    return _SPECIAL.sub(lambda match: _ESCAPES[match.group()], value) + _END


def decode_string(window: Window) -> bytes:
    """The inverse of `encode_string`."""
    parts, start = [], window.position
    for match in _PAIR.finditer(window.data, start):
        parts.append(window.data[window.position : match.start()])
        window.position = match.end()
        if match.group() == _END:
            return b"".join(parts)
        if match.group() not in _UNESCAPED:
            window.fail("00 ff, ff 00 or 00 01 (the end) in a string", match.group().hex(" "), at=match.start())
        parts.append(_UNESCAPED[match.group()])
    return window.fail("a string that ends in 00 01", "the end", at=start)


def encode_signed(value: int) -> bytes:
    """A signed number of 64 bits."""
    size = (~value if value < 0 else value).bit_length() // 7 + 1
    return ((value & _ones(8 * size)) ^ _header(size)).to_bytes(size, "big")


def decode_signed(window: Window) -> int:
    """The inverse of `encode_signed`."""
    start = window.position
    header = window.take(1, "a signed number") + window.data[start + 1 : start + 2]
    ones = header if header[0] & 0x80 else bytes(byte ^ 0xFF for byte in header)
    size = _leading_ones(ones[0])
    if size == 8:
        size += _leading_ones(ones[1]) if len(ones) > 1 else 0
    window.position = start
    encoded = window.take(size, "a signed number")
    value = int.from_bytes(encoded, "big") ^ _header(size)
    if value >> (8 * size - 1):
        value -= 1 << 8 * size
    if not -(1 << 63) <= value < 1 << 63 or encode_signed(value) != encoded:
        window.fail("a signed number of 64 bits in its shortest form", encoded.hex(" "), at=start)
    return value


def _ones(count: int) -> int:
    return (1 << count) - 1


def _header(size: int) -> int:
    """The top `size` bits of `size` bytes."""
    return _ones(size) << 7 * size


def _leading_ones(byte: int) -> int:
    return 8 - (byte ^ 0xFF).bit_length()
