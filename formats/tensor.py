"""A tensor: element type, shape, and bytes that are read only when somebody asks.

    Tensor              dtype, shape; chunks() streams the bytes, numpy() gives an array
    ├── ArrayTensor     an array in memory
    ├── FileTensor      a stretch of a file, checked against its CRC-32C on the way
    ├── SplatTensor     one value everywhere
    └── ...             each format adds its own (TensorProto fields, bundle strings and slices)

Bytes are always little-endian, in row-major order. Shape and dtype cost no I/O.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import TYPE_CHECKING, Any

from .dtype import DType, of_numpy
from .errors import FormatError, UnsupportedError

if TYPE_CHECKING:
    import numpy as np

CHUNK = 512 << 10
"""Bytes read at a time when a tensor is streamed: they stay in a processor's cache until they are written."""

Buffer = bytes | bytearray | memoryview


class Tensor(ABC):
    """An n-dimensional array with a lazy value. `shape` is in elements, outermost dimension first."""

    __slots__ = ("dtype", "shape")

    def __init__(self, dtype: DType, shape: tuple[int, ...]) -> None:
        self.dtype = dtype
        self.shape = shape

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the value in memory; 0 for strings, whose sizes are known only once read."""
        return self.size * self.dtype.itemsize

    @property
    def held(self) -> Tensor | None:
        """What is in memory while the value is streamed, where other tensors are made of that too."""
        return None

    @abstractmethod
    def chunks(self) -> Iterator[Buffer]:
        """Streams the value as little-endian bytes in row-major order.

        A chunk is valid until the next is asked for. A checksum mismatch raises FormatError after the last chunk, so a
        consumer must not publish what it got before the iterator has ended.
        Strings have no such form: UnsupportedError.
        """

    @abstractmethod
    def numpy(self) -> np.ndarray[Any, Any]:
        """The value as an array of `shape`; strings as an object array of bytes."""

    def tobytes(self) -> bytes:
        """The value as little-endian bytes in row-major order."""
        return b"".join(bytes(chunk) for chunk in self.chunks())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = self.numpy()
        if copy is False and dtype is not None and array.dtype != dtype:
            raise ValueError(f"a {array.dtype} array becomes {dtype} only in a copy")
        return array.astype(array.dtype if dtype is None else dtype, copy=bool(copy))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.dtype} {list(self.shape)}>"


class ArrayTensor(Tensor):
    """An array in memory, in any layout."""

    __slots__ = ("_array",)

    def __init__(self, array: np.ndarray[Any, Any], dtype: DType | None = None) -> None:
        super().__init__(dtype or of_numpy(array.dtype), array.shape)
        self._array = array

    def numpy(self) -> np.ndarray[Any, Any]:
        return self._array

    def chunks(self) -> Iterator[Buffer]:
        refuse_strings(self)
        import numpy as np

        array = np.ascontiguousarray(self._array)
        if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and sys.byteorder == "big"):
            array = array.astype(array.dtype.newbyteorder("<"))
        if array.size:
            yield array.reshape(-1).view(np.uint8).data


class SplatTensor(Tensor):
    """One scalar `value` [] at every place of `shape`; memory is spent only when an array is asked for."""

    __slots__ = ("value",)

    def __init__(self, value: np.ndarray[Any, Any], shape: tuple[int, ...], dtype: DType) -> None:
        super().__init__(dtype, shape)
        self.value = value

    def numpy(self) -> np.ndarray[Any, Any]:
        """A read-only view of the one element."""
        import numpy as np

        return np.broadcast_to(self.value, self.shape)

    def chunks(self) -> Iterator[Buffer]:
        refuse_strings(self)
        element = ArrayTensor(self.value, self.dtype).tobytes()
        left = self.size
        chunk = element * min(left, CHUNK // len(element))
        while left:
            count = min(left, CHUNK // len(element))
            yield memoryview(chunk)[: count * len(element)]
            left -= count


class FileTensor(Tensor):
    """`nbytes` bytes at `offset` of the file `path`.

    `crc32c` (unmasked, over the bytes as they are on disk) is checked whenever the value is read; None where the
    format has no checksum. `big_endian` says how the file keeps it. `name` is for messages.
    """

    __slots__ = ("big_endian", "crc32c", "name", "offset", "path")

    def __init__(
        self,
        dtype: DType,
        shape: tuple[int, ...],
        path: str | os.PathLike[str],
        offset: int,
        *,
        name: str = "",
        crc32c: int | None = None,
        big_endian: bool = False,
    ) -> None:
        super().__init__(dtype, shape)
        self.path = os.fspath(path)
        self.offset = offset
        self.name = name
        self.crc32c = crc32c
        self.big_endian = big_endian

    def _stored(self, buffers: Iterable[memoryview]) -> Iterator[memoryview]:
        """The bytes as they are on disk, as many at a time as each buffer takes, the checksum verified at the end."""
        from .crc import crc32c

        left, crc = self.nbytes, 0
        with open(self.path, "rb", buffering=0) as file:
            file.seek(self.offset)
            for buffer in buffers:
                if not left:
                    break
                piece = buffer[:left]
                done = 0
                while done < len(piece):
                    got = file.readinto(piece[done:])
                    if not got:
                        where = self.offset + self.nbytes - left + done
                        raise FormatError(
                            self.path,
                            f"expected {self.nbytes} bytes of {self.name!r} at byte {self.offset}, "
                            f"got the end of the file at byte {where}",
                        )
                    done += got
                if self.crc32c is not None:
                    crc = crc32c(piece, crc)
                yield piece
                left -= len(piece)
        self.verify(crc)

    def verify(self, crc: int) -> None:
        """FormatError where `crc`, of all that was read, is not what it should be."""
        if self.crc32c is not None and crc != self.crc32c:
            raise FormatError(
                self.path,
                f"expected checksum {self.crc32c:08x} for {self.name!r}, got {crc:08x}: the data are damaged",
            )

    def chunks(self) -> Iterator[Buffer]:
        size = min(self.nbytes, CHUNK // self.dtype.itemsize * self.dtype.itemsize)
        with _buffer(size) as buffer:
            for piece in self._stored(repeat(buffer)):
                yield piece if not self.big_endian or self.dtype.itemsize == 1 else self._array(piece).tobytes()

    def numpy(self) -> np.ndarray[Any, Any]:
        import numpy as np

        whole = np.empty(self.nbytes, np.uint8).data  # the array's own: it stays in use
        for _ in self._stored(whole[place : place + CHUNK] for place in range(0, len(whole), CHUNK)):
            pass
        array: np.ndarray[Any, Any] = self._array(whole).reshape(self.shape)
        return array

    def _array(self, stored: Buffer) -> np.ndarray[Any, Any]:
        """The elements in a buffer of stored bytes, little-endian, flat."""
        import numpy as np

        if not self.big_endian or self.dtype.itemsize == 1:
            return np.frombuffer(stored, dtype=self.dtype.numpy())
        width = self.dtype.itemsize // (2 if self.dtype.kind == "complex" else 1)
        swapped: np.ndarray[Any, Any] = np.frombuffer(stored, dtype=f"u{width}").byteswap()
        return swapped.view(self.dtype.numpy())


class _Spare(threading.local):
    """Buffers that nobody uses now, of each thread: the memory of a fresh one costs as much as reading into it."""

    def __init__(self) -> None:
        self.buffers: list[bytearray] = []


_spare = _Spare()


@contextmanager
def _buffer(size: int) -> Iterator[memoryview]:
    """A buffer of `size` bytes; nobody may hold on to it."""
    spare = _spare.buffers
    buffer = spare.pop() if spare and len(spare[-1]) >= size else bytearray(size)
    try:
        yield memoryview(buffer)[:size]
    finally:
        if len(spare) < 4:
            spare.append(buffer)


def refuse_strings(tensor: Tensor) -> None:
    """Raises UnsupportedError for a type without a fixed width, whose bytes nobody but its format can lay out."""
    if not tensor.dtype.is_plain:
        raise UnsupportedError("", f"expected a type of fixed width, got {tensor.dtype}")
