"""A protobuf message in pieces (`saved_model.cpb`), as protobuf ends at 2 GiB: what TensorFlow's proto_splitter writes.

    records          the pieces, each a message or bytes; last a ChunkMetadata
    ChunkMetadata    where each piece is (the record's position), and a ChunkedMessage
    ChunkedMessage   a piece to begin with, and fields: the way from this message to one inside of it, and the
                     ChunkedMessage that is merged into it there
    the way          field numbers, and after a repeated field an index, after a map a key; none for the message itself

Pieces are merged in the order of their ways, so that a list's first item is there before its second: repeated fields
grow, bytes are appended. Only the message as a whole may be larger than protobuf's limit, and then only in memory.

Source: tensorflow/tools/proto_splitter, chunk.proto and merge.cc.
"""

from __future__ import annotations

import os
from typing import Any

from . import protos
from .binary import Path
from .errors import FormatError, UnsupportedError
from .riegeli import RiegeliFile, open_riegeli

JOIN_VERSION = 0
"""The newest way of joining pieces that is known here."""

_BYTES = 2


def read_chunked(name: str, path: Path) -> Any:
    """The message `name` in the file `path`. FormatError where the pieces don't fit together."""
    path = os.fspath(path)
    what = f"a {name} in pieces"
    with open_riegeli(path, what) as file:
        records = RiegeliFile(file)
        metadata = protos.parse("ChunkMetadata", records.last("the pieces' index"), path)
        if metadata.version.join_version > JOIN_VERSION:
            raise UnsupportedError(
                path, f"expected pieces that version {JOIN_VERSION} can join, got {metadata.version.join_version}"
            )
        message = protos.message_class(name)()
        _Joining(records, metadata.chunks, path).join(message, metadata.message)
    return message


class _Joining:
    """The pieces of one message."""

    def __init__(self, records: RiegeliFile, chunks: Any, path: str) -> None:
        self.records = records
        self.chunks = chunks
        self.path = path

    def join(self, message: Any, pieces: Any) -> None:
        """Merges pieces into a message. Their depth is bounded by protobuf's own, that has read them."""
        if pieces.HasField("chunk_index"):
            self.merge(message, pieces.chunk_index)
        for field in sorted(pieces.chunked_fields, key=_order):
            self.join_field(message, field)

    def join_field(self, message: Any, field: Any) -> None:
        """Merges what belongs at the end of a field's way."""
        tags = list(field.field_tag)
        if not tags:
            self.join(message, field.message)
            return
        while True:
            descriptor = self.descriptor(message, tags.pop(0))
            if descriptor.message_type is None:
                break
            value = getattr(message, descriptor.name)
            if _is_map(descriptor):
                message = self.map_value(value, descriptor, tags.pop(0) if tags else None)
            elif _is_repeated(descriptor, value):
                message = self.item(value, descriptor, tags.pop(0) if tags else None)
            else:
                value.SetInParent()
                message = value
            if not tags:
                self.join(message, field.message)
                return
        if (
            tags
            or descriptor.type != descriptor.TYPE_BYTES
            or _is_repeated(descriptor, getattr(message, descriptor.name))
        ):
            raise self.error(f"a message or bytes at the end of a way, got the field {descriptor.full_name}")
        if field.message.chunked_fields or not field.message.HasField("chunk_index"):
            raise self.error(f"one piece for the bytes {descriptor.full_name}, got others")
        setattr(message, descriptor.name, getattr(message, descriptor.name) + self.piece(field.message.chunk_index)[0])

    def descriptor(self, message: Any, tag: Any) -> Any:
        """The descriptor of the field that a step of a way names."""
        found = message.DESCRIPTOR.fields_by_number.get(tag.field) if tag.WhichOneof("kind") == "field" else None
        if found is None:
            raise self.error(f"a field of {message.DESCRIPTOR.full_name}, got {_text(tag)}")
        return found

    def map_value(self, values: Any, descriptor: Any, tag: Any) -> Any:
        """The value of a map under a key, made where there is none."""
        key = getattr(tag.map_key, tag.map_key.WhichOneof("type") or "s") if _kind(tag) == "map_key" else None
        if (
            key is None
            or not hasattr(values, "GetEntryClass")
            or descriptor.message_type.fields_by_number[2].message_type is None
        ):
            raise self.error(f"a key of the map {descriptor.full_name}, got {_text(tag)}")
        try:
            return values[key]
        except (TypeError, ValueError):
            raise self.error(f"a key of the map {descriptor.full_name}, got {_text(tag)}") from None

    def item(self, values: Any, descriptor: Any, tag: Any) -> Any:
        """An item of a list, made where it is the next one."""
        if _kind(tag) != "index" or tag.index > len(values):
            raise self.error(f"an index up to {len(values)} of {descriptor.full_name}, got {_text(tag)}")
        return values.add() if tag.index == len(values) else values[tag.index]

    def merge(self, message: Any, index: int) -> None:
        """Merges a piece that is a message into one of its kind."""
        from google.protobuf.message import DecodeError

        data, is_bytes = self.piece(index)
        if is_bytes:
            raise self.error(f"piece {index} to be a message, got bytes")
        try:
            message.MergeFromString(data)
        except (DecodeError, RecursionError):
            raise self.error(
                f"piece {index} to be a {message.DESCRIPTOR.name}, got {len(data)} bytes that are none"
            ) from None

    def piece(self, index: int) -> tuple[bytes, bool]:
        """A piece, and whether it is bytes and no message."""
        if index >= len(self.chunks):
            raise self.error(f"a piece below {len(self.chunks)}, got {index}")
        chunk = self.chunks[index]
        data = self.records.record(chunk.offset, f"piece {index}")
        if len(data) != chunk.size:
            raise self.error(f"{chunk.size} bytes in piece {index}, got {len(data)}")
        return data, chunk.type == _BYTES

    def error(self, problem: str) -> FormatError:
        return FormatError(self.path, f"expected {problem}")


def _order(field: Any) -> tuple[list[tuple[int, int]], int]:
    """Pieces by their ways, those of one way as they were numbered. Keys of maps have no order."""
    way = [(0, tag.field) if tag.WhichOneof("kind") == "field" else (1, tag.index) for tag in field.field_tag]
    return way, field.message.chunk_index


def _is_map(descriptor: Any) -> bool:
    return bool(descriptor.message_type is not None and descriptor.message_type.GetOptions().map_entry)


def _is_repeated(descriptor: Any, value: Any) -> bool:
    # By what a value can do: descriptors say in other words in every few versions of protobuf.
    return not _is_map(descriptor) and hasattr(value, "extend")


def _kind(tag: Any) -> str | None:
    return None if tag is None else str(tag.WhichOneof("kind"))


def _text(tag: Any) -> str:
    return "nothing" if tag is None else " ".join(str(tag).split()) or "nothing"
