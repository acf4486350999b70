"""A graph that a pass works on: its nodes, and who takes which value.

A fusion replaces the last of its nodes by the fused one under the same name, so that the value keeps its name and its
consumers need no change.
"""

from __future__ import annotations

from collections.abc import Iterator

from tensorferry.formats.tensor import Tensor

from ..ir import Graph, Node


class Editor:
    """A copy of a graph to be changed in place."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.nodes = dict(graph.nodes)
        self.users: dict[str, list[str]] = {}
        for node in graph:
            for value in node.inputs:
                self.users.setdefault(value, []).append(node.name)

    def of(self, *ops: str) -> Iterator[Node]:
        """The nodes with one of `ops`, as they are at that moment."""
        for name in list(self.nodes):
            node = self.nodes.get(name)
            if node is not None and node.op in ops:
                yield node

    def maker(self, value: str, op: str) -> Node | None:
        """The node that makes `value` as its first output, if it is an `op`."""
        name, _, index = value.rpartition(":")
        node = self.nodes.get(name)
        return node if node is not None and node.op == op and index == "0" else None

    def lone_maker(self, value: str, op: str) -> Node | None:
        """The same, if nobody else takes the value."""
        return self.maker(value, op) if len(self.users.get(value, [])) == 1 else None

    def constant(self, value: str) -> Tensor | None:
        """The tensor of a Constant."""
        node = self.maker(value, "Constant")
        tensor = node.attrs["value"] if node is not None else None
        return tensor if isinstance(tensor, Tensor) else None

    def replace(self, node: Node, by: Node, *gone: Node) -> None:
        """Puts a node of the same name in the place of `node`, and takes away those that nobody needs any more."""
        for old in (node, *gone):
            for value in old.inputs:
                self.users[value].remove(old.name)
            del self.nodes[old.name]
        self.nodes[node.name] = by
        for value in by.inputs:
            self.users.setdefault(value, []).append(node.name)

    def add_constant(self, name: str, tensor: Tensor) -> str:
        """A new Constant, called `name` or nearly so; its value."""
        title, count = name, 0
        while title in self.nodes:
            count += 1
            title = f"{name}_{count}"
        self.nodes[title] = Node(title, "Constant", (), {"value": tensor})
        return f"{title}:0"

    def graph(self) -> Graph:
        """The result."""
        return Graph.of(self.nodes.values(), like=self._graph)
