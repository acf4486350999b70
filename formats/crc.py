"""CRC-32C (Castagnoli), and the mask that TensorFlow's formats store it under.

    masked = rotate_right(crc, 15) + 0xa282ead8  (mod 2**32)

The mask keeps a checksum of data that holds checksums from being weak.
"""

from __future__ import annotations

from .tensor import Buffer

_DELTA = 0xA282EAD8


def crc32c(data: Buffer, crc: int = 0) -> int:
    """The checksum of `data`, continuing from `crc`."""
    from crc32c import crc32c as compute

    return int(compute(data, crc))


def mask(crc: int) -> int:
    """The form in which a checksum is stored."""
    return (((crc >> 15) | (crc << 17)) + _DELTA) & 0xFFFFFFFF


def unmask(masked: int) -> int:
    """The checksum behind a stored one."""
    rotated = (masked - _DELTA) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF
