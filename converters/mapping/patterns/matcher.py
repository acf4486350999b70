"""The machine that patterns and regular expressions run on: backtracking that never tries the same thing twice.

A program is a list of instructions, the first one its start:

    ("text", text, next)       the text comes next
    ("char", chars, next)      one character of `chars` comes next
    ("fork", first, second)    go on at `first`; where that fails, at `second`
    ("save", slot, next)       remember the place
    ("end",)                   the name ends here

Whether the rest matches depends on the instruction and the place alone, so a pair that failed once is not tried
again. A run therefore takes at most `len(program) * (len(name) + 1)` steps, whatever the pattern; `Steps` bounds the
sum of all runs.

The first match in order of preference is found; with `backwards`, the last. They are the same if and only if there is
just one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MAX_PROGRAM = 5_000
"""Instructions of one pattern."""

MAX_STEPS = 100_000_000
"""Steps of all patterns over all names; a minute or so."""


class TooLongError(Exception):
    """The steps are used up."""

    def __init__(self) -> None:
        super().__init__("expected patterns that match sooner: the names took too many steps")


class Steps:
    """How many steps are left."""

    __slots__ = ("left",)

    def __init__(self, left: int | None = None) -> None:
        self.left = MAX_STEPS if left is None else left

    def take(self, count: int) -> None:
        """Counts steps that were made. TooLongError when there are none left."""
        self.left -= count
        if self.left < 0:
            raise TooLongError


@dataclass(frozen=True, slots=True)
class Chars:
    """A set of characters: single ones and ranges, or all others where `negated`."""

    single: frozenset[str] = frozenset()
    ranges: tuple[tuple[str, str], ...] = ()
    negated: bool = False

    def __contains__(self, char: str) -> bool:
        inside = char in self.single or any(low <= char <= high for low, high in self.ranges)
        return inside != self.negated


ANY = Chars(negated=True)
NOT_SLASH = Chars(frozenset("/"), negated=True)
DIGIT = Chars(ranges=(("0", "9"),))
NOT_ZERO = Chars(ranges=(("1", "9"),))

Instruction = tuple[Any, ...]


def run(program: list[Instruction], name: str, steps: Steps, *, backwards: bool = False) -> dict[int, int] | None:
    """Slot -> place, for the match of the whole of `name` that is preferred; None where there is none."""
    seen: set[tuple[int, int]] = set()
    stack: list[tuple[int, int, Any]] = [(0, 0, None)]
    while stack:
        counter, place, saved = stack.pop()
        while (counter, place) not in seen:
            seen.add((counter, place))
            step = program[counter]
            if step[0] == "text":
                if not name.startswith(step[1], place):
                    break
                counter, place = step[2], place + len(step[1])
            elif step[0] == "char":
                if place == len(name) or name[place] not in step[1]:
                    break
                counter, place = step[2], place + 1
            elif step[0] == "fork":
                first, second = (step[2], step[1]) if backwards else (step[1], step[2])
                stack.append((second, place, saved))
                counter = first
            elif step[0] == "save":
                saved = (step[1], place, saved)
                counter = step[2]
            elif place == len(name):
                steps.take(len(seen))
                return _unwound(saved)
            else:
                break
    steps.take(len(seen))
    return None


def _unwound(saved: Any) -> dict[int, int]:
    places: dict[int, int] = {}
    while saved is not None:
        slot, place, saved = saved
        places.setdefault(slot, place)
    return places
