"""Links between tensors whose shapes fit and whose names agree: likely, never certain.

First whole families: all names that differ in numbers alone, against such of the target, if as many, of the same sizes,
and if the numbers go along. Then name by name. What is known already helps: names in `a/b/` rather go to where others
of `a/b/` went. Where two candidates agree about as well, neither is likely.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.tensor import Tensor

from ..mapping.verbs.values import Cast, Narrow
from ..mapping.verbs.verb import MisfitError
from .by_values import Values, ways_between
from .layouts import layouts
from .likeness import agreement, last_word, parent, words_of
from .link import Link, Wanted, Way
from .numbers import go_along, numbers_of, template

COUNTER = "num_batches_tracked"
"""What PyTorch's batch normalization counts and TensorFlow's does not."""

_MOST_PAIRS = 300_000
"""Pairs of names that are compared; what comes behind is listed as left."""

_LEAST = 0.3
"""What names have to agree by, at least."""

_MOST_PARTS = 8
_SAMPLE = 12
"""Members of a family whose names are compared."""

_CLOSE = 0.02
"""Candidates that agree by so little less are as good."""


@dataclass(frozen=True, slots=True)
class _Option:
    """Names that may belong together, one by one, the ways for all of them, and how well they agree."""

    old: tuple[str, ...]
    new: tuple[str, ...]
    ways: tuple[Way, ...]
    score: float
    confidence: float


class NameFinder:
    """Finds links by names; `known` are those that values gave."""

    def __init__(
        self, values: Values, source: Mapping[str, Tensor], target: Mapping[str, Wanted], known: Iterable[Link]
    ):
        self.values = values
        self.source = source
        self.target = target
        self.parents = Counter(
            (parent(old), parent(new)) for link in known for old in link.sources for new in link.targets
        )
        self.moved = {old for old, _ in self.parents}
        self.places = {name: place / len(names) for names in (source, target) for place, name in enumerate(names)}
        self.by_values = bool(self.parents)
        self.equal = False
        self.left = _MOST_PAIRS

    def links(self, old: Sequence[str], new: Sequence[str]) -> Iterator[Link]:
        """Links between these names."""
        found = list(self._families(old, new))
        yield from found
        for link in found:
            self.parents[parent(link.sources[0]), parent(link.targets[0])] += 1
        self.moved = {name for name, _ in self.parents}
        used = {name for link in found for name in link.sources}
        met = {name for link in found for name in link.targets}
        yield from self._alone([n for n in old if n not in used], [n for n in new if n not in met])

    def links_of_equals(self, old: Sequence[str], new: Sequence[str]) -> Iterator[Link]:
        """Links between those of the names whose tensors have the same elements, where these tell."""
        self.equal = True
        prints: list[dict[str, object]] = [{}, {}]
        for side, names in enumerate((old, new)):
            for name in names:
                found = self.values.telling(name, side)
                if found is not None:
                    prints[side][name] = found
        there = set(prints[0].values()) & set(prints[1].values())
        yield from self.links(*([name for name, found in each.items() if found in there] for each in prints))
        self.equal = False

    def _families(self, old: Sequence[str], new: Sequence[str]) -> Iterator[Link]:
        """Names that differ in numbers, all of a kind to all of a kind."""
        kinds: dict[object, tuple[list[list[str]], list[list[str]]]] = defaultdict(lambda: ([], []))
        for side, names in enumerate((old, new)):
            families: dict[object, list[str]] = defaultdict(list)
            for name in names:
                families[template(name)].append(name)
            for members in [part for family in families.values() for part in _with_parts(family)]:
                sizes = tuple(sorted(self._size(name, side) for name in members))
                if len(members) > 1 and -1 not in sizes:
                    kinds[sizes][side].append(members)
        options = [
            option
            for lefts, rights in kinds.values()
            for left in lefts
            for right in rights
            if (option := self._option(tuple(left), tuple(right))) is not None
        ]
        yield from self._best(options)

    def _alone(self, old: Sequence[str], new: Sequence[str]) -> Iterator[Link]:
        by_size: dict[int, list[str]] = defaultdict(list)
        by_numbers: dict[tuple[int, tuple[int, ...]], list[str]] = defaultdict(list)
        for name in new:
            size = self._size(name, 1)
            by_size[size].append(name)
            by_numbers[size, words_of(name)[1]].append(name)
        options: list[_Option] = []
        for name in old:
            sizes, numbers = (self._size(name, 0), -1), words_of(name)[1]
            found: list[_Option] = []
            for likely in [by_numbers[size, numbers] for size in sizes] + [by_size[size] for size in sizes]:
                self.left -= len(likely)
                if self.left < 0:
                    break
                found = [option for other in likely if (option := self._option((name,), (other,))) is not None]
                if found:
                    break
            options += found
        yield from self._best(options)

    def _size(self, name: str, side: int) -> int:
        shape = self.source[name].shape if side == 0 else self.target[name].shape
        return -1 if shape is None else math.prod(shape)

    def _option(self, old: tuple[str, ...], new: tuple[str, ...]) -> _Option | None:
        """How well these agree; None where they do not, or where their shapes do not fit."""
        self.left -= 1
        if self.left < 0 or last_word(new[0]) == COUNTER != last_word(old[0]):
            return None
        step = max(1, len(old) // _SAMPLE)
        some = list(zip(old, new, strict=True))[::step]
        agreed = sum(agreement(a, b) for a, b in some) / len(some)
        there = sum((parent(a), parent(b)) in self.parents for a, b in some) / len(some)
        gone = sum(parent(a) in self.moved for a, _ in some) / len(some)
        if len(old) > 1 and agreed:
            agreed += 0.15 if go_along(*zip(*some, strict=True)) else -0.15
        if max(agreed, there) < _LEAST:
            return None
        fits = [self.values.fits(a, b) for a, b in zip(old, new, strict=True)]
        if (self.by_values and False in fits) or (self.equal and not all(fits)):
            return None
        ways = self._ways(old, new)
        if not ways:
            return None
        distance = abs(self.places[old[0]] - self.places[new[0]])
        score = agreed + 0.5 * there - 0.25 * (gone - there) + 0.1 * len(old).bit_length() - 0.001 * distance
        sure = max(agreed, 0.8 * there) * (1.0 if len(ways) == 1 or self._is_kernel(old[0], new[0]) else 0.8)
        if any(self.target[name].shape is None for name in new):
            sure *= 0.7
        if False in fits:
            sure *= 0.5
        return _Option(old, new, ways, score, round(min(0.95, sure), 3))

    def _ways(self, old: Sequence[str], new: Sequence[str]) -> tuple[Way, ...]:
        """The ways that all shapes allow."""
        kinds = {
            (self.source[a].shape, str(self.source[a].dtype), self.target[b].shape, self.target[b].dtype): (a, b)
            for a, b in zip(old, new, strict=True)
        }
        common: list[Way] | None = None
        for a, b in kinds.values():
            ways = self._ways_of(a, b)
            common = ways if common is None else [way for way in common if way in ways]
        return tuple(common or ())

    def _ways_of(self, old: str, new: str) -> list[Way]:
        tensor, wanted = self.source[old], self.target[new]
        change = _conversion(tensor, wanted)
        if change is None:
            return []
        if wanted.shape is None:
            return [change]
        found = layouts(tensor.shape, wanted.shape, kernel=self._is_kernel(old, new))
        return [(*change, *layout.way) for layout in found]

    def _is_kernel(self, old: str, new: str) -> bool:
        return (
            last_word(old) in ("kernel", "weights", "depthwise_kernel", "depthwise_weights")
            and last_word(new) == "weight"
        )

    def _best(self, options: list[_Option]) -> Iterator[Link]:
        """Links of the options that agree best; each name once."""
        options.sort(key=lambda option: -option.score)
        chosen: list[_Option] = []
        old: dict[str, _Option] = {}
        new: dict[str, _Option] = {}
        rivals: Counter[int] = Counter()
        for option in options:
            mine, others = old.get(option.old[0]), new.get(option.new[0])
            if mine is None and others is None and not any(name in old for name in option.old):
                if any(name in new for name in option.new):
                    continue
                chosen.append(option)
                old.update(dict.fromkeys(option.old, option))
                new.update(dict.fromkeys(option.new, option))
            for other in {id(each): each for each in (mine, others) if each is not None}.values():
                rivals[id(other)] += option.score > other.score - _CLOSE
        for option in chosen:
            sure = option.confidence * (0.6 if rivals[id(option)] else 1.0)
            for a, b in zip(option.old, option.new, strict=True):
                link = self._link(a, b, option, sure)
                if link.ways:
                    yield link

    def _link(self, old: str, new: str, option: _Option, sure: float) -> Link:
        """The link of a pair; where the values are equal too, only with the ways that they allow."""
        fits = self.values.fits(old, new)
        because = "by name and shape"
        ways = ways_between(self.source[old], self.values.target[new]) if fits else option.ways
        if fits and self.values.tells(old):
            because, sure = "values agree, and are those of several names", max(sure, 0.7)
        elif fits:
            because += "; the values are equal, and say little"
        elif fits is False:
            because += "; the values differ"
        return Link((old,), (new,), ways, round(sure, 3), because)


def _with_parts(family: list[str]) -> list[list[str]]:
    """Names that differ in numbers, and those of them that have one of these in common: `conv1`, `conv2` of a layer."""
    found = [family]
    for column in zip(*(numbers_of(name) for name in family), strict=True):
        parts: dict[int, list[str]] = defaultdict(list)
        for name, number in zip(family, column, strict=True):
            parts[number].append(name)
        if 1 < len(parts) <= _MOST_PARTS:
            found += parts.values()
    return [sorted(members, key=numbers_of) for members in found]


def _conversion(tensor: Tensor, wanted: Wanted) -> Way | None:
    """The verb that gives the element type that is wanted, if any is needed; None where there is none."""
    if wanted.dtype is None or wanted.dtype == str(tensor.dtype):
        return ()
    if wanted.dtype in DTYPES:
        for verb in Cast(wanted.dtype), Narrow(wanted.dtype):
            try:
                verb.one(tensor)
            except MisfitError:
                continue
            return (verb,)
    return None
