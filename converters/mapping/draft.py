"""A table proposed for a source and a target: from values where both have them, else from shapes and names.

    values    the same bytes under another name, maybe with the axes in another order: certain
    names     the shape fits, maybe in another order of axes, and the words and numbers of the names agree: likely

Pairs whose names differ only in numbers become one rule with holes. Nothing is guessed in silence: each rule has its
confidence, from 0 to 1, and what was not paired is listed. The rules are run over the source before they are handed
out; where they do not give just the pairs that were found, the pairs stand there one by one.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import permutations
from typing import Any

from tensorferry.formats.tensor import Tensor

from .pattern import escape
from .plan import make_plan
from .rule import read_rule

_WORDS = {
    "kernel": "weight", "weights": "weight", "w": "weight", "gamma": "weight", "scale": "weight",
    "embeddings": "embedding", "beta": "bias", "biases": "bias", "b": "bias", "offset": "bias",
    "moving": "running", "variance": "var",
    "layernorm": "norm", "ln": "norm", "bn": "norm", "batchnorm": "norm", "layers": "layer", "dense": "linear",
    "fc": "linear", "conv2d": "conv", "attn": "attention", "decode": "decoder", "encode": "encoder",
}  # fmt: skip
"""Words that mean the same in the two worlds."""

_MOST_PAIRS = 500_000
"""Pairs of names that are compared; what comes behind is listed as left."""

_MOST_AXES = 5
_LEAST = 0.3
"""What names have to agree by, at least."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NUMBER = re.compile(r"(?<!\d)(?:0|[1-9]\d{0,8})(?!\d)")

Perm = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tensor that the target has: its shape, where that is known, and its value, where it has one."""

    shape: tuple[int, ...] | None = None
    tensor: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """A source, the target that it gives, and the order of axes (None: as it is). `certain`: their values agree."""

    source: str
    target: str
    perm: Perm | None
    confidence: float
    certain: bool = False


@dataclass(slots=True)
class Draft:
    """A proposal: rules, the confidence of each, and what has no counterpart."""

    rules: list[dict[str, Any]] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Of each rule: what it is based on."""
    pairs: list[Pair] = field(default_factory=list)
    sources_left: list[str] = field(default_factory=list)
    targets_left: list[str] = field(default_factory=list)


def draft_table(source: Mapping[str, Tensor], target: Mapping[str, Wanted]) -> Draft:
    """The proposal for making `target` of `source`."""
    pairs = _by_values(source, target)
    taken = {pair.source for pair in pairs}
    met = {pair.target for pair in pairs}
    pairs += _by_names(
        {name: tensor for name, tensor in source.items() if name not in taken},
        {name: wanted for name, wanted in target.items() if name not in met},
    )
    places = {name: place for place, name in enumerate(source)}
    pairs.sort(key=lambda pair: places[pair.source])
    rules = _rules(pairs, source)
    if not _gives(rules, pairs, source):
        rules = [(_exact(pair), [pair]) for pair in pairs]
    draft = Draft(pairs=pairs)
    for rule, members in rules:
        draft.rules.append(rule)
        draft.confidence.append(round(min(pair.confidence for pair in members), 2))
        draft.notes.append("values agree" if all(pair.certain for pair in members) else "by name and shape")
    draft.sources_left = [name for name in source if name not in {pair.source for pair in pairs}]
    draft.targets_left = [name for name in target if name not in {pair.target for pair in pairs}]
    return draft


# --- values ----------------------------------------------------------------------------------------


def _by_values(source: Mapping[str, Tensor], target: Mapping[str, Wanted]) -> list[Pair]:
    """Pairs of the same bytes. What several have (zeros, ones) goes by names among those."""
    there = {name: wanted.tensor for name, wanted in target.items() if wanted.tensor is not None}
    kinds = {_kind(t) for t in source.values()} & {_kind(t) for t in there.values()}
    left, right = _by_print(source, kinds), _by_print(there, kinds)
    pairs: list[Pair] = []
    for key, sources in left.items():
        options: list[tuple[float, Pair]] = []
        for old in sources:
            for new in right.get(key, ()):
                perm = _same_values(source[old], there[new])
                if perm is not None:
                    agreement = _agreement(old, new)
                    kept = None if list(perm) == sorted(perm) else perm
                    options.append((agreement, Pair(old, new, kept, 1.0, certain=True)))
        alone = len(sources) == len(right.get(key, ())) == 1
        for pair in _best(options):
            confidence = 1.0 if alone else max(0.5, _agreement(pair.source, pair.target))
            pairs.append(Pair(pair.source, pair.target, pair.perm, confidence, certain=alone))
    return pairs


