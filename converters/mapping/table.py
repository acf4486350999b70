"""Tables of rules, as files:

    title, description      for people
    note                    what whoever converts with it has to know: it stands in the report
    variables               name -> text, number, or how it follows from the source (`variables`); ${name} stands for it
    include                 files whose rules come behind this one's: "common.toml", or
                            {file = "common.toml", variables = {...}}
    rules                   in order: the first that matches a name takes it (`rule`)
    recognise               of presets (`recognition`)
    config, assumed, beside, files      what is written beside the result (`config`, `beside`)

Everything that is wrong with a table is said at once, with the line of each rule. An included file lies in the
directory of the one that includes it, or below, and no file includes itself. What it has in `beside` and `files` counts
where the table has nothing else; its variables there may be those of the table.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from tensorferry.formats.errors import FormatError, listing, of_many

from .beside import beside_problems
from .document import RULES, read_document
from .rule import Rule, RuleError, read_rule
from .variables import VARIABLE, VariableError, fill, length, substitute, variables_in

SECTIONS = ("recognise", "config", "assumed", "beside", "files")
TEXTS = ("title", "description", "note")
INHERITED = ("beside", "files")
"""What an included file gives, where the one that includes it has no other."""

KEYS = (*TEXTS, "variables", "include", RULES, *SECTIONS)
MAX_FILES = 100
MAX_RULES = 100_000
MAX_INSTRUCTIONS = 2_000_000
"""Of all patterns together, compiled (`matcher`)."""

MAX_LENGTH = 64 << 20
"""Characters of all texts together, with variables put in."""

_LARGEST = 10**300
_PLAIN = "texts, numbers, true and false, lists and tables with texts as names"

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
    note: str = ""
    derived: Mapping[str, Any] = field(default_factory=dict)
    """How variables follow from the source, by name."""
    recognise: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    assumed: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)


def is_table(data: Any) -> bool:
    """Whether a file's data are a table of rules: it has a list of them, or of files to include."""
    return isinstance(data, dict) and (isinstance(data.get(RULES), list) or isinstance(data.get("include"), list))


def read_rules(path: Path, values: Mapping[str, str] | None = None) -> Table:
    """The table of rules in a file, `values` those of its variables. FormatError lists all that is wrong with it."""
    reader = _Reader()
    table = reader.read(os.fspath(path), values or {}, ())
    if reader.problems:
        raise of_many(FormatError, path, reader.problems, "expected a table of rules, got: ")
    return table


