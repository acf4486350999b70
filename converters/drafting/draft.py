"""A table proposed for a source and a target: from values where both have them, else from names and shapes.

Nothing is guessed in silence: each rule has its confidence, from 0 to 1, and what it is based on; what has no
counterpart is listed. Equal values are evidence only if they could hardly be equal by chance; zeros and ones are none.

A source without a target is dropped, by a rule, if every target has its source. Where targets are left too it is only
listed: one of those may be what is missing.

The rules are run over the source before they are handed out. A rule that does not give just what was found falls apart
into those that it was made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tensorferry.formats.errors import NameMapError
from tensorferry.formats.tensor import Tensor

from ..mapping.plan import make_plan
from ..mapping.rule import RuleError, read_rule
from ..mapping.verbs.parts import With
from .by_names import COUNTER, NameFinder
from .by_shapes import links_by_shapes, tied
from .by_values import Values, links_by_values, links_of_several
from .choices import by_choices
from .drops import drop_rules, dropped_links
from .likeness import last_word, parent
from .link import Link, Wanted
from .numbers import Draught, by_numbers, exact
from .parts import PartFinder


@dataclass(slots=True)
class Draft:
    """A proposal: rules, the confidence of each, and what has no counterpart."""

    rules: list[dict[str, Any]] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Of each rule: what it is based on."""
    overall: float = 0.0
    """The mean over all targets, 0 for each that has no source."""
    links: list[Link] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    sources_left: list[str] = field(default_factory=list)
    targets_left: list[str] = field(default_factory=list)


def draft_table(source: Mapping[str, Tensor], target: Mapping[str, Wanted]) -> Draft:
    """The proposal for making `target` of `source`."""
    target = {
        name: wanted if wanted.tensor is None else replace(wanted, dtype=str(wanted.tensor.dtype))
        for name, wanted in target.items()
    }
    links = _links(source, target)
    used = {name for link in links for name in link.sources}
    dropped = dropped_links(links, [name for name in source if name not in used], target)
    places = {name: place for place, name in enumerate(source)}
    links.sort(key=lambda link: min(places[name] for name in link.sources))
    found = by_numbers(links) + drop_rules(dropped, source)
    links += dropped
    rules = _tried(by_choices(found), links, source)
    draft = Draft([r.spelled() for r in rules], [r.confidence for r in rules], [r.because for r in rules])
    draft.links = [link for link in links if link.targets]
    draft.dropped = {link.sources[0]: link.because for link in links if not link.targets}
    sure = {name: link.confidence for link in links for name in link.targets}
    draft.overall = round(sum(sure.values()) / len(target), 2) if target else 0.0
    used = {name for link in links for name in link.sources}
    draft.sources_left = [name for name in source if name not in used]
    draft.targets_left = [name for name in target if name not in sure]
    return draft


class _Search:
    """The links that are found so far, and what none of them has yet: each finder looks at what is left over."""

    def __init__(self, source: Mapping[str, Tensor], target: Mapping[str, Wanted]) -> None:
        self.values = Values(source, target)
        self.target = target
        self.links: list[Link] = []

    @property
    def old(self) -> dict[str, Tensor]:
        """The sources that are left."""
        used = {name for link in self.links for name in link.sources}
        return {name: tensor for name, tensor in self.values.source.items() if name not in used}

    @property
    def new(self) -> dict[str, Wanted]:
        """The targets that are left."""
        met = {name for link in self.links for name in link.targets}
        return {name: wanted for name, wanted in self.target.items() if name not in met}

    @property
    def there(self) -> dict[str, Tensor]:
        """The tensors of the targets that are left, of those that have one."""
        return {name: wanted.tensor for name, wanted in self.new.items() if wanted.tensor is not None}

    @property
    def unknown(self) -> dict[str, Wanted]:
        """The targets that are left and may yet be met by shapes: if values gave links, not those that have values."""
        by_values = any(link.certain for link in self.links)
        return {name: wanted for name, wanted in self.new.items() if not by_values or wanted.tensor is None}

    def names(self) -> NameFinder:
        """What finds links by names, knowing those that are found."""
        return NameFinder(self.values, self.values.source, self.target, self.links)

    def exchange(self, changes: Iterable[tuple[Link, Link]]) -> None:
        """Puts others in the place of links."""
        changed = {id(link): other for link, other in changes}
        self.links = [changed.get(id(link), link) for link in self.links]


