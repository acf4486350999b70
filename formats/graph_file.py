"""Reading a graph's file: a GraphDef (`.pb`) or a MetaGraphDef (`.meta`), in binary or in text form (`.pbtxt`).

The content decides which form it is, never the name. A file that holds another message is refused rather than parsed
into nonsense: a MetaGraphDef's bytes can pass for a GraphDef's.
"""

from __future__ import annotations

import os
from typing import Any

from . import protos
from .binary import Path, open_file
from .errors import FormatError
from .message_kind import message_kind

MAX_SIZE = (1 << 31) - 1
"""Bytes of a protobuf message: its own limit."""


def read_graph_def(path: Path) -> Any:
    """The GraphDef message in the file `path`, binary or text. FormatError if there is none."""
    return read_message("GraphDef", path)


def read_meta_graph(path: Path) -> Any:
    """The MetaGraphDef message in the file `path`, binary or text. FormatError if there is none."""
    return read_message("MetaGraphDef", path)


def read_message(name: str, path: Path) -> Any:
    """The message `name` (one that `message_kind` knows) in the file `path`, binary or text."""
    path = os.fspath(path)
    with open_file(path, f"a {name}") as file:
        if not file.size:
            raise FormatError(path, f"expected a {name}, got an empty file")
        if file.size > MAX_SIZE:
            raise FormatError(path, f"expected a {name} of at most {MAX_SIZE} bytes, got {file.size}")
        kind = message_kind(file)
        if kind is None or kind.name != name:
            first = file.window(0, min(file.size, 8), "the beginning").data.hex(" ")
            got = f"a {kind}" if kind else f"a file that begins with {first}"
            raise FormatError(path, f"expected a {name}, got {got}")
        data = file.window(0, file.size, f"a {name}").data
    if not kind.text:
        return protos.parse(name, data, path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(path, f"expected a {name} in text form, got no UTF-8 at byte {error.start}") from None
    return protos.parse_text(name, text, path)