class _Reader:
    """Reads one table with all that it includes."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._files = 0
        self._characters = 0
        self._instructions = 0

    def read(self, path: str, given: Mapping[str, str | int], above: Files) -> Table:
        """The table in a file, `given` the values of its variables; `above` are the files that include it."""
        self._files += 1
        if self._files > MAX_FILES:
            raise FormatError(path, f"expected at most {MAX_FILES} included files")
        document = read_document(path)
        data = document.data
        if not isinstance(data, dict) or not (
            is_table(data) or set(data) & {"variables", *(INHERITED if above else ())}
        ):
            raise FormatError(path, f"expected a table with rules, got {'one without' if data else 'none'}")
        if _depth(data) > DEEPEST:
            raise FormatError(path, f"expected data at most {DEEPEST} levels deep")
        odd = list(_odd(data))
        if odd:
            raise FormatError(path, f"expected {_PLAIN}, got {listing(odd)}")
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
        self._count_characters(sum(length(part, constants) for key, part in data.items() if key != "variables"), path)
        rules = self._rules(data.get(RULES, []), lines, path, constants, derived)
        below: list[Table] = []
        for each, variables in self._includes(data.get("include", []), path, constants):
            real = os.path.realpath(each)
            if real in above or real == os.path.realpath(path):
                names = " -> ".join(PurePath(file).name for file in (*above, path, each))
                self._wrong(path, f"expected files that do not include each other, got {names}")
                continue
            below.append(self.read(each, variables, (*above, os.path.realpath(path))))
            rules += below[-1].rules
            _check_count(rules, path)
        _check_count(rules, path)
        texts = {key: self._section(data, key, str, path) for key in TEXTS}
        sections = {key: self._section(data, key, dict, path) for key in SECTIONS}
        filled = {key: fill(section, constants) for key, section in sections.items()}
        for key in INHERITED:
            for table in below:
                filled[key] = _with_defaults(filled[key], getattr(table, key))
        if not above:
            self._check_sections(filled, derived, path)
        return Table(path, tuple(rules), derived=derived, **texts, **filled)

    def _check_sections(self, sections: Mapping[str, Any], derived: Mapping[str, Any], path: str) -> None:
        """What the whole table has besides rules, included sections among it."""
        for problem in beside_problems(sections["beside"], sections["files"]):
            self._wrong(path, problem)
        tells = sections["beside"].get("tells")
        unknown = variables_in(sections) - {*derived, *(tells if isinstance(tells, dict) else ())}
        for key in ("config", "assumed", "files"):
            if not _is_finite(sections[key]):
                self._wrong(path, f"expected finite numbers in {key}, which JSON can hold, got nan or inf")
        if unknown:
            problem = "expected variables that the table has beside its rules"
            self._wrong(path, f"{problem}, got {', '.join(sorted(unknown))}")

    def _count_characters(self, count: int, path: str) -> None:
        self._characters += count
        if self._characters > MAX_LENGTH:
            raise FormatError(path, f"expected at most {MAX_LENGTH} characters with all variables put in, got more")

    def _count_instructions(self, rule: Rule, path: str) -> None:
        self._instructions += sum(len(pattern.compiled()) for pattern in (*rule.sources, *rule.targets))
        if self._instructions > MAX_INSTRUCTIONS:
            raise FormatError(path, "expected shorter patterns: all together they are too long to be matched")

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
                self._count_characters(length(value, constants), path)
                constants[name] = substitute(value, constants)
            elif isinstance(value, int) and not isinstance(value, bool):
                constants[name] = value
            elif isinstance(value, dict):
                self._count_characters(length(value, constants), path)
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
                self._count_instructions(rules[-1], path)
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


def _check_count(rules: Sequence[Rule], path: str) -> None:
    if len(rules) > MAX_RULES:
        raise FormatError(path, f"expected at most {MAX_RULES} rules, got {len(rules)}")


def _with_defaults(own: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """A section with what another has and it lacks: entries, and entries of entries."""
    found = {**others, **own}
    for key in set(own) & set(others):
        if isinstance(own[key], dict) and isinstance(others[key], dict):
            found[key] = {**others[key], **own[key]}
    return found


def _depth(data: Any) -> int:
    """Levels of tables and lists in each other."""
    depth, level = 0, [data]
    while level and depth <= DEEPEST:
        below = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list))]
        level = [item for items in below for item in items]
        depth += 1
    return depth


def _odd(data: Any) -> Iterator[str]:
    """What of the data has no place in a table: a date, bytes, a number as a name, a number of too many digits."""
    if isinstance(data, dict):
        for key, item in data.items():
            if not isinstance(key, str):
                yield f"{key!r:.40} as a name"
            yield from _odd(item)
    elif isinstance(data, list):
        for item in data:
            yield from _odd(item)
    elif isinstance(data, int) and abs(data) >= _LARGEST:
        yield "a number of more than 300 digits"
    elif not isinstance(data, (str, int, float, type(None))):
        yield f"the {type(data).__name__} {data!s:.40}"


def _is_finite(data: Any) -> bool:
    """Whether no number of the data is infinite or none."""
    if isinstance(data, Mapping):
        data = list(data.values())
    return all(map(_is_finite, data)) if isinstance(data, list) else not isinstance(data, float) or math.isfinite(data)


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
