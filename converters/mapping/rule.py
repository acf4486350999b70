"""One rule of a table: which names it takes, what it does with their tensors, and what the results are called.

    from        a name with holes (`pattern`), or a list of several that belong together
    regex       in place of `from`: a regular expression
    to          the name of the result, or a list of several
    do          what becomes of the tensors on the way (`verbs`): one verb, or a list of them in order
    drop        in place of `to`: true, or the reason why it is left out
    where       {rank, dtype, shape}: the rule takes only tensors like that; -1 is any size
    optional    true: it may match nothing

A rule with a list in `from` and a hole in it takes one tensor of each for every value of the hole. A hole in `from`
that is not in `to` is gathered: `from = "layer_{n:int}/kernel"`, `to = "kernel"`, `do = {stack = 0}` stacks the layers
0, 1, 2, ... in that order. A hole in `to` that is not in `from` is dealt out in the same order. A hole with a range
stands for all of its numbers there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.tensor import Tensor

from .patterns.hole import INT, PatternError
from .patterns.pattern import Pattern, agree, parse_pattern, parse_regex
from .variables import VARIABLE, substitute
from .verbs import VERBS, read_verb
from .verbs.verb import JOIN, SPLIT, Verb

_CONDITIONS = ("rank", "dtype", "shape")
KEYS = ("from", "regex", "to", "do", "drop", "where", "optional")


class RuleError(ValueError):
    """What is wrong with a rule."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What tensors a rule takes; None is any."""

    rank: int | None = None
    dtype: tuple[str, ...] | None = None
    shape: tuple[int, ...] | None = None

    def holds(self, tensor: Tensor) -> bool:
        return (
            self.rank in (None, tensor.rank)
            and (self.dtype is None or str(tensor.dtype) in self.dtype)
            and (
                self.shape is None
                or (
                    len(self.shape) == tensor.rank
                    and all(want in (-1, size) for want, size in zip(self.shape, tensor.shape, strict=True))
                )
            )
        )

    def spelled(self) -> dict[str, Any]:
        """The condition as a table has it."""
        given = {"rank": self.rank, "dtype": self.dtype, "shape": self.shape}
        return {key: list(v) if isinstance(v, tuple) else v for key, v in given.items() if v is not None}


ANY = Condition()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `place` says where it stands (`bert.toml, line 12`), for messages.

    `verbs` is None where the parameters hold variables that only the source's shapes give: `verbs_for` reads them then.
    """

    place: str
    sources: tuple[Pattern, ...]
    targets: tuple[Pattern, ...] = ()
    verbs: tuple[Verb, ...] | None = ()
    do: Any = None
    drop: str = ""
    where: Condition = ANY
    optional: bool = False
    derived: Mapping[str, Any] = field(default_factory=dict)
    """How the variables in `do` follow from the source, by name (`variables`)."""
    gathered: str = ""
    """The hole over which it gathers."""
    dealt: str = ""
    """The hole over which it deals out."""

    @property
    def is_exact(self) -> bool:
        """Whether it names the tensors that it takes one by one."""
        return all(pattern.is_exact for pattern in self.sources)

    @property
    def is_rename(self) -> bool:
        """Whether it does nothing but give another name."""
        return not self.drop and self.verbs == () and len(self.sources) == len(self.targets) == 1

    def verbs_for(self, values: Mapping[str, str | float]) -> tuple[Verb, ...]:
        """The verbs, with the source's own variables put in. RuleError."""
        return self.verbs if self.verbs is not None else _read_verbs(substitute(self.do, values))

    def __str__(self) -> str:
        left = " + ".join(pattern.source for pattern in self.sources)
        right = f"dropped ({self.drop})" if self.drop else ", ".join(pattern.source for pattern in self.targets)
        return f"{left} -> {right}"


