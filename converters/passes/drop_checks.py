"""Drop checks: nothing prints, and nothing waits for an assertion.

1. Print and CheckNumerics, which pass a value on, become an Identity of it.
2. A control input is an order; and in a conditional or a loop it decides whether a node runs at all. It goes if
   neither is at stake: nothing with an effect lies behind it but checks (Assert, PrintV2), it comes from no loop,
   and the node that it comes from runs whenever the one that waits does.
3. For that, each value has the conditions under which there is one: (predicate, branch) of the Switches before it. A
   Merge of the two branches of a predicate has those that both have besides.
4. The checks themselves stay, for nobody: pruning removes them.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..evaluation.frames import MERGES, SWITCHES
from ..ir import Graph, Node, node_name, value_name
from ..op_registry import is_stateful, output_dtypes

PASSING = ("Print", "CheckNumerics", "CheckNumericsV2")
CHECKS = ("Assert", "PrintV2", *PASSING)
_HARMLESS = (*CHECKS, "HashTable", "HashTableV2", "LookupTableFind", "LookupTableFindV2", "LookupTableSizeV2")
"""Ops that are registered as stateful, but change nothing."""
_LOOPS = ("Enter", "RefEnter")

_Conditions = frozenset[tuple[str, int]]
_NONE: _Conditions = frozenset()


def drop_checks(graph: Graph) -> Graph:
    """`graph`, where nothing depends on a check."""
    ways = _Ways(graph)
    free = {node.name: ways.visit(node) for node in graph.topological()}
    return Graph.of((_passing(free[node.name]) for node in graph), like=graph)


def _passing(node: Node) -> Node:
    if node.op not in PASSING or not node.data_inputs:
        return node
    controls = (f"^{name}" for name in node.control_inputs)
    private = {name: attr for name, attr in node.attrs.items() if name.startswith("_")}
    return Node(
        node.name,
        "Identity",
        (node.data_inputs[0], *controls),
        {"T": output_dtypes(node)[0], **private},
        node.device,
    )


class _Ways:
    """What is known of the nodes that have been visited, inputs before their users."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.conditions: dict[str, _Conditions] = {}
        """Under which a node runs, and under which an output of a Switch (`node:1`) has a value."""
        self.fixed: set[str] = set()
        """Nodes with an effect behind them, or in a loop: whoever waits for one goes on waiting."""

    def visit(self, node: Node) -> Node:
        """The node without the control inputs that nothing depends on."""
        sources = {node_name(value) for value in node.data_inputs}
        found = self._merged(node) if node.op in MERGES else self._common(node.data_inputs)
        kept = [name for name in node.control_inputs if name in self.fixed]
        for name in kept:
            found |= self.conditions.get(name, _NONE)
        for name in node.control_inputs:
            if name not in self.fixed and not self.conditions.get(name, _NONE) <= found:
                kept.append(name)
                found |= self.conditions[name]
        self.conditions[node.name] = found
        if node.op in SWITCHES and len(node.data_inputs) > 1:
            predicate = self._root(node.data_inputs[1])
            for branch in (0, 1):
                self.conditions[f"{node.name}:{branch}"] = found | {(predicate, branch)}
        effect = node.op in _LOOPS or (is_stateful(node.op) and node.op not in _HARMLESS)
        if effect or not self.fixed.isdisjoint(sources) or not self.fixed.isdisjoint(kept):
            self.fixed.add(node.name)
        if len(kept) == len(node.control_inputs):
            return node
        controls = [f"^{name}" for name in node.control_inputs if name in kept]
        return node.with_(inputs=(*node.data_inputs, *controls))

    def _of(self, value: str) -> _Conditions:
        return self.conditions.get(value_name(value), self.conditions.get(node_name(value), _NONE))

    def _common(self, values: Iterable[str]) -> _Conditions:
        return _NONE.union(*(self._of(value) for value in values))

    def _merged(self, node: Node) -> _Conditions:
        branches = [self._of(value) for value in node.data_inputs]
        if len(branches) == 2:
            apart = branches[0] ^ branches[1]
            if len(apart) == 2 and len({predicate for predicate, _ in apart}) == 1:
                return branches[0] & branches[1]
        return _NONE.union(*branches) | {(node.name, -1)}

    def _root(self, value: str) -> str:
        """The value behind identities."""
        for _ in range(len(self.graph)):
            node = self.graph.nodes[node_name(value)]
            if node.op != "Identity" or not node.data_inputs:
                break
            value = node.data_inputs[0]
        return value_name(value)
