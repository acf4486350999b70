"""ONNX on disk: a model's message around weights that are streamed into it, or kept in a file beside it.

    ModelProto          all fields but the graph | field 7: GraphProto
    GraphProto          all fields but the weights | field 5: TensorProto | field 5: TensorProto | ...
    TensorProto         dims, data_type, name | field 9: raw_data, little-endian

protobuf lets fields come in any order, so the weights can be last; their sizes follow from dtype and shape, so the
lengths that precede them are known before a value is read.

A message ends at 2 GiB. A larger model keeps the bytes of its weights in `NAME.onnx.data` beside `NAME.onnx`, each from
a multiple of 4096 on:

    TensorProto         dims, data_type, name | data_location: EXTERNAL
                        external_data: location (the file's name), offset, length

Elements of 4 and 2 bits are packed, the first in the low bits. Strings are in `string_data`, never external.

Reference: the comments in onnx.proto, and ONNX's ExternalData.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .atomic import OutputSet, outputs
from .binary import Path
from .dtype import STRING
from .errors import DestinationError, GraphError, UnsupportedError, listing
from .onnx_initializers import read_onnx_initializers
from .onnx_types import has_onnx_dtype, onnx_dtype
from .packed import stored_size
from .stream import Sink
from .tensor import Tensor
from .wire import head

__all__ = ["onnx_dtype", "onnx_files", "read_onnx_initializers", "write_onnx"]

LIMIT = (1 << 31) - 1
"""Bytes that a protobuf message may take."""

ALIGNMENT = 4096
"""What the offset of external data is a multiple of, so that a runtime can map them."""

MODEL_GRAPH, GRAPH_INITIALIZER, TENSOR_RAW_DATA = 7, 5, 9
EXTERNAL = 1


def write_onnx(
    path: Path,
    model: Any,
    initializers: Mapping[str, Tensor],
    *,
    external: bool | None = None,
    threshold_bytes: int = 1024,
    force: bool = False,
    files: OutputSet | None = None,
) -> list[str]:
    """Writes the ModelProto `model` to `path`, with `initializers` added to its graph; returns the files written.

    With `external`, weights of `threshold_bytes` and more go to `PATH.data`; by default they do only if the model would
    not fit into 2 GiB otherwise. In memory there is one piece of one tensor at a time. The files appear together, the
    model last; given `files`, they become two of these. Strings apart, no value is read before all is known to fit:
    UnsupportedError lists all tensors that ONNX has no type for, or says that 2 GiB are not enough.
    """
    plan = _plan(path, model, initializers, external, threshold_bytes)
    with outputs(force, files) as chosen:
        opened = [chosen.open(name) for name in plan.paths]
        if len(opened) > 1:
            with Sink(opened[0]) as data:
                _write_external(data, plan.entries)
        with Sink(opened[-1]) as sink:
            plan.frame.write(sink, plan.entries)
    return plan.paths


def onnx_files(
    path: Path,
    model: Any,
    initializers: Mapping[str, Tensor],
    *,
    external: bool | None = None,
    threshold_bytes: int = 1024,
) -> list[str]:
    """The files that `write_onnx` would write, and the errors that it would raise before."""
    return _plan(path, model, initializers, external, threshold_bytes).paths


def _plan(
    path: Path, model: Any, initializers: Mapping[str, Tensor], external: bool | None, threshold_bytes: int
) -> _Plan:
    path = os.fspath(path)
    _refuse(path, model, initializers)
    entries = [_inline(path, name, tensor) for name, tensor in initializers.items()]
    frame = _Frame(path, model)
    if external is None:
        external = frame.size(entries) > LIMIT
    data_path, end = path + ".data", 0
    if external:
        location = os.path.basename(data_path)
        if not location.isprintable():
            raise DestinationError(path, "expected a printable name, which the model refers to")
        entries, end = _externalised(entries, location, threshold_bytes)
    if frame.size(entries) > LIMIT:
        raise _too_large(path, f"{frame.size(entries)} bytes", inside=not external)
    return _Plan([data_path, path] if end else [path], frame, entries)


def _write_external(sink: Sink, entries: list[_Entry]) -> None:
    for entry in entries:
        if entry.offset is not None:
            sink.write(b"\0" * (entry.offset - sink.size))
            entry.write_values(sink)


@dataclass
class _Entry:
    """An initializer: its TensorProto without the values, and where they go: inside, or to `offset` of the data."""

    name: str
    tensor: Tensor
    message: bytes
    inside: bool
    offset: int | None = None

    @property
    def size(self) -> int:
        """Bytes of the TensorProto."""
        return len(self.message) + (
            len(self._raw_head()) + stored_size(self.tensor.dtype, self.tensor.size) if self.inside else 0
        )

    def write(self, sink: Sink) -> None:
        """The TensorProto."""
        sink.write(self.message)
        if self.inside:
            sink.write(self._raw_head())
            self.write_values(sink)

    def write_values(self, sink: Sink) -> None:
        sink.append(self.tensor, self.name, min(self.tensor.dtype.bits, 8))

    def _raw_head(self) -> bytes:
        return head(TENSOR_RAW_DATA, stored_size(self.tensor.dtype, self.tensor.size))


class _Frame:
    """A model's message without the weights, in two pieces: the fields of the model, and those of its graph."""

    def __init__(self, path: str, model: Any) -> None:
        outer = type(model)()
        outer.CopyFrom(model)
        outer.ClearField("graph")
        self.graph = _encode(path, model.graph)
        self.model = _encode(path, outer)

    def size(self, entries: list[_Entry]) -> int:
        """Bytes of the whole message."""
        graph = self._graph_size(entries)
        return len(self.model) + len(head(MODEL_GRAPH, graph)) + graph

    def write(self, sink: Sink, entries: list[_Entry]) -> None:
        sink.write(self.model)
        sink.write(head(MODEL_GRAPH, self._graph_size(entries)))
        sink.write(self.graph)
        for entry in entries:
            sink.write(head(GRAPH_INITIALIZER, entry.size))
            entry.write(sink)

    def _graph_size(self, entries: list[_Entry]) -> int:
        return len(self.graph) + sum(len(head(GRAPH_INITIALIZER, entry.size)) + entry.size for entry in entries)


