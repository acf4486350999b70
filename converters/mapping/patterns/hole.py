"""Holes: the parts of a pattern that stand for a number, for text, or for one of several words; see `pattern`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from .matcher import ANY, DIGIT, MAX_PROGRAM, NOT_SLASH, NOT_ZERO, Chars, Instruction

TEXT, PATH, INT, CHOICE, WILD, WILD_PATH, WILD_CHAR = "text", "path", "int", "choice", "*", "**", "?"

_HOLE = re.compile(r"(?:(?P<factor>\d{1,9})\*)?(?P<name>[A-Za-z_][A-Za-z0-9_]*|\d{1,3})(?P<shift>[+-]\d{1,9})?")
_RANGE = re.compile(r"(0|[1-9]\d{0,8})\.\.(0|[1-9]\d{0,8})")
_MAX_DIGITS = 18


class PatternError(ValueError):
    """What is wrong with a pattern, or with two that belong together."""


@dataclass(frozen=True, slots=True)
class Hole:
    """`{factor*name+shift:kind}`; `kind` is empty where the pattern does not say it.

    `first` and `last` are the ends of a range, which is of `name` itself: `{n-6:6..8}` stands for 0, 1 and 2.
    """

    name: str
    kind: str = ""
    factor: int = 1
    shift: int = 0
    width: int = 0
    choices: tuple[str, ...] = ()
    first: int = 0
    last: int | None = None

    @property
    def is_computed(self) -> bool:
        return (self.factor, self.shift) != (1, 0)

    @property
    def span(self) -> tuple[int, int] | None:
        """The ends of its range; None where it has none."""
        return None if self.last is None else (self.first, self.last)

    def numbers(self, count: int) -> range:
        """The numbers that it stands for where it gathers or deals out `count` tensors: its range, or all from 0 on."""
        return range(count) if self.last is None else range(self.first, self.last + 1)

    def spelled(self) -> str:
        """The hole as a pattern has it."""
        if self.name.startswith("*"):
            return self.kind
        factor = f"{self.factor}*" if self.factor != 1 else ""
        shift = f"{self.shift:+d}" if self.shift else ""
        # One that has a width too got its range from another hole of its name, which is spelled with it.
        number = f"0{self.width}" if self.width else INT if self.last is None else f"{self.first}..{self.last}"
        spelled = {CHOICE: "|".join(self.choices), INT: number, TEXT: ""}.get(self.kind, self.kind)
        return f"{{{factor}{self.name}{shift}{':' * bool(spelled)}{spelled}}}"

    def value(self, text: str) -> str | int | None:
        """What the hole stands for where it matched `text`; None where no value gives that text."""
        if self.kind == CHOICE:
            return self.choices.index(text)
        if self.kind != INT:
            return text
        if len(text) > _MAX_DIGITS:
            return None
        number, rest = divmod(int(text) - self.shift, self.factor)
        return None if rest or number < self.first or (self.last is not None and number > self.last) else number

    def text(self, value: str | int) -> str:
        """The text for a value. PatternError where it would be a negative number, or is not one of the range."""
        if self.kind == CHOICE and isinstance(value, int):
            return self.choices[value]
        if self.kind != INT:
            return str(value)
        if isinstance(value, str) and not (value.isdecimal() and value.isascii() and len(value) <= _MAX_DIGITS):
            raise PatternError(f"expected a number for {self.name}, got {value!r}")
        if self.last is not None and not self.first <= int(value) <= self.last:
            raise PatternError(f"expected {self.name} from {self.first} to {self.last}, got {value}")
        number = self.factor * int(value) + self.shift
        if number < 0:
            raise PatternError(f"{self.spelled()} is {number} for {self.name} = {value}")
        return f"{number:0{self.width}d}"


def parse_hole(inside: str) -> Hole:
    """The hole that is written between braces. PatternError."""
    expression, colon, kind = inside.partition(":")
    match = _HOLE.fullmatch(expression.strip())
    if match is None:
        raise PatternError(f"expected a name such as {{n}}, {{n+1}} or {{2*n}}, got {{{inside}}}")
    factor, shift = int(match["factor"] or 1), int(match["shift"] or 0)
    if not factor:
        raise PatternError(f"expected a factor of 1 or more, got {{{inside}}}")
    hole = Hole(match["name"], "", factor, shift)
    if not colon:
        return hole
    if kind in (INT, PATH, TEXT):
        return replace(hole, kind=kind)
    if re.fullmatch(r"0[1-9]", kind):
        return replace(hole, kind=INT, width=int(kind))
    if ".." in kind and "|" not in kind:
        return _with_range(hole, kind, inside)
    choices = tuple(kind.split("|"))
    if len(choices) < 2 or len(set(choices)) < len(choices):
        raise PatternError(f"expected int, path, 02, 6..8 or different words a|b behind the colon, got {{{inside}}}")
    return replace(hole, kind=CHOICE, choices=choices)


def _with_range(hole: Hole, kind: str, inside: str) -> Hole:
    ends = _RANGE.fullmatch(kind)
    if ends is None:
        raise PatternError(f"expected a range of numbers without zeros in front such as 6..8, got {{{inside}}}")
    first, last = int(ends[1]), int(ends[2])
    if first > last:
        raise PatternError(f"expected a range that ends behind its begin, such as {last}..{first}, got {{{inside}}}")
    return replace(hole, kind=INT, first=first, last=last)


def compile_parts(parts: Iterable[str | Hole]) -> list[Instruction]:
    """The program that matches texts and holes in a row; hole n from 1 on is between the slots 2n and 2n + 1."""
    steps: list[Instruction] = []
    number = 0
    for part in parts:
        if isinstance(part, str):
            steps.append(("text", part, len(steps) + 1))
            continue
        number += 1
        steps.append(("save", 2 * number, len(steps) + 1))
        if part.kind == CHOICE:
            _compile_choices(steps, part.choices)
        elif part.kind == INT:
            if part.last is None:
                _compile_number(steps, part.width)
            else:
                _compile_range(steps, part)
        elif part.kind == WILD_CHAR:
            steps.append(("char", NOT_SLASH, len(steps) + 1))
        else:
            chars = ANY if part.kind in (PATH, WILD_PATH) else NOT_SLASH
            _compile_many(steps, chars, least=int(part.kind in (TEXT, PATH)))
        steps.append(("save", 2 * number + 1, len(steps) + 1))
    steps.append(("end",))
    if len(steps) > MAX_PROGRAM:
        raise PatternError(f"expected at most {MAX_PROGRAM} steps, got {len(steps)}: fewer choices help")
    return steps


def _compile_many(steps: list[Instruction], chars: Chars, least: int) -> None:
    for _ in range(least):
        steps.append(("char", chars, len(steps) + 1))
    fork = len(steps)
    steps.append(("fork", fork + 1, fork + 2))
    steps.append(("char", chars, fork))


def _compile_choices(steps: list[Instruction], choices: tuple[str, ...]) -> None:
    end = len(steps) + 2 * len(choices) - 1
    for choice in choices[:-1]:
        steps.append(("fork", len(steps) + 1, len(steps) + 2))
        steps.append(("text", choice, end))
    steps.append(("text", choices[-1], end))


def _compile_number(steps: list[Instruction], width: int) -> None:
    """A number without zeros in front, or one of `width` digits or more, with zeros only up to there."""
    fewest = max(width, 1)
    short = [("char", DIGIT)] * fewest
    start, middle = len(steps), len(steps) + len(short) + 2
    end = middle + 1 + fewest + 2
    steps.append(("fork", start + 1, middle))
    steps += [(*step, start + 2 + index) for index, step in enumerate(short)]
    steps.append(("text", "", end))
    steps += [(*step, middle + 1 + index) for index, step in enumerate([("char", NOT_ZERO), *short])]
    steps.append(("fork", end - 1, end))
    steps.append(("char", DIGIT, end - 2))


def _compile_range(steps: list[Instruction], hole: Hole) -> None:
    first, last = (hole.factor * (end or 0) + hole.shift for end in (hole.first, hole.last))
    if first < 0:
        raise PatternError(
            f"expected a range without numbers below zero, got {hole.spelled()}, which begins at {first}"
        )
    runs = list(_digits(first, last, hole.width))
    end = len(steps) + sum(map(len, runs)) + len(runs) - 1
    for number, digits in enumerate(runs, 1):
        if number < len(runs):
            steps.append(("fork", len(steps) + 1, len(steps) + 1 + len(digits)))
        steps += [("char", Chars(ranges=(pair,)), len(steps) + place) for place, pair in enumerate(digits, 1)]
        steps[-1] = (*steps[-1][:2], end)


def _digits(first: int, last: int, width: int) -> Iterator[list[tuple[str, str]]]:
    """Numbers from first to last in runs, each told by its lowest and highest digit for each place.

    8..123 is 8-9, 10-99, 100-119 and 120-123: of each of these, the digits can be chosen apart from each other.
    """
    ends, power = {last}, 10
    while (end := first - first % power + power - 1) < last:
        ends.add(end)
        power *= 10
    power = 10
    while (end := last - (last + 1) % power) >= first:
        ends.add(end)
        power *= 10
    for end in sorted(ends):
        yield list(zip(f"{first:0{width}d}", f"{end:0{width}d}", strict=True))
        first = end + 1
