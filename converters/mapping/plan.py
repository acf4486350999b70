"""A plan: what the rules of a table do with the tensors of a source, down to the shape of each result.

Rules take names in order; a name that one has taken is gone for those behind it. Nothing is read. What does not fit
is gathered, all of it, in `problems`:

    a rule that matches nothing          a name that no rule takes           a name that a rule takes in two ways
    a shape that a verb does not fit     two tensors for one target          a partner or a layer that is missing

The first is allowed by `allow_unmatched` (or by the rule: optional), the second by `allow_unused`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tensorferry.formats.errors import NameMapError, listing, of_many
from tensorferry.formats.tensor import Tensor

from ..names.selection import near_names
from .patterns.hole import PatternError
from .patterns.matcher import Steps, TooLongError
from .rule import Rule, RuleError
from .variables import VariableError, resolve
from .verbs.verb import MisfitError, Verb

_MOST_NEAR = 20
_MOST_DIMS = 32
"""What every version of numpy can hold."""

_MOST_BYTES = 1 << 40
"""More than any weight has: joining what was divided can double a tensor's size at each step."""

_MOST_TARGETS = 100_000
"""How many tensors a range may make of one."""

_BY_THE_USER = ("--exclude ", "not in --include")
"""How the reasons begin that `names.selection` gives for what the user's globs leave out."""

Bound = dict[str, "str | int"]


@dataclass(frozen=True, slots=True)
class Move:
    """What one rule does with the tensors `sources`; `before` are the tensors that go into each of its verbs."""

    rule: Rule
    sources: tuple[str, ...]
    targets: Mapping[str, Tensor]
    verbs: tuple[Verb, ...]
    before: tuple[Sequence[Tensor], ...]

    @property
    def how(self) -> str:
        """The verbs as a person reads them."""
        return ", ".join(map(str, self.verbs))


@dataclass(slots=True)
class Plan:
    """All moves, in the order of the source; what the rules leave out, and what is wrong."""

    rules: Sequence[Rule] = ()
    moves: list[Move] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    """Source name -> why the table leaves it out."""
    unused: list[str] = field(default_factory=list)
    """The names that no rule takes."""
    unmatched: list[str] = field(default_factory=list)
    """What to say of each rule that matches nothing."""
    problems: list[str] = field(default_factory=list)

    def check(
        self, where: str, tensors: Mapping[str, Tensor], *, allow_unmatched: bool, allow_unused: bool, hint: str = ""
    ) -> None:
        """NameMapError that lists all that is wrong. `hint` goes before that of the options which would let it pass."""
        problems = self.all_problems(tensors, allow_unmatched=allow_unmatched, allow_unused=allow_unused)
        if problems:
            relaxed = {
                "--allow-unmatched": self.unmatched and not allow_unmatched,
                "--allow-unused": self.unused and not allow_unused,
            }
            allowing = " and ".join(option for option, given in relaxed.items() if given)
            hints = [hint, f"{allowing} would let that pass" if allowing else ""]
            raise of_many(NameMapError, where, problems, hint="; ".join(filter(None, hints)))

    def all_problems(self, tensors: Mapping[str, Tensor], *, allow_unmatched: bool, allow_unused: bool) -> list[str]:
        """Each problem as a sentence of its own."""
        found = list(self.problems)
        if not allow_unmatched:
            found += self.unmatched
        if not allow_unused:
            found += [f"no rule takes {told(name, tensors[name])}" for name in self.unused]
        return found


def make_plan(rules: Sequence[Rule], tensors: Mapping[str, Tensor], gone: Mapping[str, str] | None = None) -> Plan:
    """What the rules do with the tensors. `gone` are names that were left out before, and why."""
    planner = _Planner(tensors, gone or {})
    planner.plan.rules = rules
    for rule in rules:
        try:
            planner.take(rule)
        except TooLongError as error:
            raise NameMapError(rule.place, str(error)) from None
    return planner.finished()


def told(name: str, tensor: Tensor) -> str:
    """`a/b float32 [2, 3]`."""
    return f"{name} {tensor.dtype} {list(tensor.shape)}"


