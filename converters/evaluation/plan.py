"""A plan: the steps that compute some outputs of a graph, in an order that has producers and control inputs first.

1. Only the nodes that the outputs need are in it, each once, and a value is forgotten after the last step that takes
   it.
2. A loop of TensorFlow 1 is one step of the frame that it is in (`frames`), with steps of its own.
3. What is fed has no producer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorferry.formats.errors import GraphError, listing

from ..functions import ARGUMENT
from ..ir import Graph, Node, node_name, split_value, value_name
from ..kernels import Prepared, kernels
from ..op_registry import reference_inputs
from ..ops import OpNode, OpTable
from ..passes.prune import needed
from . import steps as kinds
from .feeds import PLACEHOLDERS
from .frames import ENTERS, EXITS, MERGES, NEXTS, SWITCHES, Frame, frames_of
from .operations import operations
from .steps import Slots, Source, Step, run_steps
from .values import DEAD, Array, Dead
from .variables import REFERENCES

if TYPE_CHECKING:
    from .run import Run

CONTROL: dict[str, type[Step]] = {
    **dict.fromkeys(SWITCHES, kinds.Switch),
    **dict.fromkeys(MERGES, kinds.Merge),
    **dict.fromkeys(EXITS, kinds.Exit),
    **dict.fromkeys((*ENTERS, *NEXTS, "LoopCond", "PlaceholderWithDefault"), kinds.Pass),
    **dict.fromkeys((*PLACEHOLDERS, ARGUMENT), kinds.Given),
}
"""The step of each op that is neither a kernel nor an operation."""


@dataclass(slots=True)
class Plan:
    """Steps, and `order`, their nodes; `fed`: slots of the values from outside; `results`: where the outputs are."""

    order: list[Node]
    refused: set[str]
    """The nodes that can't run."""
    steps: list[Step]
    fed: dict[str, int]
    results: list[tuple[str, Source]]
    size: int

    def run(self, run: Run, fed: Mapping[str, Array]) -> list[Array]:
        """The values of the outputs."""
        slots: Slots = [None] * self.size
        for value, slot in self.fed.items():
            slots[slot] = (fed[value],)
        run_steps(self.steps, slots, run)
        found = []
        for output, (slot, index) in self.results:
            made = slots[slot]
            result = made[index] if isinstance(made, tuple) else DEAD
            if isinstance(result, Dead):
                raise GraphError(output, "expected a value, got none: it is in a branch that was not taken")
            found.append(result if isinstance(result, np.ndarray) else result.read())
        return found


def plan(graph: Graph, outputs: Sequence[str], fed: Collection[str] = (), *, effects: Iterable[str] = ()) -> Plan:
    """The plan for the values `outputs` of a graph, and for the nodes `effects`, where the values `fed` are given."""
    return _Planner(graph, outputs, list(effects), list(fed)).plan()


