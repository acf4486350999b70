"""Tables of rules, as files:

    title, description      for people
    variables               name -> text, number, or how it follows from the source (`variables`); ${name} stands for it
    include                 files whose rules come behind this one's: "common.toml", or
                            {file = "common.toml", variables = {...}}
    rules                   in order: the first that matches a name takes it (`rule`)
    recognise               of presets (`recognition`)
    config, assumed, beside what is written beside the result (`config`)

Everything that is wrong with a table is said at once, with the line of each rule. An included file lies in the
directory of the one that includes it, or below, and no file includes itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from tensorferry.formats.errors import FormatError, listing

from .config import beside_problems
from .document import RULES, read_document
from .rule import Rule, RuleError, read_rule
from .variables import VARIABLE, VariableError, substitute

SECTIONS = ("recognise", "config", "assumed", "beside")
KEYS = ("title", "description", "variables", "include", RULES, *SECTIONS)
MAX_FILES = 100
MAX_RULES = 100_000
_SHOWN = 50

DEEPEST = 20

Path = str | os.PathLike[str]
Files = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The rules of a file and of all that it includes, in order."""

    path: str
    rules: tuple[Rule, ...]
    title: str = ""
    description: str = ""
    derived: Mapping[str, Any] = field(default_factory=dict)
    """How variables follow from the source, by name."""
    recognise: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    assumed: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)


def is_table(data: Any) -> bool:
    """Whether a file's data are a table of rules: it has a list of them, or of files to include."""
    return isinstance(data, dict) and (isinstance(data.get(RULES), list) or isinstance(data.get("include"), list))


def read_rules(path: Path) -> Table:
    """The table of rules in a file. FormatError lists all that is wrong with it."""
    reader = _Reader()
    table = reader.read(os.fspath(path), {}, ())
    if reader.problems:
        raise FormatError(path, f"expected a table of rules, got: {listing(reader.problems, _SHOWN)}")
    return table


