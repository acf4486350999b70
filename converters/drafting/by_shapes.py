"""Links by names and shapes between a tensor and its parts, for what nothing else explains: guesses, and said to be.

layers [L, ...] <-> layer.0 ... layer.L-1       unstack, stack: as many numbers as the dimension is long
qkv [I, 3 * O] -> q, k, v [O, I]                split, chunk: the sizes add up, and the names differ in one word
[30522, W] -> [30528, W]                        pad, slice: one dimension differs, and the names agree
embeddings -> embeddings, head                  tie: no other tensor has that shape
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tensorferry.formats.tensor import Tensor

from ..mapping.verbs.layout import Pad, Slice
from ..mapping.verbs.parts import Chunk, Split, Stack, Tie, Unstack
from .layouts import layouts
from .likeness import agreement
from .link import Link, Shape, Wanted, Way

_LEAST = 0.45
"""What names have to agree by."""

_LEAST_PADDED = 0.6
_MOST_PARTS = 4
_NUMBER = re.compile(r"\d{1,9}")
_PIECE = re.compile(r"[A-Za-z0-9]+|[^A-Za-z0-9]")
_OF_A_MODULE = {"weight", "bias", "mean", "var", "gamma", "beta", "kernel"}
"""Words of tensors that are never one."""

_MOST_LEFT = 3_000


def links_by_shapes(source: Mapping[str, Tensor], target: Mapping[str, Wanted]) -> Iterator[Link]:
    """Links between what is left of both sides."""
    if len(source) > _MOST_LEFT or len(target) > _MOST_LEFT:
        return
    olds = {name: tensor.shape for name, tensor in source.items()}
    news = {name: wanted.shape for name, wanted in target.items() if wanted.shape is not None}
    for find in (_unstacked, _stacked, _divided, _resized):
        for link in find(olds, news):
            if all(name in olds for name in link.sources) and all(name in news for name in link.targets):
                yield link
                for name in link.sources:
                    del olds[name]
                for name in link.targets:
                    del news[name]


def tied(
    links: Sequence[Link], old: Mapping[str, Tensor], left: Mapping[str, Wanted], source: Mapping[str, Tensor]
) -> Iterator[tuple[Link, Link]]:
    """Links, and these with a target more that is probably the same tensor: no other has that shape."""
    shapes: dict[Shape, list[Link | None]] = defaultdict(list)
    for tensor in old.values():
        shapes[tuple(sorted(tensor.shape))].append(None)
    for link in links:
        if len(link.sources) == len(link.targets) == 1:
            shapes[tuple(sorted(source[link.sources[0]].shape))].append(link)
    for name, wanted in left.items():
        alike = shapes.get(tuple(sorted(wanted.shape or ())), [])
        if wanted.shape is None or len(wanted.shape) < 2 or len(alike) != 1:
            continue
        only = alike[0]
        if only is None:
            continue
        shape = source[only.sources[0]].shape
        ways = [way for way in only.ways if way in [layout.way for layout in layouts(shape, wanted.shape)]]
        if ways:
            alike.append(None)
            more = tuple((*way, Tie()) for way in ways)
            yield only, Link(only.sources, (*only.targets, name), more, 0.4, "the only tensor of that shape: tied?")


def _families(names: Mapping[str, Shape]) -> Iterator[list[str]]:
    """Names of one shape that count from some number on, in its order, and differ in nothing else."""
    found: dict[tuple[str, str, Shape], dict[int, str]] = defaultdict(dict)
    for name, shape in names.items():
        for number in _NUMBER.finditer(name):
            found[name[: number.start()], name[number.end() :], shape][int(number[0])] = name
    for members in sorted(found.values(), key=len, reverse=True):
        first = min(members)
        if len(members) > 1 and sorted(members) == list(range(first, first + len(members))):
            yield [members[number] for number in sorted(members)]


def _unstacked(olds: Mapping[str, Shape], news: Mapping[str, Shape]) -> Iterator[Link]:
    yield from _paired(olds, news, back=False)


def _stacked(olds: Mapping[str, Shape], news: Mapping[str, Shape]) -> Iterator[Link]:
    yield from _paired(news, olds, back=True)


def _paired(wholes: Mapping[str, Shape], parts: Mapping[str, Shape], *, back: bool) -> Iterator[Link]:
    """Tensors whose one dimension is as long as a family of others is."""
    families = list(_families(parts))
    options: list[tuple[float, Link]] = []
    for name, shape in wholes.items():
        for members in families:
            part = parts[members[0]]
            agreed = agreement(name, members[0])
            if agreed < _LEAST or math.prod(shape) != math.prod(part) * len(members):
                continue
            for axis, size in enumerate(shape):
                bare = (*shape[:axis], *shape[axis + 1 :])
                if size != len(members):
                    continue
                ways = [layout.way for layout in (layouts(part, bare) if back else layouts(bare, part))]
                if ways:
                    doubt = 0.8 if len(ways) > 1 or shape.count(size) > 1 else 1.0
                    options.append((agreed, _link(name, members, axis, ways, agreed * doubt, back=back)))
                    break
    yield from _best(options)


def _link(name: str, members: list[str], axis: int, ways: list[Way], sure: float, *, back: bool) -> Link:
    confidence, because = round(min(0.8, sure), 3), "by name and shape; as many as the dimension is long"
    if back:
        return Link(tuple(members), (name,), tuple((*way, Stack(axis)) for way in ways), confidence, because)
    return Link((name,), tuple(members), tuple((Unstack(axis), *way) for way in ways), confidence, because)


def _divided(olds: Mapping[str, Shape], news: Mapping[str, Shape]) -> Iterator[Link]:
    """One tensor for two to four that differ in one word, whose sizes add up."""
    groups: dict[tuple[str, ...], dict[str, list[str]]] = defaultdict(dict)
    for name in news:
        pieces = _PIECE.findall(name)
        for place, piece in enumerate(pieces):
            if piece.isalnum() and piece not in _OF_A_MODULE:
                others = (*pieces[:place], "\0", *pieces[place + 1 :])
                groups[others].setdefault(piece, []).append(name)
    rows = [[names[0] for names in group.values()] for group in groups.values() if 1 < len(group) <= _MOST_PARTS]
    options: list[tuple[float, Link]] = []
    for members in rows:
        shapes = [news[name] for name in members]
        for name, shape in olds.items():
            if math.prod(shape) != sum(map(math.prod, shapes)):
                continue
            agreed = max(agreement(name, member) for member in members) * 0.5 + 0.5 * agreement(
                re.sub("query_?key_?value|qkv|c_attn", " q k v ", name), " ".join(members)
            )
            if agreed < _LEAST:
                continue
            for axis, size in enumerate(shape):
                extents = [math.prod(each) * size // math.prod(shape) for each in shapes]
                cuts = [(*shape[:axis], extent, *shape[axis + 1 :]) for extent in extents]
                ways = [
                    layout.way for layout in layouts(cuts[0], shapes[0], kernel=name.endswith(("kernel", "weights")))
                ]
                if (
                    sum(extents) != size
                    or 0 in extents
                    or not ways
                    or set(map(_sorted, cuts)) != set(map(_sorted, shapes))
                ):
                    continue
                verb = Chunk(axis, len(members)) if len(set(extents)) == 1 else Split(axis, tuple(extents))
                chosen = tuple((verb, *way) for way in ways)
                because = "by name and shape; the sizes add up, the order is that of the target's names"
                options.append((agreed, Link((name,), tuple(members), chosen, round(min(0.5, agreed), 3), because)))
                break
    yield from _best(options)


def _sorted(shape: Shape) -> Shape:
    return tuple(sorted(shape))


def _resized(olds: Mapping[str, Shape], news: Mapping[str, Shape]) -> Iterator[Link]:
    """Names that agree well, of shapes that differ in one dimension alone."""
    options: list[tuple[float, Link]] = []
    for name, shape in olds.items():
        for new, wanted in news.items():
            if len(wanted) != len(shape) or sum(a != b for a, b in zip(shape, wanted, strict=True)) != 1:
                continue
            axis = next(axis for axis, size in enumerate(shape) if size != wanted[axis])
            agreed = agreement(name, new)
            if agreed < _LEAST_PADDED or min(shape[axis], wanted[axis]) < 2:
                continue
            larger = wanted[axis] > shape[axis]
            verb = Pad(axis, None, wanted[axis] - shape[axis]) if larger else Slice(axis, None, wanted[axis])
            because = f"by name; {shape[axis]} {'filled up with 0' if larger else 'cut off'} to {wanted[axis]}"
            options.append((agreed, Link((name,), (new,), ((verb,),), round(agreed * 0.5, 3), because)))
    yield from _best(options)


def _best(options: list[tuple[float, Link]]) -> Iterator[Link]:
    """The links whose names agree best; each name once."""
    used: set[tuple[int, str]] = set()
    for _, link in sorted(options, key=lambda option: -option[0]):
        names = {(0, name) for name in link.sources} | {(1, name) for name in link.targets}
        if not names & used:
            used |= names
            yield link