def read_rule(data: Any, place: str, derived: Mapping[str, Any]) -> Rule:
    """The rule that a table's item is, its constant variables put in already. RuleError."""
    if not isinstance(data, dict):
        raise RuleError(f"expected a table {{from = ..., to = ...}}, got {data!r:.40}")
    odd = [key for key in data if key not in KEYS]
    if odd:
        raise RuleError(f"expected only {', '.join(KEYS)}, got {', '.join(with_near(str(key), KEYS) for key in odd)}")
    if ("from" in data) == ("regex" in data):
        raise RuleError(f"expected one of from and regex, got {'both' if 'from' in data else 'neither'}")
    drop = _read_drop(data)
    if ("to" in data) == bool(drop):
        raise RuleError(f"expected one of to and drop, got {'both' if drop else 'neither'}")
    if drop and "do" in data:
        raise RuleError("expected nothing to do for what is dropped")
    optional = data.get("optional", False)
    if not isinstance(optional, bool):
        raise RuleError(f"expected true or false for optional, got {optional!r:.40}")
    try:
        sources = [parse_regex(_text(data["regex"], "regex"))] if "regex" in data else _patterns(data["from"], "from")
        targets = [] if drop else _patterns(data["to"], "to")
        agreed = agree([*sources, *targets])
    except PatternError as error:
        raise RuleError(str(error)) from None
    do = data.get("do")
    verbs = None if any(VARIABLE.search(text) for text in _texts(do)) else _read_verbs(do)
    rule = Rule(
        place=place, sources=tuple(agreed[: len(sources)]), targets=tuple(agreed[len(sources) :]), verbs=verbs, do=do,
        drop=drop, where=_read_where(data.get("where")), optional=optional, derived=derived,
    )  # fmt: skip
    return rule if drop else _with_roles(rule, isinstance(data.get("from"), list), isinstance(data["to"], list))


def with_near(word: str, known: Sequence[str]) -> str:
    """The word, with the known one that it may be meant for."""
    from difflib import get_close_matches

    near = get_close_matches(word, known, 1, 0.6) if len(word) < 100 else []
    return f"{word} (near: {near[0]})" if near else word


def _texts(data: Any) -> list[str]:
    if isinstance(data, dict):
        return [text for item in data.values() for text in _texts(item)]
    if isinstance(data, list):
        return [text for item in data for text in _texts(item)]
    return [data] if isinstance(data, str) else []


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or not value:
        raise RuleError(f"expected a name for {key}, got {value!r:.40}")
    if VARIABLE.search(value):
        raise RuleError(f"expected a constant in the name {value}: a variable that the shapes give can't stand there")
    return value


def _patterns(value: Any, key: str) -> list[Pattern]:
    items = value if isinstance(value, list) and value else [value]
    return [parse_pattern(_text(item, key)) for item in items]


def _read_drop(data: Mapping[str, Any]) -> str:
    drop = data.get("drop", False)
    if not isinstance(drop, (bool, str)) or drop == "":
        raise RuleError(f"expected true, false or a reason for drop, got {drop!r:.40}")
    return drop if isinstance(drop, str) else "dropped by the table" * drop


def _read_verbs(do: Any) -> tuple[Verb, ...]:
    if do is None:
        return ()
    verbs: list[Verb] = []
    for item in do if isinstance(do, list) else [do]:
        step = {item: True} if isinstance(item, str) else item
        if not isinstance(step, dict) or len(step) != 1:
            raise RuleError(f"expected one verb, {{name = parameters}}, in each step of do, got {item!r:.60}")
        ((name, given),) = step.items()
        try:
            verbs.append(read_verb(name, given))
        except ValueError as error:
            near = "" if name in VERBS else with_near(str(name), tuple(VERBS)).removeprefix(str(name))
            raise RuleError(f"{error}{near}") from None
    return tuple(verbs)


