"""A table's file as plain data: TOML (`.toml`), YAML (`.yaml`, `.yml`; where PyYAML is installed), or else JSON.

Doubled keys are errors in all three, sizes and depths are bounded, and YAML's aliases, with which few lines become
many, are refused. Beside the data stand the lines at which the items of `rules` begin, for messages.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tensorferry.formats.errors import FormatError, NameMapError, UnsupportedError, listing

RULES = "rules"
_LARGEST = 64 << 20
_DEEPEST = 100
"""Dots in a line of TOML: parsers take quadratic time for dotted keys."""

_LARGEST_YAML = 4 << 20

_TOML_TOKEN = re.compile(
    r"""(?P<item>^[ \t]*\[\[[ \t]*["']?rules["']?[ \t]*\]\])|"""
    r"""(?P<list>^[ \t]*["']?rules["']?[ \t]*=[ \t]*(?=\[))|"""
    r"(?P<open>[\[{])|(?P<close>[\]}])|"
    r'"""(?:[^\\]|\\.)*?"""|'
    r"\'\'\'.*?\'\'\'|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'|#[^\n]*",
    re.DOTALL | re.MULTILINE,
)
"""What begins a rule or the list of them, brackets, and, to be passed over, texts and comments."""


@dataclass(slots=True)
class Document:
    """What is in a file, and the line of each of its rules (empty where that is not known)."""

    data: Any
    lines: list[int] = field(default_factory=list)


def read_document(path: str | os.PathLike[str]) -> Document:
    """The data in a file. FormatError where it can't be read, NameMapError on a doubled name."""
    file = Path(path)
    try:
        status = file.stat()
        if status.st_size > _LARGEST:
            raise FormatError(path, f"expected a table of names, got a file of {status.st_size} bytes")
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):  # a pipe may never end, nor begin
            raise FormatError(path, "expected a table of names, got something that is no regular file")
        text = file.read_text("utf-8")
    except OSError as error:
        raise FormatError(path, f"expected a table of names, got: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FormatError(path, "expected a table of names in UTF-8, got other bytes") from None
    if file.suffix == ".toml":
        document = Document(_parse_toml(text, path), list(_toml_lines(text)))
    elif file.suffix in (".yaml", ".yml"):
        document = _parse_yaml(text, path)
    else:
        document = Document(_parse_json(text, path), list(_json_lines(text)))
    data = document.data
    rules = data.get(RULES) if isinstance(data, dict) else None
    if not isinstance(rules, list) or len(rules) != len(document.lines):
        document.lines = []
    return document


def _parse_json(text: str, path: object) -> Any:
    import json

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            _refuse_doubled((name for name, _ in pairs), path)
        return table

    try:
        return json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:  # ValueError: a number of more than 4,300 digits, too
        raise FormatError(path, f"expected a table of names in JSON, got: {error}") from None


def _refuse_doubled(names: Iterator[str], path: object) -> None:
    doubled = sorted(str(name) for name, count in Counter(names).items() if count > 1)
    if doubled:
        raise NameMapError(path, f"expected each name once on the left, got doubled: {listing(doubled)}")


def _json_lines(text: str) -> Iterator[int]:
    """The line of each item of the list `rules`, in text that is known to be JSON."""
    from json import JSONDecoder
    from json.decoder import WHITESPACE  # type: ignore[attr-defined]

    decode = JSONDecoder().raw_decode

    def skip(place: int) -> int:
        end: int = WHITESPACE.match(text, place).end()
        return end

    place = skip(0)
    if text[place : place + 1] != "{":
        return
    while text[place] != "}":
        place = skip(place + 1)
        if text[place] == "}":
            return
        key, place = decode(text, place)
        place = skip(skip(place) + 1)
        if key == RULES and text[place] == "[":
            break
        _, place = decode(text, place)
        place = skip(place)
    else:
        return
    line, counted = 1, 0
    while text[place] != "]":
        place = skip(place + 1)
        if text[place] == "]":
            return
        line += text.count("\n", counted, place)
        counted = place
        yield line
        _, place = decode(text, place)
        place = skip(place)


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
        hint = "between single quotes it stands for itself" if str(error).startswith("Unescaped '\\'") else ""
        raise FormatError(path, f"expected a table of names in TOML, got: {error}", hint=hint) from None


def _toml_lines(text: str) -> Iterator[int]:
    """The line of each `[[rules]]`, or of each table in `rules = [...]`, in text that is known to be TOML."""
    line, counted, depth = 1, 0, 0
    inside = False
    for token in _TOML_TOKEN.finditer(text):
        kind = token.lastgroup
        if (kind == "item" and not depth) or (kind == "open" and inside and depth == 1):
            line += text.count("\n", counted, token.start())
            counted = token.start()
            yield line
        inside = inside or (kind == "list" and not depth)
        depth += (kind == "open") - (kind == "close")
        inside = inside and (depth > 0 or kind == "list")


def _parse_yaml(text: str, path: object) -> Document:
    try:
        import yaml
    except ModuleNotFoundError:
        raise UnsupportedError(
            path, "needs PyYAML, which is not installed", hint="TOML and JSON need nothing"
        ) from None
    _refuse_slow_yaml(text, path)
    loader = yaml.SafeLoader("")
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        lines = _yaml_lines(root, path)
        return Document(None if root is None else loader.construct_document(root), lines)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
        place = f" (at line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        hint = "names with { or * stand between quotes" if mark else ""
        raise FormatError(path, f"expected a table of names in YAML, got: {problem}{place}", hint=hint) from None
    finally:
        loader.dispose()


def _refuse_slow_yaml(text: str, path: object) -> None:
    """FormatError for what takes PyYAML long: many bytes, and brackets in brackets, of which it is quadratic."""
    if len(text) > _LARGEST_YAML:
        raise FormatError(
            path, f"expected at most {_LARGEST_YAML} characters of YAML, got {len(text)}: TOML may be longer"
        )
    depth = 0
    for bracket in re.finditer(r"[\[\]{}]", text):
        if bracket[0] in "[{":
            depth += 1
        elif bracket[0] in "]}":
            depth = max(depth - 1, 0)
        if depth > _DEEPEST:
            raise FormatError(path, f"expected at most {_DEEPEST} brackets in each other, got more")


def _yaml_lines(root: Any, path: object) -> list[int]:
    """The line of each item of `rules`; refuses doubled keys and nodes that stand in two places."""
    lines: list[int] = []
    seen: set[int] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node is None or node.id == "scalar":
            continue
        if id(node) in seen:
            raise FormatError(path, "expected a table of names without aliases (*name), got some")
        seen.add(id(node))
        if node.id == "sequence":
            stack += node.value
            continue
        _refuse_doubled((key.value for key, _ in node.value if key.id == "scalar"), path)
        for key, value in node.value:
            stack += [key, value]
            if node is root and key.value == RULES and value.id == "sequence":
                lines = [item.start_mark.line + 1 for item in value.value]
    return lines
