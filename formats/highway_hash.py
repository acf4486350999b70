"""HighwayHash, 64 bits: the keyed checksum of Riegeli files.

    state     v0, v1, mul0, mul1: four lanes of 64 bits each
    packet    32 bytes, four lanes; the last one is padded, and its length mixed into the state
    result    the sum of the first lanes after four rounds more

In plain Python it does some megabytes a second.

Source: J. Alakuijala, B. Cox, J. Wassenberg, "Fast keyed hash/pseudo-random function using SIMD multiply and permute".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

_MASK = (1 << 64) - 1
_HALF = (1 << 32) - 1
_MUL0 = (0xDBE6D5D5FE4CCE2F, 0xA4093822299F31D0, 0x13198A2E03707344, 0x243F6A8885A308D3)
_MUL1 = (0x3BD39E10CB0EF593, 0xC0ACF169B5F18A8C, 0xBE5466CF34E90C6C, 0x452821E638D01377)
_ZIPPER = (3, 12, 2, 5, 14, 1, 15, 0, 11, 4, 10, 13, 9, 6, 8, 7)
"""Which of a pair of lanes' 16 bytes each byte is after zipping."""


def highway_hash(data: bytes | memoryview, key: Sequence[int]) -> int:
    """The hash of `data` under four lanes of key."""
    state = _State(key)
    whole = len(data) & ~31
    for packet in struct.iter_unpack("<4Q", data[:whole]):
        state.update(packet)
    if whole < len(data):
        state.update_last(bytes(data[whole:]))
    return state.finish()


class _State:
    def __init__(self, key: Sequence[int]) -> None:
        self.mul0 = list(_MUL0)
        self.mul1 = list(_MUL1)
        self.v0 = [mul ^ lane for mul, lane in zip(_MUL0, key, strict=True)]
        self.v1 = [mul ^ _swapped(lane) for mul, lane in zip(_MUL1, key, strict=True)]

    def update(self, packet: Sequence[int]) -> None:
        v0, v1, mul0, mul1 = self.v0, self.v1, self.mul0, self.mul1
        for lane in range(4):
            v1[lane] = (v1[lane] + packet[lane] + mul0[lane]) & _MASK
            mul0[lane] ^= (v1[lane] & _HALF) * (v0[lane] >> 32)
            v0[lane] = (v0[lane] + mul1[lane]) & _MASK
            mul1[lane] ^= (v0[lane] & _HALF) * (v1[lane] >> 32)
        for source, target in (v1, v0), (v0, v1):
            for lane in 0, 2:
                low, high = _zipped(source[lane], source[lane + 1])
                target[lane] = (target[lane] + low) & _MASK
                target[lane + 1] = (target[lane + 1] + high) & _MASK

    def update_last(self, rest: bytes) -> None:
        """Takes the last 1 to 31 bytes."""
        size = len(rest)
        self.v0 = [(lane + (size << 32) + size) & _MASK for lane in self.v0]
        self.v1 = [_rotated(lane >> 32, size) << 32 | _rotated(lane & _HALF, size) for lane in self.v1]
        words, tail = rest[: size & ~3], rest[size & ~3 :]
        packet = bytearray(words.ljust(32, b"\0"))
        if size & 16:
            packet[28:] = rest[-4:]
        elif tail:
            packet[16:19] = bytes((tail[0], tail[len(tail) >> 1], tail[-1]))
        self.update(struct.unpack("<4Q", packet))

    def finish(self) -> int:
        for _ in range(4):
            a, b, c, d = map(_swapped, self.v0)
            self.update((c, d, a, b))
        return (self.v0[0] + self.v1[0] + self.mul0[0] + self.mul1[0]) & _MASK


def _swapped(lane: int) -> int:
    """A lane with its halves exchanged."""
    return lane >> 32 | (lane & _HALF) << 32


def _rotated(half: int, count: int) -> int:
    """32 bits turned left."""
    return (half << count | half >> (32 - count)) & _HALF


def _zipped(low: int, high: int) -> tuple[int, int]:
    """The bytes of a pair of lanes, mixed."""
    data = struct.pack("<2Q", low, high)
    first, second = struct.unpack("<2Q", bytes([data[index] for index in _ZIPPER]))
    return first, second
