"""GraphDef on disk: `.pb`, the message's wire form, or `.pbtxt`, its text form.

The wire form of a message is the concatenation of the wire forms of its parts, where each part has some of its fields
(and repeated fields add up). So a graph is written node by node, and in memory there is one node at a time; of a node
with a large tensor, a piece of it:

    GraphDef   1 node   NodeDef   1 ... 4, and 5 attr, of which the last is
                                  1 key "value", 2 AttrValue   8 TensorProto   1 dtype, 2 shape, 4 tensor_content

Map entries are in order of their keys, hence equal graphs give equal bytes.

protobuf refuses messages of 2 GiB and more, in every language: such a graph can't be read back by anybody.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from . import protos
from .atomic import OutputSet, output
from .binary import Path
from .errors import UnsupportedError
from .tensor import Buffer, Tensor
from .wire import head

LIMIT = (1 << 31) - 1
"""Bytes that a protobuf message may take."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A part with a single Const, whose tensor is streamed.

    `node` is its NodeDef without the attribute `value`; `proto` that attribute's TensorProto without tensor_content.
    """

    node: Any
    proto: Any
    tensor: Tensor

    def encoded(self) -> tuple[int, Iterator[Buffer]]:
        """The size of the part's wire form, and its pieces."""
        inner = self.proto.SerializeToString(deterministic=True) + head(4, self.tensor.nbytes)
        inner = head(8, len(inner) + self.tensor.nbytes) + inner
        inner = head(1, 5) + b"value" + head(2, len(inner) + self.tensor.nbytes) + inner
        inner = head(5, len(inner) + self.tensor.nbytes) + inner
        inner = self.node.SerializeToString(deterministic=True) + inner
        inner = head(1, len(inner) + self.tensor.nbytes) + inner
        return len(inner) + self.tensor.nbytes, self._pieces(inner)

    def _pieces(self, before: bytes) -> Iterator[Buffer]:
        yield before
        yield from self.tensor.chunks()


def refuse_too_large(path: Path, nbytes: int) -> None:
    """UnsupportedError where the tensors of a graph, `nbytes` in all, are more than a message may hold."""
    if nbytes > LIMIT:
        raise _too_large(path)


def write_graph_def(
    path: Path, parts: Iterable[Any], text: bool = False, force: bool = False, files: OutputSet | None = None
) -> None:
    """Writes the GraphDef messages `parts`, merged, to `path`; given `files`, as one of these.

    A part may be a `Constant`, but for the text form.

    UnsupportedError, and no file, where they come to 2 GiB or more. DestinationError as for `atomic.output`.
    """
    with output(path, force, files) as file:
        if text:
            file.write(protos.to_text(_merged(path, parts)).encode())
            return
        total = 0
        for part in parts:
            size, pieces = part.encoded() if isinstance(part, Constant) else _whole(path, part)
            total += size
            if total > LIMIT:
                raise _too_large(path)
            for piece in pieces:
                file.write(piece)


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


def _whole(path: Path, part: Any) -> tuple[int, Iterator[bytes]]:
    encoded = _encode(path, part)
    return len(encoded), iter([encoded])


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
