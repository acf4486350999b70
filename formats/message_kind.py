"""Telling TensorFlow's message files apart by how they begin, binary or text, whatever they are called.

A binary message doesn't say what it is, but its first fields do:

    GraphDef       field 1, a NodeDef: its field 2, the op, is a word. Without nodes: field 2 (a library of functions),
                   3 (a number) or 4 (versions: numbers)
    MetaGraphDef   field 1, a MetaInfoDef: its field 2, if there, is an OpList, which begins with byte 0a.
                   Or field 2, a GraphDef; or maps in 4 and 5 (their entries begin with 0a)
    SavedModel     field 1 is the number 1, field 2 a MetaGraphDef
    ModelProto     (ONNX) field 1 is a small number; then come texts, a number or the graph, by their field numbers

A text form begins with the name of one of the message's fields, and no two of them share a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from . import wire
from .binary import BinaryFile
from .errors import FormatError
from .wire import BYTES, VARINT, Field, fields

TEXT_FIELDS = {
    "GraphDef": "node versions version library debug_info",
    "MetaGraphDef": "meta_info_def graph_def saver_def collection_def signature_def asset_file_def object_graph_def",
    "SavedModel": "saved_model_schema_version meta_graphs",
    "CheckpointState": "model_checkpoint_path all_model_checkpoint_paths all_model_checkpoint_timestamps "
    "last_preserved_timestamp",
}

_HEAD = 1 << 16
"""Bytes in which the first word of a text form has to come, comments before it or not."""

_FIELDS = 1000
"""Fields of one message that are looked at. A MetaInfoDef has as many as it has tags and functions' other names."""

_BY_FIELD = {field: name for name, names in TEXT_FIELDS.items() for field in names.split()}
_FIRST_WORD = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s|#[^\n]*\n)*([a-z_]+)\s*[:{<]")
_OP = re.compile(rb"[A-Za-z_][!-~]*")

_META_INFO = {1: BYTES, 2: BYTES, 3: BYTES, 4: BYTES, 5: BYTES, 6: BYTES, 7: VARINT, 8: BYTES}
_MODEL = {2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES, 14: BYTES, 20: BYTES, 25: BYTES}


@dataclass(frozen=True, slots=True)
class MessageKind:
    """The message's name, as in `protos.message_class` (or ModelProto), and whether it is in text form."""

    name: str
    text: bool = False

    def __str__(self) -> str:
        return f"{self.name} in text form" if self.text else self.name


def message_kind(file: BinaryFile) -> MessageKind | None:
    """Which message a file means to be; None for what is none of these. Only parsing proves it."""
    word = _FIRST_WORD.match(file.window(0, min(file.size, _HEAD), "the beginning").data)
    if word is not None and word[1].decode() in _BY_FIELD:
        return MessageKind(_BY_FIELD[word[1].decode()], text=True)
    try:
        name = _binary_kind(file)
    except FormatError:  # no protobuf message at all
        return None
    return None if name is None else MessageKind(name)


def _binary_kind(file: BinaryFile) -> str | None:
    found = list(islice(fields(file, 0, file.size), 2))
    if not found:
        return None
    first = found[0]
    match first.number, first.kind:
        case 1, wire.VARINT:
            return _versioned(file, first.value, found[1:])
        case 1, wire.BYTES:
            if _is_node(file, first):
                return "GraphDef"
            return "MetaGraphDef" if _is_meta_info(file, first) else None
        case 2, wire.BYTES:
            inner = next(fields(file, first.start, first.end), None)
            is_graph = inner is not None and (inner.number == 4 or _is_node(file, inner))
            return "MetaGraphDef" if is_graph else "GraphDef"
        case 3, wire.VARINT:
            return "GraphDef"
        case 3, wire.BYTES:
            return "MetaGraphDef"
        case ((4 | 5), wire.BYTES):
            return "MetaGraphDef" if _begins(file, first, b"\n") else "GraphDef"
    return None


def _versioned(file: BinaryFile, version: int, rest: list[Field]) -> str | None:
    """A message that begins with a version number: a SavedModel or an ONNX model."""
    if not rest:
        return "SavedModel" if version == 1 else None
    second = rest[0]
    if version == 1 and (second.number, second.kind) == (2, BYTES) and _begins(file, second, b"\n", b"\x12", b""):
        return "SavedModel"
    return "ModelProto" if 0 < version < 1000 and _MODEL.get(second.number) == second.kind else None


def _is_node(file: BinaryFile, field: Field) -> bool:
    """Whether `field` is a NodeDef: one of its first two fields is the op, and a word."""
    if (field.number, field.kind) != (1, BYTES):
        return False
    for inner in islice(fields(file, field.start, field.end), 2):
        if inner.kind != BYTES:
            return False
        if inner.number == 2:
            return (
                _OP.fullmatch(file.window(inner.start, min(inner.end - inner.start, _HEAD), "an op").data) is not None
            )
    return False


def _is_meta_info(file: BinaryFile, field: Field) -> bool:
    """Whether `field` is a MetaInfoDef: it has no other fields than one has."""
    for inner in islice(fields(file, field.start, field.end), _FIELDS):
        if _META_INFO.get(inner.number) != inner.kind:
            return False
        if inner.number == 2 and not _begins(file, inner, b"\n", b""):
            return False
    return True


def _begins(file: BinaryFile, field: Field, *bytes_: bytes) -> bool:
    """Whether the field's first byte is one of `bytes_` (b"" for a field that is empty)."""
    return file.window(field.start, min(field.end - field.start, 1), "a field").data in bytes_
