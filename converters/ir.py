"""The intermediate representation: graphs of nodes, in any framework's dialect.

    Model     a graph, its signatures, and the tensors that its variables take their values from
    Graph     nodes by name, functions by name, and what else the format keeps beside them
    Node      an op with a name, inputs, attributes and a device

A value is named by the node that makes it and the output's index, `conv:0`; `conv` alone means output 0. In the
TensorFlow dialect an input may be spelled either way and keeps its spelling; `^conv` is a control input, an order
without a value. The ONNX dialect uses "" for an input that is left out. An op of another domain than the dialect's
own is spelled `domain::Op`.

Nodes are immutable and shared between graphs: a pass builds a new `Graph` and leaves its source alone.

An attribute is one of

    bytes  int  float  bool  DType  Shape  Tensor  FuncRef  Placeholder  Graph  AttrList  Opaque  None (no value)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tensorferry.formats.dtype import DType
from tensorferry.formats.errors import GraphError
from tensorferry.formats.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape that may be partly unknown: -1 for an unknown size, `dims` None for an unknown rank."""

    dims: tuple[int, ...] | None = None
    names: tuple[str, ...] = ()
    """A name for each dimension, where the source has them."""

    def __str__(self) -> str:
        return "?" if self.dims is None else "[" + ", ".join("?" if d < 0 else str(d) for d in self.dims) + "]"


@dataclass(frozen=True, slots=True)
class FuncRef:
    """A function by name, with the attributes that it is called with."""

    name: str
    attrs: Mapping[str, Attr] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Inside a function: the attribute takes the value of the function's own attribute `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """An attribute that only the source format can read, in its encoding."""

    encoding: bytes


@dataclass(frozen=True, slots=True)
class AttrList:
    """A list of attributes of one kind: bytes, int, float, bool, dtype, shape, tensor or func ("" when empty)."""

    kind: str = ""
    items: tuple[Attr, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    `residue` is what the source format keeps of a node besides, in its own encoding, so that nothing is lost.
    """

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    attrs: Mapping[str, Attr] = field(default_factory=dict)
    device: str = ""
    residue: bytes = b""

    @property
    def data_inputs(self) -> tuple[str, ...]:
        """The inputs that carry values."""
        return tuple(name for name in self.inputs if not name.startswith("^"))

    @property
    def control_inputs(self) -> tuple[str, ...]:
        """The names of the nodes that have to run first."""
        return tuple(name[1:] for name in self.inputs if name.startswith("^"))

    def with_(self, **changes: object) -> Node:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(slots=True)
class Function:
    """A function: arguments, results and a body. Inside the body an input may be spelled `node:argument:index`."""

    name: str
    nodes: dict[str, Node]
    residue: bytes = b""
    """All of the definition but the nodes, in the source's encoding (signature, returns, attributes)."""


@dataclass(slots=True)
class Graph:
    """Nodes by name, in the order of the source.

    `outputs` maps the public name of a result to the value that it is (ONNX dialect and finished graphs).
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    dialect: str = "tensorflow"
    residue: bytes = b""

    @classmethod
    def of(cls, nodes: Iterable[Node], like: Graph | None = None) -> Graph:
        """A graph of `nodes`, with everything else of the graph `like`. GraphError where two have one name."""
        graph = cls() if like is None else replace(like, nodes={})
        for node in nodes:
            if node.name in graph.nodes:
                raise GraphError(node.name, "expected one node of this name, got two")
            graph.nodes[node.name] = node
        return graph

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __len__(self) -> int:
        return len(self.nodes)

    def producer(self, value: str) -> Node:
        """The node that makes `value`; GraphError where there is none."""
        name = node_name(value)
        try:
            return self.nodes[name]
        except KeyError:
            raise GraphError(name, "expected a node of this name, got none") from None

    def consumers(self) -> dict[str, list[Node]]:
        """For each node's name, the nodes that take a value from it or wait for it."""
        found: dict[str, list[Node]] = {name: [] for name in self.nodes}
        for node in self:
            for name in {node_name(value) for value in node.inputs if value}:
                if name in found:
                    found[name].append(node)
        return found

    def topological(self) -> list[Node]:
        """The nodes with producers before consumers, else in the graph's order.

        NextIteration's edge back into a v1 loop is not followed. GraphError names a cycle.
        """
        order: list[Node] = []
        state: dict[str, int] = {}
        for root in self.nodes:
            if root in state:
                continue
            stack: list[tuple[str, Iterator[str]]] = [(root, self._edges(self.nodes[root]))]
            state[root] = 0
            while stack:
                name, edges = stack[-1]
                for value in edges:
                    below = node_name(value)
                    if below not in self.nodes:
                        raise GraphError(name, f"expected its input {value!r} in the graph, got none of that name")
                    if below not in state:
                        state[below] = 0
                        stack.append((below, self._edges(self.nodes[below])))
                        break
                    if state[below] == 0:
                        cycle = [n for n, _ in stack]
                        ring = cycle[cycle.index(below) :]
                        raise GraphError(
                            below, f"expected no cycle, got one of {len(ring)} nodes: {' <- '.join(ring[:8])}"
                        )
                else:
                    stack.pop()
                    state[name] = 1
                    order.append(self.nodes[name])
        return order

    def _edges(self, node: Node) -> Iterator[str]:
        for value in node.inputs:
            if not value:
                continue
            below = self.nodes.get(node_name(value))
            if (
                node.op in ("Merge", "RefMerge")
                and below is not None
                and below.op in ("NextIteration", "RefNextIteration")
            ):
                continue
            yield value


@dataclass(frozen=True, slots=True)
class ValueInfo:
    """A value at the border of a model: which one it is, and what is known of it."""

    value: str
    dtype: DType | None = None
    shape: Shape = Shape()


@dataclass(frozen=True, slots=True)
class Signature:
    """A named way of calling the model: public names -> values."""

    name: str
    inputs: Mapping[str, ValueInfo]
    outputs: Mapping[str, ValueInfo]
    method: str = ""


@dataclass(slots=True)
class Model:
    """A graph with all that was found beside it.

    `restore_op` is the node by which the graph's own Saver restores its variables (see `saver_table`).
    `collections` lists the variables that TensorFlow put into each collection (variables, trainable_variables, ...),
    `version` is the TensorFlow that wrote it, where the file says so. `assets` are the files that its graph reads, by
    the value (`node:0`) that is their path; their names are relative to the directory `assets` beside `path`. `objects`
    are the numbers of nodes in the object graph of the checkpoint that belongs to the graph (see `object_table`).
    """

    graph: Graph
    path: str = ""
    signatures: dict[str, Signature] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] | None = None
    restore_op: str = ""
    collections: dict[str, tuple[str, ...]] = field(default_factory=dict)
    version: str = ""
    assets: Mapping[str, str] = field(default_factory=dict)
    objects: Mapping[str, int] = field(default_factory=dict)


Attr: TypeAlias = (
    "bytes | int | float | bool | DType | Shape | Tensor | FuncRef | Placeholder | Graph | AttrList | Opaque | None"
)


def node_name(value: str) -> str:
    """The node that makes `value`: `^a`, `a`, `a:1` and a function's `a:sum:0` all come from `a`."""
    return value.lstrip("^").partition(":")[0]


def split_value(value: str) -> tuple[str, int]:
    """`a:1` -> ("a", 1), `a` -> ("a", 0)."""
    name, _, index = value.partition(":")
    return name, int(index) if index.isdecimal() else 0


def value_name(value: str) -> str:
    """The full spelling of a value: `a` -> `a:0`."""
    return value if ":" in value or not value else f"{value}:0"
