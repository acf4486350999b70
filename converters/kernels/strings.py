"""Strings: bytes, in arrays of objects. Case, joining, splitting, parts, and numbers as text.

With encoding or unit UTF-8 an op counts characters, else bytes. What splits ragged gives a sparse tensor: indices
[n, 2] (row, place), values [n], shape [rows, most].
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, axis_of, make_room, scalar, sizes

KERNELS: OpTable[Kernel] = OpTable("kernel")

_BASE64 = re.compile(rb"[A-Za-z0-9_-]*={0,2}")
_INTEGER = re.compile(rb"-?[0-9]{1,30}")
_REAL = re.compile(rb"[+-]?([0-9]+\.?[0-9]*([eE][+-]?[0-9]+)?|\.[0-9]+([eE][+-]?[0-9]+)?|inf|infinity|nan)", re.I)


ELEMENT = 64
"""Bytes that an element takes at least, as an object of its own."""


def texts(items: Sequence[bytes], shape: Sequence[int]) -> Array:
    """Strings as an array of a shape."""
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(tuple(shape))


def listed(node: OpNode, x: Array) -> list[Any]:
    """The elements, if there is room for so many: a graph may claim any number of one string."""
    make_room(node, (x.size, ELEMENT), np.uint8)
    return list(x.reshape(-1).tolist())


def each(node: OpNode, function: Callable[[Any], Any], x: Array) -> Array:
    """Strings made of each element."""
    return texts([function(item) for item in listed(node, x)], x.shape)


@KERNELS.op("StringLower", "StringUpper", attrs={"encoding"})
def lower(node: OpNode, x: Array) -> Array:
    """Strings in lower or upper case; without an encoding, of ASCII's letters alone."""
    change = "lower" if node.op == "StringLower" else "upper"
    if _is_utf8(node, node.text("encoding")):
        return each(node, lambda item: getattr(item.decode("utf-8", "replace"), change)().encode(), x)
    return each(node, lambda item: getattr(item, change)(), x)


def _is_utf8(node: OpNode, encoding: str) -> bool:
    if encoding.lower() not in ("", "byte", "utf-8", "utf8_char"):
        raise GraphError(node.name, f"expected bytes or UTF-8, got {encoding}")
    return "utf" in encoding.lower()


@KERNELS.op("StringStrip")
def strip(node: OpNode, x: Array) -> Array:
    """Strings without white space at both ends."""
    return each(node, bytes.strip, x)


@KERNELS.op("StringLength", attrs={"unit"})
def length(node: OpNode, x: Array) -> Array:
    """The number of bytes or characters of each string."""
    utf8 = _is_utf8(node, node.text("unit"))
    lengths = [_characters(item) if utf8 else len(item) for item in listed(node, x)]
    return np.array(lengths, np.int32).reshape(x.shape)


def _characters(item: bytes) -> int:
    """The bytes that don't continue a character."""
    return sum(byte & 0xC0 != 0x80 for byte in item)


@KERNELS.op("Substr", attrs={"unit"})
def substr(node: OpNode, x: Array, pos: Array, len_: Array) -> Array:
    """The part of each string from a place on; counted from the end where that is negative."""
    utf8 = _is_utf8(node, node.text("unit"))
    shape = np.broadcast_shapes(x.shape, pos.shape)
    make_room(node, (*shape, ELEMENT), np.uint8)
    starts, counts = (np.broadcast_to(part, shape).reshape(-1).tolist() for part in (pos, len_))
    found = []
    for item, start, count in zip(np.broadcast_to(x, shape).reshape(-1).tolist(), starts, counts, strict=True):
        whole = item.decode("utf-8", "surrogateescape") if utf8 else item
        if not -len(whole) <= start <= len(whole):
            raise GraphError(node.name, f"expected a place in a string of {len(whole)}, got {start}")
        part = whole[start:][: max(count, 0)]
        found.append(part.encode("utf-8", "surrogateescape") if utf8 else part)
    return texts(found, shape)


@KERNELS.op("StringJoin", attrs={"separator"})
def join(node: OpNode, *inputs: Array) -> Array:
    """Strings one behind the other, of arrays of one shape or scalars."""
    shape = next((x.shape for x in inputs if x.ndim), ())
    if any(x.ndim and x.shape != shape for x in inputs):
        raise GraphError(node.name, f"expected inputs of one shape, got {[list(x.shape) for x in inputs]}")
    columns = [listed(node, np.broadcast_to(x, shape)) for x in inputs]
    separator = node.text("separator").encode()
    _text_room(node, (item for column in columns for item in column), separator)
    return texts([separator.join(row) for row in zip(*columns, strict=True)], shape)


def _text_room(node: OpNode, items: Iterable[bytes], separator: bytes) -> None:
    """UnsupportedError where items with separators would be too long: joins of joins grow fast."""
    make_room(node, (sum(len(item) + len(separator) for item in items),), np.uint8)


@KERNELS.op("ReduceJoin", attrs={"keep_dims", "separator"})
def reduce_join(node: OpNode, x: Array, reduction_indices: Array) -> Array:
    """Strings joined along dimensions, the first of those listed fastest."""
    axes = [axis_of(node, np.array(axis), x.ndim) for axis in sizes(reduction_indices)] if x.ndim else []
    if len(set(axes)) < len(axes):
        raise GraphError(node.name, f"expected dimensions of their own, got {axes}")
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    rows = x.transpose([*kept, *reversed(axes)]).reshape(np.prod([x.shape[axis] for axis in kept], dtype=int), -1)
    separator = node.text("separator").encode()
    _text_room(node, listed(node, x), separator)
    shape = [x.shape[axis] for axis in kept]
    if node.flag("keep_dims"):
        shape = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
    return texts([separator.join(row) for row in rows.tolist()], shape)


