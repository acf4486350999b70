"""Raise conditionals: TensorFlow 1's Switch and Merge as If and Case nodes with branches.

    f, t = Switch(x, p)      x comes out of the one or the other (of _SwitchN: out of one of many)
    y = Merge(a, b)          whichever of a (made from f's) and b (made from t's) is there
    becomes  y = If(p, x...) and the branches are what a and b need

 1. Every value has a condition: the predicates, each with its outcome, under which it is there at all. Switch adds its
    predicate, any other node has all conditions of its inputs, control inputs too. A predicate is known by the value
    that it is, seen through Identity and Switch.
 2. Merge ends a conditional: its inputs have conditions that differ in the outcome of one predicate and nothing else.
 3. The Merges of one predicate, under one condition, become one If, but for those that need each other's results.
 4. A branch is all that has the branch's condition; what comes in by Switch is an argument. Nested conditionals are
    raised first.
 5. The second output of Merge, which input came, is another result.

UnsupportedError, which names the node, where a Merge is none of this.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tensorferry.formats.dtype import BOOL, INT32, DType
from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.tensor import ArrayTensor

from ..functions import ARGUMENT
from ..ir import Attr, AttrList, FuncRef, Graph, Node, node_name, split_value, value_name
from ..op_registry import output_dtypes
from .raise_loops import body_graph, function

Condition: TypeAlias = "frozenset[tuple[str, int, int]]"
"""Predicates (values), the outcome that each has to have, and out of how many."""

SWITCHES = ("Switch", "_SwitchN")


def raise_conditionals(graph: Graph, taken: Collection[str] = ()) -> Graph:
    """`graph` with an If for each conditional; `taken` are names not to use. It has no loops of TensorFlow 1."""
    if not any(node.op == "Merge" for node in graph):
        return graph
    raised = _Raising(graph, taken, together=True).raised()
    try:
        raised.topological()
    except GraphError:
        # Two conditionals that need each other's results here and there: one If for each result, then.
        raised = _Raising(graph, taken, together=False).raised()
    return raised


@dataclass(frozen=True, slots=True)
class _Choice:
    """What a Merge decides: `inputs` by the outcome of the predicate."""

    merge: Node
    predicate: str
    within: Condition
    inputs: Mapping[int, str]

    @property
    def key(self) -> tuple[str, Condition]:
        return self.predicate, self.within


class _Raising:
    def __init__(self, graph: Graph, taken: Collection[str], *, together: bool) -> None:
        self.graph = graph
        self.taken = taken
        self.together = together
        self.nodes = dict(graph.nodes)
        self.functions = dict(graph.functions)
        self.conditions: dict[str, Condition] = {}
        """By node; of a Switch, the condition of what it takes."""
        self.places: dict[str, int] = {}
        """Where each node stands in the order that they can run in; an If stands where its first Merge stood."""
        self.choices: list[_Choice] = []
        self.asked = {value_name(value) for node in graph for value in node.data_inputs}

    def raised(self) -> Graph:
        order = self.graph.topological()
        self.places = {node.name: place for place, node in enumerate(order)}
        for node in order:
            self._visit(node)
        for group in self._groups(order):
            self._raise(group)
        result = Graph.of(self.nodes.values(), like=self.graph)
        result.functions = self.functions
        return result

    # Conditions

    def _visit(self, node: Node) -> None:
        if node.op == "Merge":
            choice = self._choice(node)
            self.choices.append(choice)
            self.conditions[node.name] = choice.within
            return
        found: set[tuple[str, int, int]] = set()
        for value in node.inputs:
            found |= self._condition(value)
        self.conditions[node.name] = frozenset(found)

    def _condition(self, value: str) -> Condition:
        node = self.graph.producer(value)
        found = self.conditions[node.name]
        if node.op not in SWITCHES or value.startswith("^"):
            return found
        return found | {(self._predicate(node.data_inputs[1]), split_value(value)[1], len(output_dtypes(node)))}

    def _predicate(self, value: str) -> str:
        """The value that a predicate is."""
        node = self.graph.producer(value)
        while node.op in ("Identity", *SWITCHES):
            value = node.data_inputs[0]
            node = self.graph.producer(value)
        return value_name(value)

    def _choice(self, node: Node) -> _Choice:
        conditions = [self._condition(value) for value in node.data_inputs]
        within = frozenset.intersection(*conditions) if conditions else frozenset()
        own = [sorted(condition - within) for condition in conditions]
        inputs = {each[0][1]: value for each, value in zip(own, node.data_inputs, strict=True) if len(each) == 1}
        predicates = {(each[0][0], each[0][2]) for each in own if len(each) == 1}
        if len(inputs) != len(own) or len(predicates) != 1 or {count for _, count in predicates} != {len(own)}:
            raise UnsupportedError(
                node.name, "expected a Merge of all branches of one condition, got values of different conditions"
            )
        ((predicate, _),) = predicates
        return _Choice(node, predicate, within, inputs)

    # Which Merges make one If

    def _groups(self, order: Sequence[Node]) -> list[list[_Choice]]:
        """The innermost first."""
        by_key: dict[tuple[str, Condition], list[_Choice]] = {}
        for choice in self.choices:
            by_key.setdefault(choice.key, []).append(choice)
        groups = []
        for choices in by_key.values():
            if len(choices) == 1 or not self.together:
                groups += [[choice] for choice in choices]
                continue
            ranks = self._ranks(order, {choice.merge.name for choice in choices})
            by_rank: dict[int, list[_Choice]] = {}
            for choice in choices:
                by_rank.setdefault(ranks[choice.merge.name], []).append(choice)
            groups += by_rank.values()
        return sorted(groups, key=lambda group: -len(group[0].within))

    def _ranks(self, order: Sequence[Node], merges: Collection[str]) -> dict[str, int]:
        """How many of `merges` follow each other up to each of them."""
        places = sorted(self.places[name] for name in merges)
        ranks: dict[str, int] = {}
        for node in order[places[0] : places[-1] + 1]:
            below = max((ranks.get(node_name(value), 0) for value in node.inputs), default=0)
            ranks[node.name] = below + (node.name in merges)
        return ranks

    # Raising

    def _raise(self, group: Sequence[_Choice]) -> None:
        first = group[0]
        arguments: dict[str, str] = {}
        branches = [self._branch(group, outcome, arguments) for outcome in range(len(first.inputs))]
        name = self._name(first.merge.name.rpartition("/")[0] or first.merge.name)
        signature = {title: self._dtype(value) for value, title in arguments.items()}
        indexed = [choice for choice in group if f"{choice.merge.name}:1" in self.asked]
        results = [*(_type(choice.merge) for choice in group), *[INT32] * len(indexed)]
        made = []
        for outcome, (nodes, ends) in enumerate(branches):
            for choice in indexed:
                nodes.append(self._index(choice, outcome, nodes))
                ends.append(nodes[-1].name)
            graph = body_graph(signature, nodes, self.functions)
            full = f"{name}_branch_{outcome}"
            self.functions[full] = function(full, signature, graph, ends, results)
            made.append(FuncRef(full))
        attrs: dict[str, Attr] = {
            "Tin": AttrList("dtype" if signature else "", tuple(signature.values())),
            "Tout": AttrList("dtype", tuple(results)),
        }
        is_if = self._dtype(first.predicate) == BOOL
        if is_if:
            attrs |= {"Tcond": BOOL, "else_branch": made[0], "then_branch": made[1]}
        else:
            attrs["branches"] = AttrList("func", tuple(made))
        op = "If" if is_if else "Case"
        self.nodes[name] = Node(name, op, (first.predicate, *arguments), attrs, first.merge.device)
        self.conditions[name] = first.within
        self.places[name] = self.places[first.merge.name]
        for number, choice in enumerate(group):
            self._replace(choice, name, number, indexed, len(group))

    def _replace(self, choice: _Choice, name: str, number: int, indexed: Sequence[_Choice], count: int) -> None:
        merge = choice.merge
        self.nodes[merge.name] = Node(merge.name, "Identity", (f"{name}:{number}",), {"T": _type(merge)})
        if choice in indexed:
            which = f"{name}:{count + indexed.index(choice)}"
            for node in list(self.nodes.values()):
                if f"{merge.name}:1" in node.inputs:
                    inputs = tuple(which if value == f"{merge.name}:1" else value for value in node.inputs)
                    self.nodes[node.name] = node.with_(inputs=inputs)

    def _index(self, choice: _Choice, outcome: int, nodes: Sequence[Node]) -> Node:
        """Which input of Merge came, in the branch for an outcome."""
        import numpy as np

        name = f"{choice.merge.name}/index"
        while any(node.name == name for node in nodes):
            name += "_"
        place = choice.merge.data_inputs.index(choice.inputs[outcome])
        return Node(name, "Const", (), {"dtype": INT32, "value": ArrayTensor(np.array(place, np.int32))})

    def _branch(
        self, group: Sequence[_Choice], outcome: int, arguments: dict[str, str]
    ) -> tuple[list[Node], list[str]]:
        """The nodes of a branch and the values that it ends with; `arguments` (value outside -> name) are found."""
        literal = (group[0].predicate, outcome, len(group[0].inputs))
        known: dict[str, Node] = {}
        stack: list[str] = []

        def local(value: str) -> str:
            node = self.nodes[node_name(value)]
            while node.op in SWITCHES:
                value = node.data_inputs[0]
                node = self.nodes[node_name(value)]
            if literal not in self.conditions[node.name]:
                full = value_name(value)
                if full not in arguments:
                    arguments[full] = self._argument(len(arguments))
                return arguments[full]
            if node.name not in known:
                known[node.name] = node
                stack.append(node.name)
            return value

        ends = [local(choice.inputs[outcome]) for choice in group]
        while stack:
            node = known[stack.pop()]
            known[node.name] = node.with_(inputs=tuple(local(value) for value in node.data_inputs))
        return sorted(known.values(), key=lambda node: self.places[node.name]), ends

    def _argument(self, number: int) -> str:
        name = f"input_{number}"
        while name in self.nodes:
            name += "_"
        return name

    def _name(self, name: str) -> str:
        while name in self.nodes or name in self.taken or f"{name}_branch_0" in self.functions:
            name += "_"
        return name

    def _dtype(self, value: str) -> DType:
        node, index = self.nodes[node_name(value)], split_value(value)[1]
        dtype = node.attrs.get("T") if node.op == ARGUMENT else output_dtypes(node)[index]
        if not isinstance(dtype, DType):
            raise UnsupportedError(node.name, "expected an argument with a type")
        return dtype


def _type(merge: Node) -> DType:
    dtype = merge.attrs.get("T")
    if not isinstance(dtype, DType):
        raise UnsupportedError(merge.name, "expected a type in Merge's attribute 'T', got none")
    return dtype