class _Planner:
    def __init__(self, graph: Graph, outputs: Sequence[str], effects: list[str], fed: list[str]) -> None:
        self.graph = graph
        self.outputs = outputs
        self.fed = {value: slot for slot, value in enumerate(fed)}
        names = needed(graph, [*outputs, *effects], fed)
        self.order = self.ordered(names)
        self.slots = {node.name: slot for slot, node in enumerate(self.order, start=len(fed))}
        self.results = [(output, self.source(output)) for output in outputs]
        self.refused: set[str] = set()
        self.kept = {slot for _, (slot, _) in self.results}

    def plan(self) -> Plan:
        size = len(self.fed) + len(self.order)
        return Plan(self.order, self.refused, self.steps(), self.fed, self.results, size)

    def ordered(self, names: set[str]) -> list[Node]:
        """The nodes `names`, producers before consumers."""
        nodes = (node for node in self.graph if node.name in names)
        if self.fed:
            nodes = (node.with_(inputs=tuple(self.unfed(node))) for node in nodes)
        return [self.graph.nodes[node.name] for node in Graph.of(nodes).topological()]

    def unfed(self, node: Node) -> Iterator[str]:
        return (value for value in node.inputs if value.startswith("^") or value_name(value) not in self.fed)

    def source(self, value: str) -> Source:
        full = value_name(value)
        if full in self.fed:
            return self.fed[full], 0
        name, index = split_value(value)
        return self.slots[name], index

    def steps(self) -> list[Step]:
        if not any(node.op in (*ENTERS, *EXITS, *NEXTS) for node in self.order):
            return self.freeing([self.step(node) for node in self.order])
        frames = frames_of(self.order, self.fed)
        for output in self.outputs:
            node = self.graph.producer(output)
            if value_name(output) not in self.fed and len(frames[node.name]) > (node.op in EXITS):
                raise GraphError(output, "expected an output outside of loops, got one in a loop")
        members: dict[Frame, list[Node]] = defaultdict(list, {(): []})
        inner: dict[Frame, list[Frame]] = defaultdict(list)
        for node in self.order:
            frame = frames[node.name]
            if frame not in members:
                inner[frame[:-1]].append(frame)
            members[frame].append(node)
        loops: dict[Frame, Step] = {}
        for frame in sorted(members, key=len, reverse=True):
            within = {loop: members[loop] for loop in inner[frame]}
            steps = [loops.pop(unit) if isinstance(unit, tuple) else self.step(self.graph.nodes[unit])
                     for unit in self.units(members[frame], within)]  # fmt: skip
            if frame:
                loops[frame] = self.loop(members[frame], steps)
        return self.freeing(steps)

    def units(self, nodes: list[Node], loops: Mapping[Frame, list[Node]]) -> list[str | Frame]:
        """What a frame runs, in order: nodes, but for Enter and NextIteration, and the loops right inside of it."""
        inside = [node for node in nodes if node.op not in ENTERS and node.op not in NEXTS]
        place: dict[str, str | Frame] = {node.name: node.name for node in inside}
        for loop, members in loops.items():
            place |= {node.name: loop for node in members if node.op in EXITS}
        sorter: TopologicalSorter[str | Frame] = TopologicalSorter()
        for node in inside:
            sorter.add(node.name, *self.before(node, place))
        for loop, members in loops.items():
            sorter.add(loop, *(unit for node in members if node.op in ENTERS for unit in self.before(node, place)))
        try:
            return list(sorter.static_order())
        except CycleError as error:
            ring = ["/".join(unit) if isinstance(unit, tuple) else unit for unit in error.args[1]]
            raise GraphError(ring[0], f"expected loops that don't wait for each other, got {listing(ring)}") from None

    def before(self, node: Node, place: Mapping[str, str | Frame]) -> list[str | Frame]:
        return [place[name] for name in map(node_name, self.unfed(node)) if name in place]

    def loop(self, nodes: list[Node], body: list[Step]) -> Step:
        enters = [self.step(node) for node in nodes if node.op in ENTERS]
        nexts = [self.step(node) for node in nodes if node.op in NEXTS]
        constant = [step.slot for step in enters if OpNode(step.node).flag("is_constant")]
        carried = {slot for step in nexts for slot in step.reads()}
        return kinds.Loop(enters, constant, self.freeing(body, carried), nexts)

    def freeing(self, steps: list[Step], kept: Collection[int] = ()) -> list[Step]:
        """`steps`, told which of the slots that they fill are needed no more after which of them, but for `kept`."""
        last: dict[int, Step] = {}
        for step in steps:
            for slot in step.fills():
                last[slot] = step
        for step in steps:
            for slot in step.reads():
                if slot in last:
                    last[slot] = step
        frees: dict[int, list[int]] = defaultdict(list)
        for slot, step in last.items():
            if slot not in self.kept and slot not in kept:
                frees[id(step)].append(slot)
        for step in steps:
            step.frees = tuple(frees[id(step)])
        return steps

    def step(self, node: Node) -> Step:
        place = (
            node,
            self.slots[node.name],
            [self.source(value) for value in node.data_inputs],
            [self.slots[name] for name in node.control_inputs],
            reference_inputs(node),
        )
        if node.op in self.graph.functions:
            return kinds.Call(*place)
        if node.op in CONTROL:
            return CONTROL[node.op](*place)
        if is_known(node, kernels()):
            return kinds.Compute(*place, kernel=Prepared(node, kernels().find(node)))
        if is_known(node, operations()):
            return kinds.Operate(*place, kernel=Prepared(node, operations().find(node)))
        if is_known(node, REFERENCES):
            return kinds.Refer(*place, operation=REFERENCES.find(node))
        self.refused.add(node.name)
        return kinds.Refused(*place)


def is_known(node: Node, table: OpTable[Any]) -> bool:
    """Whether a table has the node's op, and knows all of its attributes."""
    return node.op in table and not table.unknown_attrs(node)
