"""Elements narrower than a byte, packed: 2 or 4 bits each, the first in the lowest bits of its byte.

    int4     [a, b, c]           ->  bbbbaaaa ....cccc      (unused bits are zero)
    int2     [a, b, c, d, e]     ->  ddccbbaa ......ee

So ONNX keeps int4, uint4, float4_e2m1fn, int2 and uint2, and safetensors float4_e2m1fn. In memory each element takes a
byte of which only the low bits count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .dtype import DType
from .errors import UnsupportedError
from .tensor import Buffer, FileTensor, Tensor

if TYPE_CHECKING:
    import numpy as np


def packed_size(size: int, bits: int) -> int:
    """Bytes that `size` elements of `bits` bits take."""
    return (size * bits + 7) // 8


def stored_size(dtype: DType, size: int) -> int:
    """Bytes that `size` elements take in a format which packs the narrow types."""
    return packed_size(size, dtype.bits) if dtype.bits < 8 else size * dtype.itemsize


def pack(chunks: Iterable[Buffer], bits: int) -> Iterator[bytes]:
    """Bytes of one element each -> packed bytes, however the chunks are cut."""
    import numpy as np

    each = 8 // bits
    rest = np.empty(0, np.uint8)
    for chunk in chunks:
        values = np.concatenate([rest, np.frombuffer(chunk, np.uint8)])
        whole = len(values) // each * each
        yield _pack(values[:whole], bits)
        rest = values[whole:]
    if len(rest):
        yield _pack(np.pad(rest, (0, each - len(rest))), bits)


def _pack(values: np.ndarray[Any, Any], bits: int) -> bytes:
    import numpy as np

    each = 8 // bits
    columns = values.reshape(-1, each) & ((1 << bits) - 1)
    packed = np.zeros(len(columns), np.uint8)
    for place in range(each):
        packed |= columns[:, place] << (place * bits)
    return packed.tobytes()


def unpack(packed: Buffer, bits: int) -> np.ndarray[Any, Any]:
    """Packed bytes -> one byte an element, those of the padding too."""
    import numpy as np

    values = np.frombuffer(packed, np.uint8)
    mask = (1 << bits) - 1
    return np.stack([values >> shift & mask for shift in range(0, 8, bits)], axis=-1).reshape(-1)


class PackedTensor(Tensor):
    """A tensor of `dtype.bits` bits an element, packed in the bytes of `stored`."""

    __slots__ = ("stored",)

    def __init__(self, dtype: DType, shape: tuple[int, ...], stored: FileTensor) -> None:
        super().__init__(dtype, shape)
        self.stored = stored

    def chunks(self) -> Iterator[Buffer]:
        left = self.size
        for chunk in self.stored.chunks():
            values = unpack(chunk, self.dtype.bits)[:left]
            left -= len(values)
            yield values.data

    def numpy(self) -> np.ndarray[Any, Any]:
        values = unpack(self.stored.numpy().data, self.dtype.bits)[: self.size]
        return values.view(self.dtype.numpy()).reshape(self.shape)


class OpaqueTensor(Tensor):
    """A tensor of a type that only the format `path` knows: dtype, shape and `name` tell what is there."""

    __slots__ = ("name", "path")

    def __init__(self, dtype: DType, shape: tuple[int, ...], path: str, name: str) -> None:
        super().__init__(dtype, shape)
        self.path = path
        self.name = name

    def chunks(self) -> Iterator[Buffer]:
        raise UnsupportedError(self.path, f"no array holds {self.name!r}, of type {self.dtype}")

    def numpy(self) -> np.ndarray[Any, Any]:
        raise UnsupportedError(self.path, f"no array holds {self.name!r}, of type {self.dtype}")
