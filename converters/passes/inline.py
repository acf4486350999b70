"""Inline: the bodies of functions in place of their calls, as TensorFlow's own inliner does it.

What counts as a call: PartitionedCall, StatefulPartitionedCall, RemoteCall (its device is left out), an op by a
function's name, and If or Case where the graph itself holds the choice as a constant.

 1. A node `n` of the body becomes `CALL/n`, and nested calls `CALL/INNER/n`. Where the graph has such a name
    already, a number is appended.
 2. Who takes a value of the call takes the value that the body gives for it.
 3. Whoever waits for the call (`^CALL`) waits for what the function says has to run: a NoOp takes the call's name. A
    call in `keep` becomes an Identity (or IdentityN) of its name, that waits for the same.
 4. What the call waits for, the body's stateful nodes wait for: order means nothing to the others. In a graph with
    Switch or Enter the body's nodes without inputs do so too, else they would run in branches not taken.
 5. Colocations, the frames of loops, and devices (of nodes without one) are the call's own.
 6. While, If and Case stay; calls inside of their functions are inlined too. The library keeps the functions that are
    still referred to, each made concrete where it is called with types.

A graph without calls stays as it is. Functions that call themselves are refused, as are gradients of functions
(SymbolicGradient), and growth without bounds (`growth`).
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import replace

from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.tensor import Tensor

from ..functions import Body, body_of, called_function, function_key, function_of
from ..ir import Attr, AttrList, FuncRef, Function, Graph, Node, node_name, split_value
from ..op_registry import is_stateful
from ..ops import OpNode
from .growth import BRANCHES, Growth
from .prune import used_functions

CONTROL_FLOW = {**BRANCHES, "While": ("cond", "body"), "StatelessWhile": ("cond", "body")}
"""The attributes that hold the functions of each op of functional control flow."""

_V1 = ("Switch", "RefSwitch", "Enter", "RefEnter")


def inline(graph: Graph, keep: Collection[str] = ()) -> Graph:
    """`graph` without calls. The calls named in `keep` stay as values of their names.

    GraphError where a function contradicts itself or its call, UnsupportedError where it can't be inlined.
    """
    if not any(_is_involved(graph, node) for node in graph):
        return graph
    library = _Library(graph.functions)
    nodes = library.expand(graph, keep).finished(())
    functions = library.rewritten()
    inlined = replace(Graph.of(nodes, like=graph), functions={**graph.functions, **functions})
    used = used_functions(inlined)
    inlined.functions = {name: function for name, function in inlined.functions.items() if name in used}
    return inlined


def _is_involved(graph: Graph, node: Node) -> bool:
    return (
        node.op == "SymbolicGradient" or node.op in CONTROL_FLOW or called_function(graph.functions, node) is not None
    )


class _Library:
    """The functions of a graph: their bodies as they are called, and those that control flow goes on referring to."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self.functions = functions
        self.growth = Growth(functions)
        self._bodies: dict[tuple[str, bytes], Body] = {}
        self._names: dict[tuple[str, bytes], str] = {}
        self._pending: list[tuple[str, bytes]] = []

    def body(self, ref: FuncRef) -> Body:
        key = function_key(ref)
        if key not in self._bodies:
            self._bodies[key] = body_of(self.functions, ref)
        return self._bodies[key]

    def expand(self, graph: Graph, keep: Collection[str] = ()) -> _Expansion:
        expansion = _Expansion(self, graph, keep)
        expansion.run()
        return expansion

    def reference(self, ref: FuncRef) -> FuncRef:
        """The function without calls, concrete, that stands for `ref`."""
        key = function_key(ref)
        if key not in self._names:
            self.body(ref)
            # Its own name means what it meant, for ops that are left alone: what differs takes another one.
            differs = ref.attrs or ref.name in self._names.values()
            self._names[key] = fresh(ref.name, {*self.functions, *self._names.values()}) if differs else ref.name
            self._pending.append(key)
        return FuncRef(self._names[key])

    def rewritten(self) -> dict[str, Function]:
        """The functions that were referred to, those that they refer to included."""
        found: dict[str, Function] = {}
        for key in self._pending:  # which grows meanwhile
            body, name = self._bodies[key], self._names[key]
            expansion = self.expand(body.graph)
            graph = replace(Graph.of(expansion.finished(body.control)), functions=dict(self.functions))
            results = {result: expansion.resolved(value, name) for result, value in body.results.items()}
            concrete = replace(body, name=name, graph=graph, results=results)
            found[name] = function_of(concrete, self.functions[key[0]])
        return found


