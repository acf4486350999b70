"""The strings of a bundle, whose values aren't simply their elements' bytes.

    strings    varint64 length, one for each element | masked CRC-32C of the lengths: 4 | the strings, one after another

The checksum of the lengths runs over each as a number of 4 bytes (8 where it needs them), not over the varints; the
entry's checksum goes on from it over the 4 bytes that are stored and the strings. All of them in the file's byte order.

Source: TensorFlow's util/tensor_bundle/tensor_bundle.cc.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from .binary import Path, open_file
from .crc import crc32c, unmask
from .dtype import STRING_TYPE
from .errors import FormatError
from .tensor import Buffer, Tensor, refuse_strings

if TYPE_CHECKING:
    import numpy as np


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
        order: Literal["big", "little"] = "big" if self.big_endian else "little"
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