@dataclass
class _Plan:
    """What goes where: one file or two, the model last."""

    paths: list[str]
    frame: _Frame
    entries: list[_Entry]


def _refuse(path: str, model: Any, initializers: Mapping[str, Tensor]) -> None:
    types = [f"{name!r} ({tensor.dtype})" for name, tensor in initializers.items() if not has_onnx_dtype(tensor.dtype)]
    if types:
        raise UnsupportedError("onnx", f"has no type for {listing(types)}", hint="exclude or convert them")
    doubled = [initializer.name for initializer in model.graph.initializer if initializer.name in initializers]
    if doubled:
        raise GraphError(
            path, f"expected each initializer once, got {listing(map(repr, doubled))} in the graph already"
        )


def _message(name: str, tensor: Tensor) -> Any:
    import onnx

    message = onnx.TensorProto(data_type=onnx_dtype(tensor.dtype), dims=tensor.shape)
    try:
        message.name = name
    except (UnicodeEncodeError, ValueError):
        raise UnsupportedError("onnx", f"can't hold an initializer named {name!r}", hint="rename it") from None
    return message


def _inline(path: str, name: str, tensor: Tensor) -> _Entry:
    message = _message(name, tensor)
    is_text = tensor.dtype.kind == STRING
    if is_text:
        flat = tensor.numpy().reshape(-1).tolist()
        message.string_data.extend(s.encode() if isinstance(s, str) else s for s in flat)
    return _Entry(name, tensor, _encode(path, message), inside=not is_text)


def _externalised(entries: list[_Entry], location: str, threshold: int) -> tuple[list[_Entry], int]:
    """`entries` with the large ones in a file `location`, and that file's size."""
    moved: list[_Entry] = []
    end = 0
    for entry in entries:
        size = stored_size(entry.tensor.dtype, entry.tensor.size)
        if not entry.inside or size < max(threshold, 1):
            moved.append(entry)
            continue
        offset = -(-end // ALIGNMENT) * ALIGNMENT
        end = offset + size
        message = _message(entry.name, entry.tensor)
        message.data_location = EXTERNAL
        for key, value in ("location", location), ("offset", str(offset)), ("length", str(size)):
            message.external_data.add(key=key, value=value)
        moved.append(_Entry(entry.name, entry.tensor, message.SerializeToString(), inside=False, offset=offset))
    return moved, end


def _encode(path: str, message: Any) -> bytes:
    from google.protobuf.message import EncodeError

    try:
        return bytes(message.SerializeToString(deterministic=True))
    except (EncodeError, ValueError):  # which of the two depends on protobuf's version
        raise _too_large(path, "2 GiB or more", inside=False) from None


def _too_large(path: str, size: str, *, inside: bool) -> UnsupportedError:
    hint = "keep the weights in a file beside it" if inside else "only weights can be kept in a file beside it"
    return UnsupportedError(path, f"a model of {size} is no protobuf message", hint=hint)