def _read_where(data: Any) -> Condition:
    if data is None:
        return ANY
    if not isinstance(data, dict):
        raise RuleError(f"expected {{rank, dtype, shape}} for where, got {data!r:.60}")
    odd = [with_near(str(key), _CONDITIONS) for key in data if key not in _CONDITIONS]
    if odd:
        raise RuleError(f"expected only {', '.join(_CONDITIONS)} in where, got {', '.join(odd)}")
    rank, dtype, shape = data.get("rank"), data.get("dtype"), data.get("shape")
    types = [dtype] if isinstance(dtype, str) else dtype
    if rank is not None and (not isinstance(rank, int) or isinstance(rank, bool) or rank < 0):
        raise RuleError(f"expected a whole number for rank, got {rank!r:.40}")
    if types is not None and not (isinstance(types, list) and all(isinstance(t, str) and t in DTYPES for t in types)):
        raise RuleError(f"expected element types such as float32 for dtype, got {dtype!r:.40}")
    if shape is not None and not (isinstance(shape, list) and all(_is_size(size) for size in shape)):
        raise RuleError(f"expected a list of sizes, -1 for any, for shape, got {shape!r:.40}")
    return Condition(rank, None if types is None else tuple(types), None if shape is None else tuple(map(int, shape)))


def _is_size(size: Any) -> bool:
    if isinstance(size, str):
        return size.isdecimal() and len(size) < 19  # of a variable
    return isinstance(size, int) and not isinstance(size, bool) and size >= -1


def _with_roles(rule: Rule, listed: bool, to_list: bool) -> Rule:
    """The rule, with the holes over which it gathers and deals out. RuleError where numbers or holes do not go up.

    `listed` says that `from` is a list, `to_list` that `to` is one: a list of one stands for several that are one.
    """
    first, *others = rule.sources
    for pattern in others:
        if pattern.names != first.names:
            raise RuleError(f"expected the same holes in {first.source} and {pattern.source}")
    left = {hole.name: hole.kind for pattern in rule.sources for hole in pattern.holes} | {
        name: "" for name in first.names if first.regex is not None
    }
    right = {hole.name: hole.kind for pattern in rule.targets for hole in pattern.holes}
    arities = [verb.arity for verb in rule.verbs] if rule.verbs is not None else _arities(rule.do)
    gathered = _only_number(left, right) if not listed and JOIN in arities else ""
    several = len(rule.sources) > 1 or bool(gathered) or (listed and JOIN in arities)
    for arity in arities:
        if arity == JOIN and not several:
            raise RuleError("expected several tensors to join: a list in from, or a number {n:int} that is not in to")
        if arity == SPLIT and several:
            raise RuleError("expected one tensor to divide, got several")
        several = several if arity not in (JOIN, SPLIT) else arity == SPLIT
    dealt = _only_number(right, left) if several and not to_list else ""
    unknown = [name for name in right if name not in left and name != dealt]
    if unknown:
        raise RuleError(f"expected holes of from in to, got {', '.join('{' + name + '}' for name in unknown)} too")
    if several and not to_list and not dealt and SPLIT in arities:
        raise RuleError("expected a list in to, or a number {n:int} that is not in from, for the several that are made")
    if several and not to_list and not dealt:
        raise RuleError("expected a verb that joins, such as concat, to make one tensor of several")
    if not several and len(rule.targets) > 1:
        raise RuleError(
            f"expected a verb that divides, such as split or tie, to make {len(rule.targets)} tensors of one"
        )
    return replace(rule, gathered=gathered, dealt=dealt) if gathered or dealt else rule


def _only_number(these: Mapping[str, str], those: Mapping[str, str]) -> str:
    """The one hole of `these` that `those` lack, if it is one and a number."""
    alone = [name for name in these if name not in those]
    return alone[0] if len(alone) == 1 and these[alone[0]] == INT else ""


def _arities(do: Any) -> Sequence[str]:
    items = do if isinstance(do, list) else [do]
    names = [next(iter(item), "") if isinstance(item, dict) else item for item in items]
    return [VERBS[name].arity for name in names if isinstance(name, str) and name in VERBS]
