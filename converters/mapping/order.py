"""An order of inverse rules in which each takes what its own rule made.

A name that two of them match is looked at through the rules that they came from:

    {x}/kernel, rank 2 -> {x}.w      both would give it back the same name: as the rules stood, so do the inverses
    {x}/kernel         -> {x}.w
    a -> c.1                         c.1 is the special one's, which goes first: **.1 would have made it of c
    ** -> **.1                       (a doubt, unless a rule in front takes c away)
    {x}/a -> {x}.a                   b.a may be of either: no order helps
    {y}/b -> b.{y}

Rules whose conditions exclude each other never meet. What two patterns have in common is decided exactly (`overlap`);
what becomes of it is tried on some names of every kind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from math import prod

from .patterns.hole import CHOICE, Hole, PatternError
from .patterns.matcher import Steps, TooLongError
from .patterns.overlap import common_names, is_within
from .patterns.pattern import Pattern
from .rule import Condition, Rule

_MOST_PATTERNS = 400
"""Rules with holes that are compared, each with each; more are not inverted without a source."""

_MOST_CHOICES = 64


@dataclass(slots=True)
class Order:
    """Places of the inverse rules in their order; why others are left out; names that go back by guess."""

    places: list[int] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def order_rules(rules: Sequence[Rule], forward: Sequence[Rule], came: Sequence[int]) -> Order:
    """The order of the inverses `rules`; `came` are the places of what they invert among the `forward` ones."""
    before: dict[int, set[int]] = defaultdict(set)
    unclear: dict[int, str] = {}
    found = Order()
    for a, b in _pairs(rules):
        one, other = rules[a], rules[b]
        try:
            shared = _shared(one, other)
            first = _first(one, other, shared)
        except TooLongError:
            shared, first, either = [], 0, "some name"
        else:
            if not shared:
                continue
            if all(_back(one, p, name) == _back(other, q, name) is not None for p, q, name in shared):
                before[b].add(a)
                continue
            either = shared[0][2]
        if not first:
            text = f"{one.place} and {other.place}: their results can't be told apart, {either} may be of either"
            unclear.setdefault(a, text)
            unclear.setdefault(b, text)
            continue
        low, high = (a, b) if first < 0 else (b, a)
        before[high].add(low)
        general = [(q if first < 0 else p, name) for p, q, name in shared]
        doubt = _doubtful(rules[high], general, forward[: came[high]])
        if doubt is not None:
            found.doubts.append(
                f"{doubt} goes back by {rules[low].place}, though {rules[high].place} ({forward[came[high]]}) "
                "could have made it too"
            )
    for place in [place for place, rule in enumerate(rules) if not rule.is_exact][_MOST_PATTERNS:]:
        text = f"one of more than {_MOST_PATTERNS} rules with holes, which are not all compared: name a source"
        unclear.setdefault(place, f"{rules[place].place}: {text}, `map invert TABLE SRC`")
    for place, rule in enumerate(rules):
        if (own := _own_overlap(rule)) is not None:
            unclear.setdefault(place, f"{rule.place}: its results can't be told apart, {own} may be one or another")
    found.places = [place for place in _sorted(len(rules), before) if place not in unclear]
    found.unclear = list(dict.fromkeys(unclear.values()))
    return found


def _doubtful(rule: Rule, shared: Sequence[tuple[Pattern, str]], ahead: Sequence[Rule]) -> str | None:
    """The first name whose origin by this inverse none of the rules ahead of its own would have taken away."""
    for pattern, name in shared:
        origin = _back(rule, pattern, name)
        if origin is None or not any(_takes(each, origin) for each in ahead):
            return name
    return None


def _back(rule: Rule, pattern: Pattern, name: str) -> tuple[str, ...] | None:
    """The names that an inverse gives a result back; None where that can't be said of it alone."""
    values = pattern.match(name, Steps())
    if values is None:
        return None
    try:
        return tuple(target.render(values) for target in rule.targets)
    except (KeyError, PatternError):
        return None


