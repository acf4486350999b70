"""Tables of rules, as files:

    title, description      for people
    note                    what whoever converts with it has to know: it stands in the report
    variables               name -> text, number, or how it follows from the source (`variables`); ${name} stands for it
    include                 tables whose rules come behind this one's (`includes`)
    rules                   in order: the first that matches a name takes it (`rule`)
    recognise               of presets (`recognition`)
    config, assumed, beside, files      what is written beside the result (`config`, `beside`)

Everything that is wrong with a table is said at once, with the line of each rule. No file includes itself. What an
included one has in `beside` and `files` counts where the table has nothing else, its variables there may be those of
the table; and the table may use those of its variables that follow from the source.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from tensorferry.formats.errors import FormatError, listing, of_many

from .beside import beside_problems
from .document import RULES, Document, read_document
from .includes import Constants, read_includes
from .plain import check_plain, is_finite
from .rule import Rule, RuleError, read_rule, with_near
from .variables import LONGEST, VARIABLE, VariableError, fill, length, substitute, variables_in

SECTIONS = ("recognise", "config", "assumed", "beside", "files")
TEXTS = ("title", "description", "note")
INHERITED = ("beside", "files")
"""What an included file gives, where the one that includes it has no other."""

KEYS = (*TEXTS, "variables", "include", RULES, *SECTIONS)
MAX_FILES = 100
MAX_RULES = 100_000
MAX_INSTRUCTIONS = 2_000_000
"""Of all patterns together, compiled (`patterns.matcher`)."""

MAX_LENGTH = 64 << 20
"""Characters of all texts together, with variables put in."""

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


def read_rules(path: Path, values: Mapping[str, str] | None = None, document: Document | None = None) -> Table:
    """The table of rules in a file, `values` those of its variables. FormatError lists all that is wrong with it.

    `document` is what is in the file, where that was read before.
    """
    reader = _Reader(os.fspath(path))
    table = reader.read(os.fspath(path), values or {}, (), document)
    if reader.problems:
        raise of_many(FormatError, path, reader.problems, "expected a table of rules, got: ")
    return table


class _Reader:
    """Reads one table with all that it includes."""

    def __init__(self, path: str) -> None:
        self.problems: list[str] = []
        self._path = path
        self._files = 0
        self._rules_in_all = 0
        self._characters = 0
        self._instructions = 0

    def read(self, path: str, given: Constants, above: Files, document: Document | None = None) -> Table:
        """The table in a file, `given` the values of its variables; `above` are the files that include it."""
        self._files += 1
        if self._files > MAX_FILES:
            raise FormatError(path, f"expected at most {MAX_FILES} included files")
        document = document or read_document(path)
        data = document.data
        if not isinstance(data, dict) or not (
            is_table(data) or set(data) & {"variables", *(INHERITED if above else ())}
        ):
            raise FormatError(path, f"expected a table with rules, got {'one without' if data else 'none'}")
        check_plain(data, path)
        try:
            return self._read(data, document.lines, path, given, above)
        except VariableError as error:
            raise FormatError(path, str(error)) from None

    def _read(self, data: Mapping[str, Any], lines: Sequence[int], path: str, given: Constants, above: Files) -> Table:
        odd = [with_near(str(key), KEYS) for key in data if key not in KEYS]
        if odd:
            self._wrong(path, f"expected only the keys {', '.join(KEYS)}, got {', '.join(odd)}")
        constants, derived = self._variables(data.get("variables", {}), given, path)
        self._count_characters(sum(length(part, constants) for key, part in data.items() if key != "variables"), path)
        below = list(self._included(data.get("include", []), path, constants, above))
        texts = {key: self._section(data, key, str, path) for key in TEXTS}
        sections = {key: self._section(data, key, dict, path) for key in SECTIONS}
        filled = {key: fill(section, constants) for key, section in sections.items()}
        for key in INHERITED:
            for table in below:
                filled[key] = _with_defaults(filled[key], fill(getattr(table, key), constants))
        if below:
            wanted = variables_in(data) | variables_in(filled)
            needed = _needed(wanted, [table.derived for table in below], {*constants, *derived})
            derived = {**substitute(needed, constants), **derived}
        rules = self._rules(data.get(RULES, []), lines, path, constants, derived)
        rules += [rule for table in below for rule in table.rules]
        if not above:
            self._check_sections(
                filled, derived, [*derived, *(name for table in below for name in table.derived)], path
            )
        return Table(path, tuple(rules), derived=derived, **texts, **filled)

    def _check_sections(
        self, sections: Mapping[str, Any], derived: Mapping[str, Any], near: Iterable[str], path: str
    ) -> None:
        """What the whole table has besides rules, included sections among it; `near` are variables to hint at."""
        for problem in beside_problems(sections["beside"], sections["files"]):
            self._wrong(path, problem)
        tells = sections["beside"].get("tells")
        unknown = variables_in(sections) - {*derived, *(tells if isinstance(tells, dict) else ())}
        for key in ("config", "assumed", "files"):
            if not is_finite(sections[key]):
                self._wrong(path, f"expected finite numbers in {key}, which JSON can hold, got nan or inf")
        if unknown:
            problem = "expected variables that the table has beside its rules"
            self._wrong(path, f"{problem}, got {_listing(unknown, near)}")

    def _count_characters(self, count: int, path: str) -> None:
        self._characters += count
        if self._characters > MAX_LENGTH:
            raise FormatError(path, f"expected at most {MAX_LENGTH} characters with all variables put in, got more")

    def _count_rules(self, count: int) -> None:
        self._rules_in_all += count
        if self._rules_in_all > MAX_RULES:
            raise FormatError(self._path, f"expected at most {MAX_RULES} rules, got {self._rules_in_all}")

    def _count_instructions(self, rule: Rule, path: str) -> None:
        self._instructions += sum(pattern.instructions for pattern in (*rule.sources, *rule.targets))
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

    def _variables(self, data: Any, given: Constants, path: str) -> tuple[dict[str, str | int], dict[str, Any]]:
        """The constant ones, with those that an including file gives, and the derived ones."""
        if not isinstance(data, dict):
            self._wrong(path, f"expected a table for variables, got {data!r:.40}")
            return dict(given), {}
        odd = [str(name) for name in data if not VARIABLE.fullmatch(f"${{{name}}}")]
        if odd:
            self._wrong(path, f"expected variables by their names, got {listing(odd)}")
        unknown = [name for name in given if name not in data]
        if unknown:
            own = f"of the variables {listing(data)}" if data else "of no variables, for it has none"
            self._wrong(path, f"expected values {own}, got one of {_listing(unknown, data)}")
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
        self, data: Any, lines: Sequence[int], path: str, constants: Constants, derived: Mapping[str, Any]
    ) -> list[Rule]:
        rules: list[Rule] = []
        if not isinstance(data, list):
            self._wrong(path, f"expected a list of rules, got {data!r:.40}")
            return rules
        self._count_rules(len(data))
        file = PurePath(path).name
        for index, item in enumerate(data):
            place = f"{file} line {lines[index]}" if lines else f"{file} rule {index + 1}"
            try:
                rules.append(read_rule(_filled(item, constants, derived), place, derived))
                self._count_instructions(rules[-1], path)
            except (RuleError, VariableError) as error:
                self._wrong(place, str(error))
        return rules

    def _included(self, data: Any, path: str, constants: Constants, above: Files) -> Iterator[Table]:
        """The tables that this one includes."""
        here = os.path.realpath(path)
        for found in read_includes(data, path, constants):
            if isinstance(found, str):
                self._wrong(path, found)
            elif os.path.realpath(found.path) in (*above, here):
                names = " -> ".join(PurePath(file).name for file in (*above, path, found.path))
                self._wrong(path, f"expected files that do not include each other, got {names}")
            else:
                yield self.read(found.path, found.variables, (*above, here))


def _filled(item: Any, constants: Constants, derived: Mapping[str, Any]) -> Any:
    """A rule with the constants put in. RuleError where it has other variables than the table."""
    text = repr(item)
    if "${" not in text and len(text) <= LONGEST:
        return item
    filled = substitute(item, constants)
    unknown = {name for name in VARIABLE.findall(repr(filled)) if name not in derived}
    if unknown:
        raise RuleError(f"expected variables that the table has, got {_listing(unknown, [*constants, *derived])}")
    return filled


def _needed(wanted: Iterable[str], below: Sequence[Mapping[str, Any]], own: Set[str]) -> dict[str, Any]:
    """Those of the derived variables of included files that are wanted, and what these need besides a table's own."""
    there: dict[str, Any] = {}
    for derived in below:
        there = {**derived, **there}
    found: set[str] = set()
    left = list(wanted)
    while left:
        name = left.pop()
        if name in there and name not in found and name not in own:
            found.add(name)
            left += variables_in(there[name])
    return {name: value for name, value in there.items() if name in found}


def _with_defaults(own: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """A section with what another has and it lacks: entries, and entries of entries."""
    found = {**others, **own}
    for key in set(own) & set(others):
        if isinstance(own[key], dict) and isinstance(others[key], dict):
            found[key] = {**others[key], **own[key]}
    return found


def _listing(names: Iterable[str], known: Iterable[str]) -> str:
    """Unknown names, with the known ones that they may be meant for."""
    return listing(with_near(name, list(known)) for name in sorted(names))
