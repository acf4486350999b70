"""Flat tables of names: source name -> target name, from the command line or from a file.

A file is JSON, TOML or YAML (see `mapping.document`) and holds one flat table, either bare or under the key `rename`:

    {"v1": "other-v1", "v2": "other-v2"}            [rename]
                                                    "v1" = "other-v1"

On the left is the name in the checkpoint, on the right the name in the result or in the graph. That is also the
direction of a Saver's dictionary (`Saver({"v1": other_v1})`) and of what `variables_to_restore()` returns. A table
that fits a source only the other way round is taken so by `names.select_names`, which reports it.

As in the assignment map of `tf.train.init_from_checkpoint`, names that end in a slash are scopes: `{"a/": "b/"}`
renames all that begins with `a/`, and `{"/": "b/"}` everything (`expand_scopes`).

All else that a table can say is the language of `converters.mapping`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tensorferry.formats.errors import FormatError, NameMapError, UsageError, listing


class NameTable(dict[str, str]):
    """A flat table of a file, whose `path` messages name."""

    def __init__(self, names: Mapping[str, str], path: str) -> None:
        super().__init__(names)
        self.path = path


def path_of(table: object) -> str:
    """The path of a table's file; nothing where it is of no file."""
    return str(getattr(table, "path", ""))


def read_table(path: str | os.PathLike[str]) -> NameTable:
    """The flat table in a file. FormatError where the file holds none, NameMapError on a doubled name."""
    from ..mapping.document import read_document  # 2 ms, and few conversions have a table

    return flat_table(read_document(path).data, path)


def flat_table(table: Any, path: str | os.PathLike[str]) -> NameTable:
    """The flat table that a file's data are. FormatError where they are none."""
    if isinstance(table, dict) and set(table) == {"rename"} and isinstance(table["rename"], dict):
        table = table["rename"]
    if not isinstance(table, dict):
        raise FormatError(path, f"expected a table of names, got a {type(table).__name__}")
    wrong = [old for old, new in table.items() if not (isinstance(old, str) and isinstance(new, str))]
    if wrong:
        problem = f"expected names on the right, got something else for: {listing(wrong)}"
        meant = any(isinstance(table[old], list) or str(old).startswith("rule") for old in wrong)
        raise FormatError(path, problem, hint="a table of rules has a list of them, [[rules]]" if meant else "")
    return NameTable(table, os.fspath(path))


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


def expand_scopes(table: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """The table with each pair of scopes (`a/`: `b/`) replaced by the names in that scope; the longest scope counts.

    A pair for a name itself goes before any scope. A scope without a name in it stays, to be missed as any name is.
    NameMapError where only one side of a pair is a scope.
    """
    scopes = {old: new for old, new in table.items() if old.endswith("/") or new.endswith("/")}
    half = [f"{old} -> {new}" for old, new in scopes.items() if not (old.endswith("/") and new.endswith("/"))]
    if half:
        where = path_of(table) or "table"
        raise NameMapError(where, f"expected scopes to go to scopes, both ending in a slash, got: {listing(half)}")
    if not scopes:
        return dict(table)
    expanded = {old: new for old, new in table.items() if old not in scopes}
    for old in sorted(scopes, key=len, reverse=True):
        inside = [name for name in names if old == "/" or name.startswith(old)]
        new = "" if scopes[old] == "/" else scopes[old]
        for name in inside:
            expanded.setdefault(name, new + (name if old == "/" else name[len(old) :]))
        if not inside:
            expanded[old] = scopes[old]
    return expanded


def _add(table: dict[str, str], old: str, new: str) -> None:
    if table.setdefault(old, new) != new:
        raise NameMapError("rename", f"expected one new name for {old}, got two: {table[old]} and {new}")
