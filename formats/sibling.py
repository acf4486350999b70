"""Files that another file refers to: shards of an index, external data of a model.

The reference is the file's word, so it may only lead to a file beside or below it.
"""

from __future__ import annotations

import os
import re

from .binary import Path
from .errors import FormatError

_DRIVE = re.compile(r"[A-Za-z]:")


def sibling(path: Path, reference: str, *, links: bool = True) -> str:
    """The file that `reference` in the file `path` means.

    FormatError where the reference is no relative path below the directory of `path`, where there is no such file or,
    unless `links`, where a symbolic link leads out of the directory.
    """
    directory = os.path.dirname(os.fspath(path))
    steps = reference.replace("\\", "/").split("/")
    if not reference or "\0" in reference or not steps[0] or _DRIVE.match(reference) or ".." in steps:
        raise FormatError(path, f"expected a reference to a file beside it, got {reference!r}")
    target = os.path.join(directory, reference)
    if not os.path.isfile(target):
        raise FormatError(path, f"expected the file {reference!r} beside it, got none")
    if not links:
        root = os.path.realpath(directory or ".")
        if os.path.commonpath([root, os.path.realpath(target)]) != root:
            raise FormatError(path, f"expected the file {reference!r} beside it, got a link that leads elsewhere")
    return target