def _takes(rule: Rule, names: tuple[str, ...]) -> bool:
    """Whether a rule takes one of the names whatever its tensor is."""
    if rule.where != Condition():
        return False
    return any(pattern.match(name, Steps()) is not None for pattern in rule.sources for name in names)


def _pairs(rules: Sequence[Rule]) -> Iterator[tuple[int, int]]:
    """The pairs that may have names in common: of names alone, only those that are the same."""
    exact: dict[str, list[int]] = defaultdict(list)
    general: list[int] = []
    for place, rule in enumerate(rules):
        if rule.is_exact:
            for pattern in rule.sources:
                exact[pattern.exact].append(place)
        else:
            general.append(place)
    for places in exact.values():
        yield from combinations(dict.fromkeys(places), 2)
    general = general[:_MOST_PATTERNS]
    yield from combinations(general, 2)
    alone = dict.fromkeys(place for places in exact.values() for place in places)
    yield from ((min(a, b), max(a, b)) for a, b in product(general, alone))


def _shared(one: Rule, other: Rule) -> list[tuple[Pattern, Pattern, str]]:
    """Names that patterns of both match, with these."""
    if _exclude(one.where, other.where):
        return []
    return [(p, q, name) for p, q in product(one.sources, other.sources) for name in common_names(p, q)]


def _first(one: Rule, other: Rule, shared: Sequence[tuple[Pattern, Pattern, str]]) -> int:
    """-1 or 1: which of the two is the more special one; 0: neither."""
    whole = list({(id(p), id(q)): (p, q) for p, q, _ in shared}.values())
    for pairs in whole, [(a, b) for p, q in whole for a, b in product(_plain(p), _plain(q)) if common_names(a, b)]:
        inner, outer = all(is_within(p, q) for p, q in pairs), all(is_within(q, p) for p, q in pairs)
        if inner and outer:
            return _narrows(other.where, one.where) - _narrows(one.where, other.where)
        if inner or outer:
            return outer - inner
    return 0


def _plain(pattern: Pattern) -> list[Pattern]:
    """The pattern with each of its choices in turn: what they share may be less than all of them."""
    rows: list[list[str | Hole]] = [
        list(part.choices) if isinstance(part, Hole) and part.kind == CHOICE else [part] for part in pattern.parts
    ]
    if prod(map(len, rows)) > _MOST_CHOICES:
        return [pattern]
    return [replace(pattern, parts=parts, _program=[]) for parts in product(*rows)]


def _exclude(one: Condition, other: Condition) -> bool:
    """Whether no tensor meets both conditions."""
    ranks = [c.rank if c.shape is None else len(c.shape) for c in (one, other)]
    if None not in ranks and ranks[0] != ranks[1]:
        return True
    if one.dtype is not None and other.dtype is not None and not set(one.dtype) & set(other.dtype):
        return True
    sizes = zip(one.shape or (), other.shape or (), strict=False)
    return any(-1 not in pair and pair[0] != pair[1] for pair in sizes)


def _narrows(one: Condition, other: Condition) -> bool:
    """Whether whatever meets the one meets the other, as far as is easily told."""
    return other in (one, Condition())


def _own_overlap(rule: Rule) -> str | None:
    """A name that two of the rule's own patterns match, if it takes several names with holes."""
    if rule.is_exact or len(rule.sources) == 1:
        return None
    try:
        first, *others = rule.sources
        return next((name for each in others for name in common_names(first, each)), None)
    except TooLongError:
        return rule.sources[0].source


def _sorted(count: int, before: dict[int, set[int]]) -> list[int]:
    """All places, each behind those that have to come before it, else as they were."""
    order: list[int] = []
    done: set[int] = set()
    for start in range(count):
        stack = [(start, False)]
        while stack:
            place, ready = stack.pop()
            if ready:
                order.append(place)
            elif place not in done:
                done.add(place)
                stack.append((place, True))
                stack += [(each, False) for each in sorted(before[place], reverse=True) if each not in done]
    return order
