"""Tables of names: source name -> target name, from the command line or from a file.

A file is JSON or TOML (`.toml`) and holds one flat table, either bare or under the key `rename`:

    {"v1": "other-v1", "v2": "other-v2"}            [rename]
                                                    "v1" = "other-v1"

On the left is the name in the checkpoint, on the right the name in the result or in the graph. That is also the
direction of a Saver's dictionary (`Saver({"v1": other_v1})`) and of what `variables_to_restore()` returns. A table
that fits a source only the other way round is taken so by `names.select_names`, which reports it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tensorferry.formats.errors import FormatError, NameMapError, UsageError, listing

_LARGEST = 64 << 20
_DEEPEST = 100
"""Dots in a line of TOML: parsers take quadratic time for dotted keys."""


def read_table(path: str | os.PathLike[str]) -> dict[str, str]:
    """The table in a JSON or TOML file. FormatError where the file holds none, NameMapError on a doubled name."""
    from pathlib import Path

    file = Path(path)
    try:
        if file.stat().st_size > _LARGEST:
            raise FormatError(path, f"expected a table of names, got a file of {file.stat().st_size} bytes")
        text = file.read_text("utf-8")
    except OSError as error:
        raise FormatError(path, f"expected a table of names, got: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FormatError(path, "expected a table of names in UTF-8, got other bytes") from None
    table = _parse_toml(text, path) if file.suffix == ".toml" else _parse_json(text, path)
    if isinstance(table, dict) and set(table) == {"rename"} and isinstance(table["rename"], dict):
        table = table["rename"]
    if not isinstance(table, dict):
        raise FormatError(path, f"expected a table of names, got a {type(table).__name__}")
    wrong = [old for old, new in table.items() if not isinstance(new, str)]
    if wrong:
        raise FormatError(path, f"expected names on the right, got something else for: {listing(wrong)}")
    return table


def parse_renames(pairs: Iterable[str]) -> dict[str, str]:
    """The table that OLD=NEW words give; the first `=` divides. UsageError on a word without both sides."""
    table: dict[str, str] = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not (old and equals and new):
            raise UsageError(f"--rename {pair}", "expected OLD=NEW, got one side only")
        _add(table, old, new)
    return table


def merge_tables(tables: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """One table of all. NameMapError where two give different targets for a name."""
    merged: dict[str, str] = {}
    for table in tables:
        for old, new in table.items():
            _add(merged, old, new)
    return merged


def invert_table(table: Mapping[str, str], where: str = "table") -> dict[str, str]:
    """Target name -> source name. NameMapError where a target has two sources."""
    sources: dict[str, list[str]] = {}
    for old, new in table.items():
        sources.setdefault(new, []).append(old)
    doubled = [f"{new} <- {', '.join(olds)}" for new, olds in sources.items() if len(olds) > 1]
    if doubled:
        raise NameMapError(where, f"expected one source for each target, got several: {listing(doubled)}")
    return {new: olds[0] for new, olds in sources.items()}


def _add(table: dict[str, str], old: str, new: str) -> None:
    if table.setdefault(old, new) != new:
        raise NameMapError("rename", f"expected one new name for {old}, got two: {table[old]} and {new}")


def _parse_json(text: str, path: object) -> Any:
    import json

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        doubled = sorted(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        if doubled:
            raise NameMapError(path, f"expected each name once on the left, got doubled: {listing(doubled)}")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:  # ValueError: a number of more than 4,300 digits, too
        raise FormatError(path, f"expected a table of names in JSON, got: {error}") from None


def _parse_toml(text: str, path: object) -> Any:
    deepest = max((line.count(".") for line in text.splitlines()), default=0)
    if deepest > _DEEPEST:
        raise FormatError(path, f"expected lines with at most {_DEEPEST} dots, got one with {deepest}")
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"expected a table of names in TOML, got: {error}") from None
