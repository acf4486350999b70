"""The V1 checkpoint: metadata and values in one table, as TensorFlow wrote them up to 0.11 (`Saver(write_version=V1)`).

    PATH                        a table (see `table`), its blocks plain or compressed
    PREFIX-SSSSS-of-NNNNN       several of them, shard S of N, each a checkpoint of a part of the tensors

    key ""                      SavedTensorSlices with `meta`: each tensor's name, shape, dtype and slices; the version
    key 00...                   SavedTensorSlices with `data`: the values of one slice (see `ordered_code`, `v1_slice`)

A tensor that was saved whole has one slice, open along every dimension (its key has start 0, length -1). The slices of
a partitioned variable may lie in several shards; each shard's metadata tell the whole shape and the slices that it has.

When a checkpoint is opened, its metadata are read and checked, and each shard's index. Entries are looked up, and what
they hold is checked, when somebody asks for values; then too whether the slices cover their tensor. An entry that no
metadata list is not seen.

Source: TensorFlow's util/tensor_slice_writer.cc, tensor_slice_reader.cc.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from typing import Any

from . import protos
from .binary import Path
from .bundle_layout import Layout, Piece
from .checkpoint_state import v1_shards
from .dtype import DType
from .errors import FormatError, UnsupportedError, listing
from .named_tensors import NamedTensors
from .ordered_code import FULL
from .sliced import Part, SlicedTensor, box_text
from .table_lookup import TableLookup
from .tensor import Tensor
from .tensor_proto import dtype_of_number
from .v1_slice import TYPES, Extents, SliceTensor, extents_of

VERSION = 1
"""The version of checkpoints that this reader knows."""

MAX_RANK = 32
"""Dimensions that any numpy's arrays can have."""

_PATTERN = re.compile(r"(.+)-\?{5}-of-\d{5}", re.DOTALL)
"""What a Saver calls a sharded checkpoint, and writes into the state file."""
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})", re.DOTALL)


class V1Checkpoint(NamedTensors):
    """The tensors of a V1 checkpoint by name, sorted by the names' bytes. Nothing stays open.

    `path` is the file or the prefix, `files` are the shards in order.
    """

    __slots__ = ("files",)

    def __init__(self, path: str, files: tuple[str, ...], tensors: dict[str, Tensor]) -> None:
        super().__init__(path, tensors)
        self.files = files

    def layout(self) -> Layout:
        """What lies in which shard, by name, as `bundle_layout` has it: to write a bundle with the same slices."""
        shards: dict[str, list[Piece]] = {file: [] for file in self.files}
        for name, tensor in self.items():
            parts = [part.tensor for part in tensor.parts] if isinstance(tensor, SlicedTensor) else [tensor]
            for part in parts:
                if isinstance(part, SliceTensor):
                    extents = part.extents if isinstance(tensor, SlicedTensor) else None
                    shards[os.fspath(part.table.path)].append(Piece(name, extents))
        return list(shards.values())

    def __repr__(self) -> str:
        return f"<V1Checkpoint {self.path!r}: {len(self)} tensors in {len(self.files)} shards>"


def read_v1(path: Path) -> V1Checkpoint:
    """Opens the V1 checkpoint at `path`: a file, a prefix of shards, one shard (for all), or PREFIX-?????-of-NNNNN.

    FormatError if it is none, is damaged, or lacks a shard.
    """
    path = os.fspath(path)
    files = shard_files(path)
    found: dict[str, _Entry] = {}
    for file in files:
        _read_metadata(file, found)
    names = sorted(found, key=lambda name: name.encode("utf-8"))
    return V1Checkpoint(path, tuple(files), {name: found[name].tensor(name) for name in names})


def shard_files(path: str) -> list[str]:
    """The files of the checkpoint at `path`: itself, or its shards in order. FormatError where one is missing."""
    shard = _SHARD.fullmatch(path)
    if os.path.isfile(path) and not shard:
        return [path]
    pattern = _PATTERN.fullmatch(path)
    prefix = next((match[1] for match in (pattern, shard) if match), path)
    found = [match for match in map(_SHARD.fullmatch, v1_shards(prefix)) if match]
    if pattern or shard:
        found = [match for match in found if match[3] == path[-5:]]
    counts = sorted({match[3] for match in found})
    if not counts:
        raise FormatError(path, "expected a V1 checkpoint or its shards, got no such file")
    if len(counts) > 1:
        raise FormatError(path, f"expected the shards of one checkpoint, got some of {listing(counts)}")
    if [int(match[2]) for match in found] != list(range(int(counts[0]))):
        raise FormatError(path, f"expected all {int(counts[0])} shards, got {listing(match[2] for match in found)}")
    return [match[0] for match in found]


