"""The table that goes back: from the results of a table to what it took.

    invert_rules    each rule by itself, its sides exchanged and its verbs undone in reverse order; special ones first
    invert_plan     by what a table did with a source: all names and shapes are known, so that more can be undone

A rule alone does not know the shapes that it is given. `reshape`, `concat` and `cast` may say what they come from;
where they do not, only a plan can be inverted. What was dropped, cut off or rounded can't be brought back by either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensorferry.formats.tensor import Tensor

from .order import order_rules
from .patterns.hole import INT
from .patterns.pattern import escape
from .patterns.regex import Regex
from .plan import Move, Plan, make_plan
from .rule import Condition, Rule, RuleError, read_rule
from .spell import lists, spelled_rule, spelled_verbs
from .verbs.verb import NoInverseError, Verb


@dataclass(frozen=True, slots=True)
class Inverse:
    """The rules that go back, as a table's file has them, in an order in which they do not take each other's names."""

    rules: list[dict[str, Any]]
    problems: list[str]
    """Why there is none for others, or why some can't be told from each other."""
    doubts: Sequence[str] = ()
    """What to say of results that go back by the more special of two rules, whichever they came from."""


def invert_rules(rules: Sequence[Rule]) -> Inverse:
    """The inverses of the rules, each by itself."""
    found: list[dict[str, Any]] = []
    problems: list[str] = []
    came: list[int] = []
    for place, rule in enumerate(rules):
        try:
            found.append(invert_rule(rule))
            came.append(place)
        except NoInverseError as error:
            problems.append(f"{rule.place}: {error}")
    backs = [read_rule(back, rules[place].place, {}) for back, place in zip(found, came, strict=True)]
    order = order_rules(backs, rules, came)
    return Inverse([found[place] for place in order.places], problems + order.unclear, order.doubts)


def invert_rule(rule: Rule) -> dict[str, Any]:
    """The rule that goes back, as a table's file has it. NoInverseError."""
    if rule.drop:
        raise NoInverseError(f"{rule.sources[0].source} is dropped")
    if rule.verbs is None:
        raise NoInverseError("it takes sizes from the shapes of a source: name one, `map invert TABLE SRC`")
    verbs = _undone(rule.verbs, None)
    where = _condition(rule)
    if rule.sources[0].regex is not None:
        inverse = _invert_regex(rule, rule.sources[0].regex)
        if verbs:
            inverse["do"] = spelled_verbs(verbs)
    else:
        _require_holes(rule)
        back = Rule(rule.place, rule.targets, rule.sources, tuple(verbs), gathered=rule.dealt, dealt=rule.gathered)
        inverse = spelled_rule(back)
    if where:
        inverse["where"] = where
    if rule.optional:
        inverse["optional"] = True
    try:
        read_rule(inverse, rule.place, {})
    except RuleError as error:
        raise NoInverseError(str(error)) from None
    return inverse


def invert_plan(plan: Plan, tensors: Mapping[str, Tensor]) -> Inverse:
    """The inverse of all that a plan does with `tensors`: by rules where that gives them back, else name by name."""
    used = {id(move.rule) for move in plan.moves}
    rules = [rule for rule in plan.rules if id(rule) in used]
    problems = [f"{name}: {why}" for name, why in plan.dropped.items()]
    by_rule = invert_rules(rules)
    if not by_rule.problems and _gives_back(by_rule.rules, plan, tensors):
        return Inverse(by_rule.rules, problems)
    found: list[dict[str, Any]] = []
    for move in plan.moves:
        try:
            found.append(_invert_move(move))
        except NoInverseError as error:
            problems.append(f"{move.rule.place}: {', '.join(move.sources)}: {error}")
    return Inverse(found, problems)


def _invert_move(move: Move) -> dict[str, Any]:
    verbs = _undone(move.verbs, move.before)
    sources, targets = list(map(escape, move.sources)), list(map(escape, move.targets))
    joins, divides = lists(verbs)
    inverse: dict[str, Any] = {"from": targets if joins else targets[0], "to": sources if divides else sources[0]}
    if verbs:
        inverse["do"] = spelled_verbs(verbs)
    return inverse


