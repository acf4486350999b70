"""Writing the file `checkpoint` of a training directory (see `checkpoint_state`), as TensorFlow's Saver does.

    model_checkpoint_path: "model.ckpt"
    all_model_checkpoint_paths: "model.ckpt"

The path is relative to the directory, as a Saver's is that was given a relative one: it stays right when the directory
moves. What is not ASCII is written as UTF-8, as by TensorFlow 2.21; 1.15 writes octal escapes, and reads both.
"""

from __future__ import annotations

import os
import re

from .atomic import output
from .binary import Path
from .errors import UsageError

_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "'": "\\'", "\\": "\\\\"}
_SPECIAL = re.compile(r"[\x00-\x1f\x7f\"'\\]")


def write_state(path: Path, prefix: Path, *, force: bool = False) -> None:
    """Writes the state file `path`, which names the checkpoint `prefix` as the latest and the only one.

    To be called when the checkpoint is in its place: a state file that names none is worse than none. UsageError for a
    checkpoint that isn't in or below the directory of the state file, or whose name isn't UTF-8.
    """
    path = os.fspath(path)
    name = os.path.relpath(os.fspath(prefix), os.path.dirname(path) or os.curdir)
    if name.split(os.sep)[0] in (os.pardir, os.curdir):
        raise UsageError(path, f"expected a checkpoint in or below its directory, got {os.fspath(prefix)!r}")
    try:
        quoted = f'"{_SPECIAL.sub(_escaped, name)}"\n'.encode()
    except UnicodeEncodeError:
        raise UsageError(path, f"expected a checkpoint with a name in UTF-8, got {name!r}") from None
    with output(path, force) as file:
        file.write(b"model_checkpoint_path: " + quoted + b"all_model_checkpoint_paths: " + quoted)


def _escaped(match: re.Match[str]) -> str:
    character = match.group()
    return _ESCAPES.get(character) or f"\\{ord(character):03o}"
