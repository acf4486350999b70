"""Links whose names differ in numbers become one rule with holes: `layer_{n:int}/kernel` -> `layers.{n+1}.weight`.

Names are taken apart into texts and numbers. Links of the same texts are a family. A column of numbers that varies is a
hole; on the right each column has to follow from a hole on the left (n, n + 1, 2 * n + 1). Where the whole family does
not go together, it is divided by the values of one column, or else each link stands by itself.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..mapping.patterns.pattern import escape
from ..mapping.spell import spelled_verbs
from ..mapping.verbs.layout import Reshape
from ..mapping.verbs.parts import Tie, With
from ..mapping.verbs.verb import JOIN, SPLIT
from .link import Link, Way

_NUMBER = re.compile(r"(?<!\d)(\d{1,9})(?!\d)")
_LETTERS = "nmkijabcdefgh"
_SEVERAL = "l"
"""The hole over which a rule gathers or deals out."""

Name = tuple[str, ...]
"""Text, number, text, number, ..., text; the texts are pieces of patterns."""


@dataclass(frozen=True, slots=True)
class Draught:
    """A rule that is proposed: patterns on both sides, what to do, the links that it stands for, and its parts.

    `parts` are the rules that it was made of: what it falls apart into where it takes too much.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    way: Way
    links: tuple[Link, ...]
    parts: tuple[Draught, ...] = field(default=(), compare=False)

    @property
    def confidence(self) -> float:
        return round(min(link.confidence for link in self.links), 2)

    @property
    def because(self) -> str:
        """What the least certain of the links is based on."""
        return min(self.links, key=lambda link: link.confidence).because

    def spelled(self) -> dict[str, Any]:
        """The rule as a table's file has it."""
        arities = [verb.arity for verb in self.way]
        found: dict[str, Any] = {"from": list(self.left) if len(self.left) > 1 else self.left[0]}
        if not self.right:
            return found | {"drop": self.because}
        dealt = len(self.right) == 1 and SPLIT in arities and len(self.links[0].targets) > 1
        found["to"] = list(self.right) if len(self.right) > 1 or (SPLIT in arities and not dealt) else self.right[0]
        if self.way:
            found["do"] = spelled_verbs(self.way)
        return found


def template(name: str) -> str:
    """The name without its numbers."""
    return _NUMBER.sub("\0", name)


def numbers_of(name: str) -> tuple[int, ...]:
    """What `template` takes out of it."""
    return tuple(map(int, _NUMBER.findall(name)))


def exact(link: Link) -> Draught:
    """The rule for one link by its names."""
    return Draught(tuple(map(escape, link.sources)), tuple(map(escape, link.targets)), link.ways[0], (link,))


def by_numbers(links: Sequence[Link]) -> list[Draught]:
    """Rules for all links, those together that differ in numbers."""
    families: dict[object, list[Link]] = defaultdict(list)
    for link in links:
        key = tuple(map(template, link.sources)), tuple(map(template, link.targets)), bool(link.targets) or link.because
        families[key].append(link)
    found: list[Draught] = []
    for members in families.values():
        for group, way in _of_one_way(members):
            found += _rules([_Row.of(replace(link, ways=(each,))) for link, each in zip(group, way, strict=True)])
    return found


def go_along(old: Sequence[str], new: Sequence[str]) -> bool:
    """Whether the numbers of the one names follow from those of the others."""
    rows = [_Row.of(Link((a,), (b,))) for a, b in zip(old, new, strict=True)]
    return len({row.key for row in rows}) == 1 and _general(rows) is not None


def _of_one_way(links: Sequence[Link]) -> list[tuple[list[Link], list[Way]]]:
    """The links in groups that go one way, with the way of each; the ways are alike but for sizes in a reshape."""
    left, groups = list(links), list[tuple[list[Link], list[Way]]]()
    while left:
        ways: dict[Way, list[tuple[Link, Way]]] = defaultdict(list)
        for link in left:
            for loose, way in {_loose(way): way for way in reversed(link.ways)}.items():
                ways[loose].append((link, way))
        first = [_loose(way) for way in left[0].ways]
        best = max(first, key=lambda loose: (len(ways[loose]), -first.index(loose)))
        groups.append(([link for link, _ in ways[best]], _unified([way for _, way in ways[best]])))
        taken = {id(link) for link, _ in ways[best]}
        left = [link for link in left if id(link) not in taken]
    return groups


def _loose(way: Way) -> Way:
    """The way without the sizes of its reshapes."""
    return tuple(Reshape((0,) * len(verb.to)) if isinstance(verb, Reshape) else verb for verb in way)


def _unified(ways: list[Way]) -> list[Way]:
    """The ways, made one by -1 for the one size that differs in a reshape, where that does."""
    if len(set(ways)) == 1:
        return ways
    verbs = []
    for column in zip(*ways, strict=True):
        first = column[0]
        if isinstance(first, Reshape) and len(set(column)) > 1:
            places = list(zip(*(verb.to for verb in column if isinstance(verb, Reshape)), strict=True))
            sizes = tuple(-1 if len(set(place)) > 1 else place[0] for place in places)
            if sizes.count(-1) > 1:
                return ways
            first = Reshape(sizes)
        verbs.append(first)
    return [tuple(verbs)] * len(ways)


@dataclass(frozen=True, slots=True)
class _Row:
    """A link with its names taken apart."""

    link: Link
    left: tuple[Name, ...]
    right: tuple[Name, ...]

    @staticmethod
    def of(link: Link) -> _Row:
        left, right = (tuple(map(_apart, names)) for names in (link.sources, link.targets))
        verbs = [verb for verb in link.ways[0] if verb.arity in (JOIN, SPLIT)]
        one = len(verbs) == 1 and not isinstance(verbs[0], (Tie, With))
        return _Row(link, _gathered(left) if one else left, _gathered(right) if one else right)

    @property
    def key(self) -> object:
        return tuple(name[::2] for name in self.left), tuple(name[::2] for name in self.right), self.link.ways[0]

    @property
    def numbers(self) -> tuple[list[str], list[str]]:
        return [n for name in self.left for n in name[1::2]], [n for name in self.right for n in name[1::2]]


