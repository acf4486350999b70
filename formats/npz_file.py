"""npz: a zip archive of one `.npy` file per array, as `numpy.savez` writes and `numpy.load` reads it.

    NAME.npy in the zip    93 'NUMPY' major minor, the header's length (2 bytes; 4 from version 2 on), the header:
                           {'descr': '<f4', 'fortran_order': False, 'shape': (3, 8), } padded with spaces to 64,
                           a newline; then the elements

Version 3 has its header in UTF-8, 1 and 2 in Latin-1.

Pickled arrays (dtype object) are code to be run: they are refused. bfloat16, float8 and int4 have no numpy type that
the format could name, so they are not written; strings are not, since the format drops trailing NULs and fixes one
length for all. A zip's checksum (CRC-32) is verified when an array is read.

An entry may claim any size: it has to be that of its header's shape, and no more than deflate can make of the bytes
that are there.

Reference: numpy's NEP 1 and PKWARE's APPNOTE.
"""

from __future__ import annotations

import ast
import math
import os
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from .atomic import OutputSet, output
from .binary import Path, file_size
from .dtype import QUANTIZED, STRING, STRING_TYPE, DType, of_numpy
from .errors import FormatError, UnsupportedError, listing
from .named_tensors import NamedTensors
from .room import Room
from .stream import copy
from .tensor import CHUNK, ArrayTensor, Buffer, Tensor, refuse_strings

if TYPE_CHECKING:
    import numpy as np

DEFLATE_LIMIT = 1032
"""How many bytes one byte of a deflated stream can stand for."""

MAX_RANK = 32
"""Dimensions that every version of numpy can hold."""

HEADER_LIMIT = 10_000
"""Bytes that the header of an `.npy` file may take, as in numpy."""

_LENGTH_WIDTHS = {b"\x93NUMPY\1\0": 2, b"\x93NUMPY\2\0": 4, b"\x93NUMPY\3\0": 4}
"""Bytes of the header's length, by magic and version."""

