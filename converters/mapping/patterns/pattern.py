"""Names with holes: what stands on both sides of a rule.

    encoder/layer_3/kernel        itself
    layer_{n:int}                 a number without zeros in front: layer_0, layer_11
    layer_{n:02}                  a number of two digits or more, with zeros in front: layer_00, layer_11
    layer_{n:6..8}                a number from 6 to 8, so that {n-6} on the other side is one from 0 to 2
    layer_{n+1:int}  {2*n+1}      a number that is computed from n; of two such on both sides one may be plain {n}
    {name}/kernel                 text without `/`
    {scope:path}/kernel           text, `/` among it
    {part:query|key|value}        one of these; {part:q|k|v} on the other side says the same in other words
    *  **  ?                      text without `/`, any text (both may be empty), one character other than `/`
    \\*  \\{                        a backslash takes the meaning from the character behind it

A pattern is matched against a whole name, which gives values for its holes, and rendered from such values. The first
`*` of one side goes with the first of the other, and so on. Both sides have one grammar, so that a rule can be read
backwards. A hole that stands twice has to match the same text twice.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .hole import CHOICE, INT, TEXT, WILD_PATH, Hole, PatternError, compile_parts, parse_hole
from .matcher import MAX_PROGRAM, Instruction, Steps, run

if TYPE_CHECKING:
    from .regex import Regex

_SPECIAL = re.compile(r"[\\*?{}]")

Values = Mapping[str, "str | int"]
"""Hole -> its text, its number, or the place of its choice."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Texts and holes in a row, or a regular expression (which can only be matched)."""

    source: str
    parts: tuple[str | Hole, ...]
    regex: Regex | None = None
    begin: str = ""
    """The text that all names begin with, and that they end with: most others are told from these."""
    end: str = ""
    _program: list[Instruction] = field(default_factory=list, compare=False, repr=False)

    @property
    def holes(self) -> list[Hole]:
        return [part for part in self.parts if isinstance(part, Hole)]

    def hole(self, name: str) -> Hole:
        """The first hole of that name. KeyError where there is none."""
        return {hole.name: hole for hole in reversed(self.holes)}[name]

    @property
    def names(self) -> set[str]:
        """What a match gives values for."""
        return {hole.name for hole in self.holes} if self.regex is None else set(self.regex.groups)

    @property
    def is_exact(self) -> bool:
        """Whether it is the name of one tensor."""
        return self.regex is None and not self.holes

    @property
    def exact(self) -> str:
        """The one name that an exact pattern stands for."""
        return "".join(part for part in self.parts if isinstance(part, str))

    def match(self, name: str, steps: Steps) -> dict[str, str | int] | None:
        """The values of the holes, None where the name does not match."""
        if self.regex is None and not (name.startswith(self.begin) and name.endswith(self.end)):
            steps.take(1)
            return None
        places = run(self.compiled(), name, steps)
        return None if places is None else self._values(name, places)

    def is_ambiguous(self, name: str, steps: Steps) -> bool:
        """Whether the holes can be filled in two ways. A regular expression says itself which one it prefers."""
        if self.regex is not None or len(self.holes) < 2:
            return False
        return run(self.compiled(), name, steps) != run(self.compiled(), name, steps, backwards=True)

    def render(self, values: Values) -> str:
        """The name for these values. PatternError where a number would be negative, or is not one of its range."""
        return "".join(part if isinstance(part, str) else part.text(values[part.name]) for part in self.parts)

    def spelled(self, known: Collection[Hole] = ()) -> str:
        """The pattern as text, every hole with its kind, unless `known` holes beside it say the same."""
        kinds = {(hole.name, hole.kind, hole.choices) for hole in known if hole.last is None or not hole.width}

        def spelled(hole: Hole) -> str:
            told = (hole.name, hole.kind, hole.choices) in kinds and not hole.width and not hole.name.startswith("*")
            return (replace(hole, kind="") if told else hole).spelled()

        return "".join(escape(part) if isinstance(part, str) else spelled(part) for part in self.parts)

    def _values(self, name: str, places: Mapping[int, int]) -> dict[str, str | int] | None:
        values: dict[str, str | int] = {}
        if self.regex is not None:
            for number, group in enumerate(self.regex.groups, 1):
                values[group] = name[places[2 * number] : places[2 * number + 1]] if 2 * number in places else ""
            return values
        for number, hole in enumerate(self.holes, 1):
            value = hole.value(name[places[2 * number] : places[2 * number + 1]])
            if value is None or values.setdefault(hole.name, value) != value:
                return None
        return values

    @property
    def instructions(self) -> int:
        """How long its program is. PatternError where that would be too long."""
        return len(self.parts) + 1 if self.is_exact else len(self.compiled())

    def compiled(self) -> list[Instruction]:
        """What matches it. PatternError where that would be too long."""
        if self.regex is not None:
            return self.regex.program
        if not self._program:
            self._program.extend(compile_parts(self.parts))
        return self._program


