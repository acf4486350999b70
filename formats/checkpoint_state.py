"""The file `checkpoint` in a training directory, which says which checkpoints there are and which is the latest.

It is a CheckpointState message in text form, written anew at each save:

    model_checkpoint_path: "/home/ann/run/model.ckpt-300"
    all_model_checkpoint_paths: "/home/ann/run/model.ckpt-200"
    all_model_checkpoint_paths: "/home/ann/run/model.ckpt-300"

The paths are prefixes. They are absolute if the training script's were, and then they are stale as soon as somebody
moves or copies the directory. So a path is looked for in this order:

1. as it is, if it is absolute: TensorFlow does so, and a path that exists is taken to mean what it says;
2. relative to the directory of the state file, if it is relative;
3. by its last part in that directory, wherever the directory was when the file was written.

A relative path that climbs out of the directory (`../other/model.ckpt`) is refused, though TensorFlow would follow it:
whoever made the file can't know what lies there on this machine, and a checkpoint from a stranger has no business to
name files outside of its own directory. An absolute path can only lead out to where a checkpoint is already.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from typing import Literal

from . import protos
from .binary import Path, read_file
from .errors import FormatError, listing

STATE_FILE = "checkpoint"
MAX_SIZE = 64 << 20
"""Bytes of a state file; a line is a few hundred, and keeping 100,000 checkpoints is nobody's habit."""

CheckpointKind = Literal["bundle", "v1_checkpoint"]


@dataclass(frozen=True, slots=True)
class CheckpointState:
    """What the state file `path` says, as written: the prefix of the latest checkpoint, and all that are kept."""

    path: str
    latest: str
    checkpoints: tuple[str, ...]


def read_state(path: Path) -> CheckpointState:
    """Reads a state file. FormatError if it isn't one, or names no checkpoint."""
    path = os.fspath(path)
    data = read_file(path, "the state of a training directory", MAX_SIZE)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(
            path, f"expected a CheckpointState in text form, got no UTF-8 at byte {error.start}"
        ) from None
    state = protos.parse_text("CheckpointState", text, path)
    if not state.model_checkpoint_path:
        raise FormatError(path, "expected a model_checkpoint_path, got none")
    return CheckpointState(path, state.model_checkpoint_path, tuple(state.all_model_checkpoint_paths))


def latest_checkpoint(directory: Path) -> str:
    """The prefix of the latest checkpoint of a training directory, by its state file.

    FormatError if there is no state file, or if the checkpoint that it names is neither where it says nor in the
    directory; the message lists the places and the hint what is there instead.
    """
    directory = os.fspath(directory)
    return locate(read_state(os.path.join(directory, STATE_FILE)))


def locate(state: CheckpointState) -> str:
    """The prefix of the state's latest checkpoint, as a path that exists now."""
    directory = os.path.dirname(state.path)
    tried = _places(state, directory)
    for prefix in tried:
        if checkpoint_kind(prefix):
            return prefix
    found = prefixes(directory)
    raise FormatError(
        state.path,
        f"expected the checkpoint {state.latest!r} that it names, got none at {' or '.join(tried)}",
        hint=f"in the directory: {listing(found)}" if found else "no checkpoint is in the directory",
    )


def checkpoint_kind(prefix: Path) -> CheckpointKind | None:
    """What lies at a checkpoint's prefix: a V2 bundle's index, a V1 checkpoint's file or shards, or nothing."""
    prefix = os.fspath(prefix)
    if "\0" in prefix:
        return None
    if os.path.isfile(f"{prefix}.index"):
        return "bundle"
    if os.path.isfile(prefix) or v1_shards(prefix):
        return "v1_checkpoint"
    return None


def v1_shards(prefix: str) -> list[str]:
    """The files PREFIX-SSSSS-of-NNNNN of a sharded V1 checkpoint, sorted.

    The prefix may end in `-?????-of-NNNNN`, as the state file has it that a Saver wrote for such a checkpoint.
    """
    prefix = re.sub(r"-\?{5}-of-\d{5}\Z", "", prefix)
    pattern = re.compile(re.escape(os.path.basename(prefix)) + r"-\d{5}-of-\d{5}")
    paths = glob.iglob(f"{glob.escape(prefix)}-[0-9]*-of-[0-9]*")
    return sorted(path for path in paths if pattern.fullmatch(os.path.basename(path)))


def prefixes(directory: Path) -> list[str]:
    """The names of the V2 checkpoints in a directory, sorted as a person would, `model-9` before `model-10`."""
    try:
        names = os.listdir(directory or ".")
    except OSError:
        return []
    found = [name.removesuffix(".index") for name in names if name.endswith(".index") and name != ".index"]
    return sorted(found, key=lambda name: [(part.isdecimal(), part.zfill(20)) for part in re.split(r"(\d+)", name)])


def _places(state: CheckpointState, directory: str) -> list[str]:
    """Where to look for the state's latest checkpoint, in order."""
    path = state.latest
    if "\0" in path:
        raise FormatError(state.path, f"expected the path of a checkpoint, got {path!r}")
    parts = re.split(r"[/\\]", path)
    places = [path] if os.path.isabs(path) else []
    if not places:
        if os.path.normpath(path).split(os.sep)[0] == os.pardir:
            raise FormatError(state.path, f"expected a checkpoint in or below its directory, got {path!r}")
        places = [os.path.join(directory, path)]
    if parts[-1] not in ("", os.curdir, os.pardir):
        places.append(os.path.join(directory, parts[-1]))
    return list(dict.fromkeys(places))
