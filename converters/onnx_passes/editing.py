"""A graph that fusions work on: its nodes, the shapes of its values, and who takes which value.

A fusion is a rewrite around one node, its anchor. It looks at what makes the anchor's inputs and, where they are as it
needs them, replaces the last of the nodes by the fused one under the same name, so that the value keeps its name and
its consumers need no change. Where they are not, it raises `Unfit`, which says what was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tensorferry.formats.tensor import Tensor

from ..inference.dims import Dims
from ..ir import Attr, Graph, Node

T = TypeVar("T")


class Unfit(Exception):  # noqa: N818 - no error: most nodes are no fusion
    """Why a fusion can't be made: `expected X, got Y`."""


@dataclass(frozen=True, slots=True)
class Fusion:
    """A rewrite by name: `rewrite(editor, node)` is tried on every node with one of the ops `anchors`."""

    name: str
    anchors: tuple[str, ...]
    rewrite: Callable[[Editor, Node], None]
    since: int = 13
    """The first opset that has the ops that it makes."""


class Editor:
    """A copy of a graph to be changed in place."""

    def __init__(self, graph: Graph, dims: Mapping[str, Dims] | None = None, opset: int = 18) -> None:
        self._graph = graph
        self.nodes = dict(graph.nodes)
        self.dims = dict(dims or {})
        self.opset = opset
        self.users: dict[str, list[str]] = {}
        for node in graph:
            for value in node.inputs:
                self.users.setdefault(value, []).append(node.name)

    def run(self, fusions: Sequence[Fusion]) -> list[str]:
        """Tries every fusion at every node, producers first; returns why those that were not made were not."""
        by_anchor: dict[str, list[Fusion]] = {}
        for fusion in fusions:
            for op in fusion.anchors if fusion.since <= self.opset else ():
                by_anchor.setdefault(op, []).append(fusion)
        refused: list[str] = []
        for name in list(self.nodes):
            while (node := self.nodes.get(name)) is not None and self._fused(node, by_anchor.get(node.op, ()), refused):
                pass  # what it is now may fit into something else
        return refused

    def _fused(self, node: Node, fusions: Sequence[Fusion], refused: list[str]) -> bool:
        """Whether one of the fusions could be made at a node."""
        for fusion in fusions:
            try:
                fusion.rewrite(self, node)
            except Unfit as reason:
                refused.append(f"{node.name}: {fusion.name}: {reason}")
            else:
                return self.nodes.get(node.name) is not node
        return False

    def of(self, *ops: str) -> Iterator[Node]:
        """The nodes with one of `ops`, as they are at that moment."""
        for name in list(self.nodes):
            node = self.nodes.get(name)
            if node is not None and node.op in ops:
                yield node

    # What a fusion asks

    def made(self, value: str, *ops: str) -> Node:
        """The node that makes `value` as its first output; Unfit if it is none of `ops`."""
        name, _, index = value.rpartition(":")
        node = self.nodes.get(name)
        if node is None or index != "0" or node.op not in ops:
            raise Unfit(f"expected {' or '.join(ops)}, got {node.op if node is not None else 'no value'}")
        return node

    def made_alone(self, value: str, *ops: str) -> Node:
        """The same; Unfit if anybody else takes the value."""
        node = self.made(value, *ops)
        if len(self.users[value]) > 1:
            raise Unfit(f"expected the result of {node.name} to be taken once, got {len(self.users[value])} users")
        return node

    def only_user(self, value: str, *ops: str) -> Node:
        """The one node that takes `value`; Unfit if there are more, or if it is none of `ops`."""
        users = self.users.get(value, [])
        if len(users) != 1 or self.nodes[users[0]].op not in ops:
            found = [self.nodes[user].op for user in users]
            raise Unfit(f"expected {' or '.join(ops)} alone to take {value}, got {', '.join(found) or 'nobody'}")
        return self.nodes[users[0]]

    def constant(self, value: str) -> Tensor:
        """The tensor of a constant; Unfit if it is computed."""
        node = self.nodes.get(value.rpartition(":")[0])
        tensor = node.attrs["value"] if node is not None and node.op == "Constant" else None
        if not isinstance(tensor, Tensor):
            raise Unfit(f"expected a constant, got {node.op if node is not None else 'no value'}")
        return tensor

    def weights(self, value: str) -> Tensor:
        """The tensor of a constant of floats."""
        tensor = self.constant(value)
        if not tensor.dtype.is_floating:
            raise Unfit(f"expected floats, got {tensor.dtype}")
        return tensor

    def number(self, value: str) -> float:
        """The one element of a constant of floats; Unfit where there are more."""
        tensor = self.weights(value)
        if tensor.size != 1:
            raise Unfit(f"expected one number, got {tensor.size}")
        return float(tensor.numpy().reshape(-1)[0])

    def integers(self, value: str) -> tuple[int, ...]:
        """The elements of a small constant of integers."""
        tensor = self.constant(value)
        if not tensor.dtype.is_integer or tensor.size > 1 << 10:
            raise Unfit(f"expected a few integers, got {tensor.dtype} {list(tensor.shape)}")
        return tuple(int(item) for item in tensor.numpy().reshape(-1))

    def rank(self, value: str) -> int:
        """The rank of a value; Unfit where it is unknown."""
        dims = self.dims.get(value)
        if dims is None:
            raise Unfit("expected a value of known rank")
        return len(dims)

    # What it does

    def replace(self, node: Node, by: Node, *gone: Node) -> None:
        """Puts a node of the same name in the place of `node`, and takes away those that nobody needs any more."""
        for old in (node, *gone):
            for value in old.inputs:
                self.users[value].remove(old.name)
            if old is not node:
                del self.nodes[old.name]
        self.nodes[node.name] = by
        for value in by.inputs:
            self.users.setdefault(value, []).append(node.name)

    def redirect(self, value: str, to: str) -> None:
        """Lets all that take `value` take another value instead, but for the node that makes this one."""
        for name in dict.fromkeys(self.users.get(value, ())):
            node = self.nodes[name]
            if name != to.rpartition(":")[0]:
                self.replace(node, node.with_(inputs=tuple(to if each == value else each for each in node.inputs)))

    def add(self, name: str, op: str, *inputs: str, dims: Dims = None, **attrs: Attr) -> str:
        """A new node of one result, called `name` or nearly so; its value."""
        node = Node(self._fresh(name), op, inputs, attrs)
        self.nodes[node.name] = node
        for value in inputs:
            self.users.setdefault(value, []).append(node.name)
        self.dims[f"{node.name}:0"] = dims
        return f"{node.name}:0"

    def add_constant(self, name: str, tensor: Tensor) -> str:
        """A new Constant, called `name` or nearly so; its value."""
        title = self._fresh(name)
        self.nodes[title] = Node(title, "Constant", (), {"value": tensor})
        self.dims[f"{title}:0"] = tensor.shape
        return f"{title}:0"

    def _fresh(self, name: str) -> str:
        title, count = name, 0
        while title in self.nodes:
            count += 1
            title = f"{name}_{count}"
        return title

    def graph(self) -> Graph:
        """The result."""
        return Graph.of(self.nodes.values(), like=self._graph)


def either_way(node: Node, attempt: Callable[[str, str], T]) -> T:
    """`attempt` on the two inputs of a node whose order means nothing: the first order that fits."""
    left, right = node.inputs
    try:
        return attempt(left, right)
    except Unfit as first:
        try:
            return attempt(right, left)
        except Unfit as second:
            raise Unfit(f"{first}; or {second}") from None


def other(node: Node, value: str) -> str:
    """The input of a node of two that is not `value`."""
    left, right = node.inputs
    return right if left == value else left


def is_near(number: float, expected: float) -> bool:
    """Whether a number is what a graph in float32 makes of `expected`."""
    return abs(number - expected) <= 1e-6 * abs(expected)