def parse_pattern(source: str) -> Pattern:
    """A name with holes. PatternError."""
    if not _SPECIAL.search(source):
        return Pattern(source, (source,) if source else (), None, source, source)
    parts: list[str | Hole] = []
    text, place, wild = "", 0, 0
    while special := _SPECIAL.search(source, place):
        text += source[place : special.start()]
        char, place = special[0], special.start()
        if char == "\\" and place + 1 < len(source):
            text += source[place + 1]
            place += 2
        elif char in "*?":
            kind = WILD_PATH if source.startswith("**", place) else char
            wild += 1
            parts += [text, Hole(f"*{wild}", kind)]
            text, place = "", place + len(kind)
        elif char == "{":
            end = source.find("}", place)
            if end < 0:
                raise PatternError(f"expected }} behind {source[place:]!r} (\\{{ is the character itself)")
            parts += [text, parse_hole(source[place + 1 : end])]
            text, place = "", end + 1
        elif char == "}":
            raise PatternError(f"expected {{ before }} in {source!r} (\\}} is the character itself)")
        else:  # a backslash at the end
            text += char
            place += 1
    kept = tuple(part for part in [*parts, text + source[place:]] if part != "")
    if len(kept) > MAX_PROGRAM // 10:
        raise PatternError(f"expected at most {MAX_PROGRAM // 10} holes and texts, got {len(kept)}")
    ends = [part if isinstance(part, str) else "" for part in (*kept[:1], *kept[-1:])] or ["", ""]
    return Pattern(source, kept, None, ends[0], ends[1])


def parse_regex(source: str) -> Pattern:
    """A regular expression as a pattern. RegexError."""
    from .regex import compile_regex

    return Pattern(source, (), compile_regex(source))


def exact_pattern(name: str) -> Pattern:
    """The pattern of one name, whatever characters are in it."""
    return Pattern(escape(name), (name,) if name else (), None, name, name)


def escape(text: str) -> str:
    """The pattern that matches just `text`."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def agree(patterns: Iterable[Pattern]) -> list[Pattern]:
    """The patterns of one rule, each hole with the kind that any of them gives it. PatternError where they differ."""
    patterns = list(patterns)
    kinds: dict[str, Hole] = {}
    for hole in (hole for pattern in patterns for hole in pattern.holes):
        known = kinds.get(hole.name)
        if known is None or not known.kind:
            kinds[hole.name] = hole
        elif hole.kind and (hole.kind != known.kind or len(hole.choices) != len(known.choices)):
            raise PatternError(f"expected one kind for {hole.name}, got {known.spelled()} and {hole.spelled()}")
        elif known.span is None and hole.span is not None:
            kinds[hole.name] = hole
        elif hole.span not in (None, known.span):
            raise PatternError(f"expected one range for {hole.name}, got {known.spelled()} and {hole.spelled()}")
    for pattern in patterns:
        for group in pattern.regex.groups if pattern.regex is not None else ():
            if kinds.get(group, Hole("")).kind == CHOICE:
                raise PatternError(f"expected a hole without choices for the group {group} of a regular expression")
    agreed = [_with_kinds(pattern, kinds) if kinds else pattern for pattern in patterns]
    for pattern in agreed:
        if not pattern.is_exact:
            pattern.compiled()
    return agreed


def lone_pattern(source: str) -> Pattern:
    """A pattern that is only matched. PatternError."""
    return agree([parse_pattern(source)])[0]


def _with_kinds(pattern: Pattern, kinds: Mapping[str, Hole]) -> Pattern:
    parts = tuple(_with_kind(part, kinds) for part in pattern.parts)
    return pattern if parts == pattern.parts else replace(pattern, parts=parts, _program=[])


def _with_kind(part: str | Hole, kinds: Mapping[str, Hole]) -> str | Hole:
    if isinstance(part, str):
        return part
    known = kinds[part.name]
    kind = part.kind or known.kind or TEXT
    if part.is_computed and kind != INT:
        raise PatternError(f"expected a number in {part.spelled()}: {{{part.name}:int}} on the left makes it one")
    choices = part.choices or known.choices
    return Hole(part.name, kind, part.factor, part.shift, part.width, choices, known.first, known.last)