class _Expansion:
    """One graph, or one function's body, on its way to being without calls."""

    def __init__(self, library: _Library, graph: Graph, keep: Collection[str]) -> None:
        self.library = library
        self.graph = graph
        self.keep = keep
        self.known = dict(graph.nodes)
        """Every node so far, calls included, by name."""
        self.out: list[Node] = []
        self.joins: set[str] = set()
        """The nodes that took the names of calls for those who wait."""
        self.results: dict[str, tuple[str, ...]] = {}
        """Inlined call -> its values, that may be values of inlined calls again."""
        self._resolved: dict[str, str] = {}

    def run(self) -> None:
        """Walks the nodes in order, and those of a call's body in its place."""
        stack = [iter(self.graph.nodes.values())]
        chain = [_has_v1(self.graph)]
        active: dict[str, None] = {}
        while stack:
            node = next(stack[-1], None)
            if node is None:
                stack.pop()
                chain.pop()
                if active:
                    active.popitem()
                continue
            call = self.call(node)
            if call is None:
                self.out.append(self.concrete(node))
                continue
            ref, inputs = call
            if ref.name in active:
                names = list(active)
                ring = [*names[names.index(ref.name) :], ref.name]
                raise UnsupportedError(node.name, f"expected functions that end, got a ring: {' -> '.join(ring[:20])}")
            if len(stack) == 1:
                self.library.growth.take(node, ref.name)
            body = self.library.body(ref)
            stack.append(iter(self.enter(node, body, inputs, chain[-1])))
            chain.append(chain[-1] or _has_v1(body.graph))
            active[ref.name] = None

    def call(self, node: Node) -> tuple[FuncRef, tuple[str, ...]] | None:
        """The function that takes the place of a node, and its inputs."""
        if node.op == "SymbolicGradient":
            called = node.attrs.get("f")
            of = called.name if isinstance(called, FuncRef) else "none"
            raise UnsupportedError(node.name, f"expected no gradient of a function, got SymbolicGradient of {of}")
        called = called_function(self.library.functions, node)
        if called is not None:
            return called, node.data_inputs[node.op == "RemoteCall" :]
        if node.op in BRANCHES and node.data_inputs:
            chosen = self.constant(node.data_inputs[0])
            if chosen is not None:
                return _branch(node, chosen), node.data_inputs[1:]
        return None

    def constant(self, value: str) -> Tensor | None:
        """The constant that a value is, if the graph holds it as one."""
        for _ in range(100):
            name, index = split_value(value)
            if name in self.results and index < len(self.results[name]):
                value = self.results[name][index]
                continue
            node = self.known.get(name)
            if node is not None and node.op == "Identity" and node.data_inputs:
                value = node.data_inputs[0]
                continue
            found = node.attrs.get("value") if node is not None and node.op == "Const" else None
            return found if isinstance(found, Tensor) else None
        return None

    def enter(self, call: Node, body: Body, inputs: tuple[str, ...], v1: bool) -> list[Node]:
        """The nodes of a body under their names in the graph, and last the one that takes the call's name."""
        if len(inputs) != len(body.arguments):
            got = f"expected {len(body.arguments)} inputs for the function {body.name}, got {len(inputs)}"
            raise GraphError(call.name, got)
        given = dict(zip(body.arguments, inputs, strict=True))
        inner = [node for node in body.graph if node.name not in given]
        names = {node.name: fresh(f"{call.name}/{node.name}", self.known) for node in inner}
        waits = tuple(f"^{name}" for name in call.control_inputs)
        anchors = waits or tuple(dict.fromkeys(f"^{node_name(value)}" for value in inputs))

        def outer(value: str) -> str:
            name, index = split_value(value.removeprefix("^"))
            if value.startswith("^"):
                return f"^{names[name]}" if name in names else f"^{node_name(given[name])}"
            if name not in names:
                return given[name]
            return f"{names[name]}:{index}" if index else names[name]

        nodes = []
        for node in inner:
            renamed = [outer(value) for value in node.inputs]
            if waits and (is_stateful(node.op) or called_function(self.library.functions, node) is not None):
                renamed += waits
            elif v1 and not renamed:
                renamed += anchors
            nodes.append(_placed(node, call, names).with_(inputs=_in_order(renamed)))
        self.known.update((node.name, node) for node in nodes)
        self.results[call.name] = tuple(map(outer, body.results.values()))
        nodes.append(self.join(call, body, tuple(f"^{names[name]}" for name in body.control) or waits, anchors))
        return nodes

    def join(self, call: Node, body: Body, waits: tuple[str, ...], anchors: tuple[str, ...]) -> Node:
        """The node that has a call's name from now on."""
        self.joins.add(call.name)
        results = self.results[call.name]
        if call.name not in self.keep or not results:
            return Node(call.name, "NoOp", waits or anchors, device=call.device)
        dtypes = tuple(body.result_dtypes.values())
        if len(results) == 1:
            return Node(call.name, "Identity", (*results, *waits), {"T": dtypes[0]}, call.device)
        return Node(call.name, "IdentityN", (*results, *waits), {"T": AttrList("dtype", dtypes)}, call.device)

    def concrete(self, node: Node) -> Node:
        """A node whose functions, if it is control flow, are those without calls."""
        if node.op not in CONTROL_FLOW:
            return node
        changed = {}
        for name in CONTROL_FLOW[node.op]:
            attr = node.attrs.get(name)
            refs = attr.items if isinstance(attr, AttrList) else (attr,)
            if not all(isinstance(ref, FuncRef) for ref in refs):
                raise GraphError(node.name, f"expected functions in {node.op}'s attribute {name!r}, got {attr!r}")
            made = tuple(self.library.reference(ref) for ref in refs if isinstance(ref, FuncRef))
            changed[name] = AttrList("func", made) if isinstance(attr, AttrList) else made[0]
        return node.with_(attrs={**node.attrs, **changed})

    def resolved(self, value: str, user: str) -> str:
        """A value with what calls gave for it in its place."""
        if value.startswith("^"):
            return value
        way: list[str] = []
        seen: set[str] = set()
        while value not in self._resolved:
            name, index = split_value(value)
            if name not in self.results:
                break
            if index >= len(self.results[name]):
                has = len(self.results[name])
                raise GraphError(user, f"expected its input {value!r} to be a result of the call, which has {has}")
            if value in seen:
                raise GraphError(user, f"expected a value for its input, got {value!r} that is its own result")
            seen.add(value)
            way.append(value)
            value = self.results[name][index]
        value = self._resolved.get(value, value)
        self._resolved.update(dict.fromkeys(way, value))
        return value

    def finished(self, waited: Iterable[str]) -> list[Node]:
        """All nodes; of those that took the names of calls, the ones in `keep`, and for which some node waits."""
        nodes = [
            node.with_(inputs=tuple(self.resolved(value, node.name) for value in node.inputs)) if self.results else node
            for node in self.out
        ]
        by_name = {node.name: node for node in nodes}
        needed = {*self.keep, *waited} & self.joins
        stack = [node for node in nodes if node.name not in self.joins or node.name in needed]
        while stack:
            for name in stack.pop().control_inputs:
                if name in self.joins and name not in needed:
                    needed.add(name)
                    stack.append(by_name[name])
        return [node for node in nodes if node.name not in self.joins or node.name in needed]