_DESCR = re.compile(r"[<>=|]?[a-zA-Z?][0-9]{0,9}(\[[0-9]{0,9}[a-zA-Z]{1,2}\])?")
"""What numpy writes of a type that is no record. Units have no divisor there: of `m8[s/0]`, numpy's parser dies."""
_ENCRYPTED = 1
_LOCAL_HEADER = 30
"""Bytes before an entry's name and data, at least."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


class NpzTensor(Tensor):
    """An array in the entry `member` of the zip `path`: its bytes from `offset` on, of numpy's `stored` dtype."""

    __slots__ = ("fortran_order", "member", "offset", "path", "stored")

    def __init__(self, path: str, member: str, header: _Header, dtype: DType) -> None:
        super().__init__(dtype, header.shape)
        self.path = path
        self.member = member
        self.offset = header.length
        self.stored = header.dtype
        self.fortran_order = header.fortran_order

    def chunks(self) -> Iterator[Buffer]:
        refuse_strings(self)
        if (self.fortran_order and self.rank > 1) or self.stored.byteorder == ">":
            yield from ArrayTensor(self.numpy(), self.dtype).chunks()
        else:
            yield from self._stored(CHUNK // self.dtype.itemsize * self.dtype.itemsize)

    def numpy(self) -> np.ndarray[Any, Any]:
        import numpy as np

        flat = np.empty(self.size, self.stored)
        target, done = flat.reshape(-1).view(np.uint8) if flat.nbytes else np.empty(0, np.uint8), 0
        for piece in self._stored(CHUNK):
            target[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
            done += len(piece)
        array = flat.reshape(self.shape, order="F" if self.fortran_order else "C")
        if self.dtype.kind == STRING:
            return _as_bytes(array, self.path, self.member)
        return array.astype(self.dtype.numpy(), copy=False)

    def _stored(self, limit: int) -> Iterator[bytes]:
        """The elements as they are in the file, `limit` bytes at a time, the zip's checksum verified at the end."""
        left = self.size * self.stored.itemsize
        with _archive(self.path) as archive, _opened(archive, self.path, self.member) as file:
            file.read(self.offset)
            while left:
                piece = file.read(min(left, limit))
                if not piece:
                    raise FormatError(self.path, f"expected {left} bytes more of {self.member!r}, got its end")
                left -= len(piece)
                yield piece


class _Header:
    """What an `.npy` file says before its elements; `length` is the bytes up to these."""

    def __init__(self, file: IO[bytes], path: str, member: str) -> None:
        import numpy as np

        magic = file.read(8)
        width = _LENGTH_WIDTHS.get(magic)
        if width is None:
            raise FormatError(path, f"expected an .npy file of version 1 to 3 in {member!r}, got {magic!r}")
        length = int.from_bytes(file.read(width), "little")
        if length > HEADER_LIMIT:
            raise FormatError(path, f"expected a header of at most {HEADER_LIMIT} bytes in {member!r}, got {length}")
        text = file.read(length)
        if len(text) != length:
            raise FormatError(path, f"expected a header of {length} bytes in {member!r}, got {len(text)}")
        try:
            found = ast.literal_eval(text.decode("latin-1" if width == 2 else "utf-8").strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.keys() != {"descr", "fortran_order", "shape"}:
            raise FormatError(path, f"expected a header in {member!r}, got {text[:40]!r}")
        descr, shape = found["descr"], found["shape"]
        if not isinstance(shape, tuple) or any(type(size) is not int or size < 0 for size in shape):
            raise FormatError(path, f"expected a shape in {member!r}, got {shape!r:.80}")
        if isinstance(descr, list):
            raise UnsupportedError(path, f"no tensor holds {member!r}, an array of records")
        try:
            if not isinstance(descr, str) or not _DESCR.fullmatch(descr):
                raise ValueError
            self.dtype: np.dtype[Any] = np.dtype(descr)
        except (TypeError, ValueError):
            raise FormatError(path, f"expected a dtype in {member!r}, got {descr!r:.80}") from None
        self.shape = shape
        self.fortran_order = bool(found["fortran_order"])
        self.length = 8 + width + length


class NpzFile(NamedTensors):
    """The arrays of an archive by name, without `.npy`, in the archive's order."""

    __slots__ = ()


def read_npz(path: Path) -> NpzFile:
    """The arrays of the archive `path`, after all of their headers were read. FormatError where one is wrong."""
    path = os.fspath(path)
    tensors: dict[str, Tensor] = {}
    with _archive(path) as archive:
        _refuse_overlaps(archive, path)
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name in tensors:
                raise FormatError(path, f"expected one array {name!r}, got two")
            tensors[name] = _tensor(archive, path, entry)
    return NpzFile(path, tensors)


def write_npz(
    path: Path, tensors: Mapping[str, Tensor], *, force: bool = False, files: OutputSet | None = None
) -> None:
    """Writes `tensors` to the archive `path`, uncompressed, as numpy.savez does; one piece in memory at a time.

    Given `files`, it becomes one of these. UnsupportedError as for `refuse_unstorable`.
    """
    from numpy.lib import format as npy

    refuse_unstorable(tensors)
    with (
        output(path, force, files) as file,
        Room(),
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        for name, tensor in tensors.items():
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            entry.external_attr = 0o600 << 16
            header = {
                "descr": npy.dtype_to_descr(tensor.dtype.numpy().newbyteorder("<")),
                "fortran_order": False,
                "shape": tensor.shape,
            }
            with archive.open(entry, "w", force_zip64=True) as member:
                npy.write_array_header_1_0(member, header)
                copy(tensor, name, member)


def refuse_unstorable(tensors: Mapping[str, Tensor]) -> None:
    """UnsupportedError that lists all tensors whose types, or else names, the format has no place for."""
    wrong = [f"{name!r} ({tensor.dtype})" for name, tensor in tensors.items() if not can_hold(tensor)]
    if wrong:
        raise UnsupportedError(
            "npz", f"has no type for {listing(wrong)}", hint="--unstorable says what to do, or --exclude them"
        )
    named = [name for name in tensors if "\0" in name or not _fits(name) or f"{name}.npy" in tensors]
    if named:
        raise UnsupportedError("npz", f"can't hold tensors named {listing(map(repr, named))}", hint="rename them")


def can_hold(tensor: Tensor) -> bool:
    """Whether numpy itself has the element type, so that an `.npy` header can name it."""
    import numpy as np

    dtype = tensor.dtype
    return dtype.is_plain and dtype.kind != QUANTIZED and hasattr(np, dtype.storage)


def _fits(name: str) -> bool:
    try:
        return 0 < len(name.encode()) < 1 << 15
    except UnicodeEncodeError:
        return False


def _refuse_overlaps(archive: zipfile.ZipFile, path: str) -> None:
    """Raises FormatError where entries share bytes: so a small archive would hold any number of large arrays."""
    end, last = 0, ""
    for entry in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise FormatError(path, f"expected entries one after another, got {entry.filename!r} within {last!r}")
        end, last = entry.header_offset + _LOCAL_HEADER + entry.compress_size, entry.filename


def _tensor(archive: zipfile.ZipFile, path: str, entry: zipfile.ZipInfo) -> Tensor:
    member = entry.filename
    if entry.flag_bits & _ENCRYPTED:
        raise UnsupportedError(path, f"the entry {member!r} is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsupportedError(path, f"expected {member!r} stored or deflated, got method {entry.compress_type}")
    most = entry.compress_size * (1 if entry.compress_type == zipfile.ZIP_STORED else DEFLATE_LIMIT)
    if entry.file_size > most or entry.compress_size > file_size(path, "a zip archive"):
        raise FormatError(path, f"expected at most {most} bytes in {member!r}, got a claim of {entry.file_size}")
    with _opened(archive, path, member) as file:
        header = _Header(file, path, member)
    if header.dtype.hasobject:
        raise FormatError(path, f"expected an array of numbers in {member!r}, got pickled objects")
    dtype = _dtype(header.dtype, path, member)
    if len(header.shape) > MAX_RANK:
        raise UnsupportedError(path, f"expected at most {MAX_RANK} dimensions of {member!r}, got {len(header.shape)}")
    if not header.dtype.itemsize:
        raise FormatError(path, f"expected elements of a byte or more in {member!r}, got {header.dtype}")
    if header.dtype.itemsize * math.prod(filter(None, header.shape)) >= 1 << 63:
        raise FormatError(path, f"expected a size below 2**63 bytes of {member!r}, got shape {header.shape}")
    nbytes = header.dtype.itemsize * math.prod(header.shape)
    if nbytes != entry.file_size - header.length:
        raise FormatError(
            path,
            f"expected {nbytes} bytes of {header.dtype} {list(header.shape)} in {member!r}, "
            f"got {entry.file_size - header.length}",
        )
    return NpzTensor(path, member, header, dtype)


def _dtype(stored: np.dtype[Any], path: str, member: str) -> DType:
    try:
        return STRING_TYPE if stored.kind in "SU" else of_numpy(stored)
    except ValueError:
        raise UnsupportedError(path, f"no tensor holds {member!r}, an array of {stored}") from None


def _as_bytes(array: np.ndarray[Any, Any], path: str, member: str) -> np.ndarray[Any, Any]:
    """An array of numpy's fixed-length strings -> objects of bytes, text in UTF-8."""
    import numpy as np

    if array.dtype.kind == "U":
        codes = np.ascontiguousarray(array).reshape(-1).view(f"{array.dtype.byteorder}u4")
        if codes.max(initial=0) > sys.maxunicode:
            raise FormatError(path, f"expected text in {member!r}, got a character {codes.max():#x}")
    strings: np.ndarray[Any, Any] = np.empty(array.size, object)
    try:
        strings[:] = [s.encode() if isinstance(s, str) else bytes(s) for s in array.reshape(-1).tolist()]
    except ValueError as error:
        raise FormatError(path, f"expected text in {member!r}, got: {error}") from None
    shaped: np.ndarray[Any, Any] = strings.reshape(array.shape)
    return shaped


@contextmanager
def _archive(path: str) -> Iterator[zipfile.ZipFile]:
    file_size(path, "a zip archive")
    with _reported(path), zipfile.ZipFile(path) as archive:
        yield archive


@contextmanager
def _opened(archive: zipfile.ZipFile, path: str, member: str) -> Iterator[IO[bytes]]:
    with _reported(path, f" in {member!r}"), archive.open(member) as file:
        yield file


@contextmanager
def _reported(path: str, where: str = "") -> Iterator[None]:
    """Turns the zip library's errors into FormatError at `path`."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError, OSError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise FormatError(path, f"expected a zip archive{where}, got: {reason}") from None
