"""The ways from one shape to another of as many elements.

Every way is: the elements as they lie, in a shape `middle`; its axes in another order; the result in the new shape.

    [H, W, I, O] -> [O, I, H, W]      transpose
    [1, 1, I, O] -> [O, I]            squeeze, transpose
    [I, A, B]    -> [A*B, I]          reshape [I, A*B], transpose
    [A*B, O]     -> [O, A, B]         transpose, reshape

Of `middle` only the old shape, the one without sizes of 1, and those that are the new shape in another order are tried.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, permutations
from operator import mul
from typing import TYPE_CHECKING, Any

from ..mapping.verbs.layout import Expand, Reshape, Squeeze, Transpose
from .link import Shape, Way

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_MOST_AXES = 5
_SAMPLE = 64

_USUAL: dict[int, tuple[Shape, ...]] = {
    2: ((1, 0),), 3: ((2, 1, 0),), 4: ((3, 2, 0, 1), (2, 3, 0, 1)), 5: ((4, 3, 0, 1, 2),),
}  # fmt: skip
"""How TensorFlow's kernels lie in other frameworks: dense [in, out], convolutions [..., in, out]."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One way: reshape `old` to `middle`, order its axes by `perm`, reshape that to `new`."""

    old: Shape
    middle: Shape
    perm: Shape
    new: Shape

    @property
    def turned(self) -> Shape:
        """The shape behind the change of order."""
        return tuple(self.middle[axis] for axis in self.perm)

    @property
    def way(self) -> Way:
        """The verbs."""
        turn = Transpose(self.perm) if list(self.perm) != sorted(self.perm) else None
        return tuple(v for v in (*_step(self.old, self.middle), turn, *_step(self.turned, self.new)) if v is not None)

    def gives(self, old: Array, new: Array) -> bool:
        """Whether it makes the one array of the other, bit by bit; a few elements are compared first."""
        import numpy as np

        left, right = old.reshape(self.middle).transpose(self.perm), new.reshape(self.turned)
        if left.size > _SAMPLE:
            some = np.unravel_index(np.linspace(0, left.size - 1, _SAMPLE).astype(np.int64), self.turned)
            if left[some].tobytes() != right[some].tobytes():
                return False
        return bool(left.tobytes() == right.tobytes())


def layouts(old: Shape, new: Shape, *, kernel: bool = False) -> Iterator[Layout]:
    """All ways, those first that move least; of a `kernel` the ways that those usually go."""
    if math.prod(old) != math.prod(new) or 0 in old:
        return
    seen: set[tuple[Shape, Shape]] = set()
    for layout in _layouts(old, new, kernel):
        if (layout.middle, layout.perm) not in seen:
            seen.add((layout.middle, layout.perm))
            yield layout


def _layouts(old: Shape, new: Shape, kernel: bool) -> Iterator[Layout]:
    same = Layout(old, old, tuple(range(len(old))), new)
    if kernel:
        yield from (each for each in _turned(old, new) if each.perm in _USUAL.get(len(old), ()))
    if old == new:
        yield same
    yield from _turned(old, new)
    bare, core = (tuple(size for size in shape if size != 1) for shape in (old, new))
    if len(bare) < len(old) or len(core) < len(new):
        ways = [Layout(old, bare, each.perm, new) for each in _turned(bare, core)]
        plain = [Layout(old, bare, tuple(range(len(bare))), new)] if bare == core else []
        yield from (*ways, *plain) if kernel and len(bare) == 2 else (*plain, *ways)
    if len(old) != len(new) or sorted(old) != sorted(new):
        perms = _perms(len(new))
        for perm in (*perms[1:], perms[0]) if kernel and len(new) == 2 else perms:
            middle = tuple(new[perm.index(axis)] for axis in range(len(new)))
            if _is_grouped(old, middle):
                yield Layout(old, middle, perm, new)
        for perm in _perms(len(old)):
            layout = Layout(old, old, perm, new)
            if _is_grouped(layout.turned, new):
                yield layout


def _turned(old: Shape, new: Shape) -> Iterator[Layout]:
    """The orders of axes alone, the usual ones first."""
    if sorted(old) == sorted(new):
        yield from (each for perm in _perms(len(old)) if (each := Layout(old, old, perm, new)).turned == new)


def _perms(rank: int) -> list[Shape]:
    """The orders of axes; past five axes the unchanged one alone."""
    identity = tuple(range(rank))
    if rank > _MOST_AXES:
        return [identity]
    return list(dict.fromkeys([identity, *_USUAL.get(rank, ()), *permutations(identity)]))


def _is_grouped(fine: Shape, coarse: Shape) -> bool:
    """Whether the one shape has the other's dimensions, some of them taken together."""
    ends, others = set(accumulate(fine, mul)), set(accumulate(coarse, mul))
    return ends <= others or others <= ends


def _step(old: Shape, new: Shape) -> Way:
    """The verb that changes a shape and leaves the elements where they are."""
    if old == new:
        return ()
    ones, others = ([axis for axis, size in enumerate(shape) if size == 1] for shape in (old, new))
    if tuple(size for size in old if size != 1) == new:
        return (Squeeze(tuple(ones)),)
    if tuple(size for size in new if size != 1) == old:
        return (Expand(tuple(others)),)
    return (Reshape(new),)
