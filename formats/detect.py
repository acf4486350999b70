"""What is at a path: a checkpoint, a graph, a SavedModel, safetensors, npz, ONNX. Only beginnings and ends are read.

    bundle              PREFIX.index with PREFIX.data-SSSSS-of-NNNNN: given as the prefix, as one of its files, as the
                        state file `checkpoint`, or as a directory with that file or with just one .index. Its graph
                        is PREFIX.meta, else graph.pbtxt in the same directory
    v1_checkpoint       a table without that name, or the prefix of PREFIX-SSSSS-of-NNNNN
    meta_graph          a MetaGraphDef, binary or text       graph_def      a GraphDef, binary or text
    saved_model         a directory with saved_model.pb (.pbtxt, .cpb), or that file
    safetensors         a file with its header               safetensors_index    the JSON file over several
    npz                 a zip of .npy files                  onnx           a ModelProto

The content decides, not the name; names only lead from one file of a checkpoint to its others. What exists under the
very name that was given comes first: `model.ckpt` means a file of that name, then the prefix of `model.ckpt.index`.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from typing import Literal

from .binary import BinaryFile, Path, open_file, read_file
from .checkpoint_state import STATE_FILE, checkpoint_kind, latest_checkpoint, locate, prefixes, read_state, v1_shards
from .errors import FormatError, listing
from .message_kind import message_kind
from .table import is_table

Kind = Literal[
    "bundle",
    "v1_checkpoint",
    "meta_graph",
    "graph_def",
    "saved_model",
    "safetensors",
    "safetensors_index",
    "npz",
    "onnx",
]

GRAPH_FILE = "graph.pbtxt"
"""Where Estimators and monitored sessions write a run's graph, for all of its checkpoints."""

SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb")

_DATA_FILE = re.compile(r"(.+)\.data-\d{5,}-of-\d{5,}")
_V1_SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}")
_MAX_INDEX = 100 << 20
"""Bytes of a safetensors index."""

_MESSAGES: dict[str, Kind] = {
    "GraphDef": "graph_def",
    "MetaGraphDef": "meta_graph",
    "SavedModel": "saved_model",
    "ModelProto": "onnx",
}
_STRANGERS = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file (Keras weights?)",
    b"\x93NUMPY": "a single array (.npy)",
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"\xfd7zXZ\x00": "an xz archive: unpack it first",
    b"BZh": "a bzip2 archive: unpack it first",
    b"\x80\x02": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"GGUF": "a GGUF file",
}
_EXPECTED = "a checkpoint, a graph, a SavedModel, safetensors, npz or ONNX"


@dataclass(frozen=True, slots=True)
class Source:
    """What was found: its kind, and the `path` to open it by (the prefix of a checkpoint, a SavedModel's directory)."""

    kind: Kind
    path: str
    checkpoint: str | None = None
    """The prefix of the V2 checkpoint, of a bundle or beside a .meta."""
    graph: str | None = None
    """The graph's file: the .meta given, or what is beside a checkpoint."""

    @property
    def files(self) -> list[str]:
        """The files that make it up, sorted: what a conversion reads, and must not write over."""
        found = [self.path] if self.graph is None else [self.path, self.graph]
        if self.checkpoint is not None or self.kind == "v1_checkpoint":
            prefix = self.checkpoint or self.path
            found += [f"{prefix}.index", *_data_files(prefix), *v1_shards(prefix)]
        if self.kind == "saved_model":
            found += [os.path.join(folder, name) for folder, _, names in os.walk(self.path) for name in names]
        if self.kind == "safetensors_index":
            found += _safetensors_files(self.path)
        if self.kind == "onnx":
            found.append(f"{self.path}.data")
        return sorted({path for path in found if os.path.isfile(path)})


def detect(path: Path) -> Source:
    """Finds out what is at `path`. FormatError if that is nothing, or nothing that is read here."""
    path = os.fspath(path)
    if "\0" in path:
        raise FormatError(path, f"expected {_EXPECTED}, got a path that no file can have")
    data_file = _DATA_FILE.fullmatch(path)
    if data_file and os.path.isfile(path):
        return _bundle(data_file[1], path)
    if os.path.isdir(path):
        return _directory(path)
    if os.path.exists(path):
        with open_file(path, _EXPECTED) as file:
            return _file(path, file)
    return _prefix(path)


def _bundle(prefix: str, path: str) -> Source:
    if not os.path.isfile(f"{prefix}.index"):
        raise FormatError(path, f"expected the checkpoint's index {prefix + '.index'!r} beside it, got no such file")
    return _checkpoint(prefix)


def _checkpoint(prefix: str) -> Source:
    """The source for a prefix where there is a checkpoint."""
    beside = (f"{prefix}.meta", os.path.join(os.path.dirname(prefix), GRAPH_FILE))
    graph = next(filter(os.path.isfile, beside), None)
    if checkpoint_kind(prefix) == "bundle":
        return Source("bundle", prefix, prefix, graph)
    return Source("v1_checkpoint", prefix, None, graph)