def _kind(tensor: Tensor) -> tuple[str, tuple[int, ...]]:
    """What tensors of the same elements have in common."""
    return str(tensor.dtype), tuple(sorted(tensor.shape))


def _by_print(tensors: Mapping[str, Tensor], kinds: set[tuple[str, tuple[int, ...]]]) -> dict[Any, list[str]]:
    """The names by a sum over the bytes of the elements that is the same in any order of these."""
    import numpy as np

    found: dict[Any, list[str]] = defaultdict(list)
    for name, tensor in tensors.items():
        if not tensor.dtype.is_plain or not tensor.size or _kind(tensor) not in kinds:
            continue
        width = tensor.dtype.itemsize
        total = squares = 0
        for chunk in tensor.chunks():
            words = np.frombuffer(chunk, np.dtype(f"<u{min(width, 8)}")).astype(np.uint64)
            total += int(words.sum(dtype=np.uint64))
            squares += int((words * words).sum(dtype=np.uint64))
        found[_kind(tensor), total % (1 << 64), squares % (1 << 64)].append(name)
    return found


def _same_values(old: Tensor, new: Tensor) -> Perm | None:
    """The order of axes in which one gives the other."""
    import numpy as np

    a, b = old.numpy(), new.numpy()
    for perm in _perms(old.shape, new.shape):
        if np.ascontiguousarray(a.transpose(perm)).tobytes() == np.ascontiguousarray(b).tobytes():
            return perm
    return None


# --- names -----------------------------------------------------------------------------------------


def _by_names(source: Mapping[str, Tensor], target: Mapping[str, Wanted]) -> list[Pair]:
    """Pairs of names that agree, of tensors whose shapes may; those of the same numbers first of all."""
    by_size: dict[Any, list[str]] = defaultdict(list)
    by_numbers: dict[Any, list[str]] = defaultdict(list)
    for new, wanted in target.items():
        size = None if wanted.shape is None else tuple(sorted(wanted.shape))
        by_size[size].append(new)
        by_numbers[size, _words(new)[1]].append(new)
    options: list[tuple[float, Pair]] = []
    places = {name: place / max(len(target), 1) for place, name in enumerate(target)}
    budget = _MOST_PAIRS
    for place, (old, tensor) in enumerate(source.items()):
        sizes, numbers = (tuple(sorted(tensor.shape)), None), _words(old)[1]
        candidates = [new for size in sizes for new in by_numbers.get((size, numbers), ())]
        candidates = candidates or [new for size in sizes for new in by_size.get(size, ())]
        budget -= len(candidates)
        if budget < 0:
            break
        for new in candidates:
            agreement = _agreement(old, new)
            if agreement >= _LEAST:
                pair = _guess(old, tensor, new, target[new], agreement)
                distance = abs(places[new] - place / max(len(source), 1))
                options.append((agreement - 0.001 * distance, pair))
    return _best(options)


def _guess(old: str, tensor: Tensor, new: str, wanted: Wanted, agreement: float) -> Pair:
    """The pair with the likely order of axes: of a dense kernel [in, out] to a weight [out, in] where both fit."""
    if wanted.shape is None:
        return Pair(old, new, None, round(agreement * 0.7, 3))
    perms = list(_perms(tensor.shape, wanted.shape))
    dense = _ends(old) == "kernel" and _ends(new) == "weight"
    identity = tuple(range(tensor.rank))
    chosen = next((perm for perm in _usual(tensor.rank) if dense and perm in perms), perms[0])
    doubt = 1.0 if len(perms) == 1 else 0.8
    return Pair(old, new, None if chosen == identity else chosen, round(min(0.95, agreement * doubt), 3))


def _usual(rank: int) -> Sequence[Perm]:
    """How TensorFlow's kernels lie in other frameworks: dense [in, out], convolutions [..., in, out]."""
    usual: dict[int, list[Perm]] = {2: [(1, 0)], 3: [(2, 1, 0)], 4: [(3, 2, 0, 1)], 5: [(4, 3, 0, 1, 2)]}
    return usual.get(rank, [])


@cache
def _ends(name: str) -> str:
    return re.split(r"[/.:]", name)[-1].lower()


def _perms(old: tuple[int, ...], new: tuple[int, ...]) -> Iterator[Perm]:
    """The orders of axes that make one shape of the other, the unchanged one first; past five axes that one alone."""
    if len(old) != len(new) or len(old) > _MOST_AXES:
        if old == new:
            yield tuple(range(len(old)))
        return
    for perm in permutations(range(len(old))):
        if tuple(old[axis] for axis in perm) == new:
            yield perm


