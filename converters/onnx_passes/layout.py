"""Transposes are taken away wherever they meet their inverse, and folded into constants.

A lowering turns NHWC into NCHW before a convolution and back after it. Here a Transpose adds no node: its result is
noted as a view, (base, perm), the base with its dimensions in another order. An op that can work on the base does, with
its axes translated (`layout_rules`), and its result is a view in turn; a Transpose of a view is a view again, or the
base itself where the two cancel. Only what needs the elements in their order (a Reshape, a convolution, an output)
makes the view real, once. So the nodes are visited once each.

    x -> T -> Conv -> T' -> Add b -> Relu -> T -> Conv -> T'
    becomes
    x -> T -> Conv -> Add b' -> Relu -> Conv -> T'

The rule:  Transpose(f(x), p) = f(Transpose(x, p))  for every f that works element by element.

If the result has no fewer transposes than the graph had, the graph is left as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tensorferry.formats.dtype import INT64
from tensorferry.formats.tensor import ArrayTensor, Tensor

from ..inference.dims import Dim, Dims
from ..ir import AttrList, Graph, Node
from ..views import reshaped, transposed


@dataclass(frozen=True, slots=True)
class View:
    """A value of the old graph: dimension i is dimension `perm[i]` of the new graph's value `base` (None: the same)."""

    base: str
    perm: tuple[int, ...] | None = None


def push_transposes(graph: Graph, dims: Mapping[str, Dims], opset: int) -> tuple[Graph, Mapping[str, Dims]]:
    """The graph with fewer transposes, and the shapes of its values; the same graph if there is nothing to gain."""
    if not any(node.op == "Transpose" for node in graph):
        return graph, dims
    work = Layout(graph, dims, opset)
    for node in graph.topological():
        work.visit(node)
    result = Graph.of(work.nodes.values(), like=graph)
    result.outputs = {name: work.real(value) for name, value in graph.outputs.items()}
    before, after = (sum(node.op == "Transpose" for node in g) for g in (graph, result))
    return (result, work.dims) if after < before else (graph, dims)


