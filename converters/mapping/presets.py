"""Presets: tables that come with the package.

A preset is a table of rules, `converters/presets/NAME.toml`, which may say besides how to `recognise` a source that it
is made for (`recognition`), and what belongs beside its result (`config`). Parts, `presets/shared/NAME.toml`, are what
several include; `shared/NAME` is the name of one.

`--map NAME` takes a file of that name first, then the preset. `--map NAME:VARIABLE=VALUE,...` gives variables of either
other values than the table does.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import cache

from tensorferry.formats.errors import FormatError

from ..names.selection import near_names
from ..names.table import flat_table
from .document import read_document
from .shipped import PART, preset_files, shipped_file, shipped_names
from .table import Table, is_table, read_rules

_NAME = re.compile(rf"({PART})?[A-Za-z0-9][A-Za-z0-9_-]*")
_WITH_VALUES = re.compile(r"(.+?):([A-Za-z_][A-Za-z0-9_]*=.*)", re.DOTALL)


def preset_names() -> list[str]:
    """All presets, sorted."""
    return [file.stem for file in preset_files()]


@cache
def read_preset(name: str, values: tuple[tuple[str, str], ...] = ()) -> Table:
    """The preset of that name, `values` those of its variables. FormatError where there is none."""
    file = shipped_file(name)
    if file is not None:
        return replace(read_rules(file, dict(values)), path=name)
    near = near_names(name, shipped_names() if name.startswith(PART) else preset_names())
    hint = ["near: " + ", ".join(near)] if near else []
    hint.append("`tensorferry map show` lists them all")
    raise FormatError(name, "expected a file or a preset, got none of that name", hint="; ".join(hint))


def read_map(word: str | os.PathLike[str]) -> Table | dict[str, str]:
    """The table that a word names: a file with rules or with a flat table, or else a preset."""
    path, values = _parted(os.fspath(word))
    if _NAME.fullmatch(path) and not os.path.isfile(path):  # a directory may be what the preset has made
        return read_preset(path, tuple(values.items())) if values else read_preset(path)
    document = read_document(path)
    data = document.data
    if data is None or data == {}:
        raise FormatError(path, "expected rules, or names for names, got an empty table")
    if is_table(data):
        return read_rules(path, values, document)
    if values:
        raise FormatError(path, f"expected a table of rules to give {', '.join(values)} to, got names for names")
    return flat_table(data, path)


def _parted(word: str) -> tuple[str, dict[str, str]]:
    """A table's name, and what stands behind it: NAME:VARIABLE=VALUE,VARIABLE=VALUE."""
    found = None if os.path.isfile(word) else _WITH_VALUES.fullmatch(word)
    if found is None:
        return word, {}
    pairs = [pair.partition("=") for pair in found[2].split(",")]
    odd = [name for name, equals, _ in pairs if not name or not equals]
    if odd or len({name for name, _, _ in pairs}) < len(pairs):
        raise FormatError(found[1], f"expected VARIABLE=VALUE,..., each once, behind the colon, got {found[2]}")
    return found[1], {name: value for name, _, value in pairs}
