"""The V2 checkpoint, a bundle: a sorted index of names and data files with the values.

    PREFIX.index                  a table (see `table`): name -> BundleEntryProto
    PREFIX.data-SSSSS-of-NNNNN    the values, shard S of N; nothing but bytes at the places that the entries tell

    key ""               BundleHeaderProto: number of shards, byte order, version
    key 00...            an entry of one slice of a tensor (see `ordered_code`)
    key NAME             an entry of a tensor: dtype, shape, shard, offset, size, masked CRC-32C of its bytes on disk

A tensor that was saved in slices has an entry without data, which lists them; each slice has one of its own, with data.
Tensors may lie anywhere in a shard: writers align, and merge. Elements lie in row-major order, in the byte order of the
machine that wrote them; int4 and its like take a byte each. Strings: see `bundle_strings`. Variants (any C++ object,
such as a list of tensors) only their own classes can read: they are listed, and their values raise UnsupportedError.

Everything but the values is checked when a bundle is opened: each entry's place against its shard's size, its size
against dtype and shape, each listed slice against its own entry. Values are read, and their checksums compared, when
somebody asks; then too whether slices cover their tensor. Names are UTF-8; other bytes are kept as Python's surrogate
escapes, so that any name can be written back as it was.

Source: TensorFlow's util/tensor_bundle/tensor_bundle.cc.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

from . import protos
from .binary import Path, file_size
from .bundle_strings import StringTensor
from .crc import unmask
from .dtype import OPAQUE, STRING, DType
from .errors import FormatError, UnsupportedError
from .named_tensors import NamedTensors
from .ordered_code import FULL, decode_slice_key, encode_slice_key
from .packed import OpaqueTensor
from .sliced import Part, SlicedTensor, box_text
from .table import read_table
from .tensor import FileTensor, Tensor
from .tensor_proto import dtype_of_number

VERSION = 1
"""The bundle version that this reader knows."""

MAX_RANK = 32
"""Dimensions that any numpy's arrays can have (64 since numpy 2). TensorFlow's could have 254."""


class Bundle(NamedTensors):
    """The tensors of a checkpoint by name, in the order of its index (sorted by their bytes). Nothing stays open.

    `path` is the prefix, `num_shards` and `big_endian` come from the header.
    """

    __slots__ = ("_places", "big_endian", "num_shards")

    def __init__(
        self,
        path: str,
        num_shards: int,
        big_endian: bool,
        tensors: dict[str, Tensor],
        places: dict[str, tuple[int, int]],
    ) -> None:
        super().__init__(path, tensors)
        self.num_shards = num_shards
        self.big_endian = big_endian
        self._places = places

    def __repr__(self) -> str:
        return f"<Bundle {self.path!r}: {len(self)} tensors in {self.num_shards} shards>"

    def place(self, name: str) -> tuple[int, int]:
        """The shard and the byte at which a tensor's data begin; of a sliced one, its first piece's."""
        return self._places[name]


def read_bundle(prefix: Path) -> Bundle:
    """Opens the bundle PREFIX.index with its data files. FormatError if they are damaged, cut short or missing."""
    prefix = os.fspath(prefix)
    index = f"{prefix}.index"
    rows = read_table(index, "a checkpoint's index")
    key, value = next(rows, (None, b""))
    if key != b"":
        raise FormatError(index, f"expected the header under the empty key first, got {key!r}")
    return _Reader(prefix, index, protos.parse("BundleHeaderProto", value, index)).read(rows)


def storage_order(bundle: Bundle) -> list[str]:
    """The names in the order in which their data lie in the shards: the order to read them in."""
    return sorted(bundle, key=bundle.place)


class _Reader:
    """What the entries of one bundle are checked against, and made into tensors with."""

    def __init__(self, prefix: str, index: str, header: Any) -> None:
        self.prefix = prefix
        self.index = index
        self.num_shards = header.num_shards
        if self.num_shards < 0:
            raise FormatError(index, f"expected a number of shards, got {self.num_shards}")
        if header.endianness not in (0, 1):
            raise FormatError(
                index, f"expected byte order 0 (little-endian) or 1 (big-endian), got {header.endianness}"
            )
        self.big_endian = header.endianness == 1
        version = header.version
        if version.min_consumer > VERSION or VERSION in version.bad_consumers:
            raise UnsupportedError(
                index,
                f"expected a bundle for readers of version {VERSION}, got one for {version.min_consumer} and later",
            )
        self.shards: dict[int, tuple[str, int]] = {}
        self.places: dict[str, tuple[int, int]] = {}
        self.slices: dict[bytes, Any] = {}
        self.listed: set[bytes] = set()

    def read(self, rows: Iterator[tuple[bytes, bytes]]) -> Bundle:
        """The bundle; `rows` are its index but for the header."""
        from google.protobuf.message import DecodeError

        parse = protos.message_class("BundleEntryProto").FromString
        sliced: dict[str, Any] = {}
        tensors: dict[str, Any] = {}
        for key, value in rows:
            name = _text(key)
            try:
                entry = parse(value)
            except DecodeError:
                entry = protos.parse("BundleEntryProto", value, f"{self.index}: {name!r}")  # says what is wrong
            if key[0] == 0:
                self.slices[key] = entry
                continue
            if entry.slices:
                sliced[name] = entry
                tensors[name] = None  # keeps its place in the order
            else:
                tensors[name] = self.tensor(name, entry)
                self.places[name] = entry.shard_id, entry.offset
        for name, entry in sliced.items():
            tensors[name] = self.sliced(name, entry)
        for key in self.slices:
            if key not in self.listed:
                owner = _text(decode_slice_key(key, self.index).name)
                raise self.wrong(owner, "an entry that lists each of its slices", "a slice that none lists")
        return Bundle(self.prefix, self.num_shards, self.big_endian, tensors, self.places)

    def tensor(self, name: str, entry: Any) -> Tensor:
        """The tensor of an entry with data."""
        dtype, shape = self.type_of(name, entry)
        offset, size = entry.offset, entry.size
        path, end = self.shards.get(entry.shard_id) or self.shard(name, entry.shard_id)
        if offset < 0 or size < 0 or offset + size > end:
            raise FormatError(
                path, f"expected {size} bytes of {name!r} at byte {offset}, got a file that ends at byte {end}"
            )
        if dtype.itemsize and size != math.prod(shape) * dtype.itemsize:
            needed = math.prod(shape) * dtype.itemsize
            raise self.wrong(name, f"{needed} bytes of {dtype} {list(shape)}", f"an entry of {size}")
        if dtype.kind == STRING and size < math.prod(shape):
            raise self.wrong(name, f"a byte at least for each string of {list(shape)}", f"an entry of {size}")
        if dtype.kind == OPAQUE:
            return OpaqueTensor(dtype, shape, path, name)
        crc = unmask(entry.crc32c)
        if dtype.kind == STRING:
            return StringTensor(shape, path, offset, size, name=name, crc32c=crc, big_endian=self.big_endian)
        return FileTensor(dtype, shape, path, offset, name=name, crc32c=crc, big_endian=self.big_endian)

    def sliced(self, name: str, entry: Any) -> Tensor:
        """The tensor of an entry that lists slices."""
        dtype, shape = self.type_of(name, entry)
        parts = []
        for proto in entry.slices:
            part, place = self.part(name, dtype, shape, proto)
            self.places[name] = min(place, self.places.get(name, place))
            parts.append(part)
        return SlicedTensor(dtype, shape, parts, name=name, path=self.index)

    def part(self, name: str, dtype: DType, shape: tuple[int, ...], proto: Any) -> tuple[Part, tuple[int, int]]:
        """A listed slice, and its shard and offset."""
        lengths = [e.length if e.WhichOneof("has_length_hack") else FULL for e in proto.extent]
        extents = tuple((e.start, length) for e, length in zip(proto.extent, lengths, strict=True))
        if len(extents) != len(shape):
            raise self.wrong(name, f"slices of {len(shape)} dimensions", f"one of {len(extents)}")
        box = tuple(
            (first, first + length) if (first, length) != (0, FULL) else (0, size)
            for (first, length), size in zip(extents, shape, strict=True)
        )
        if not all(0 <= first <= end <= size for (first, end), size in zip(box, shape, strict=True)):
            raise self.wrong(name, f"slices within {list(shape)}", box_text(box))
        key = encode_slice_key(name.encode("utf-8", "surrogateescape"), extents)
        entry = self.slices.get(key)
        if entry is None:
            raise self.wrong(name, f"an entry for its slice {box_text(box)}", "none")
        self.listed.add(key)
        if entry.slices:
            raise self.wrong(name, f"an entry with data for its slice {box_text(box)}", "one that lists slices")
        tensor = self.tensor(f"{name} {box_text(box)}", entry)
        lengths = [end - first for first, end in box]
        if tensor.dtype != dtype or list(tensor.shape) != lengths:
            expected = f"{dtype} {lengths} for its slice {box_text(box)}"
            raise self.wrong(name, expected, f"{tensor.dtype} {list(tensor.shape)}")
        return Part(tuple(first for first, _ in box), tensor), (entry.shard_id, entry.offset)

    def type_of(self, name: str, entry: Any) -> tuple[DType, tuple[int, ...]]:
        """An entry's dtype and shape, checked."""
        dtype = dtype_of_number(entry.dtype)
        if dtype.kind == OPAQUE and dtype.name not in ("variant", "resource"):
            raise self.wrong(name, "a type that TensorFlow saves", f"number {entry.dtype}")
        shape = tuple([dim.size for dim in entry.shape.dim])
        if entry.shape.unknown_rank or (shape and min(shape) < 0):
            got = "an unknown rank" if entry.shape.unknown_rank else f"shape {list(shape)}"
            raise self.wrong(name, "a known shape", got)
        if len(shape) > MAX_RANK:
            raise UnsupportedError(
                self.index, f"tensor {name!r}: expected at most {MAX_RANK} dimensions, got {len(shape)}"
            )
        if math.prod(filter(None, shape)) * (dtype.itemsize or 8) >= 1 << 63:  # zeros too: numpy can't hold them
            raise self.wrong(name, "a shape below 2**63 bytes", f"shape {list(shape)}")
        return dtype, shape

    def shard(self, name: str, number: int) -> tuple[str, int]:
        """The path and the size in bytes of a data file, looked up once."""
        if not 0 <= number < self.num_shards:
            raise self.wrong(name, f"a shard below {self.num_shards}", f"shard {number}")
        path = f"{self.prefix}.data-{number:05d}-of-{self.num_shards:05d}"
        found = path, file_size(path, f"the data shard {number} of {self.num_shards}")
        self.shards[number] = found
        return found

    def wrong(self, name: str, expected: str, got: str) -> FormatError:
        return FormatError(self.index, f"tensor {name!r}: expected {expected}, got {got}")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")