def fresh(name: str, taken: Container[str]) -> str:
    """`name`, with a number behind it where it is taken."""
    found, number = name, 0
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def _has_v1(graph: Graph) -> bool:
    return any(node.op in _V1 for node in graph)


def _in_order(inputs: Sequence[str]) -> tuple[str, ...]:
    """Values first, then each node to wait for, once."""
    values = [value for value in inputs if not value.startswith("^")]
    return (*values, *dict.fromkeys(value for value in inputs if value.startswith("^")))


def _placed(node: Node, call: Node, names: Mapping[str, str]) -> Node:
    """A body's node with its name, device, colocation and loop of the place where it is called."""
    attrs = dict(node.attrs)
    places = attrs.get("_class")
    if isinstance(places, AttrList):
        attrs["_class"] = AttrList(places.kind, tuple(_moved(place, names) for place in places.items))
    frame = attrs.get("frame_name")
    if isinstance(frame, bytes):
        attrs["frame_name"] = f"{call.name}/".encode() + frame
    return node.with_(name=names[node.name], attrs=attrs, device=node.device or call.device)


def _moved(place: Attr, names: Mapping[str, str]) -> Attr:
    if isinstance(place, bytes) and place.startswith(b"loc:@"):
        name = place[5:].decode("utf-8", "replace")
        return f"loc:@{names.get(name, name)}".encode()
    return place


def _branch(node: Node, chosen: Tensor) -> FuncRef:
    """The function that an If or Case runs for a known choice: an index beyond the branches means the last."""
    if not node.op.endswith("Case"):
        return OpNode(node).func("then_branch" if _is_true(chosen) else "else_branch")
    branches = node.attrs.get("branches")
    items = branches.items if isinstance(branches, AttrList) else ()
    index = int(chosen.numpy().reshape(-1)[0]) if chosen.size == 1 and chosen.dtype.is_integer else -1
    branch = items[index if 0 <= index < len(items) else -1] if items else None
    if not isinstance(branch, FuncRef):
        raise GraphError(node.name, f"expected functions in {node.op}'s attribute 'branches', got {branches!r}")
    return branch


def _is_true(chosen: Tensor) -> bool:
    """What an If makes of its condition: a scalar that is not zero (or empty), or any other tensor with elements."""
    return bool(chosen.numpy().item()) if not chosen.shape else chosen.size > 0