@dataclass(slots=True)
class _Entry:
    """What the metadata say of one tensor, all shards together."""

    path: str
    dtype: DType
    shape: tuple[int, ...]
    slices: list[tuple[TableLookup, Extents]] = field(default_factory=list)

    def tensor(self, name: str) -> Tensor:
        key = name.encode("utf-8")
        parts = []
        for table, extents in self.slices:
            box = self._box(table, name, extents)
            shape = tuple(end - first for first, end in box)
            parts.append(Part(tuple(first for first, _ in box), SliceTensor(self.dtype, shape, table, key, extents)))
        if len(parts) == 1 and parts[0].tensor.shape == self.shape:
            return parts[0].tensor
        return SlicedTensor(self.dtype, self.shape, parts, name=name, path=self.path)

    def _box(self, table: TableLookup, name: str, extents: Extents) -> tuple[tuple[int, int], ...]:
        """(first, end) along each dimension."""
        if len(extents) != len(self.shape):
            raise _wrong(table.path, name, f"slices of {len(self.shape)} dimensions", f"one of {len(extents)}")
        box = tuple(
            (0, size) if extent == (0, FULL) else (extent[0], extent[0] + extent[1])
            for extent, size in zip(extents, self.shape, strict=True)
        )
        if not all(0 <= first <= end <= size for (first, end), size in zip(box, self.shape, strict=True)):
            raise _wrong(table.path, name, f"slices within {list(self.shape)}", box_text(box))
        return box


def _read_metadata(path: str, found: dict[str, _Entry]) -> None:
    """Adds the tensors and slices of one file to `found`."""
    table = TableLookup(path)
    value = table.find(b"")
    if value is None:
        raise FormatError(path, "expected the metadata of a V1 checkpoint under the empty key, got none")
    saved = protos.parse("SavedTensorSlices", b"".join(value.chunks(value.start, value.end)), path)
    if not saved.HasField("meta"):
        hint = "the index of a V2 checkpoint is read by its prefix" if path.endswith(".index") else ""
        raise FormatError(path, "expected the metadata of a V1 checkpoint, got another message", hint=hint)
    versions = saved.meta.versions
    if versions.min_consumer > VERSION or VERSION in versions.bad_consumers:
        raise UnsupportedError(
            path,
            f"expected a checkpoint for readers of version {VERSION}, got one for {versions.min_consumer} and later",
        )
    for tensor in saved.meta.tensor:
        name = tensor.name
        dtype, shape = _type(path, name, tensor)
        entry = found.setdefault(name, _Entry(path, dtype, shape))
        if (entry.dtype, entry.shape) != (dtype, shape):
            expected = f"{entry.dtype} {list(entry.shape)} everywhere, as in {entry.path}"
            raise _wrong(path, name, expected, f"{dtype} {list(shape)}")
        entry.slices += [(table, extents_of(proto)) for proto in tensor.slice]


def _type(path: str, name: str, tensor: Any) -> tuple[DType, tuple[int, ...]]:
    """A tensor's dtype and shape, checked."""
    dtype = dtype_of_number(tensor.type)
    if dtype.name not in TYPES:
        raise _wrong(path, name, "a type that V1 checkpoints hold", str(dtype))
    shape = tuple(dim.size for dim in tensor.shape.dim)
    if tensor.shape.unknown_rank or min(shape, default=0) < 0:
        got = "an unknown rank" if tensor.shape.unknown_rank else f"shape {list(shape)}"
        raise _wrong(path, name, "a known shape", got)
    if len(shape) > MAX_RANK:
        raise UnsupportedError(path, f"tensor {name!r}: expected at most {MAX_RANK} dimensions, got {len(shape)}")
    if math.prod(filter(None, shape)) * (dtype.itemsize or 8) >= 1 << 63:  # zeros too: numpy can't hold them
        raise _wrong(path, name, "a shape below 2**63 bytes", f"shape {list(shape)}")
    return dtype, shape


def _wrong(path: Path, name: str, expected: str, got: str) -> FormatError:
    return FormatError(path, f"tensor {name!r}: expected {expected}, got {got}")
