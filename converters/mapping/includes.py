"""What a table includes: its own files, and tables that come with the package.

    include = [
      "common.toml",                                                a file of the table's directory or below
      {file = "layers.toml", variables = {scope = "encoder"}},      with values for its variables
      {preset = "bert-encoder"},                                    a preset
      {preset = "shared/bert_layers", variables = {pt = "body"}},   a part that presets share
    ]

A table that comes with the package can only include others that do, and the reader refuses files that include each
other: there is no way around in a circle.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..names.selection import near_names
from .shipped import shipped_file, shipped_names
from .variables import substitute

KEYS = ("file", "preset", "variables")
FORMS = '"FILE", {file = "FILE", variables = {...}} or {preset = "NAME", variables = {...}}'

Constants = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Include:
    """A file to include, and the values of its variables."""

    path: str
    variables: Constants


class _IncludeError(ValueError):
    """What is wrong with an entry."""


def read_includes(data: Any, path: str, constants: Constants) -> Iterator[Include | str]:
    """Each file that the table at `path` includes, or what is wrong with the entry."""
    for item in data if isinstance(data, list) else [data]:
        try:
            yield _read(item, path, constants)
        except _IncludeError as error:
            yield str(error)


def _read(item: Any, path: str, constants: Constants) -> Include:
    entry = {"file": item} if isinstance(item, str) else item
    if not isinstance(entry, dict) or not set(entry) <= set(KEYS) or ("file" in entry) == ("preset" in entry):
        raise _IncludeError(f"expected {FORMS} in include, got {item!r:.60}")
    file = _shipped(entry["preset"]) if "preset" in entry else _own(entry["file"], os.path.dirname(path))
    variables = substitute(entry.get("variables", {}), constants)
    if not isinstance(variables, dict) or not all(_is_constant(value) for value in variables.values()):
        name = entry.get("file", entry.get("preset"))
        raise _IncludeError(f"expected texts and numbers as variables of {name}, got {variables!r:.60}")
    return Include(file, variables)


def _shipped(name: Any) -> str:
    """The path of a preset or a part."""
    file = shipped_file(name) if isinstance(name, str) else None
    if file is None:
        near = near_names(name, shipped_names()) if isinstance(name, str) and len(name) < 100 else []
        told = f" (near: {', '.join(near)})" if near else ""
        raise _IncludeError(f"expected a preset to include, got {name!r:.60}{told}")
    return os.fspath(file)


def _own(name: Any, home: str) -> str:
    """The path of a file in the table's directory or below."""
    if not isinstance(name, str) or not _is_below(home, name):
        raise _IncludeError(f"expected a file of this table's directory or below to include, got {name!r:.60}")
    path = os.path.join(home, name)
    if not os.path.lexists(path) and shipped_file(name) is not None:
        raise _IncludeError(f'expected a file to include, got a preset: {{preset = "{name}"}} includes that')
    return path


def _is_constant(value: Any) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _is_below(home: str, name: str) -> bool:
    """Whether the file lies in the directory or below it, behind all links."""
    if not name or "\0" in name or os.path.isabs(name):
        return False
    real = os.path.realpath(home or ".")
    try:
        return os.path.commonpath([real, os.path.realpath(os.path.join(real, name))]) == real
    except UnicodeEncodeError:
        return False
