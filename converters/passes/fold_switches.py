"""Fold switches: of a TensorFlow 1 conditional with a constant predicate, the branch that is taken stays.

 1. A Switch whose predicate is a Const (seen through Identity and its like, and what is folded here) becomes an
    Identity of its data: who took the live output takes that. Its other output is dead. Nothing is computed: fold
    constants before; and again after, if there are conditionals within conditionals.
 2. A node with a dead input, or a control input from a dead node, is dead. Dead nodes vanish.
 3. A Merge is dead if all its inputs are, whatever its control inputs are. With one input left it becomes an Identity
    of that (unless it has control inputs); else it loses the dead ones. Its second output, the index of the input that
    came, becomes a constant `NODE_1` (made unique by underscores) or, with more inputs left, the right entry of a
    list of the old indices.
 4. In a loop, a Merge is dead if what enters it is; what comes round again isn't asked.
 5. Control inputs that a Merge has from dead nodes go.

RefSwitch and RefMerge are the same for references to variables, and become RefIdentity.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from tensorferry.formats.dtype import INT32
from tensorferry.formats.errors import GraphError, UnsupportedError, listing
from tensorferry.formats.tensor import ArrayTensor, Tensor

from ..evaluation.frames import MERGES, SWITCHES
from ..ir import Attr, Graph, Node, node_name, value_name
from .fold_constants import PASSING

_AROUND = ("NextIteration", "RefNextIteration")


def fold_switches(graph: Graph, *, outputs: Collection[str] = ()) -> Graph:
    """`graph` without the branches that are never taken.

    GraphError lists those of `outputs` that are dead, and so never have a value; UnsupportedError those that would get
    another name (output 1 of a Switch or Merge).
    """
    folding = _Folding(graph)
    for node in graph.topological():
        folding.visit(node)
    lost = [value for value in outputs if folding.is_dead(value)]
    if lost:
        raise GraphError("", f"expected outputs that get a value, got some in a branch never taken: {listing(lost)}")
    moved = [value for value in outputs if value_name(value) in folding.renamed]
    if moved:
        raise UnsupportedError("", f"expected outputs that keep their names, got {listing(moved)}")
    folded = Graph.of(folding.nodes(), like=graph)
    folded.outputs = {name: folding.renamed.get(value_name(value), value) for name, value in graph.outputs.items()}
    return folded


@dataclass
class _Folding:
    graph: Graph
    predicates: dict[str, bool] = field(default_factory=dict)
    """The constant bools, by value."""
    dead: set[str] = field(default_factory=set)
    """Dead values; a node that is dead as a whole stands there under its name."""
    folded: dict[str, list[Node]] = field(default_factory=dict)
    """What stands in place of a node."""
    renamed: dict[str, str] = field(default_factory=dict)
    """Values that have another name now."""
    used: set[str] = field(default_factory=set)
    """The values that some node of the source takes, or that are its outputs."""
    fresh: set[str] = field(default_factory=set)
    """The names that the source doesn't have."""

    def __post_init__(self) -> None:
        self.used.update(value_name(value) for node in self.graph for value in node.data_inputs)
        self.used.update(map(value_name, self.graph.outputs.values()))

    def is_dead(self, value: str) -> bool:
        return node_name(value) in self.dead or value_name(value) in self.dead

    def visit(self, node: Node) -> None:
        inputs = node.data_inputs
        if node.op in MERGES:
            self._merge(node)
        elif any(self.is_dead(value) for value in inputs) or any(name in self.dead for name in node.control_inputs):
            self.dead.add(node.name)
        elif node.op in SWITCHES and len(inputs) == 2 and value_name(inputs[1]) in self.predicates:
            taken = int(self.predicates[value_name(inputs[1])])
            self.dead.add(f"{node.name}:{1 - taken}")
            if taken:
                self.renamed[f"{node.name}:1"] = f"{node.name}:0"
            self.folded[node.name] = [_identity(node, inputs[0], node.control_inputs)]
            self._know(f"{node.name}:{taken}", inputs[0])
        elif node.op in PASSING and inputs:
            self._know(f"{node.name}:0", inputs[0])
        elif node.op == "Const" and (known := _bool(node)) is not None:
            self.predicates[f"{node.name}:0"] = known

    def _know(self, value: str, source: str) -> None:
        """`value` is what `source` is."""
        if value_name(source) in self.predicates:
            self.predicates[value] = self.predicates[value_name(source)]

    def _merge(self, node: Node) -> None:
        entering = [value for value in node.data_inputs if not self._comes_round(value)]
        if all(self.is_dead(value) for value in entering):
            self.dead.add(node.name)
            return
        left = [(index, value) for index, value in enumerate(node.data_inputs) if not self.is_dead(value)]
        controls = tuple(name for name in node.control_inputs if name not in self.dead)
        if len(left) == len(node.data_inputs):
            if controls != node.control_inputs:
                self.folded[node.name] = [node.with_(inputs=(*node.data_inputs, *(f"^{name}" for name in controls)))]
            return
        indices = [index for index, _ in left]
        inputs = (*(value for _, value in left), *(f"^{name}" for name in controls))
        kept = node.with_(inputs=inputs, attrs={**node.attrs, "N": len(left)})
        if len(left) == 1 and not controls:
            kept = _identity(node, left[0][1], ())
            self._know(f"{node.name}:0", left[0][1])
        index = self._index(node, indices[0]) if len(left) == 1 else self._index_of(node, indices)
        self.folded[node.name] = [kept, *index]

    def _comes_round(self, value: str) -> bool:
        return self.graph.producer(value).op in _AROUND

    def _index(self, node: Node, index: int) -> Iterator[Node]:
        """The constant index that the folded Merge would give. It is dead if the Merge is."""
        if f"{node.name}:1" in self.used:
            name = self._fresh(f"{node.name}_1")
            self.renamed[f"{node.name}:1"] = f"{name}:0"
            yield _constant(name, index, node, f"^{node.name}")

    def _index_of(self, node: Node, indices: list[int]) -> Iterator[Node]:
        """The old index of the input that comes, from the new index."""
        if f"{node.name}:1" in self.used:
            name = self._fresh(f"{node.name}_1")
            self.renamed[f"{node.name}:1"] = f"{name}:0"
            yield _constant(f"{name}/indices", indices, node, f"^{node.name}")
            yield _constant(f"{name}/axis", 0, node, f"^{node.name}")
            types: dict[str, Attr] = {"Tparams": INT32, "Tindices": INT32, "Taxis": INT32}
            inputs = (f"{name}/indices", f"{node.name}:1", f"{name}/axis")
            yield Node(name, "GatherV2", inputs, types, node.device)

    def _fresh(self, name: str) -> str:
        while any(f"{name}{tail}" in self.graph.nodes for tail in ("", "/indices", "/axis")) or name in self.fresh:
            name += "_"
        self.fresh.add(name)
        return name

    def nodes(self) -> Iterator[Node]:
        """The nodes of the result, in the order of the source."""
        for node in self.graph:
            if node.name in self.dead:
                continue
            made = self.folded.get(node.name, [node])
            for each in made:
                # What was made here names the values as they are now.
                inputs = tuple(
                    value if each is not made[0] else self.renamed.get(value_name(value), value)
                    for value in each.inputs
                )
                yield each if inputs == each.inputs else each.with_(inputs=inputs)


def _bool(node: Node) -> bool | None:
    value = node.attrs.get("value")
    if not isinstance(value, Tensor) or value.dtype.name != "bool" or value.size != 1:
        return None
    return bool(value.numpy().reshape(-1)[0])


def _identity(node: Node, value: str, controls: tuple[str, ...]) -> Node:
    private = {name: attr for name, attr in node.attrs.items() if name.startswith("_") and name != "_output_shapes"}
    op = "RefIdentity" if node.op.startswith("Ref") else "Identity"
    kinds = {"T": node.attrs["T"]} if "T" in node.attrs else {}
    return Node(node.name, op, (value, *(f"^{name}" for name in controls)), kinds | private, node.device)


def _constant(name: str, value: int | list[int], like: Node, control: str) -> Node:
    import numpy as np

    attrs: dict[str, Attr] = {"dtype": INT32, "value": ArrayTensor(np.array(value, np.int32))}
    return Node(name, "Const", (control,), attrs, like.device)