class _Reader:
    """Reads one table with all that it includes."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._files = 0

    def read(self, path: str, given: Mapping[str, str | int], above: Files) -> Table:
        """The table in a file, `given` the values of its variables; `above` are the files that include it."""
        self._files += 1
        if self._files > MAX_FILES:
            raise FormatError(path, f"expected at most {MAX_FILES} included files")
        document = read_document(path)
        data = document.data
        if not isinstance(data, dict) or not (is_table(data) or "variables" in data):
            raise FormatError(path, f"expected a table with rules, got {'one without' if data else 'none'}")
        if _depth(data) > DEEPEST:
            raise FormatError(path, f"expected data at most {DEEPEST} levels deep")
        try:
            return self._read(data, document.lines, path, given, above)
        except VariableError as error:
            raise FormatError(path, str(error)) from None

    def _read(
        self, data: Mapping[str, Any], lines: Sequence[int], path: str, given: Mapping[str, str | int], above: Files
    ) -> Table:
        odd = [key for key in data if key not in KEYS]
        if odd:
            self._wrong(path, f"expected only the keys {', '.join(KEYS)}, got {', '.join(map(str, odd))}")
        constants, derived = self._variables(data.get("variables", {}), given, path)
        rules = self._rules(data.get(RULES, []), lines, path, constants, derived)
        for each, variables in self._includes(data.get("include", []), path, constants):
            real = os.path.realpath(each)
            if real in above or real == os.path.realpath(path):
                names = " -> ".join(PurePath(file).name for file in (*above, path, each))
                self._wrong(path, f"expected files that do not include each other, got {names}")
                continue
            rules += self.read(each, variables, (*above, os.path.realpath(path))).rules
        if len(rules) > MAX_RULES:
            raise FormatError(path, f"expected at most {MAX_RULES} rules, got {len(rules)}")
        texts = {key: self._section(data, key, str, path) for key in ("title", "description")}
        sections = {key: self._section(data, key, dict, path) for key in SECTIONS}
        for problem in beside_problems(sections["beside"]):
            self._wrong(path, problem)
        filled = {key: substitute(section, constants) for key, section in sections.items()}
        return Table(path, tuple(rules), texts["title"], texts["description"], derived, **filled)

    def _wrong(self, where: str, problem: str) -> None:
        self.problems.append(f"{PurePath(where).name}: {problem}" if os.path.sep in where else f"{where}: {problem}")

    def _section(self, data: Mapping[str, Any], key: str, kind: type, path: str) -> Any:
        value = data.get(key, kind())
        if not isinstance(value, kind):
            self._wrong(path, f"expected {'text' if kind is str else 'a table'} for {key}, got {value!r:.40}")
            return kind()
        return value

    def _variables(
        self, data: Any, given: Mapping[str, str | int], path: str
    ) -> tuple[dict[str, str | int], dict[str, Any]]:
        """The constant ones, with those that an including file gives, and the derived ones."""
        if not isinstance(data, dict):
            self._wrong(path, f"expected a table for variables, got {data!r:.40}")
            return dict(given), {}
        odd = [str(name) for name in data if not VARIABLE.fullmatch(f"${{{name}}}")]
        odd += [name for name in given if name not in data]
        if odd:
            self._wrong(path, f"expected variables by their names, got {listing(odd)}")
        constants: dict[str, str | int] = {}
        derived: dict[str, Any] = {}
        for name, value in {**data, **given}.items():
            if isinstance(value, str):
                constants[name] = substitute(value, constants)
            elif isinstance(value, int) and not isinstance(value, bool):
                constants[name] = value
            elif isinstance(value, dict):
                derived[name] = substitute(value, constants)
            else:
                self._wrong(
                    path, f"expected a text, a whole number or a table for the variable {name}, got {value!r:.40}"
                )
        return constants, derived

    def _rules(
        self, data: Any, lines: Sequence[int], path: str, constants: Mapping[str, str | int], derived: Mapping[str, Any]
    ) -> list[Rule]:
        rules: list[Rule] = []
        if not isinstance(data, list):
            self._wrong(path, f"expected a list of rules, got {data!r:.40}")
            return rules
        for index, item in enumerate(data):
            place = f"line {lines[index]}" if lines else f"rule {index + 1}"
            place = f"{PurePath(path).name} {place}"
            try:
                filled = substitute(item, constants)
                unknown = {name for name in VARIABLE.findall(repr(filled)) if name not in derived}
                if unknown:
                    raise RuleError(f"expected variables that the table has, got {', '.join(sorted(unknown))}")
                rules.append(read_rule(filled, place, derived))
            except (RuleError, VariableError) as error:
                self._wrong(place, str(error))
        return rules

    def _includes(
        self, data: Any, path: str, constants: Mapping[str, str | int]
    ) -> list[tuple[str, Mapping[str, str | int]]]:
        """Path and variables of each file to include."""
        found: list[tuple[str, Mapping[str, str | int]]] = []
        home = os.path.dirname(path)
        for item in data if isinstance(data, list) else [data]:
            entry = {"file": item} if isinstance(item, str) else item
            if not isinstance(entry, dict) or not set(entry) <= {"file", "variables"}:
                self._wrong(
                    path, f'expected "FILE" or {{file = "FILE", variables = {{...}}}} in include, got {item!r:.60}'
                )
                continue
            name, variables = entry.get("file"), substitute(entry.get("variables", {}), constants)
            if not isinstance(name, str) or not _is_below(home, name):
                self._wrong(path, f"expected a file of this table's directory or below to include, got {name!r:.60}")
            elif not isinstance(variables, dict) or not all(_is_constant(value) for value in variables.values()):
                self._wrong(path, f"expected texts and numbers as variables of {name}, got {variables!r:.60}")
            else:
                found.append((os.path.join(home, name), variables))
        return found


def _depth(data: Any) -> int:
    """Levels of tables and lists in each other."""
    depth, level = 0, [data]
    while level and depth <= DEEPEST:
        below = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list))]
        level = [item for items in below for item in items]
        depth += 1
    return depth


def _is_constant(value: Any) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _is_below(home: str, name: str) -> bool:
    """Whether the file lies in the directory or below it, behind all links."""
    if not name or "\0" in name or os.path.isabs(name):
        return False
    real = os.path.realpath(home or ".")
    return os.path.commonpath([real, os.path.realpath(os.path.join(real, name))]) == real
