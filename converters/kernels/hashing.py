"""Strings to numbers: the hashes by which TensorFlow puts words into buckets.

    StringToHashBucketFast     FarmHash's Fingerprint64 (Geoff Pike; farmhashna::Hash64 of FarmHash)
    StringToHashBucketStrong   SipHash-2-4 with a key (Aumasson and Bernstein, 2012)

Both give numbers of 64 bits, of which the remainder by num_buckets counts.
"""

from __future__ import annotations

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel
from .strings import listed

KERNELS: OpTable[Kernel] = OpTable("kernel")

_ALL = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


@KERNELS.op("StringToHashBucketFast", attrs={"num_buckets"})
def hash_bucket_fast(node: OpNode, x: Array) -> Array:
    """The bucket of each string."""
    buckets = _buckets(node)
    return np.array([fingerprint(item) % buckets for item in listed(node, x)], np.int64).reshape(x.shape)


@KERNELS.op("StringToHashBucketStrong", attrs={"num_buckets", "key"})
def hash_bucket_strong(node: OpNode, x: Array) -> Array:
    """The bucket of each string, by a key of two numbers."""
    key = node.integers("key")
    if len(key) != 2:
        raise GraphError(node.name, f"expected a key of 2 numbers, got {len(key)}")
    buckets = _buckets(node)
    hashes = [siphash(item, key[0] & _ALL, key[1] & _ALL) % buckets for item in listed(node, x)]
    return np.array(hashes, np.int64).reshape(x.shape)


def _buckets(node: OpNode) -> int:
    buckets = node.integer("num_buckets")
    if buckets < 1:
        raise GraphError(node.name, f"expected at least one bucket, got {buckets}")
    return buckets


def siphash(text: bytes, k0: int, k1: int) -> int:
    """SipHash-2-4 of 64 bits."""
    v0, v1 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    v2, v3 = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573

    def rounds(count: int) -> None:
        nonlocal v0, v1, v2, v3
        for _ in range(count):
            v0, v2 = (v0 + v1) & _ALL, (v2 + v3) & _ALL
            v1, v3 = _left(v1, 13) ^ v0, _left(v3, 16) ^ v2
            v0 = _left(v0, 32)
            v2, v0 = (v2 + v1) & _ALL, (v0 + v3) & _ALL
            v1, v3 = _left(v1, 17) ^ v2, _left(v3, 21) ^ v0
            v2 = _left(v2, 32)

    whole = len(text) // 8 * 8
    words = [_word(text, at) for at in range(0, whole, 8)]
    words.append(int.from_bytes(text[whole:], "little") | (len(text) & 0xFF) << 56)
    for word in words:
        v3 ^= word
        rounds(2)
        v0 ^= word
    v2 ^= 0xFF
    rounds(4)
    return v0 ^ v1 ^ v2 ^ v3


def fingerprint(text: bytes) -> int:
    """FarmHash's Fingerprint64: a way of its own for each of four lengths."""
    if len(text) <= 16:
        return _to_16(text)
    if len(text) <= 32:
        return _to_32(text)
    return _to_64(text) if len(text) <= 64 else _longer(text)


def _left(value: int, by: int) -> int:
    return (value << by | value >> (64 - by)) & _ALL


def _right(value: int, by: int) -> int:
    return _left(value, 64 - by)


def _mixed(value: int) -> int:
    return value ^ value >> 47


def _word(text: bytes, at: int) -> int:
    return int.from_bytes(text[at : at + 8], "little")


def _of_pair(low: int, high: int, factor: int) -> int:
    a = _mixed((low ^ high) * factor & _ALL)
    return _mixed((high ^ a) * factor & _ALL) * factor & _ALL


def _to_16(text: bytes) -> int:
    size = len(text)
    factor = _K2 + 2 * size
    if size >= 8:
        a, b = _word(text, 0) + _K2 & _ALL, _word(text, size - 8)
        c = _right(b, 37) * factor + a & _ALL
        d = (_right(a, 25) + b) * factor & _ALL
        return _of_pair(c, d, factor)
    if size >= 4:
        first, last = int.from_bytes(text[:4], "little"), int.from_bytes(text[-4:], "little")
        return _of_pair(size + (first << 3), last, factor)
    if size:
        y = text[0] + (text[size >> 1] << 8)
        z = size + (text[-1] << 2)
        return _mixed(y * _K2 & _ALL ^ z * _K0 & _ALL) * _K2 & _ALL
    return _K2


