"""Reading a binary format within bounds: files of a known size, and windows of their bytes.

    open_file(path, what)      a BinaryFile: a regular file, open, its size known
        .window(offset, size)  a Window: bytes in memory, read from front to back
    read_file(path, what)      a whole file that has to fit in a limit

Each reading method is told what it reads. Where the bytes end first, the FormatError names the file, the thing and
the byte: `model.index: expected the index block (80 bytes) at byte 210, got the end of the file at byte 256`.
No length from a file is used before it is compared with what is there.
"""

from __future__ import annotations

import os
import stat
from types import TracebackType
from typing import BinaryIO, NoReturn

from .errors import FormatError

Path = str | os.PathLike[str]


class Window:
    """The bytes `data`, and how far they have been read.

    `path`, `base` (the byte of the file that the window begins at) and `within` (where that isn't a place in the
    file, as in a block that was compressed) are for messages.
    """

    __slots__ = ("base", "data", "path", "position", "within")

    def __init__(self, data: bytes, path: Path, base: int = 0, within: str = "") -> None:
        self.data = data
        self.path = path
        self.base = base
        self.within = within
        self.position = 0

    @property
    def left(self) -> int:
        """Bytes that are not read yet."""
        return len(self.data) - self.position

    def fail(self, expected: str, got: str, at: int | None = None) -> NoReturn:
        """Raises FormatError for what begins at `at` (default: the present position)."""
        byte = self.base + (self.position if at is None else at)
        raise FormatError(self.path, f"expected {expected}, got {got} at byte {byte}{self.within}")

    def take(self, count: int, what: str) -> bytes:
        """The next `count` bytes."""
        if count > self.left:
            self.fail(f"{what} ({count} bytes)", f"{self.left} bytes and the end")
        start = self.position
        self.position += count
        return self.data[start : self.position]

    def fixed32(self, what: str) -> int:
        """An unsigned little-endian number of 4 bytes."""
        return int.from_bytes(self.take(4, what), "little")

    def fixed64(self, what: str) -> int:
        """An unsigned little-endian number of 8 bytes."""
        return int.from_bytes(self.take(8, what), "little")

    def varint32(self, what: str) -> int:
        """A number below 2**32, 7 bits a byte, low bits first, the top bit set on all bytes but the last."""
        return self._varint(what, 32)

    def varint64(self, what: str) -> int:
        """The same, below 2**64."""
        return self._varint(what, 64)

    def _varint(self, what: str, bits: int) -> int:
        value, start = 0, self.position
        for shift in range(0, bits, 7):
            if not self.left:
                self.fail(f"{what} (a varint)", "the end", at=len(self.data))
            byte = self.data[self.position]
            self.position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >> bits:
                    break
                return value
        return self.fail(f"{what} (a varint below 2**{bits})", "a larger one", at=start)


class BinaryFile:
    """An open file of `size` bytes that is read in windows. A context manager."""

    __slots__ = ("_file", "path", "size")

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path = path
        self.size = size
        self._file = file

    def __enter__(self) -> BinaryFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def window(self, offset: int, size: int, what: str) -> Window:
        """The `size` bytes at `offset`, all of them or a FormatError that says which of `what` are missing."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise FormatError(
                self.path,
                f"expected {what} ({size} bytes) at byte {offset}, got the end of the file at byte {self.size}",
            )
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            got = f"only {len(data)}: the file has shrunk"
            raise FormatError(self.path, f"expected {what} ({size} bytes) at byte {offset}, got {got}")
        return Window(data, self.path, offset)


def open_file(path: Path, what: str) -> BinaryFile:
    """Opens the regular file at `path`; FormatError where there is none that can be read."""
    file_size(path, what)  # first: opening a pipe would wait for somebody to write
    try:
        file = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise FormatError(path, f"expected {what}, got {_reason(error)}") from None
    return BinaryFile(path, file, os.fstat(file.fileno()).st_size)


def file_size(path: Path, what: str) -> int:
    """Bytes of the regular file at `path`; FormatError where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise FormatError(path, f"expected {what}, got {_reason(error)}") from None
    if not stat.S_ISREG(status.st_mode):
        got = "a directory" if stat.S_ISDIR(status.st_mode) else "something that is no regular file"
        raise FormatError(path, f"expected {what}, got {got}")
    return status.st_size


def read_file(path: Path, what: str, limit: int) -> bytes:
    """The whole file at `path`; FormatError where there is none or where it is larger than `limit` bytes."""
    with open_file(path, what) as file:
        if file.size > limit:
            raise FormatError(path, f"expected {what} of at most {limit} bytes, got {file.size}")
        return file.window(0, file.size, what).data


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, ValueError):
        return "a path that no file can have"
    return f"a file that can't be read ({error.strerror or error})"
