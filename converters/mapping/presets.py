"""Presets: tables that come with the package.

A preset is a table of rules, `converters/presets/NAME.toml`, which may say besides how to `recognise` a source that it
is made for (`recognition`), and what belongs beside its result (`config`). `presets/shared` holds what several include.

`--map NAME` takes a file of that name first, then the preset.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import cache

from tensorferry.formats.errors import FormatError, listing

from ..names.table import flat_table
from .document import read_document
from .recognition import preset_files
from .table import Table, is_table, read_rules

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def preset_names() -> list[str]:
    """All presets, sorted."""
    return [file.stem for file in preset_files()]


@cache
def read_preset(name: str) -> Table:
    """The preset of that name. FormatError where there is none."""
    for file in preset_files():
        if file.stem == name:
            return replace(read_rules(file), path=name)
    raise FormatError(name, f"expected a file or a preset, one of {listing(preset_names(), 50)}")


def read_map(word: str | os.PathLike[str]) -> Table | dict[str, str]:
    """The table that a word names: a file with rules or with a flat table, or else a preset."""
    path = os.fspath(word)
    if _NAME.fullmatch(path) and not os.path.exists(path):
        return read_preset(path)
    data = read_document(path).data
    return read_rules(path) if is_table(data) else flat_table(data, path)