class Layout:
    """The new graph under construction."""

    def __init__(self, graph: Graph, dims: Mapping[str, Dims], opset: int) -> None:
        self.opset = opset
        self.old_dims = dims
        self.dims: dict[str, Dims] = {}
        self.nodes: dict[str, Node] = {}
        self.views: dict[str, View] = {}
        self.flat: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        """Flattened views that are flat in the base's order instead: perm, and the base's inner sizes."""
        self._old = graph
        self._users: dict[str, list[Node]] = {}
        for node in graph:
            for value in node.inputs:
                self._users.setdefault(value, []).append(node)
        self._names = set(graph.nodes)
        self._made: dict[object, str] = {}

    def visit(self, node: Node) -> None:
        """Takes one node of the old graph over."""
        from .layout_rules import RULES

        if node.op == "Transpose":
            self._transpose(node)
            return
        rule = RULES.get(node.op)
        moved = any(self.view(value).perm is not None or value in self.flat for value in node.inputs)
        if not (moved and rule is not None and rule(self, node)):
            self.keep(node)

    def view(self, value: str) -> View:
        """What became of a value of the old graph."""
        return self.views.get(value) or View(value)

    def keep(self, node: Node) -> None:
        """The node as it is, on real inputs."""
        self.nodes[node.name] = node.with_(inputs=tuple(self.real(value) if value else "" for value in node.inputs))
        for index in range(_outputs(node)):
            name = f"{node.name}:{index}"
            self.dims[name] = self.old_dims.get(name)

    def change(self, node: Node, inputs: Sequence[str], perm: tuple[int, ...] | None, **attrs: object) -> None:
        """The node on other inputs; its results are views with `perm`."""
        self.nodes[node.name] = node.with_(inputs=tuple(inputs), attrs={**node.attrs, **attrs})
        identity = perm is None or list(perm) == sorted(perm)
        for index in range(_outputs(node)):
            name = f"{node.name}:{index}"
            old = self.old_dims.get(name)
            if identity or perm is None:
                self.dims[name] = old
                continue
            self.views[name] = View(name, perm)
            if old is not None:
                self.dims[name] = tuple(old[perm.index(axis)] for axis in range(len(perm)))

    def real(self, value: str) -> str:
        """The name of a value in its own order of dimensions, after adding the node that makes it so."""
        view = self.view(value)
        if view.perm is None:
            return view.base
        return self._realised_once(value, view.base, view.perm)

    def _realised_once(self, value: str, base: str, perm: tuple[int, ...]) -> str:
        if (base, perm) not in self._made:
            self._made[base, perm] = self._realised(value, base, perm)
        return self._made[base, perm]

    def _realised(self, value: str, base: str, perm: tuple[int, ...]) -> str:
        tensor = self.constant(base)
        if tensor is not None:
            return self.add_constant(transposed(tensor, perm), base, perm)
        dims = self.dims.get(base)
        result = None if dims is None else tuple(dims[axis] for axis in perm)
        title = value.rpartition(":")[0]
        if dims is not None and result is not None and keeps_order(dims, perm):
            made = self.reshape(base, result, title)
            if made is not None:
                return made
        return self.add(Node(self.fresh(f"{title}/Transpose"), "Transpose", (base,), {"perm": ints(perm)}), result)

    def reshape(self, base: str, dims: tuple[Dim, ...], title: str) -> str | None:
        """`base` in another shape of which one size at most is no number; None where that can't be had."""
        if sum(not isinstance(dim, int) for dim in dims) > 1 or 0 in dims:
            return None
        shape = self.add_ints([dim if isinstance(dim, int) else -1 for dim in dims])
        return self.add(Node(self.fresh(f"{title}/Reshape"), "Reshape", (base, shape)), dims)

    def aligned(self, value: str, perm: tuple[int, ...]) -> str | None:
        """What a value, broadcast to `len(perm)` dimensions, is a view of with `perm`; None if it takes a Transpose."""
        view = self.view(value)
        if view.perm == perm:
            return view.base
        dims = self.dims.get(view.base)
        inverse = tuple(perm.index(axis) for axis in range(len(perm)))
        made = self._made.get((view.base, inverse if view.perm is None else compose(view.perm, inverse)))
        if made is not None or view.perm is not None or dims is None or len(dims) > len(perm):
            return made
        if not dims:
            return view.base
        wide = (1,) * (len(perm) - len(dims)) + dims
        tensor = self.constant(view.base)
        if tensor is not None:
            spread = (1,) * (len(perm) - tensor.rank) + tensor.shape
            return self.add_constant(transposed(reshaped(tensor, spread), inverse), view.base, inverse)
        if not keeps_order(wide, inverse):
            return None
        key = ("aligned", view.base, perm)
        if key not in self._made:
            reshape = self.reshape(view.base, tuple(wide[axis] for axis in inverse), value.rpartition(":")[0])
            if reshape is None:
                return None
            self._made[key] = reshape
        return self._made[key]

    def aligned_all(self, values: Sequence[str]) -> tuple[list[str], tuple[int, ...]] | None:
        """All values as views with one perm, which is the first that one of them has.

        Those that are none yet are transposed, if they are fewer than those that would have to be otherwise.
        """
        perm = next(perm for value in values if (perm := self.view(value).perm) is not None)
        found = [self.aligned(value, perm) if value else "" for value in values]
        lacking = [value for value, base in zip(values, found, strict=True) if base is None]
        if lacking:
            views = {value for value in values if value and self.view(value).perm is not None}
            if len(set(lacking)) >= len(views - set(lacking)) or not all(self._is_plain(v, len(perm)) for v in lacking):
                return None
            inverse = tuple(perm.index(axis) for axis in range(len(perm)))
            found = [
                self._realised_once(value, self.view(value).base, inverse) if base is None else base
                for value, base in zip(values, found, strict=True)
            ]
        return [base for base in found if base is not None], perm

    def _is_plain(self, value: str, rank: int) -> bool:
        view = self.view(value)
        dims = self.dims.get(view.base)
        return view.perm is None and dims is not None and len(dims) == rank

    def _transpose(self, node: Node) -> None:
        perm = int_list(node, "perm")
        view = self.view(node.inputs[0])
        if view.perm is not None:
            perm = compose(view.perm, perm)
        self.views[f"{node.name}:0"] = View(view.base, None if list(perm) == sorted(perm) else perm)

    # What is added

    def add(self, node: Node, dims: Dims) -> str:
        """Adds a node of one result; returns that."""
        self.nodes[node.name] = node
        self.dims[f"{node.name}:0"] = dims
        return f"{node.name}:0"

    def add_constant(self, tensor: Tensor, source: str, perm: tuple[int, ...]) -> str:
        """A constant made from the constant `source` by way of `perm`."""
        key = ("constant", source, tensor.shape, perm)
        if key not in self._made:
            title = self.fresh(f"{source.rpartition(':')[0]}/moved")
            self._made[key] = self.add(Node(title, "Constant", (), {"value": tensor}), tensor.shape)
        return self._made[key]

    def add_ints(self, numbers: Sequence[int]) -> str:
        """A constant vector of int64."""
        import numpy as np

        key = ("ints", tuple(numbers))
        if key not in self._made:
            tensor = ArrayTensor(np.array(numbers, np.int64), INT64)
            name = self.fresh("layout/" + "_".join(map(str, numbers)))
            self._made[key] = self.add(Node(name, "Constant", (), {"value": tensor}), tensor.shape)
        return self._made[key]

    def fresh(self, name: str) -> str:
        """A node name that neither graph has."""
        title, count = name, 0
        while title in self._names:
            count += 1
            title = f"{name}_{count}"
        self._names.add(title)
        return title

    def constant(self, value: str) -> Tensor | None:
        """The tensor of a constant of the new graph."""
        node = self.nodes.get(value.rpartition(":")[0])
        tensor = node.attrs["value"] if node is not None and node.op == "Constant" else None
        return tensor if isinstance(tensor, Tensor) else None

    def users(self, value: str) -> list[Node]:
        """The nodes of the old graph that take a value."""
        return self._users.get(value, [])

    def old_constant(self, value: str) -> Tensor | None:
        """The tensor of a constant of the old graph."""
        node = self._old.nodes[value.rpartition(":")[0]]
        tensor = node.attrs["value"] if node.op == "Constant" else None
        return tensor if isinstance(tensor, Tensor) else None

    def numbers(self, value: str) -> tuple[int, ...] | None:
        """The elements of a small constant of integers."""
        tensor = self.constant(self.view(value).base) if value else None
        if tensor is None or tensor.size > 1024 or self.view(value).perm is not None:
            return None
        return tuple(int(item) for item in tensor.numpy().reshape(-1))


def compose(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    """The perm of Transpose(Transpose(x, first), second)."""
    return tuple(first[axis] for axis in second)


def keeps_order(dims: Sequence[Dim], perm: Sequence[int]) -> bool:
    """Whether a transposition moves only dimensions of 1, so that the elements stay in their order."""
    moved = [axis for axis in perm if dims[axis] != 1]
    return moved == sorted(moved)


def int_list(node: Node, key: str) -> tuple[int, ...]:
    """A list of integers among a node's attributes."""
    value = node.attrs.get(key)
    return tuple(item for item in value.items if isinstance(item, int)) if isinstance(value, AttrList) else ()


def ints(numbers: Sequence[int]) -> AttrList:
    """A list of integers as an attribute."""
    return AttrList("int", tuple(numbers))


def _outputs(node: Node) -> int:
    if node.op == "Output":
        return 0
    count = node.attrs.get("_outputs", 1)
    return count if isinstance(count, int) else 1