def _why_doubled(moves: Sequence[Move]) -> str:
    """What one rule lacks that makes one name of several; nothing where several rules do."""
    rule = moves[0].rule
    there = {hole.name for pattern in rule.targets for hole in pattern.holes}
    lost = [hole.spelled() for pattern in rule.sources for hole in pattern.holes if hole.name not in there]
    if not lost or any(move.rule is not rule for move in moves):
        return ""
    return f": {listing(dict.fromkeys(lost))} of {rule.sources[0].source} is not in {rule.targets[0].source}"


class _Planner:
    def __init__(self, tensors: Mapping[str, Tensor], gone: Mapping[str, str]) -> None:
        self.tensors = tensors
        self.gone = gone
        self.free = dict.fromkeys(tensors)
        self.taken: dict[str, str] = {}
        self.plan = Plan()
        self.steps = Steps()
        self._values: dict[int, Mapping[str, str | float] | None] = {}
        self._wrong_rules: set[int] = set()

    def take(self, rule: Rule) -> None:
        """Gives the rule what it matches of what is still there."""
        verbs = self._verbs(rule)
        matches = list(self._matches(rule))
        if not matches and not rule.optional and id(rule) not in self._wrong_rules:
            self._idle(rule)
        for sources, _ in matches:
            for name in sources:
                self.free.pop(name, None)
                self.taken[name] = rule.place
        if rule.drop:
            self.plan.dropped |= {name: rule.drop for sources, _ in matches for name in sources}
        elif verbs is not None:
            for sources, values in self._gathered(rule, matches):
                self._move(rule, verbs, sources, values)

    def finished(self) -> Plan:
        """The plan, with what is left over and what collides."""
        places = {name: place for place, name in enumerate(self.tensors)}
        self.plan.moves.sort(key=lambda move: places[move.sources[0]])
        self.plan.unused = list(self.free)
        givers: dict[str, list[Move]] = {}
        for move in self.plan.moves:
            for target in move.targets:
                givers.setdefault(target, []).append(move)
        for target, moves in givers.items():
            said = [f"{' + '.join(move.sources)} ({move.rule.place})" for move in moves]
            if not target:
                self.plan.problems.append(f"expected a name to rename to, got none for {listing(said, len(said))}")
            if len(moves) > 1:
                problem = f"expected one source for {target}, got {listing(said, len(said))}"
                self.plan.problems.append(problem + _why_doubled(moves))
        return self.plan

    def _wrong(self, rule: Rule, problem: str) -> None:
        self._wrong_rules.add(id(rule))
        self.plan.problems.append(f"{rule.place}: {problem}")

    def _verbs(self, rule: Rule) -> tuple[Verb, ...] | None:
        if rule.verbs is not None:
            return rule.verbs
        key = id(rule.derived)
        try:
            if key not in self._values:
                self._values[key] = None
                self._values[key] = resolve(rule.derived, self.tensors, self.steps)
            values = self._values[key]
            return None if values is None else rule.verbs_for(values)
        except (VariableError, RuleError) as error:
            self._wrong(rule, str(error))
            return None

    def _matches(self, rule: Rule) -> Iterator[tuple[tuple[str, ...], Bound]]:
        """The names that the rule takes, one for each of its patterns, and the values of its holes."""
        first, *others = rule.sources
        names: Collection[str] = self.free
        if first.is_exact:
            names = [first.exact] if first.exact in self.free else []
        for name in names:
            values = first.match(name, self.steps)
            if values is None or not rule.where.holds(self.tensors[name]):
                continue
            if rule.targets and first.is_ambiguous(name, self.steps):
                self._wrong(
                    rule,
                    f"expected one way for {first.source} to match {name}, got several: kinds such as {{n:int}} help",
                )
            self.steps.take(len(others))
            partners = [pattern.render(values) for pattern in others]
            missing = [partner for partner in partners if partner not in self.free]
            if missing:
                gone = [f"{each} (taken by {self.taken[each]})" if each in self.taken else each for each in missing]
                self._wrong(rule, f"expected beside {name} also {listing(gone)}, got none")
            elif len({name, *partners}) <= len(partners):
                self._wrong(rule, f"expected different names to join, got {listing([name, *partners])}")
            else:
                yield (name, *partners), values

    def _gathered(
        self, rule: Rule, matches: list[tuple[tuple[str, ...], Bound]]
    ) -> Iterator[tuple[tuple[str, ...], Bound]]:
        """The matches; where the rule gathers, those together that differ only in the number, in its order."""
        if not rule.gathered:
            yield from matches
            return
        groups: dict[tuple[tuple[str, str | int], ...], dict[int, str]] = {}
        for (name,), values in matches:
            rest = tuple((key, value) for key, value in values.items() if key != rule.gathered)
            groups.setdefault(rest, {})[int(values[rule.gathered])] = name
        for rest, members in groups.items():
            numbers, wanted = sorted(members), rule.sources[0].hole(rule.gathered).numbers(len(members))
            if len(numbers) != len(wanted) or numbers != list(wanted):
                expected = f"{rule.gathered} = {wanted[0]} to {wanted[-1]}"
                self._wrong(rule, f"expected {expected} of {rule.sources[0].source}, got {listing(numbers)}")
            else:
                yield tuple(members[number] for number in numbers), dict(rest)

    def _move(self, rule: Rule, verbs: tuple[Verb, ...], sources: tuple[str, ...], values: Bound) -> None:
        tensors: Sequence[Tensor] = [self.tensors[name] for name in sources]
        before: list[Sequence[Tensor]] = []
        names: Sequence[str] = sources
        dealt = rule.targets[0].hole(rule.dealt) if rule.dealt else None
        wanted = len(dealt.numbers(0)) if dealt else len(rule.targets)
        try:
            if wanted > _MOST_TARGETS:
                raise MisfitError(f"expected at most {_MOST_TARGETS} tensors of one, got {wanted}")
            for verb in verbs:
                before.append(tensors)
                tensors = verb.apply(tensors, names, wanted)
                if len(tensors) != len(names):
                    names = [f"part {part} of {' + '.join(sources)}" for part in range(len(tensors))]
                if not tensors:
                    raise MisfitError("expected a list in to, or a range such as {n:0..3}, that tells how many")
                rank, size = max(t.rank for t in tensors), max(t.nbytes for t in tensors)
                if rank > _MOST_DIMS:
                    raise MisfitError(f"expected at most {_MOST_DIMS} dimensions, got {rank}")
                if size > _MOST_BYTES:
                    raise MisfitError(f"expected at most {_MOST_BYTES} bytes in a tensor, got {size}")
            if dealt:
                numbers = dealt.numbers(len(tensors))
                if len(numbers) != len(tensors):
                    raise MisfitError(f"expected {wanted} tensors for {rule.targets[0].source}, got {len(tensors)}")
                targets = [rule.targets[0].render({**values, rule.dealt: number}) for number in numbers]
            else:
                targets = [pattern.render(values) for pattern in rule.targets]
            if len(targets) != len(tensors):
                raise MisfitError(f"expected {len(targets)} tensors for {listing(targets)}, got {len(tensors)}")
            if len(set(targets)) < len(targets):
                raise MisfitError(f"expected different names, got {listing(targets)}")
        except (MisfitError, PatternError) as error:
            shapes = listing((told(name, self.tensors[name]) for name in sources), len(sources))
            self._wrong(rule, f"{shapes}: {', '.join(map(str, verbs)) or 'rename'}: {error}")
            return
        self.plan.moves.append(Move(rule, sources, dict(zip(targets, tensors, strict=True)), verbs, tuple(before)))

    def _idle(self, rule: Rule) -> None:
        """Says why a rule matches nothing, unless the user left it out, or what it drops was left out before."""
        first = rule.sources[0]
        gone = [name for name in self.gone if first.match(name, self.steps) is not None]
        if gone and (rule.drop or any(self.gone[name].startswith(_BY_THE_USER) for name in gone)):
            return
        taken = [name for name in self.taken if first.match(name, self.steps) is not None]
        told_ = f"{rule.place}: expected {first.source} in the source, got none"
        if gone:
            told_ += f": left out before, {listing((f'{name} ({self.gone[name]})' for name in gone), 3)}"
        elif taken:
            told_ += f" that no rule before it takes: {listing((f'{name} ({self.taken[name]})' for name in taken), 3)}"
        elif (odd := next((n for n in self.free if first.match(n, self.steps) is not None), None)) is not None:
            wanted = ", ".join(f"{key} {value}" for key, value in rule.where.spelled().items())
            told_ += f" with {wanted}: {told(odd, self.tensors[odd])} is there" if wanted else ""
        elif len(self.plan.unmatched) < _MOST_NEAR and (near := near_names(first.source, self.free)):
            told_ += f" (near: {', '.join(near)})"
        self.plan.unmatched.append(told_)