@cache
def _words(name: str) -> tuple[Counter[str], tuple[int, ...]]:
    found = [word.lower() for word in _WORD.findall(name)]
    words = Counter(_WORDS.get(word, word) for word in found if not word.isdecimal())
    return words, tuple(int(word) for word in found if word.isdecimal() and len(word) < 10)


def _agreement(old: str, new: str) -> float:
    """From 0 to 1: the words that two names share, and whether their numbers are the same."""
    (words, numbers), (others, those) = _words(old), _words(new)
    total = sum(words.values()) + sum(others.values())
    shared = 2 * sum((words & others).values()) / total if total else 0.0
    if total and not shared:
        return 0.0
    same = 1.0 if numbers == those else 0.6 if set(numbers) & set(those) or not (numbers and those) else 0.0
    last = 0.1 * (_WORDS.get(_ends(old), _ends(old)) == _WORDS.get(_ends(new), _ends(new)))
    return min(1.0, 0.6 * shared + 0.3 * same + last)


def _best(options: list[tuple[float, Pair]]) -> list[Pair]:
    """One pair for each name, those that agree best first."""
    pairs: list[Pair] = []
    old: set[str] = set()
    new: set[str] = set()
    for _, pair in sorted(options, key=lambda option: -option[0]):
        if pair.source not in old and pair.target not in new:
            pairs.append(pair)
            old.add(pair.source)
            new.add(pair.target)
    return pairs


# --- rules -----------------------------------------------------------------------------------------

_Rules = list[tuple[dict[str, Any], list[Pair]]]


def _rules(pairs: Sequence[Pair], source: Mapping[str, Tensor]) -> _Rules:
    """A rule for the pairs that differ only in numbers, where these go together; else one for each pair."""
    shapes = Counter(_template(name) for name in source)
    groups: dict[tuple[str, str, Perm | None], list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[_template(pair.source), _template(pair.target), pair.perm].append(pair)
    rules: _Rules = []
    for (left, _, _), members in groups.items():
        rule = _general(members) if len(members) > 1 and shapes[left] == len(members) else None
        rules += [(rule, members)] if rule else [(_exact(pair), [pair]) for pair in members]
    return rules


def _template(name: str) -> str:
    return _NUMBER.sub("\0", name)


def _exact(pair: Pair) -> dict[str, Any]:
    return _with_perm({"from": escape(pair.source), "to": escape(pair.target)}, pair.perm)


def _with_perm(rule: dict[str, Any], perm: Perm | None) -> dict[str, Any]:
    return rule if perm is None else {**rule, "do": {"transpose": list(perm)}}


def _general(members: Sequence[Pair]) -> dict[str, Any] | None:
    """One rule for pairs of one template; None where the numbers of the one side do not follow from the other's."""
    left = [list(map(int, _NUMBER.findall(pair.source))) for pair in members]
    right = [list(map(int, _NUMBER.findall(pair.target))) for pair in members]
    holes: dict[int, str] = {}
    for place in range(len(left[0])):
        if len({numbers[place] for numbers in left}) > 1:
            holes[place] = "nmkijabcdefgh"[len(holes) % 13]
    if len(set(holes.values())) < len(holes):
        return None
    texts: list[str] = []
    used: set[int] = set()
    for place in range(len(right[0])):
        if len({numbers[place] for numbers in right}) == 1:
            texts.append(str(right[0][place]))
            continue
        offsets = {hole: {r[place] - n[hole] for n, r in zip(left, right, strict=True)} for hole in holes}
        fitting = sorted((abs(min(o)), hole) for hole, o in offsets.items() if len(o) == 1 and hole not in used)
        if not fitting:
            return None
        hole = fitting[0][1]
        used.add(hole)
        offset = offsets[hole].pop()
        texts.append(f"{{{holes[hole]}{offset:+d}}}" if offset else f"{{{holes[hole]}}}")
    if used != set(holes):
        return None
    sources = [f"{{{holes[place]}:int}}" if place in holes else str(n) for place, n in enumerate(left[0])]
    rule = {"from": _filled(members[0].source, sources), "to": _filled(members[0].target, texts)}
    return _with_perm(rule, members[0].perm)


def _filled(name: str, texts: Sequence[str]) -> str:
    pieces = [escape(piece) for piece in _NUMBER.split(name)]
    return "".join(piece + text for piece, text in zip(pieces, [*texts, ""], strict=True))


def _gives(rules: _Rules, pairs: Sequence[Pair], source: Mapping[str, Tensor]) -> bool:
    """Whether the rules make of each source the target that it was paired with."""
    plan = make_plan([read_rule(rule, "draft", {}) for rule, _ in rules], source)
    made = {name: target for move in plan.moves for name in move.sources for target in move.targets}
    return not plan.problems and made == {pair.source: pair.target for pair in pairs}