def _to_32(text: bytes) -> int:
    size = len(text)
    factor = _K2 + 2 * size
    a, b = _word(text, 0) * _K1 & _ALL, _word(text, 8)
    c, d = _word(text, size - 8) * factor & _ALL, _word(text, size - 16) * _K2 & _ALL
    return _of_pair(
        _right(a + b & _ALL, 43) + _right(c, 30) + d & _ALL, a + _right(b + _K2 & _ALL, 18) + c & _ALL, factor
    )


def _to_64(text: bytes) -> int:
    size = len(text)
    factor = _K2 + 2 * size
    a, b = _word(text, 0) * _K2 & _ALL, _word(text, 8)
    c, d = _word(text, size - 8) * factor & _ALL, _word(text, size - 16) * _K2 & _ALL
    y = _right(a + b & _ALL, 43) + _right(c, 30) + d & _ALL
    z = _of_pair(y, a + _right(b + _K2 & _ALL, 18) + c & _ALL, factor)
    e, f = _word(text, 16) * factor & _ALL, _word(text, 24)
    g, h = (y + _word(text, size - 32)) * factor & _ALL, (z + _word(text, size - 24)) * factor & _ALL
    return _of_pair(
        _right(e + f & _ALL, 43) + _right(g, 30) + h & _ALL, e + _right(f + a & _ALL, 18) + g & _ALL, factor
    )


def _weak_pair(text: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    """32 bytes and two seeds, hashed to two numbers."""
    w, x, y, z = (_word(text, at + 8 * i) for i in range(4))
    a = a + w & _ALL
    b = _right(b + a + z & _ALL, 21)
    c = a
    a = a + x + y & _ALL
    b = b + _right(a, 44) & _ALL
    return a + z & _ALL, b + c & _ALL


def _longer(text: bytes) -> int:
    seed = 81
    x, y = seed, seed * _K1 + 113 & _ALL
    z = _mixed(y * _K2 + 113 & _ALL) * _K2 & _ALL
    v = w = (0, 0)
    x = x * _K2 + _word(text, 0) & _ALL
    last = (len(text) - 1) // 64 * 64
    for at in range(0, last, 64):
        x = _right(x + y + v[0] + _word(text, at + 8) & _ALL, 37) * _K1 & _ALL
        y = _right(y + v[1] + _word(text, at + 48) & _ALL, 42) * _K1 & _ALL
        x ^= w[1]
        y = y + v[0] + _word(text, at + 40) & _ALL
        z = _right(z + w[0] & _ALL, 33) * _K1 & _ALL
        v = _weak_pair(text, at, v[1] * _K1 & _ALL, x + w[0] & _ALL)
        w = _weak_pair(text, at + 32, z + w[1] & _ALL, y + _word(text, at + 16) & _ALL)
        z, x = x, z
    factor = _K1 + ((z & 0xFF) << 1) & _ALL
    at = len(text) - 64
    w = (w[0] + ((len(text) - 1) & 63) & _ALL, w[1])
    v = (v[0] + w[0] & _ALL, v[1])
    w = (w[0] + v[0] & _ALL, w[1])
    x = _right(x + y + v[0] + _word(text, at + 8) & _ALL, 37) * factor & _ALL
    y = _right(y + v[1] + _word(text, at + 48) & _ALL, 42) * factor & _ALL
    x ^= w[1] * 9 & _ALL
    y = y + v[0] * 9 + _word(text, at + 40) & _ALL
    z = _right(z + w[0] & _ALL, 33) * factor & _ALL
    v = _weak_pair(text, at, v[1] * factor & _ALL, x + w[0] & _ALL)
    w = _weak_pair(text, at + 32, z + w[1] & _ALL, y + _word(text, at + 16) & _ALL)
    z, x = x, z
    low = _of_pair(v[0], w[0], factor) + _mixed(y) * _K0 + z & _ALL
    return _of_pair(low, _of_pair(v[1], w[1], factor) + x & _ALL, factor)