def _apart(name: str) -> Name:
    pieces = _NUMBER.split(name)
    return tuple(piece if place % 2 else escape(piece) for place, piece in enumerate(pieces))


def _gathered(names: tuple[Name, ...]) -> tuple[Name, ...]:
    """Several names that count on in one number as one, with a hole in its place."""
    if len(names) < 2 or len({name[::2] for name in names}) > 1:
        return names
    columns = list(zip(*(name[1::2] for name in names), strict=True))
    varying = [place for place, column in enumerate(columns) if len(set(column)) > 1]
    if len(varying) != 1:
        return names
    column = columns[varying[0]]
    first, width = int(column[0]), _width(column)
    if [int(text) for text in column] != list(range(first, first + len(column))) or width is None:
        return names
    hole = f"{{{_SEVERAL}{f'{first:+d}' if first else ''}:{_kind(width)}}}"
    name = list(names[0])
    place = 2 * varying[0] + 1
    name[place - 1 : place + 2] = [name[place - 1] + hole + name[place + 1]]
    return (tuple(name),)


def _rules(rows: Sequence[_Row]) -> list[Draught]:
    found: list[Draught] = []
    groups: dict[object, list[_Row]] = defaultdict(list)
    for row in rows:
        groups[row.key].append(row)
    for members in groups.values():
        whole = _general(members)
        found += [whole] if whole else _divided(members)
    return found


def _divided(rows: Sequence[_Row]) -> list[Draught]:
    """The fewest rules that come of dividing a family by one of its numbers."""
    best = [_literal(row) for row in rows]
    for place in range(len(rows[0].numbers[0])):
        parts: dict[str, list[_Row]] = defaultdict(list)
        for row in rows:
            parts[row.numbers[0][place]].append(row)
        if 1 < len(parts) < len(rows):
            found: list[Draught] = []
            for part in parts.values():
                whole = _general(part)
                found += [whole] if whole else map(_literal, part)
            best = min(best, found, key=len)
    return best


def _literal(row: _Row) -> Draught:
    """The rule for one link, with the holes of what is gathered."""
    left, right = (tuple("".join(name) for name in names) for names in (row.left, row.right))
    return Draught(left, right, row.link.ways[0], (row.link,))


def _general(rows: Sequence[_Row]) -> Draught | None:
    """One rule for rows of one family; None where numbers on the right do not follow from those on the left."""
    if len(rows) == 1:
        return _literal(rows[0])
    left, right = (list(zip(*(row.numbers[side] for row in rows), strict=True)) for side in (0, 1))
    holes: dict[tuple[int, ...], str] = {}
    sources: list[str] = []
    for column in left:
        if len(set(column)) == 1:
            sources.append(column[0])
            continue
        width, numbers = _width(column), tuple(map(int, column))
        if width is None or (numbers not in holes and len(holes) == len(_LETTERS)):
            return None
        name = holes.setdefault(numbers, _LETTERS[min(len(holes), len(_LETTERS) - 1)])
        sources.append(f"{{{name}:{_kind(width)}}}")
    targets: list[str] = []
    used: set[str] = set()
    for column in right:
        text = column[0] if len(set(column)) == 1 else _computed(column, holes, used)
        if text is None:
            return None
        targets.append(text)
    if right and used != set(holes.values()):
        return None
    links = tuple(row.link for row in rows)
    parts = tuple(map(_literal, rows))
    return Draught(_filled(rows[0].left, sources), _filled(rows[0].right, targets), links[0].ways[0], links, parts)


def _computed(column: Sequence[str], holes: Mapping[tuple[int, ...], str], used: set[str]) -> str | None:
    """The hole that gives these numbers, rather one that is not used yet, and rather as it is."""
    width, numbers = _width(column), tuple(map(int, column))
    if width is None:
        return None
    options: list[tuple[bool, int, int, str, int]] = []
    for values, name in holes.items():
        low, high = values.index(min(values)), values.index(max(values))
        factor, rest = divmod(numbers[high] - numbers[low], values[high] - values[low])
        shift = numbers[low] - factor * values[low]
        if rest == 0 and factor > 0 and all(factor * v + shift == n for v, n in zip(values, numbers, strict=True)):
            options.append((name in used, factor, abs(shift), name, shift))
    if not options:
        return None
    _, factor, _, name, shift = min(options)
    used.add(name)
    return _spelled(name, factor, shift, width)


def _spelled(name: str, factor: int, shift: int, width: int) -> str:
    kind = f":{_kind(width)}" if width else ""
    return f"{{{f'{factor}*' if factor > 1 else ''}{name}{f'{shift:+d}' if shift else ''}{kind}}}"


def _width(column: Sequence[str]) -> int | None:
    """The digits that numbers are filled up to, 0 for none; None where they are not written in one way."""
    widths = {len(text) for text in column if text[0] == "0" and len(text) > 1}
    if not widths:
        return 0
    width = min(widths)
    return width if width < 10 and all(f"{int(text):0{width}d}" == text for text in column) else None


def _kind(width: int) -> str:
    return f"0{width}" if width else "int"


def _filled(names: Sequence[Name], texts: Sequence[str]) -> tuple[str, ...]:
    """The names with these texts in place of their numbers."""
    rest = iter(texts)
    return tuple("".join(next(rest) if place % 2 else piece for place, piece in enumerate(name)) for name in names)
