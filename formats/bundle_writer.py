"""Writing a V2 checkpoint (see `bundle`), byte for byte as TensorFlow's SaveV2 and MergeV2Checkpoints do.

    PREFIX.data-SSSSS-of-NNNNN    the values in the order in which they are given, one right after the other
    PREFIX.index                  the header, then the entries by key, in a table (see `table_writer`)

    header         num_shards; endianness 0; version {producer 1}
    entry          dtype, shape, shard_id, offset, size, crc32c: zeros are left out, a scalar's empty shape is not
    sliced tensor  dtype, shape, the slices in the order of their data, and the first shard that holds one as shard_id;
                   neither offset, size nor checksum, which are in the entries of the slices

A slice that spans its whole tensor is saved as the tensor. The values are little-endian, whatever the source's are.

TensorFlow 1.15 and 2.21 write the same bytes; what differs is only which types they know.

Source: TensorFlow's util/tensor_bundle/tensor_bundle.cc.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import protos
from .atomic import OutputSet, outputs
from .binary import Path
from .bundle import MAX_RANK, VERSION
from .bundle_layout import Extents, Piece, Placed, plan_layout
from .crc import crc32c, mask
from .dtype import OPAQUE, STRING
from .errors import NameMapError, UnsupportedError, listing
from .ordered_code import FULL, encode_slice_key
from .packed import OpaqueTensor
from .stream import Sink
from .table_writer import write_table
from .tensor import FileTensor, Tensor
from .tensor_proto import has_number, number_of_dtype
from .wire import varint


def write_bundle(
    prefix: Path,
    tensors: Mapping[str, Tensor],
    *,
    files: OutputSet | None = None,
    force: bool = False,
    shards: Sequence[Sequence[str | Piece]] | int = 1,
    order: Sequence[str | Piece] | None = None,
    keep_slices: bool = False,
) -> None:
    """Writes `tensors` as the bundle `prefix`, whole or not at all; among `files`, when these are published.

    The data come in the order of the mapping, or in `order`; `shards` lists what each shard holds, or is a number of
    shards, of about as many bytes each. A name stands for the whole tensor, or with `keep_slices` for its slices if the
    source has it in slices; a `Piece` may name a single one, as `read_layout` gives them.

    In memory there is one chunk of one tensor at a time; tensors of strings are there whole. UnsupportedError and
    NameMapError list all tensors that the format has no place for (see `refuse_unstorable`), UsageError what is missing
    or doubled in `order` or `shards`.
    """
    refuse_unstorable(tensors)
    layout = plan_layout(tensors, shards, order, keep_slices)
    with outputs(force, files) as opened_in:
        *opened, index_file = [opened_in.open(path) for path in bundle_files(prefix, len(layout))]
        index = _Index(tensors)
        for number, (file, shard) in enumerate(zip(opened, layout, strict=True)):
            values: list[tuple[Placed, int, int, Callable[[], int]]] = []
            with Sink(file) as sink:
                for placed in shard:
                    offset = sink.size
                    checksum = _append(sink, placed)
                    values.append((placed, offset, sink.size - offset, checksum))
            for placed, offset, size, checksum in values:
                index.add(placed, number, offset, size, checksum())
        write_table(index_file, index.rows(len(layout)))


def bundle_files(prefix: Path, shards: int) -> list[str]:
    """The paths of a bundle's files, the index last."""
    prefix = os.fspath(prefix)
    return [*(f"{prefix}.data-{shard:05d}-of-{shards:05d}" for shard in range(shards)), f"{prefix}.index"]


def refuse_unstorable(tensors: Mapping[str, Tensor]) -> None:
    """Raises UnsupportedError for all types and names that a bundle can't hold, NameMapError for names that are one."""
    odd = [
        f"{name!r} ({tensor.dtype}{f', rank {tensor.rank}' if tensor.rank > MAX_RANK else ''})"
        for name, tensor in tensors.items()
        if not can_hold(tensor)
    ]
    if odd:
        hint = "--unstorable says what to do, or --exclude them"
        raise UnsupportedError("checkpoint", f"can't be written with {listing(odd)}", hint=hint)
    names = [name for name in tensors if not name or name[0] == "\0" or not _is_text(name)]
    if names:
        raise UnsupportedError(
            "checkpoint", f"can't hold tensors named {listing(map(repr, names))}", hint="rename them"
        )
    keys = Counter(_key(name) for name in tensors)
    if len(keys) < len(tensors):
        same = [name for name in tensors if keys[_key(name)] > 1]
        raise NameMapError("checkpoint", f"expected names that differ as UTF-8, got {listing(map(repr, same))}")