def _gives_back(inverse: Sequence[Mapping[str, Any]], plan: Plan, tensors: Mapping[str, Tensor]) -> bool:
    """Whether the rules, with what the plan makes, make the sources of the plan again, as far as shapes tell."""
    made = {name: tensor for move in plan.moves for name, tensor in move.targets.items()}
    back = make_plan([read_rule(dict(rule), "inverse", {}) for rule in inverse], made)
    if back.problems or back.unused or back.unmatched:
        return False
    found = {name: (tensor.dtype, tensor.shape) for move in back.moves for name, tensor in move.targets.items()}
    came = {name for move in plan.moves for name in move.sources}
    if found != {name: (tensors[name].dtype, tensors[name].shape) for name in came}:
        return False
    there = {frozenset(move.targets): frozenset(move.sources) for move in plan.moves}
    return all(there.get(frozenset(move.sources)) == frozenset(move.targets) for move in back.moves)


def _undone(verbs: Sequence[Verb], before: Sequence[Sequence[Tensor]] | None) -> list[Verb]:
    known = [None] * len(verbs) if before is None else before
    return [verb.inverse(tensors) for verb, tensors in reversed(list(zip(verbs, known, strict=True)))]


def _require_holes(rule: Rule) -> None:
    """NoInverseError where the results' names do not tell all that the sources' names say."""
    there = {hole.name for pattern in rule.targets for hole in pattern.holes}
    for pattern in rule.sources:
        lost = [hole.spelled() for hole in pattern.holes if hole.name not in there and hole.name != rule.gathered]
        if lost:
            raise NoInverseError(f"{', '.join(lost)} of {pattern.source} is not in the result's name")


def _condition(rule: Rule) -> dict[str, Any]:
    """The condition on the result that the rule's condition on the source is."""
    where = rule.where
    if where == Condition():
        return {}
    found: dict[str, Any] = {}
    if where.dtype is not None:
        if any(verb.name in ("cast", "narrow") for verb in rule.verbs or ()):
            raise NoInverseError("a condition on dtype can't be told behind a cast")
        found["dtype"] = list(where.dtype)
    shape: list[Any] | None = list(where.shape) if where.shape is not None else [-1] * (where.rank or 0)
    if where.shape is None and where.rank is None:
        return found
    for verb in rule.verbs or ():
        shape = None if shape is None else verb.condition(shape)
    if shape is None:
        raise NoInverseError(f"a condition on the shape can't be told behind {', '.join(map(str, rule.verbs or ()))}")
    found["rank"] = len(shape)
    if where.shape is not None:
        found["shape"] = shape
    return found


def _invert_regex(rule: Rule, regex: Regex) -> dict[str, Any]:
    """Text and groups in a row can be exchanged with the text and the holes of the target."""
    if len(rule.targets) != 1:
        raise NoInverseError("a regular expression is turned around for one target only; a name with holes for more")
    if regex.parts is None:
        raise NoInverseError("only a regular expression of text and groups in a row can be turned around")
    bodies = {regex.groups[number - 1]: body for number, body in (p for p in regex.parts if not isinstance(p, str))}
    left: list[str] = []
    seen: list[str] = []
    for part in rule.targets[0].parts:
        if isinstance(part, str):
            left.append("".join(c if c.isalnum() or c in "_/" else f"\\{c}" for c in part))
        elif part.name in seen or part.kind == INT:  # not all numbers are spelled as they were
            raise NoInverseError(f"{part.spelled()} can't be turned around in a regular expression")
        else:
            seen.append(part.name)
            left.append(f"(?P<g{part.name}>{bodies[part.name]})")
    if set(seen) != set(bodies):
        raise NoInverseError("not every group is in the result's name")
    right = "".join(escape(p) if isinstance(p, str) else f"{{g{regex.groups[p[0] - 1]}}}" for p in regex.parts)
    return {"regex": "".join(left), "to": right}
