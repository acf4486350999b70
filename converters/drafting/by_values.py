"""Links between tensors of the same elements, in any layout; also where the target keeps them in another type.

What several tensors have, equal but for their names, goes by names among those. Values that say nothing (`prints`) make
no link: they only rule out what differs, in `Values.fits`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice

from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.errors import FormatError
from tensorferry.formats.tensor import ArrayTensor, Tensor

from ..mapping.verbs.parts import Tie
from ..mapping.verbs.values import Cast, Narrow
from ..mapping.verbs.verb import MisfitError
from .layouts import layouts
from .likeness import agreement
from .link import Link, Wanted, Way
from .prints import Print, has_print, print_of

_MOST_WAYS = 4
_MOST_TIED = 64


class Values:
    """The values of both sides, and their prints, each made once."""

    def __init__(self, source: Mapping[str, Tensor], target: Mapping[str, Wanted]) -> None:
        self.source = source
        self.target = {name: wanted.tensor for name, wanted in target.items() if wanted.tensor is not None}
        kinds = [{_kind(tensor) for tensor in side.values()} for side in (source, self.target)]
        self.kinds = kinds[0] & kinds[1]
        self._prints: dict[int, Print | None] = {}

    def print(self, tensor: Tensor) -> Print | None:
        """The print of a tensor of either side."""
        if id(tensor) not in self._prints:
            self._prints[id(tensor)] = print_of(tensor)
        return self._prints[id(tensor)]

    def fits(self, old: str, new: str) -> bool | None:
        """Whether source and target have the same elements; None where that is not known."""
        tensor, other = self.source[old], self.target.get(new)
        if other is None or not has_print(tensor) or not has_print(other):
            return None
        if tensor.size != other.size:
            return False
        if tensor.dtype != other.dtype:
            return None
        return self.print(tensor) == self.print(other)

    def telling(self, name: str, side: int) -> tuple[object, int] | None:
        """The print of a source (side 0) or a target (side 1) with its kind, where it says which tensor that is."""
        tensor = self.source[name] if side == 0 else self.target.get(name)
        if tensor is None or _kind(tensor) not in self.kinds:
            return None
        found = self.print(tensor)
        return (_kind(tensor), found.total) if found is not None and found.tells else None

    def tells(self, name: str) -> bool:
        """Whether a source's values say which tensor it is."""
        found = self.print(self.source[name])
        return found is not None and found.tells


def links_by_values(values: Values) -> list[Link]:
    """What has the same elements on both sides: one source, and a target or several that are tied."""
    links = list(_same(values, values.source, values.target, several=False))
    met = {name for link in links for name in link.targets}
    used = {name for link in links for name in link.sources}
    left = {name: tensor for name, tensor in values.source.items() if name not in used}
    wanted = {name: tensor for name, tensor in values.target.items() if name not in met}
    return links + list(_converted(values, left, wanted))


def links_of_several(values: Values, source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> list[Link]:
    """What has the same elements on both sides and is left where several sources have them, by names."""
    return list(_same(values, source, target, several=True))


def _same(
    values: Values, source: Mapping[str, Tensor], target: Mapping[str, Tensor], *, several: bool
) -> Iterator[Link]:
    kinds = {_kind(tensor) for tensor in source.values()} & {_kind(tensor) for tensor in target.values()}
    groups: dict[tuple[object, int], tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for side, tensors in enumerate((source, target)):
        for name, tensor in tensors.items():
            found = values.print(tensor) if _kind(tensor) in kinds else None
            if found is not None and found.tells:
                groups[_kind(tensor), found.total][side].append(name)
    for old, new in groups.values():
        if old and new and (several or len(old) == 1):
            yield from _among(old, new, source, target)


def _among(
    old: list[str], new: list[str], source: Mapping[str, Tensor], target: Mapping[str, Tensor]
) -> Iterator[Link]:
    """Links between names whose tensors have one print, the most alike first; what is over is tied to one."""
    old, new = old[:_MOST_TIED], new[:_MOST_TIED]
    ways = {(a, b): ways_between(source[a], target[b]) for a in old for b in new}
    sure = 1.0 if len(old) == 1 else 0.9
    free, found = list(new), dict[str, list[str]]()
    for a, b in sorted(ways, key=lambda pair: -agreement(*pair)):
        if a not in found and b in free and ways[a, b]:
            found[a] = [b]
            free.remove(b)
    for b in free:
        for a, others in found.items():
            if set(ways[a, b]).intersection(*(ways[a, each] for each in others)):
                others.append(b)
                break
    for a, targets in found.items():
        common = [way for way in ways[a, targets[0]] if all(way in ways[a, each] for each in targets)]
        if len(targets) > 1:
            common = [(*way, Tie()) for way in common]
        because = "values agree" if sure == 1 else "values agree, and are those of several names"
        yield Link((a,), tuple(targets), tuple(common), sure, because, certain=True)


def ways_between(old: Tensor, new: Tensor) -> tuple[Way, ...]:
    """The ways in which one tensor gives the other bit by bit, a few at most."""
    if old.dtype != new.dtype:
        return ()
    left, right = old.numpy(), new.numpy()
    found = (layout.way for layout in layouts(old.shape, new.shape) if layout.gives(left, right))
    return tuple(islice(found, _MOST_WAYS))


def _converted(values: Values, source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Iterator[Link]:
    """Links to targets that have the values in another element type."""
    by_size: dict[int, list[str]] = defaultdict(list)
    for name, tensor in target.items():
        if has_print(tensor) and (found := values.print(tensor)) and found.tells:
            by_size[tensor.size].append(name)
    for name, tensor in source.items():
        types = {target[new].dtype.name for new in by_size.get(tensor.size, ()) if target[new].dtype != tensor.dtype}
        for dtype in sorted(types) if has_print(tensor) else ():
            change, changed = _changed(tensor, dtype)
            if changed is None:
                continue
            found = print_of(changed)
            alike = [
                new
                for new in by_size[tensor.size]
                if target[new].dtype.name == dtype and values.print(target[new]) == found
            ]
            alike.sort(key=lambda new: -agreement(name, new))
            ways = next(((new, ways) for new in alike if (ways := ways_between(changed, target[new]))), None)
            if ways is not None:
                by_size[tensor.size].remove(ways[0])
                because = f"values agree as {dtype}"
                found_ways = tuple((*change, *way) for way in ways[1])
                yield Link((name,), (ways[0],), found_ways, 1.0, because, certain=True)
                break


def _changed(tensor: Tensor, dtype: str) -> tuple[Way, Tensor | None]:
    """The verb that gives the element type, and the tensor in it; None where there is none."""
    for verb in Cast(dtype), Narrow(dtype):
        try:
            return (verb,), _held(verb.one(tensor))
        except (MisfitError, FormatError):  # values that a narrower type does not hold
            continue
    return (), None


def _held(tensor: Tensor) -> Tensor:
    return ArrayTensor(tensor.numpy(), DTYPES[str(tensor.dtype)])


def _kind(tensor: Tensor) -> tuple[str, int]:
    return str(tensor.dtype), tensor.size
