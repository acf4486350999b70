"""CRC-32C (Castagnoli), and the mask that TensorFlow's formats store it under.

    masked = rotate_right(crc, 15) + 0xa282ead8  (mod 2**32)

The mask keeps a checksum of data that holds checksums from being weak.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from .tensor import Buffer

_DELTA = 0xA282EAD8
_POLYNOMIAL = 0x82F63B78
"""Without x**32; the highest bit is the coefficient of 1, as in the checksum."""


def crc32c(data: Buffer, crc: int = 0) -> int:
    """The checksum of `data`, continuing from `crc`."""
    return int(_compute()(data, crc))


def combined(first: int, second: int, length: int) -> int:
    """The checksum of two stretches behind each other, from those of each; the second has `length` bytes."""
    return _product(_power(length), first) ^ second


@lru_cache(64)
def _power(length: int) -> int:
    """x**(8 * length)."""
    power, square = 1 << 31, 1 << 23
    while length:
        if length & 1:
            power = _product(square, power)
        square = _product(square, square)
        length >>= 1
    return power


def _product(a: int, b: int) -> int:
    """Of two polynomials, modulo that of the checksum."""
    product = 0
    while a:
        if a & 1 << 31:
            product ^= b
        a = a << 1 & 0xFFFFFFFF
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product


@cache
def _compute() -> Callable[[Buffer, int], int]:
    """The function of the crc32c package.

    Its extension is loaded without the package around it, which reads its own metadata at import: that took 60 ms,
    longer than all else that `tensorferry inspect` does.
    """
    from importlib.machinery import PathFinder
    from importlib.util import find_spec, module_from_spec

    package = find_spec("crc32c")
    folders = package.submodule_search_locations if package is not None else None
    extension = PathFinder.find_spec("crc32c._crc32c", list(folders)) if folders else None
    if extension is None or extension.loader is None:
        from crc32c import crc32c

        return cast("Callable[[Buffer, int], int]", crc32c)
    module = module_from_spec(extension)
    extension.loader.exec_module(module)
    return cast("Callable[[Buffer, int], int]", module.crc32c)


def mask(crc: int) -> int:
    """The form in which a checksum is stored."""
    return (((crc >> 15) | (crc << 17)) + _DELTA) & 0xFFFFFFFF


def unmask(masked: int) -> int:
    """The checksum behind a stored one."""
    rotated = (masked - _DELTA) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF
