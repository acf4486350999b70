"""Vocabulary files: the text that TensorFlow's lookup tables are filled from.

    the\t0.25          one entry a line; the line may be cut into columns by a delimiter of one byte
    end\t0.5

What is the key of a line, and what its value, is told by an index:

    0, 1, ...   that column       -1   the line's number (from 0), int64       -2   the whole line

Rules, as TensorFlow's InitializeTableFromTextFileV2 keeps them:

 1. Lines end in LF or CR LF; the last one need not. Bytes are kept as they are, whatever the encoding.
 2. `size` limits the lines that are read; fewer than that is an error, as is an empty line among them, or none at all.
 3. `offset` is added to line numbers.
 4. Numbers are decimal, with blanks around them; what a type can't hold is an error.
 5. A key may come twice only with the same value.

Source: TensorFlow's core/kernels/lookup_util.cc.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .binary import Path, read_file
from .dtype import DType
from .errors import FormatError

if TYPE_CHECKING:
    import numpy as np

LINE_NUMBER, WHOLE_LINE = -1, -2
MAX_SIZE = 1 << 30
"""Bytes of a vocabulary file."""
_INTEGER = re.compile(rb"\s*[+-]?[0-9]{1,30}\s*")
_WHAT = "a vocabulary file"


@dataclass(frozen=True, slots=True)
class Columns:
    """How a vocabulary file is read: `key` and `value` are indices, `size` -1 means all lines."""

    key: int
    key_dtype: DType
    value: int
    value_dtype: DType
    size: int = -1
    delimiter: bytes = b"\t"
    offset: int = 0


def read_vocabulary(path: Path, columns: Columns) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The keys [n] and values [n] of the file, in its order, each key once. FormatError where it breaks a rule."""
    path = os.fspath(path)
    _check(path, columns)
    lines = read_file(path, _WHAT, MAX_SIZE).split(b"\n")
    if not lines[-1]:
        lines.pop()
    if columns.size >= 0:
        if len(lines) < columns.size:
            raise FormatError(path, f"expected {_WHAT} of {columns.size} lines, got {len(lines)}")
        lines = lines[: columns.size]
    if not lines:
        raise FormatError(path, f"expected {_WHAT} of at least one line, got none")
    key = _reader(path, columns.key, columns.key_dtype, columns)
    value = _reader(path, columns.value, columns.value_dtype, columns)
    entries: dict[Any, Any] = {}
    for number, ended in enumerate(lines):
        line = ended.removesuffix(b"\r")
        if not line:
            raise FormatError(path, f"expected no empty lines in {_WHAT}, got one at line {number + 1}")
        found, meant = key(number, line), value(number, line)
        if entries.setdefault(found, meant) != meant:
            raise FormatError(
                path, f"expected keys of their own, got {found!r} with another value at line {number + 1}"
            )
    return _array(list(entries), columns.key_dtype), _array(list(entries.values()), columns.value_dtype)


def _check(path: str, columns: Columns) -> None:
    for index, dtype in ((columns.key, columns.key_dtype), (columns.value, columns.value_dtype)):
        if index < WHOLE_LINE:
            raise FormatError(path, f"expected a column of {_WHAT}, -1 or -2, got {index}")
        if index == LINE_NUMBER and dtype.name != "int64":
            raise FormatError(path, f"expected line numbers to be int64, got {dtype}")
    if len(columns.delimiter) != 1:
        raise FormatError(path, f"expected a delimiter of one byte, got {columns.delimiter!r}")


def _reader(path: str, index: int, dtype: DType, columns: Columns) -> Callable[[int, bytes], Any]:
    """What gives the key or the value of a line by its number and text."""
    if index == LINE_NUMBER:
        return lambda number, line: number + columns.offset
    parse = _parser(dtype)
    if parse is None:
        raise FormatError(path, f"expected strings, integers or floats in {_WHAT}, got {dtype}")

    def read(number: int, line: bytes) -> Any:
        field = line
        if index != WHOLE_LINE:
            fields = line.split(columns.delimiter)
            if index >= len(fields):
                raise FormatError(
                    path,
                    f"expected at least {index + 1} columns at line {number + 1}, got {len(fields)}: {line[:40]!r}",
                )
            field = fields[index]
        try:
            return parse(field)
        except ValueError:
            raise FormatError(path, f"expected {dtype} at line {number + 1}, got {field[:40]!r}") from None

    return read


def _parser(dtype: DType) -> Callable[[bytes], Any] | None:
    """What makes an element of the type of a field; ValueError where it can't. None for types without."""
    if dtype.kind == "string":
        return lambda field: field
    if dtype.name in ("float32", "float64"):
        return _float
    if dtype.name not in ("int32", "int64"):
        return None

    def integer(field: bytes) -> int:
        number = int(field) if _INTEGER.fullmatch(field) else None
        if number is None or not -1 << (dtype.bits - 1) <= number < 1 << (dtype.bits - 1):
            raise ValueError
        return number

    return integer


def _float(field: bytes) -> float:
    if b"_" in field:  # Python's, and nobody else's
        raise ValueError
    return float(field)


def _array(items: list[Any], dtype: DType) -> np.ndarray[Any, Any]:
    import numpy as np

    if dtype.kind != "string":
        with np.errstate(over="ignore"):
            return np.array(items, dtype.numpy())
    array = np.empty(len(items), object)
    array[:] = items
    return array
