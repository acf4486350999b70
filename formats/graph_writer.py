"""GraphDef on disk: `.pb`, the message's wire form, or `.pbtxt`, its text form.

The wire form of a message is the concatenation of the wire forms of its parts, where each part has some of its fields
(and repeated fields add up). So a graph is written node by node, and in memory there is one node at a time. Map entries
are in order of their keys, hence equal graphs give equal bytes.

protobuf refuses messages of 2 GiB and more, in every language: such a graph can't be read back by anybody.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from . import protos
from .atomic import OutputSet, output
from .binary import Path
from .errors import UnsupportedError

LIMIT = (1 << 31) - 1
"""Bytes that a protobuf message may take."""


def write_graph_def(
    path: Path, parts: Iterable[Any], text: bool = False, force: bool = False, files: OutputSet | None = None
) -> None:
    """Writes the GraphDef messages `parts`, merged, to `path`; given `files`, as one of these.

    UnsupportedError, and no file, where they come to 2 GiB or more. DestinationError as for `atomic.output`.
    """
    with output(path, force, files) as file:
        if text:
            file.write(protos.to_text(_merged(path, parts)).encode())
            return
        total = 0
        for part in parts:
            encoded = _encode(path, part)
            total += len(encoded)
            if total > LIMIT:
                raise _too_large(path)
            file.write(encoded)


def _merged(path: Path, parts: Iterable[Any]) -> Any:
    graph_def = protos.message_class("GraphDef")()
    total = 0
    for part in parts:
        encoded = _encode(path, part)
        total += len(encoded)
        if total > LIMIT:
            raise _too_large(path)
        graph_def.MergeFromString(encoded)
    return graph_def


def _encode(path: Path, part: Any) -> bytes:
    from google.protobuf.message import EncodeError

    try:
        return bytes(part.SerializeToString(deterministic=True))
    except (EncodeError, ValueError):  # which of the two depends on protobuf's version
        raise _too_large(path) from None


def _too_large(path: Path) -> UnsupportedError:
    return UnsupportedError(
        os.fspath(path),
        "a graph of 2 GiB or more is no protobuf message",
        hint="write ONNX, which keeps large tensors in a file beside the model, or the tensors alone as safetensors",
    )
