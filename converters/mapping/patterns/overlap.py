"""Whether two patterns have names in common, and whether all names of the one are names of the other.

Patterns are programs (`matcher`); here they are read as automata. A state is an instruction, or a place within the text
of one. All characters that no pattern tells apart count as one. Holes that stand twice are taken for two: a pattern may
seem to match more than it does, never less, so that "nothing in common" is always true.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from math import gcd

from .hole import CHOICE, INT
from .matcher import Chars, Instruction, Steps, TooLongError
from .pattern import Pattern

_MOST_STATES = 20_000
_MOST_NAMES = 16
_OTHERS = "\ue000\ue001"
"""Characters that hardly any pattern names: for all that none does."""

_State = tuple[int, int]


class _Automaton:
    def __init__(self, pattern: Pattern) -> None:
        self.program: list[Instruction] = pattern.compiled()
        self.start = self._closed([(0, 0)])

    def _closed(self, states: Iterable[_State]) -> frozenset[_State]:
        """The states that are reached without a character."""
        found: set[_State] = set()
        stack = list(states)
        while stack:
            state = stack.pop()
            step = self.program[state[0]]
            if state in found:
                continue
            found.add(state)
            if step[0] == "fork":
                stack += [(step[1], 0), (step[2], 0)]
            elif step[0] == "save" or (step[0] == "text" and state[1] == len(step[1])):
                stack.append((step[2], 0))
        return frozenset(found)

    def after(self, states: frozenset[_State], char: str) -> frozenset[_State]:
        moved: list[_State] = []
        for counter, place in states:
            step = self.program[counter]
            if step[0] == "char" and char in step[1]:
                moved.append((step[2], 0))
            elif step[0] == "text" and step[1][place : place + 1] == char:
                moved.append((counter, place + 1))
        return self._closed(moved)

    def accepts(self, states: frozenset[_State]) -> bool:
        return any(self.program[counter][0] == "end" for counter, _ in states)

    def kinds(self) -> tuple[set[str], set[Chars]]:
        """The characters that it names, and its sets of them."""
        texts = {char for step in self.program if step[0] == "text" for char in step[1]}
        sets = {step[1] for step in self.program if step[0] == "char"}
        for chars in sets:
            texts |= chars.single | {end for pair in chars.ranges for end in pair}
        return texts, sets


def common_names(one: Pattern, other: Pattern) -> list[str]:
    """Some names that both match, short ones of every kind; empty only where there are none. TooLongError."""
    if one.is_exact or other.is_exact:
        name, pattern = (one.exact, other) if one.is_exact else (other.exact, one)
        return [name] if pattern.match(name, Steps()) is not None else []
    if not (_is_front(one.begin, other.begin) and _is_front(one.end[::-1], other.end[::-1])):
        return []
    return [] if _numbers_differ(one, other) else list(islice(_search(one, other, inside=True), _MOST_NAMES))


def is_within(one: Pattern, other: Pattern) -> bool:
    """Whether the other matches all names of the one. TooLongError where that takes too many steps."""
    if one.is_exact:
        return other.match(one.exact, Steps()) is not None
    return not other.is_exact and next(_search(one, other, inside=False), None) is None


def _is_front(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _numbers_differ(one: Pattern, other: Pattern) -> bool:
    """Whether the same texts stand around numbers that are never the same: {2*n}, {2*n+1}."""
    if [part if isinstance(part, str) else part.kind for part in one.parts] != [
        part if isinstance(part, str) else part.kind for part in other.parts
    ] or any(hole.kind not in (INT, CHOICE) for hole in one.holes):
        return False
    texts = [part for part in one.parts if isinstance(part, str)]
    texts += [choice for hole in (*one.holes, *other.holes) for choice in hole.choices]
    if any(text[:1].isdigit() or text[-1:].isdigit() for text in texts):
        return False
    return any(
        (a.shift - b.shift) % gcd(a.factor, b.factor)
        for a, b in zip(one.holes, other.holes, strict=True)
        if a.kind == INT
    )


def _search(one: Pattern, other: Pattern, *, inside: bool) -> Iterator[str]:
    """Names that the one matches and the other does (`inside`) or does not, the shortest first, one of each kind."""
    left, right = _Automaton(one), _Automaton(other)
    alphabet = _alphabet(left, right)
    queue = deque([(left.start, right.start, "")])
    seen = {(left.start, right.start)}
    while queue:
        a, b, name = queue.popleft()
        if left.accepts(a) and right.accepts(b) is inside:
            yield name
        for char in alphabet:
            pair = left.after(a, char), right.after(b, char)
            if pair[0] and (pair[1] or not inside) and pair not in seen:
                seen.add(pair)
                queue.append((*pair, name + char))
        if len(seen) > _MOST_STATES:
            raise TooLongError


def _alphabet(*automata: _Automaton) -> list[str]:
    """One character of each kind that the patterns tell apart; letters go before what reads badly."""
    texts: set[str] = set("ax0/._")
    sets: set[Chars] = set()
    for automaton in automata:
        named, more = automaton.kinds()
        texts |= named
        sets |= more
    alone = {char for automaton in automata for step in automaton.program if step[0] == "text" for char in step[1]}
    found: dict[object, str] = {}
    for char in [*sorted(texts, key=lambda char: (not char.isalnum(), char)), *_OTHERS]:
        key = char if char in alone else tuple(char in each for each in sets)
        found.setdefault(key, char)
    return list(found.values())
