"""Links by values between a tensor and its parts.

    one tensor to several      split, chunk, unstack: the parts lie behind each other along one dimension
    several to one             concat, stack
    one to a smaller one       slice: a vocabulary without its padding
    one to a larger one        pad: behind or in front of it stands one value everywhere

The running sums of prints along a dimension give the print of every stretch of it by one subtraction, so that a part is
found wherever it lies; each may have a layout of its own, if it is the same for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tensorferry.formats.tensor import ArrayTensor, Tensor

from ..mapping.verbs.layout import Pad, Slice
from ..mapping.verbs.parts import Chunk, Concat, Split, Stack, Unstack
from ..mapping.verbs.verb import Verb
from .by_values import Values, ways_between
from .link import Link, Way
from .prints import as_words, has_print, running_sums

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_MOST_PARTS = 10_000
_MOST_ELEMENTS = 1 << 31
"""Of tensors whose parts are looked for: the numbers behind them take 8 bytes each."""

_EXACT = 1 << 53
"""Up to here every integer is a number of a table."""

_MOST_SUMS = 20_000_000
"""Sums that are compared for all tensors together."""

Stretch = tuple[int, int, str]
"""Begin and end along the dimension, and the name of the part that has these elements."""


class PartFinder:
    """Finds the parts of tensors among others."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.left = _MOST_SUMS

    def divided(self, source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Iterator[Link]:
        """Sources that are split, unstacked or sliced."""
        free = dict(target)
        for name, whole in source.items():
            for axis, found in self._stretches(whole, free):
                link = self._divided(name, whole, axis, found, free)
                if link is not None:
                    yield link
                    for each in link.targets:
                        del free[each]
                    break

    def joined(self, source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Iterator[Link]:
        """Targets that are concatenated, stacked or padded."""
        free = dict(source)
        for name, whole in target.items():
            for axis, found in self._stretches(whole, free):
                link = self._joined(name, whole, axis, found, free)
                if link is not None:
                    yield link
                    for each in link.sources:
                        del free[each]
                    break

    def _stretches(self, whole: Tensor, parts: Mapping[str, Tensor]) -> Iterator[tuple[int, list[Stretch]]]:
        """For each dimension of a tensor, the parts that lie along it, in order."""
        import numpy as np

        if not has_print(whole) or not 1 < whole.size <= _MOST_ELEMENTS:
            return
        names = [n for n, t in parts.items() if t.dtype == whole.dtype and 0 < t.size < whole.size]
        array = None
        for axis, size in enumerate(whole.shape):
            width = whole.size // size
            by_extent: dict[int, list[str]] = {}
            for name in names:
                extent, rest = divmod(parts[name].size, width)
                if not rest:
                    by_extent.setdefault(extent, []).append(name)
            self.left -= size * len(by_extent)
            if size == 1 or not by_extent or self.left < 0:
                continue
            array = whole.numpy() if array is None else array
            sums = running_sums(array, axis)
            found: list[Stretch] = []
            for extent, members in by_extent.items():
                totals = {name: p.total for name in members if (p := self.values.print(parts[name])) and p.tells}
                windows = sums[extent:] - sums[:-extent]
                at: dict[int, list[int]] = {}
                wanted = np.array(list(totals.values()), np.uint64)
                for begin in np.flatnonzero(np.isin(windows, wanted)).tolist():
                    at.setdefault(int(windows[begin]), []).append(begin)
                for name, total in totals.items():
                    if at.get(total):
                        begin = at[total].pop(0)
                        found.append((begin, begin + extent, name))
            if found:
                yield axis, sorted(found)

    def _divided(
        self, name: str, whole: Tensor, axis: int, found: list[Stretch], parts: Mapping[str, Tensor]
    ) -> Link | None:
        row = _row(found, whole.shape[axis])
        if row is None and len(found) != 1:
            return None
        chosen = row or found
        verb = _divider(axis, chosen, whole.shape[axis], parts[chosen[0][2]].rank < whole.rank, whole=row is not None)
        pieces = [_piece(whole.numpy(), axis, begin, end, bare=isinstance(verb, Unstack)) for begin, end, _ in chosen]
        ways = _common(
            [ways_between(ArrayTensor(p, whole.dtype), parts[n]) for p, (_, _, n) in zip(pieces, chosen, strict=True)]
        )
        targets = tuple(part for _, _, part in chosen)
        because = "values agree" if row else f"values agree with a part of {name}"
        if not ways:
            return None
        return Link((name,), targets, tuple((verb, *way) for way in ways), 1.0, because, certain=True)

    def _joined(
        self, name: str, whole: Tensor, axis: int, found: list[Stretch], parts: Mapping[str, Tensor]
    ) -> Link | None:
        size = whole.shape[axis]
        row = _row(found, size)
        chosen = row or found
        array = whole.numpy()
        padding = _padding(array, axis, chosen) if row is None else None
        if row is None and padding is None:
            return None
        stacked = row is not None and len(row) == size and parts[row[0][2]].rank < whole.rank
        verb: Verb = Stack(axis) if stacked else Concat(axis, tuple(e - b for b, e, _ in chosen))
        if not stacked and len({end - begin for begin, end, _ in chosen}) == 1:
            verb = Concat(axis, None, len(chosen))
        ways = _common(
            [
                ways_between(parts[n], ArrayTensor(_piece(array, axis, begin, end, bare=stacked), whole.dtype))
                for begin, end, n in chosen
            ]
        )
        if not ways:
            return None
        last = padding or verb
        because = "values agree" if row else f"values agree with a part of {name}, the rest is one value"
        sources = tuple(part for _, _, part in chosen)
        return Link(sources, (name,), tuple((*way, last) for way in ways), 1.0, because, certain=True)


def _row(found: list[Stretch], size: int) -> list[Stretch] | None:
    """Stretches without gaps from 0 to `size`, one behind the other; None where there are no such."""
    place = 0
    row: list[Stretch] = []
    by_begin: dict[int, list[Stretch]] = {}
    for stretch in found[:_MOST_PARTS]:
        by_begin.setdefault(stretch[0], []).append(stretch)
    while place < size and place in by_begin:
        row.append(by_begin[place][0])
        place = row[-1][1]
    return row if place == size and len(row) > 1 else None


def _divider(axis: int, found: list[Stretch], size: int, fewer: bool, *, whole: bool) -> Verb:
    if not whole:
        ((begin, end, _),) = found
        return Slice(axis, begin or None, end if end < size else None)
    sizes = tuple(end - begin for begin, end, _ in found)
    if set(sizes) == {1} and fewer:
        return Unstack(axis)
    return Chunk(axis, len(sizes)) if len(set(sizes)) == 1 else Split(axis, sizes)


def _piece(array: Array, axis: int, begin: int, end: int, *, bare: bool) -> Array:
    where = (*[slice(None)] * axis, begin if bare else slice(begin, end))
    piece: Array = array[where]
    return piece


def _padding(array: Array, axis: int, found: list[Stretch]) -> Pad | None:
    """What pads the one part to the whole; None where what is beside it is not one value."""
    import numpy as np

    if len(found) != 1:
        return None
    ((begin, end, _),) = found
    before = _piece(array, axis, 0, begin, bare=False)
    after = _piece(array, axis, end, array.shape[axis], bare=False)
    beside = np.concatenate([before.reshape(-1), after.reshape(-1)])
    words = as_words(beside)
    if array.dtype.kind not in "fiu" or (words != words[0]).any():
        return None
    value = float(beside[0])
    if (value == 0 and words[0] != 0) or not abs(value) < _EXACT:
        return None
    return Pad(axis, begin or None, array.shape[axis] - end or None, value or None)


def _common(ways: list[tuple[Way, ...]]) -> tuple[Way, ...]:
    """The ways that all have."""
    return tuple(way for way in ways[0] if all(way in others for others in ways[1:]))
