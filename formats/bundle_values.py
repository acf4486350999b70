"""Values of a bundle that aren't simply their elements' bytes: strings, and what no array can hold.

    strings    varint64 length, one for each element | masked CRC-32C of the lengths: 4 | the strings, one after another

The checksum of the lengths runs over each as a number of 4 bytes (8 where it needs them), not over the varints; the
entry's checksum goes on from it over the 4 bytes that are stored and the strings. All of them in the file's byte order.

    variants   for each element: varint64 length | VariantTensorDataProto | masked CRC-32C of all so far: 4

A variant is any C++ object that could be written (a list of tensors, say): only its own class can read it.

Source: TensorFlow's util/tensor_bundle/tensor_bundle.cc.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .binary import Path, Window, open_file
from .crc import crc32c, unmask
from .dtype import OPAQUE, STRING_TYPE, DType
from .errors import FormatError, UnsupportedError
from .tensor import Buffer, Tensor, refuse_strings

if TYPE_CHECKING:
    import numpy as np


MAX_ARRAY_RANK = 64
"""Dimensions that numpy's arrays can have; TensorFlow's can have 254."""


class StringTensor(Tensor):
    """`size_on_disk` bytes at `offset` of the data file `path`, checked against `crc32c` when they are read."""

    __slots__ = ("big_endian", "crc32c", "name", "offset", "path", "size_on_disk")

    def __init__(
        self,
        shape: tuple[int, ...],
        path: Path,
        offset: int,
        size_on_disk: int,
        *,
        name: str,
        crc32c: int,
        big_endian: bool = False,
    ) -> None:
        super().__init__(STRING_TYPE, shape)
        self.path = path
        self.offset = offset
        self.size_on_disk = size_on_disk
        self.name = name
        self.crc32c = crc32c
        self.big_endian = big_endian

    def chunks(self) -> Iterator[Buffer]:
        refuse_strings(self)
        yield b""

    def numpy(self) -> np.ndarray[Any, Any]:
        import numpy as np

        flat = np.empty(self.size, object)
        flat[:] = self._strings()
        return flat.reshape(self.shape)

    def _strings(self) -> list[bytes]:
        with open_file(self.path, f"the data of {self.name!r}") as file:
            window = file.window(self.offset, self.size_on_disk, f"the strings of {self.name!r}")
        if not self.size_on_disk and not self.size:
            return []
        what = f"a string's length in {self.name!r}"
        lengths = [window.varint64(what) for _ in range(self.size)]
        order = "big" if self.big_endian else "little"
        numbers = b"".join(length.to_bytes(4 if length < 1 << 32 else 8, order) for length in lengths)
        crc = crc32c(numbers)
        stored = window.take(4, f"the checksum of the lengths in {self.name!r}")
        self._compare(unmask(int.from_bytes(stored, order)), crc, "the lengths of ")
        if sum(lengths) != window.left:
            window.fail(f"the {self.size} strings of {self.name!r} ({sum(lengths)} bytes)", f"{window.left} bytes")
        self._compare(self.crc32c, crc32c(memoryview(window.data)[window.position :], crc32c(stored, crc)), "")
        return [window.take(length, "a string") for length in lengths]

    def _compare(self, expected: int, found: int, what: str) -> None:
        if expected != found:
            raise FormatError(
                self.path,
                f"expected checksum {expected:08x} for {what}{self.name!r}, got {found:08x}: the data are damaged",
            )


class OpaqueTensor(Tensor):
    """A value that no array holds, for its type or its rank. Asking for it raises UnsupportedError."""

    __slots__ = ("name", "path")

    def __init__(self, dtype: DType, shape: tuple[int, ...], path: Path, *, name: str) -> None:
        super().__init__(dtype, shape)
        self.path = path
        self.name = name

    def chunks(self) -> Iterator[Buffer]:
        raise self._refusal()

    def numpy(self) -> np.ndarray[Any, Any]:
        raise self._refusal()

    def _refusal(self) -> UnsupportedError:
        if self.dtype.kind != OPAQUE:
            got = f"{self.rank} dimensions"
            return UnsupportedError(self.path, f"expected at most {MAX_ARRAY_RANK} dimensions of {self.name!r}, got {got}")
        return UnsupportedError(self.path, f"expected a type that arrays hold for {self.name!r}, got {self.dtype}")
