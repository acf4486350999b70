"""What a draft finds: sources that give targets, and in which ways."""

from __future__ import annotations

from dataclasses import dataclass

from tensorferry.formats.tensor import Tensor

from ..mapping.verbs.verb import Verb

Shape = tuple[int, ...]
Way = tuple[Verb, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tensor that the target has: its shape and element type, where known, and its value, where it has one."""

    shape: Shape | None = None
    tensor: Tensor | None = None
    dtype: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """The sources, the targets that they give (none: they are dropped), and the ways of which any would do.

    The first way is the likeliest. `because` says what the link is based on; `certain`, that values show it.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    ways: tuple[Way, ...] = ((),)
    confidence: float = 1.0
    because: str = "values agree"
    certain: bool = False