def can_hold(tensor: Tensor) -> bool:
    """Whether the format has a place for a tensor: its type is one of TensorFlow's, and bytes tell its value."""
    plain = tensor.dtype.kind != OPAQUE and not isinstance(tensor, OpaqueTensor)
    return plain and has_number(tensor.dtype) and tensor.rank <= MAX_RANK


def _append(sink: Sink, placed: Placed) -> Callable[[], int]:
    """Appends a value; tells its checksum once the sink is done."""
    tensor = placed.tensor
    if tensor.dtype.kind == STRING:
        checksum = _append_strings(sink, tensor, placed.name)
        return lambda: checksum
    known = _known_checksum(tensor)
    written = sink.append(tensor, placed.name, summed=known is None)
    return lambda: written.crc32c if known is None else known


def _append_strings(sink: Sink, tensor: Tensor, name: str) -> int:
    """The lengths, their checksum, the strings; the lengths count in checksums as numbers, not as varints."""
    strings = [_string(value, name) for value in tensor.numpy().reshape(-1).tolist()]
    lengths = list(map(len, strings))
    sink.write(b"".join(map(varint, lengths)))
    crc = crc32c(b"".join(n.to_bytes(4 if n < 1 << 32 else 8, "little") for n in lengths))
    for data in mask(crc).to_bytes(4, "little"), *strings:
        sink.write(data)
        crc = crc32c(data, crc)
    return crc


class _Index:
    """The entries of a bundle, as messages by key."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors
        self.entries: dict[bytes, Any] = {}

    def add(self, placed: Placed, shard: int, offset: int, size: int, checksum: int) -> None:
        """The entry of a piece; that of its tensor too, if it is a slice."""
        key = _key(placed.name)
        if placed.extents is not None:
            if key not in self.entries:
                self.entries[key] = _entry(self.tensors[placed.name], shard)
            _add_slice(self.entries[key], placed.extents)
            key = encode_slice_key(key, placed.extents)
        entry = self.entries[key] = _entry(placed.tensor, shard)
        entry.offset = offset
        entry.size = size
        entry.crc32c = mask(checksum)

    def rows(self, shards: int) -> dict[bytes, bytes]:
        """The rows of the table, with the header."""
        header = protos.message_class("BundleHeaderProto")(num_shards=shards)
        header.version.producer = VERSION
        return {b"": header.SerializeToString()} | {key: e.SerializeToString() for key, e in self.entries.items()}


def _entry(tensor: Tensor, shard: int) -> Any:
    entry = protos.message_class("BundleEntryProto")(dtype=number_of_dtype(tensor.dtype), shard_id=shard)
    entry.shape.SetInParent()
    for size in tensor.shape:
        entry.shape.dim.add(size=size)
    return entry


def _add_slice(entry: Any, extents: Extents) -> None:
    extent = entry.slices.add().extent
    for start, length in extents:
        if (start, length) == (0, FULL):
            extent.add()
        else:
            extent.add(start=start, length=length)


def _known_checksum(tensor: Tensor) -> int | None:
    """The checksum of a value that is compared with it anyhow while it is read, and stays as it is."""
    if type(tensor) is not FileTensor or (tensor.big_endian and tensor.dtype.itemsize > 1):
        return None
    return tensor.crc32c


def _string(value: object, name: str) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str) and _is_text(value):
        return _key(value)
    raise UnsupportedError(name, f"expected strings, got {value!r:.80}")


def _is_text(name: str) -> bool:
    try:
        _key(name)
    except UnicodeEncodeError:
        return False
    return True


def _key(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
