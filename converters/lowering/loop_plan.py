"""What a loop's body and condition do with each part of its state, so that ONNX's Loop need carry only the rest.

    kept     comes out of the body as it went in: the body sees it from outside
    counted  grows by the same number each time: the Loop's own counter tells it
    written  a list that gets one element with each step, in order: an output that the Loop itself collects
    carried  everything else that somebody needs

The condition is a conjunction. A term that compares a counted part with what is made of kept ones is a bound on the
number of steps; the other terms are computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..inference.regions import PASSING, Region
from ..inference.values import Value
from ..ir import Node, node_name, value_name
from ..op_registry import attr_value

_COMPARISONS = {"Less": (1, 0), "LessEqual": (1, 1), "Greater": (-1, 0), "GreaterEqual": (-1, 1)}
"""Comparison -> (the direction in which its left side may count, the steps it allows beyond the limit)."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A term that allows (limit - start of `counter`) * direction + extra steps; `limit` is the condition's value."""

    counter: int
    direction: int
    extra: int
    limit: str


@dataclass(frozen=True, slots=True)
class Write:
    """One element for a list in each step: the value `item` of the body.

    The first goes to `place` (None: to the end), the next ones behind it, or to the same place `again`.
    """

    item: str
    place: int | None
    grows: bool = False
    again: bool = False


@dataclass(slots=True)
class LoopPlan:
    """The parts by number. `terms` are the values of the condition that have to be computed."""

    kept: set[int] = field(default_factory=set)
    counted: dict[int, int] = field(default_factory=dict)
    """Counter -> how much it grows by."""
    written: dict[int, Write] = field(default_factory=dict)
    carried: list[int] = field(default_factory=list)
    bounds: list[Bound] = field(default_factory=list)
    terms: list[str] = field(default_factory=list)


def plan_loop(body: Region, condition: Region, inputs: Sequence[Value], used: Sequence[bool]) -> LoopPlan:
    """The plan for a loop that starts with `inputs` and of whose results some are `used`."""
    plan = LoopPlan()
    look = _Look(body)
    for number in range(len(inputs)):
        if look.source(body.results[number]) == body.arguments[number]:
            plan.kept.add(number)
        elif (step := look.step(number)) is not None:
            plan.counted[number] = step
    _split_condition(plan, condition)
    tested = condition.arguments_of(list(condition.results))
    for number, value in enumerate(inputs):
        if value.items is not None and number not in tested:
            write = look.write(number, plan.counted, inputs)
            if write is not None:
                plan.written[number] = write
    for number in list(plan.counted):
        # With terms left to compute, nobody knows beforehand how often the loop runs.
        if inputs[number].integer() is None or (plan.terms and used[number]):
            del plan.counted[number]
    asked = {number for number, wanted in enumerate(used) if wanted}
    plan.carried = _alive(plan, body, asked | condition.arguments_of(plan.terms))
    plan.written = {number: write for number, write in plan.written.items() if used[number]}
    return plan


def _alive(plan: LoopPlan, body: Region, asked: Iterable[int]) -> list[int]:
    """The parts that have to be carried, so that those that are asked for come out."""
    seen: set[int] = set()
    stack = list(asked)
    carried = []
    while stack:
        number = stack.pop()
        if number in seen or number in plan.kept or number in plan.counted:
            continue
        seen.add(number)
        write = plan.written.get(number)
        if write is None:
            carried.append(number)
        stack.extend(body.arguments_of([body.results[number] if write is None else write.item]))
    return sorted(carried)


def _split_condition(plan: LoopPlan, condition: Region) -> None:
    look = _Look(condition)
    stack = list(condition.results)
    while stack:
        value = look.source(stack.pop())
        node = look.makers.get(node_name(value))
        if node is not None and node.op == "LogicalAnd":
            stack.extend(reversed(node.data_inputs))
            continue
        bound = _bound(plan, condition, look, node)
        if bound is not None:
            plan.bounds.append(bound)
        elif value not in plan.terms:
            plan.terms.append(value)


def _bound(plan: LoopPlan, condition: Region, look: _Look, node: Node | None) -> Bound | None:
    if node is None or node.op not in _COMPARISONS:
        return None
    direction, extra = _COMPARISONS[node.op]
    left, right = (look.source(value) for value in node.data_inputs)
    for counter, limit, way in ((left, right, direction), (right, left, -direction)):
        if counter not in condition.arguments or not condition.values[counter].dtype.is_integer:
            continue
        number = condition.arguments.index(counter)
        if plan.counted.get(number) == way and condition.arguments_of([limit]) <= plan.kept:
            return Bound(number, way, extra, limit)
    return None


class _Look:
    """A region's nodes by what they make and who takes it."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self.makers = {node.name: node for node in region.nodes}
        self.users: dict[str, list[Node]] = {}
        for node in region.nodes:
            for value in node.data_inputs:
                self.users.setdefault(value_name(value), []).append(node)

    def source(self, value: str) -> str:
        """The value that `value` is, seen through what only passes it on."""
        full = value_name(value)
        while (node := self.makers.get(node_name(full))) is not None and node.op in PASSING and node.data_inputs:
            full = value_name(node.data_inputs[0])
        return full

    def step(self, number: int) -> int | None:
        """How much an argument of whole numbers grows by in each step, where that is always the same."""
        argument = self.region.arguments[number]
        node = self.makers.get(node_name(self.source(self.region.results[number])))
        if node is None or node.op not in ("Add", "AddV2", "Sub") or not self.region.values[argument].dtype.is_integer:
            return None
        left, right = (self.source(value) for value in node.data_inputs)
        if right == argument and node.op != "Sub":
            left, right = right, left
        known = self.region.values[right]
        by = known.integer() if left == argument and known.rank == 0 else None
        return None if by is None else -by if node.op == "Sub" else by

    def write(self, number: int, counted: dict[int, int], inputs: Sequence[Value]) -> Write | None:
        """How a list that the body does nothing with but write to gets its elements, in order."""
        argument, result = self.region.arguments[number], self.region.results[number]
        node = self.makers.get(node_name(self.source(result)))
        if node is None or node.op not in ("TensorListSetItem", "TensorListPushBack"):
            return None
        if self.source(node.data_inputs[0]) != argument or not self._only_leads_to(argument, [node.name]):
            return None
        others = sum(self.source(other) == f"{node.name}:0" for other in self.region.results)
        if others > 1 or not self._only_leads_to(f"{node.name}:0", []):
            return None
        if node.op == "TensorListPushBack":
            return Write(value_name(node.data_inputs[1]), None)
        item, grows = value_name(node.data_inputs[2]), attr_value(node, "resize_if_index_out_of_bounds") is True
        place = self.source(node.data_inputs[1])
        fixed = self.region.values[place].integer()
        if fixed is not None:
            return Write(item, fixed, grows, again=True)
        counter = self.region.arguments.index(place) if place in self.region.arguments else -1
        start = inputs[counter].integer() if counted.get(counter) == 1 else None
        return None if start is None else Write(item, start, grows)

    def _only_leads_to(self, value: str, names: Sequence[str]) -> bool:
        """Whether nobody takes a value but the nodes `names` and those that pass it on."""
        stack = [value]
        while stack:
            for user in self.users.get(stack.pop(), []):
                if user.op in PASSING:
                    stack.append(f"{user.name}:0")
                elif user.name not in names:
                    return False
        return True
