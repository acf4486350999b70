"""Numbers that say which elements a tensor has, whatever their order, and that add up over its parts.

Every element is mixed to a number of 64 bits; their sum, modulo 2^64, is the tensor's print. Two tensors of the same
elements have the same print in any layout, and the prints of the parts of a tensor make that of the whole. Equal prints
are only a hint: what is found by them is compared bit by bit.

Some values say nothing about where they come from: zeros, ones, a few small numbers. `Print.tells` is false for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tensorferry.formats.dtype import FLOAT, DType
from tensorferry.formats.sliced import Cursor
from tensorferry.formats.tensor import CHUNK, Tensor

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F
_ALL = (1 << 64) - 1
_LOOKED_AT = 4096
_ENOUGH = 40
"""Bits that different elements have to say together; a random float32 says 23 or so, a small integer 3."""

_WIDTHS = {1, 2, 4, 8, 16}
_MANTISSA = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}


@dataclass(frozen=True, slots=True)
class Print:
    """The sum, and whether the elements tell one tensor from another."""

    total: int
    tells: bool


def print_of(tensor: Tensor) -> Print | None:
    """The print of a tensor, read once in pieces; None where it has no elements of a fixed width."""
    import numpy as np

    if not has_print(tensor):
        return None
    total = 0
    distinct: set[int] = set()
    for words in _words(tensor):
        total = (total + int(mixed(words).sum(dtype=np.uint64))) & _ALL
        if len(distinct) < _LOOKED_AT:
            distinct.update(words[:: max(1, len(words) // _LOOKED_AT)].reshape(-1).tolist())
    return Print(total, _tell(distinct, tensor))


def has_print(tensor: Tensor) -> bool:
    return bool(tensor.dtype.storage) and tensor.dtype.itemsize in _WIDTHS and tensor.size > 0


def as_words(array: Array) -> Array:
    """The elements as unsigned integers, in the shape of the array; of 16 bytes as two, in a dimension more."""
    import numpy as np

    array = np.ascontiguousarray(array)
    width = array.dtype.itemsize
    words: Array = array.reshape(-1).view(f"<u{min(width, 8)}")
    return words.reshape(*array.shape, 2) if width > 8 else words.reshape(array.shape)


def mixed(words: Array) -> Array:
    """A number of 64 bits for each."""
    import numpy as np

    numbers: Array = words.astype(np.uint64)
    numbers += np.uint64(_SECOND)
    numbers *= np.uint64(_FIRST)
    numbers ^= numbers >> np.uint64(32)
    numbers *= np.uint64(_SECOND)
    numbers ^= numbers >> np.uint64(29)
    return numbers


def running_sums(array: Array, axis: int) -> Array:
    """[n + 1]: the print of the first 0, 1, ..., n indices of one dimension."""
    import numpy as np

    numbers = mixed(as_words(array))
    sums = numbers.sum(axis=tuple(each for each in range(numbers.ndim) if each != axis), dtype=np.uint64)
    return np.concatenate([np.zeros(1, np.uint64), np.cumsum(sums, dtype=np.uint64)])


def _words(tensor: Tensor) -> Iterator[Array]:
    """The elements as integers, in pieces."""
    import numpy as np

    kind = np.dtype(f"<u{min(tensor.dtype.itemsize, 8)}")
    cursor = Cursor(tensor.chunks())
    for first in range(0, tensor.nbytes, CHUNK):
        yield np.frombuffer(cursor.take(min(CHUNK, tensor.nbytes - first)), kind)
    cursor.finish()


def _tell(words: set[int], tensor: Tensor) -> bool:
    """Whether these elements, taken together, are unlikely to be another tensor's too."""
    if len(words) == 1 and tensor.size > 1:
        return False
    bits = 0
    for word in words:
        bits += _bits(word, tensor.dtype)
        if bits >= _ENOUGH:
            return True
    return False


def _bits(word: int, dtype: DType) -> int:
    """What one element says: the bits of a float's mantissa down to the last that is set, or those of an integer."""
    if dtype.kind != FLOAT:
        return min(word, (1 << 8 * min(dtype.itemsize, 8)) - word).bit_length()
    mantissa = _MANTISSA.get(dtype.name, 3)
    low = word & ((1 << mantissa) - 1)
    return mantissa - ((low & -low).bit_length() - 1) if low else 0