def _links(source: Mapping[str, Tensor], target: Mapping[str, Wanted]) -> list[Link]:
    """All that is found, the surest kind first."""
    found = _Search(source, target)
    parts = PartFinder(found.values)
    found.links += links_by_values(found.values)
    found.links += found.names().links_of_equals(list(found.old), list(found.new))
    found.links += links_of_several(found.values, found.old, found.there)
    found.links += parts.divided(found.old, found.there)
    found.links += parts.joined(found.old, found.there)
    found.links += found.names().links(list(found.old), list(found.new))
    found.links += links_by_shapes(found.old, found.unknown)
    found.exchange(tied(found.links, found.old, found.unknown, source))
    found.exchange(_counted(found.links, found.new))
    return found.links


def _counted(links: Sequence[Link], left: Mapping[str, Wanted]) -> Iterator[tuple[Link, Link]]:
    """Links of a module that has a counter which no source gives, and these with the counter beside."""
    modules: dict[str, list[Link]] = {}
    for link in links:
        if len(link.targets) == 1:
            modules.setdefault(parent(link.targets[0]), []).append(link)
    for name, wanted in left.items():
        value = _count(name, wanted)
        hosts = modules.get(parent(name), [])
        if value is None or not hosts:
            continue
        host = next((link for link in hosts if last_word(link.targets[0]) == "running_var"), hosts[-1])
        hosts.remove(host)
        beside = With(*value)
        sure = min(host.confidence, 1.0 if wanted.tensor is not None else 0.9)
        ways = tuple((*way, beside) for way in host.ways)
        because = host.because if host.because != "values agree" else "values agree, a number is new"
        yield host, replace(host, targets=(*host.targets, name), ways=ways, confidence=sure, because=because)


def _count(name: str, wanted: Wanted) -> tuple[str, int] | None:
    """Element type and value of a whole number that stands by itself."""
    if wanted.tensor is None:
        return ("int64", 0) if last_word(name) == COUNTER and wanted.shape in (None, ()) else None
    if wanted.tensor.shape or not wanted.tensor.dtype.is_integer:
        return None
    return str(wanted.tensor.dtype), int(wanted.tensor.numpy())


def _tried(rules: list[Draught], links: Sequence[Link], source: Mapping[str, Tensor]) -> list[Draught]:
    """The rules in an order, and so far divided, that each source gives just what was found for it."""
    wanted = {name: link for link in links for name in link.sources}
    places = {name: place for place, name in enumerate(source)}
    while True:
        rules.sort(key=lambda rule: min(places[link.sources[0]] for link in rule.links))
        wrong = _wrong(rules, wanted, source)
        if not wrong:
            return rules
        divided = [part for rule in wrong for part in (rule.parts or tuple(map(exact, rule.links)))]
        if all(not rule.parts and len(rule.links) == 1 for rule in wrong):
            return rules  # by its names alone: there is nothing more to divide
        rules = [rule for rule in rules if not any(rule is each for each in wrong)] + divided


def _wrong(rules: Sequence[Draught], wanted: Mapping[str, Link], source: Mapping[str, Tensor]) -> list[Draught]:
    """The rules that take something which is not theirs, or make something else of it."""
    wrong: dict[int, Draught] = {}
    read: list[Any] = []
    for place, rule in enumerate(rules):
        try:
            read.append(read_rule(rule.spelled(), str(place), {}))
        except RuleError:
            wrong[place] = rule
    if wrong:
        return list(wrong.values())
    try:
        plan = make_plan(read, source)
    except NameMapError:
        return [rule for rule in rules if len(rule.links) > 1]
    for move in plan.moves:
        link = wanted.get(move.sources[0])
        if link is None or (link.sources, link.targets) != (move.sources, tuple(move.targets)):
            wrong[int(move.rule.place)] = rules[int(move.rule.place)]
    if wrong:
        return list(wrong.values())
    done = {name for move in plan.moves for name in move.sources}.union(
        name for name in plan.dropped if name in wanted and not wanted[name].targets
    )
    missed = wanted.keys() - done
    for place, rule in enumerate(rules):
        if any(name in missed for link in rule.links for name in link.sources):
            wrong[place] = rule
    return list(wrong.values())