def _prefix(path: str) -> Source:
    """The source for a path at which no file is."""
    if checkpoint_kind(path):
        return _checkpoint(path)
    for name in (f"{path}.meta", *_data_files(path)):
        if os.path.isfile(name):
            hint = f"only {os.path.basename(name)} is there"
            raise FormatError(
                path, f"expected a checkpoint with its index {path + '.index'!r}, got no such file", hint=hint
            )
    raise FormatError(path, f"expected {_EXPECTED}, got no such file or checkpoint", hint=_near(path))


def _near(path: str) -> str:
    """What there is by a similar name."""
    import difflib

    directory, name = os.path.split(path)
    try:
        names = os.listdir(directory or ".")
    except OSError:
        return f"there is no directory {directory!r}"
    names = sorted(set(names).union(prefixes(directory)))[:10_000]
    return listing([f"did you mean {n!r}?" for n in difflib.get_close_matches(name, names, 1)])


def _directory(path: str) -> Source:
    for name in SAVED_MODEL_FILES:
        if os.path.isfile(os.path.join(path, name)):
            return Source("saved_model", path)
    variables = os.path.join(path, "variables", "variables")
    if os.path.isfile(f"{variables}.index"):  # a SavedModel's, without its graph
        return _checkpoint(variables)
    if os.path.isfile(os.path.join(path, STATE_FILE)):
        return _checkpoint(latest_checkpoint(path))
    found = prefixes(path)
    if len(found) == 1:
        return _checkpoint(os.path.join(path, found[0]))
    if found:
        got = f"{len(found)} checkpoints and no file {STATE_FILE!r}: {listing(found)}"
        raise FormatError(path, f"expected a directory with one checkpoint, got {got}")
    for pattern in ("*.safetensors.index.json", "*.safetensors"):
        files = _matching(os.path.join(path, ""), pattern)
        if len(files) == 1:
            return detect(files[0])
    if checkpoint_kind(path):  # the prefix of a checkpoint beside the directory
        return _checkpoint(path)
    raise FormatError(path, f"expected {_EXPECTED}, got a directory without any")


def _file(path: str, file: BinaryFile) -> Source:
    if not file.size:
        raise FormatError(path, f"expected {_EXPECTED}, got an empty file")
    if os.path.basename(path) in SAVED_MODEL_FILES:
        return Source("saved_model", os.path.dirname(path) or ".")
    if path.endswith(".index") or is_table(file):
        return _table(path, file)
    head = file.window(0, min(file.size, 1 << 12), "the beginning").data
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= file.size - 8:
        return Source("safetensors", path)  # whatever its length looks like: that of 1152 bytes begins like a pickle
    for magic, what in _STRANGERS.items():
        if head.startswith(magic):
            raise FormatError(path, f"expected {_EXPECTED}, got {what}")
    if head[4:8] == b"TFL3":
        raise FormatError(path, f"expected {_EXPECTED}, got a TensorFlow Lite model")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(path, head)
    if head.lstrip().startswith(b"{"):
        return _json(path)
    return _message(path, file, head)


def _table(path: str, file: BinaryFile) -> Source:
    if not is_table(file):
        raise FormatError(path, "expected a checkpoint's index, got a file without a table's magic number at its end")
    if path.endswith(".index"):
        return _checkpoint(path.removesuffix(".index"))
    shard = _V1_SHARD.fullmatch(path)
    return _checkpoint(shard[1] if shard else path)


def _zip(path: str, head: bytes) -> Source:
    """A zip's first entry: 30 bytes, at 26 the length of the name, which follows."""
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if name.endswith(b".npy") or head.startswith(b"PK\x05\x06"):
        return Source("npz", path)
    raise FormatError(
        path, f"expected {_EXPECTED}, got a zip archive that begins with {name.decode(errors='replace')!r}"
    )


def _json(path: str) -> Source:
    _safetensors_files(path)
    return Source("safetensors_index", path)


def _safetensors_files(path: str) -> list[str]:
    """The files that a safetensors index names."""
    import json

    try:
        content = json.loads(read_file(path, "a safetensors index", _MAX_INDEX))
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"expected a safetensors index, got no JSON: {error}") from None
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict):
        raise FormatError(path, "expected a safetensors index with a weight_map, got other JSON")
    found = {name for name in names.values() if isinstance(name, str)}
    return [os.path.join(os.path.dirname(path), name) for name in sorted(found)]


def _message(path: str, file: BinaryFile, head: bytes) -> Source:
    kind = message_kind(file)
    if kind is None:
        raise FormatError(path, f"expected {_EXPECTED}, got a file that begins with {head[:8].hex(' ')}")
    if kind.name == "CheckpointState":
        return _checkpoint(locate(read_state(path)))
    if kind.name == "MetaGraphDef":
        prefix = path.removesuffix(".meta")
        has_checkpoint = prefix != path and checkpoint_kind(prefix) == "bundle"
        return Source("meta_graph", path, prefix if has_checkpoint else None, path)
    return Source(_MESSAGES[kind.name], path)


def _data_files(prefix: str) -> list[str]:
    return [path for path in _matching(prefix, ".data-*-of-*") if _DATA_FILE.fullmatch(path)]


def _matching(prefix: str, pattern: str) -> list[str]:
    """The paths that begin with `prefix` and go on as the glob `pattern` says, sorted."""
    return sorted(glob.glob(glob.escape(prefix) + pattern))
