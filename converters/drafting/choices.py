"""Rules that differ in one word become one with a choice: `{part:query|key|value}/kernel` -> `{part:q|k|v}.weight`.

Two rules go together if they do the same, and if their patterns are the same but for one stretch on each side. What is
in front and behind of that is their frame; all rules of the largest frame are made one, again and again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations

from .likeness import ENDING
from .link import Way
from .numbers import Draught

_TOKEN = re.compile(r"\{[^}]*\}|\\.|[A-Za-z0-9]+|.", re.DOTALL)
_PLAIN = re.compile(r"[^{}|\\*?]+")
_HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*):")
_MOST_RULES = 400
"""Rules of one kind that are compared, each with each."""

_NAMES = ("part", "place", "kind", "which", "one")

Tokens = tuple[str, ...]
Frame = tuple[Tokens, Tokens, Tokens, Tokens]
"""In front of the stretch and behind it, left and right."""


def by_choices(rules: Sequence[Draught]) -> list[Draught]:
    """The rules, those made one that differ in a word."""
    kinds: dict[tuple[Way, int, int, str], list[Draught]] = {}
    for rule in rules:
        key = rule.way, len(rule.left), len(rule.right), "" if rule.right else rule.because
        kinds.setdefault(key, []).append(rule)
    return [rule for members in kinds.values() for rule in _merged(members)]


def _merged(rules: list[Draught]) -> list[Draught]:
    if not 1 < len(rules) <= _MOST_RULES:
        return rules
    live = dict(enumerate(rules))
    frames: dict[Frame, set[int]] = {}
    for a, b in combinations(live, 2):
        _note(frames, live, a, b)
    while frames:
        best = max(frames, key=lambda frame: (sum(map(len, frame)), len(frames[frame])))
        members = sorted(frames[best])
        whole = _one([live[each] for each in members], best) if len(members) > 1 else None
        if whole is None:
            del frames[best]
            continue
        for each in members:
            del live[each]
        for frame in list(frames):
            frames[frame] -= set(members)
            if len(frames[frame]) < 2:
                del frames[frame]
        number = max([*live, members[-1]]) + 1
        live[number] = whole
        for other in live:
            if other != number:
                _note(frames, live, other, number)
    return list(live.values())


def _note(frames: dict[Frame, set[int]], rules: dict[int, Draught], a: int, b: int) -> None:
    frame = _frame(rules[a], rules[b])
    if frame is not None:
        frames.setdefault(frame, set()).update((a, b))


def _frame(one: Draught, other: Draught) -> Frame | None:
    """What two rules have in common around the one stretch in which each side differs."""
    sides: list[Tokens] = []
    for mine, theirs in (one.left, other.left), (one.right, other.right):
        if not mine:
            sides += [(), ()]
            continue
        begin, end, stretches = _around(mine[0], theirs[0])
        if not all(_may_be_choice(stretch, end) for stretch in stretches):
            return None
        sides += [begin, end]
    return sides[0], sides[1], sides[2], sides[3]


def _around(one: str, other: str) -> tuple[Tokens, Tokens, tuple[Tokens, Tokens]]:
    """What is the same in front and behind, and what is different between.

    A stretch that is empty, that is a path or that ends the name begins behind a separator.
    """
    a, b = _tokens(one), _tokens(other)
    front = _same(a, b)
    back = _same(a[front:][::-1], b[front:][::-1])
    if front + back in (len(a), len(b)) or _is_last(a[len(a) - back :]) or {"/", "."} & {
        *a[front : len(a) - back], *b[front : len(b) - back]
    }:  # fmt: skip
        while front and a[front - 1] not in ("/", "."):
            front -= 1
        while back and front + back in (len(a), len(b)):
            back -= 1
            while back and a[len(a) - back] not in ("/", "."):
                back -= 1
    return a[:front], a[len(a) - back :], (a[front : len(a) - back], b[front : len(b) - back])


def _same(one: Tokens, other: Tokens) -> int:
    """How many tokens are the same from the beginning on."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


@lru_cache(1 << 14)
def _tokens(text: str) -> Tokens:
    return tuple(_TOKEN.findall(text))


def _is_last(end: Tokens) -> bool:
    """Whether there is nothing of a name in what stands behind."""
    return not "".join(end).removesuffix(ENDING).strip("/.")


def _may_be_choice(tokens: Tokens, end: Tokens) -> bool:
    """Whether this reads well as one of several words: only in front of others it may be a path."""
    return _PLAIN.fullmatch("".join(tokens)) is not None and not (_is_last(end) and {"/", "."} & set(tokens))


def _one(rules: Sequence[Draught], frame: Frame) -> Draught | None:
    """One rule of several; None where they do not go together after all."""
    taken = {name for rule in rules for text in (*rule.left, *rule.right) for name in _HOLE.findall(text)}
    left, right = [_stretch(rule.left[0], frame[:2]) for rule in rules], []
    if rules[0].right:
        right = [_stretch(rule.right[0], frame[2:]) for rule in rules]
    if len(set(left)) < len(rules) or (right and len(set(right)) < len(rules)):
        return None
    names = ("p", *_NAMES) if _is_last(frame[1]) else _NAMES
    name = next((name for name in names if name not in taken), None)
    if name is None:
        return None
    hole = f"{{{name}:{'|'.join(left)}}}"
    there = f"{{{name}:{'|'.join(right)}}}" if left != right else f"{{{name}}}"
    sources = _put_in([rule.left for rule in rules], left, hole)
    targets = _put_in([rule.right for rule in rules], right, there) if right else ()
    if sources is None or targets is None:
        return None
    links = tuple(link for rule in rules for link in rule.links)
    return Draught(sources, targets, rules[0].way, links, tuple(rules))


def _stretch(text: str, frame: tuple[Tokens, ...]) -> str:
    begin, end = "".join(frame[0]), "".join(frame[1])
    return text[len(begin) : len(text) - len(end)]


def _put_in(names: Sequence[tuple[str, ...]], stretches: Sequence[str], hole: str) -> tuple[str, ...] | None:
    """The patterns with the hole in place of each rule's stretch, if all rules give the same then."""
    found: list[str] = []
    for column in zip(*names, strict=True):
        begin, end = ("".join(tokens) for tokens in _around(column[0], column[1])[:2])
        ways = [(begin, end), column[0].partition(stretches[0])[::2]]
        around = next(
            (w for w in ways if all(t == w[0] + s + w[1] for t, s in zip(column, stretches, strict=True))), None
        )
        if around is None:
            return None
        found.append(around[0] + hole + around[1])
    return tuple(found)