@KERNELS.op("StringSplitV2", attrs={"maxsplit"})
def split_v2(node: OpNode, x: Array, sep: Array) -> tuple[Array, ...]:
    """The parts of each string of a vector between separators; an empty one stands for any white space."""
    separator = scalar(node, sep, "sep") or None
    return _ragged([item.split(separator, node.integer("maxsplit")) for item in listed(node, x)])


@KERNELS.op("StringSplit", attrs={"skip_empty"})
def split(node: OpNode, x: Array, delimiter: Array) -> tuple[Array, ...]:
    """The same, where each byte of the delimiter separates; with none, every byte is a part."""
    bytes_ = scalar(node, delimiter, "delimiter")
    pattern = re.compile(b"[" + re.escape(bytes_) + b"]") if bytes_ else None
    rows = [
        pattern.split(item) if pattern and item else [item[i : i + 1] for i in range(len(item))] for item in x.tolist()
    ]
    if node.flag("skip_empty"):
        rows = [[part for part in row if part] for row in rows]
    return _ragged(rows)


def _letters(item: bytes) -> list[bytes]:
    return [item[place : place + 1] for place in range(len(item))]


def _ragged(rows: list[list[bytes]]) -> tuple[Array, ...]:
    places = [(row, place) for row, parts in enumerate(rows) for place in range(len(parts))]
    values = texts([part for parts in rows for part in parts], [len(places)])
    most = max(map(len, rows), default=0)
    return np.array(places, np.int64).reshape(-1, 2), values, np.array([len(rows), most], np.int64)


@KERNELS.op("AsString", attrs={"precision", "scientific", "shortest", "width", "fill"})
def as_string(node: OpNode, x: Array) -> Array:
    """Numbers as C's printf writes them, bools as true and false, whatever the width."""
    scientific, shortest = node.flag("scientific"), node.flag("shortest")
    precision, width, fill = node.integer("precision"), node.integer("width"), node.text("fill")
    if (scientific and shortest) or fill not in ("", " ", "0", "+", "-") or max(precision, width) > 1000:
        raise GraphError(node.name, f"expected one format, got scientific and shortest, or fill {fill!r}")
    if x.dtype.kind == "O":
        return x
    spec = f"%{fill}" + (str(width) if width > -1 else "")
    if x.dtype.kind == "b":
        return each(node, lambda item: b"true" if item else b"false", x)
    if x.dtype.kind in "iu":
        return each(node, lambda item: (spec + "d").__mod__(item).encode(), x)
    spec += (f".{precision}" if precision > -1 else "") + ("e" if scientific else "g" if shortest else "f")
    if x.dtype.kind == "c":
        return each(node, lambda item: f"({spec % item.real},{spec % item.imag})".encode(), x)
    return each(node, lambda item: (spec % item).encode(), x.astype(np.float64))


@KERNELS.op("StringToNumber")
def to_number(node: OpNode, x: Array) -> Array:
    """The numbers that strings spell, with white space around them."""
    dtype = node.dtype("out_type").numpy()
    pattern, make = (_INTEGER, int) if dtype.kind in "iu" else (_REAL, float)
    numbers: list[Any] = []
    for item in listed(node, x):
        number = make(item) if pattern.fullmatch(item.strip()) else None
        if number is None or (make is int and not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max):
            raise GraphError(node.name, f"expected a string to spell a number of {dtype}, got {item[:40]!r}")
        numbers.append(number)
    return np.array(numbers, dtype).reshape(x.shape)


@KERNELS.op("EncodeBase64", attrs={"pad"})
def encode_base64(node: OpNode, x: Array) -> Array:
    """Strings in the alphabet of web addresses, with or without padding."""
    pad = node.flag("pad")
    return each(node, lambda item: base64.urlsafe_b64encode(item).rstrip(b"" if pad else b"="), x)


@KERNELS.op("DecodeBase64")
def decode_base64(node: OpNode, x: Array) -> Array:
    """What EncodeBase64 was given."""

    def decoded(item: bytes) -> bytes:
        if not _BASE64.fullmatch(item) or len(item.rstrip(b"=")) % 4 == 1:
            raise GraphError(node.name, f"expected base64 for the web, got {item[:40]!r}")
        return base64.b64decode(item + b"=" * (-len(item) % 4), b"-_")

    return each(node, decoded, x)


@KERNELS.op("DecodeRaw", attrs={"little_endian"})
def decode_raw(node: OpNode, x: Array) -> Array:
    """The bytes of each string as numbers, in a dimension more; strings are of one length."""
    dtype = node.dtype("out_type").numpy()
    flat = listed(node, x)
    if any(len(item) != len(flat[0]) for item in flat):
        raise GraphError(node.name, "expected strings of one length, got several")
    stored = dtype.newbyteorder("<" if node.flag("little_endian") else ">")
    numbers = np.frombuffer(b"".join(flat), stored).astype(dtype)
    return numbers.reshape((*x.shape, len(flat[0]) // dtype.itemsize if flat else 0))
