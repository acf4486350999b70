"""Raise loops: TensorFlow 1's loops, spelled with five ops that send values round, as While nodes with bodies.

   Enter -> Merge -> Switch -> Exit             x:  Merge(Enter(start), NextIteration(next))
              ^        |                        the condition is computed from the Merges, and ends in LoopCond
              |        v                        Switch(x, LoopCond) sends x on to the body (1) or to Exit (0)
     NextIteration <- body                      Enter(y, is_constant): y is the same in all steps

   becomes  While(starts..., constants...), and each Exit an Identity of one of its results

1. Loops within loops are raised first; then the outer one's body has a While like any other node.
2. The body is what the NextIterations need, the condition what LoopCond needs; a node that both need is in both.
3. The functions' arguments are, in this order, the values that go round and the constants that are used.
4. What can't be told for sure is an UnsupportedError that names the node.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tensorferry.formats.dtype import BOOL, DType
from tensorferry.formats.errors import UnsupportedError, listing

from ..functions import ARGUMENT, Body, function_of
from ..ir import Attr, AttrList, FuncRef, Function, Graph, Node, node_name, value_name

Finish = Callable[[Graph, Sequence[str]], Graph]


@dataclass(slots=True)
class _Loop:
    """One loop: `variables` are its Merges in order, `switches` and `exits` by Merge."""

    condition: Node
    variables: list[Node] = field(default_factory=list)
    enters: dict[str, Node] = field(default_factory=dict)
    nexts: dict[str, Node] = field(default_factory=dict)
    exits: dict[str, list[Node]] = field(default_factory=dict)

    @property
    def frame(self) -> str:
        enter = next(iter(self.enters.values()))
        name = enter.attrs.get("frame_name", b"")
        return name.decode("utf-8", "replace") if isinstance(name, bytes) else ""


def raise_loops(graph: Graph, finish: Finish, taken: Collection[str] = ()) -> Graph:
    """`graph` with a While for each loop. `finish(body, results)` is made to each body; `taken`: names not to use."""
    conditions = [node for node in graph if node.op == "LoopCond"]
    if not conditions:
        return graph
    depths = _depths(graph)
    work = _Raising(graph, finish, taken)
    for condition in sorted(conditions, key=lambda node: -depths[node.name]):
        work.raise_(work.loop(condition))
    raised = Graph.of(work.nodes.values(), like=graph)
    raised.functions = work.functions
    return raised


def _depths(graph: Graph) -> dict[str, int]:
    """How many loops each node is in."""
    depths: dict[str, int] = {}
    for node in graph.topological():
        depth = max((depths.get(node_name(value), 0) for value in node.inputs), default=0)
        depths[node.name] = depth + (node.op == "Enter") - (node.op == "Exit")
    return depths


class _Raising:
    def __init__(self, graph: Graph, finish: Finish, taken: Collection[str]) -> None:
        self.nodes = dict(graph.nodes)
        self.functions = dict(graph.functions)
        self.finish = finish
        self.taken = taken
        self.consumers = graph.consumers()

    def loop(self, condition: Node) -> _Loop:
        """The loop that a LoopCond decides about."""
        loop = _Loop(condition)
        for switch in self.consumers[condition.name]:
            if switch.op != "Switch" or node_name(switch.data_inputs[1]) != condition.name:
                raise UnsupportedError(switch.name, f"expected a loop's condition to go to Switch, got {switch.op}")
            merge = self.nodes[node_name(switch.data_inputs[0])]
            exits = [user for user in self.consumers[switch.name] if user.op == "Exit"]
            if merge.op != "Merge":
                if exits:
                    raise UnsupportedError(exits[0].name, f"expected a value that goes round to leave, got {merge.op}")
                continue
            if merge.name not in loop.enters:
                self._variable(loop, merge)
            loop.exits.setdefault(merge.name, []).extend(exits)
        if not loop.variables:
            raise UnsupportedError(condition.name, "expected values that go round in the loop, got none")
        order = {name: number for number, name in enumerate(self.nodes)}
        loop.variables.sort(key=lambda merge: order[merge.name])
        return loop

    def _variable(self, loop: _Loop, merge: Node) -> None:
        makers = {self.nodes[node_name(value)].op: self.nodes[node_name(value)] for value in merge.data_inputs}
        if len(merge.data_inputs) != 2 or sorted(makers) != ["Enter", "NextIteration"]:
            raise UnsupportedError(merge.name, f"expected a Merge of Enter and NextIteration, got {listing(makers)}")
        loop.variables.append(merge)
        loop.enters[merge.name] = makers["Enter"]
        loop.nexts[merge.name] = makers["NextIteration"]

    def raise_(self, loop: _Loop) -> None:
        """Puts a While in the place of a loop."""
        constants: dict[str, Node] = {}
        places = {merge.name: number for number, merge in enumerate(loop.variables)}
        ends = [loop.nexts[merge.name].data_inputs[0] for merge in loop.variables]
        body, results = self._slice(loop, ends, places, constants)
        condition, tests = self._slice(loop, [loop.condition.data_inputs[0]], places, constants)
        dtypes = [*(_dtype(loop.enters[merge.name]) for merge in loop.variables), *map(_dtype, constants.values())]
        name = self._name(loop.frame.rpartition("/")[0] or loop.frame or loop.condition.name)
        arguments = [self._argument("state", number) for number in range(len(loop.variables))]
        kept = [self._argument("kept", number) for number in range(len(constants))]
        signature = dict(zip([*arguments, *kept], dtypes, strict=True))
        attrs: dict[str, Attr] = {
            "T": AttrList("dtype", tuple(dtypes)),
            "body": self._function(f"{name}_body", signature, body, [*results, *kept], dtypes),
            "cond": self._function(f"{name}_cond", signature, condition, tests, [BOOL]),
        }
        starts = [loop.enters[merge.name].data_inputs[0] for merge in loop.variables]
        starts += [enter.data_inputs[0] for enter in constants.values()]
        self.nodes[name] = Node(name, "While", tuple(starts), attrs, loop.condition.device)
        for merge in loop.variables:
            for exit_ in loop.exits.get(merge.name, []):
                kind: dict[str, Attr] = {"T": dtypes[places[merge.name]]}
                self.nodes[exit_.name] = Node(exit_.name, "Identity", (f"{name}:{places[merge.name]}",), kind)

    def _name(self, name: str) -> str:
        while name in self.nodes or name in self.taken or f"{name}_body" in self.functions:
            name += "_"
        return name

    def _slice(
        self, loop: _Loop, ends: Sequence[str], places: Mapping[str, int], constants: dict[str, Node]
    ) -> tuple[list[Node], list[str]]:
        """The nodes between the loop's arguments and `ends`, and what these are there; finds `constants` on the way."""
        frame = loop.frame.encode()
        known: dict[str, Node] = {}
        stack: list[str] = []

        def local(value: str) -> str:
            node = self._node(value)
            while node.op == "Switch" and node_name(node.data_inputs[1]) == loop.condition.name:
                value = node.data_inputs[0]
                node = self._node(value)
            if node.name in places:
                if value_name(value) != f"{node.name}:0":
                    raise UnsupportedError(node.name, "expected nobody to ask which input of a loop's Merge came")
                return self._argument("state", places[node.name])
            if node.op == "Enter" and node.attrs.get("frame_name") == frame:
                if node.attrs.get("is_constant") is not True:
                    raise UnsupportedError(node.name, "expected Enter to be constant, or to go round by way of a Merge")
                constants.setdefault(node.name, node)
                return self._argument("kept", list(constants).index(node.name))
            if node.op in ("Enter", "Exit", "LoopCond", "NextIteration", "Merge") and self._goes_round(node):
                raise UnsupportedError(node.name, f"expected no way into the middle of a loop, got {node.op}")
            if node.name not in known:
                known[node.name] = node
                stack.append(node.name)
            return value

        results = [local(value) for value in ends]
        while stack:
            node = known[stack.pop()]
            controls = []
            for name in node.control_inputs:
                target = node_name(local(name))
                if target in known:
                    controls.append(f"^{target}")
            known[node.name] = node.with_(inputs=(*(local(value) for value in node.data_inputs), *controls))
        return [known[name] for name in self.nodes if name in known], results

    def _goes_round(self, node: Node) -> bool:
        return node.op != "Merge" or any(self._node(value).op == "NextIteration" for value in node.data_inputs)

    def _node(self, value: str) -> Node:
        return self.nodes[node_name(value)]

    def _argument(self, kind: str, number: int) -> str:
        """An argument's name, which no node has."""
        name = f"{kind}_{number}"
        while name in self.nodes:
            name += "_"
        return name

    def _function(
        self,
        name: str,
        arguments: Mapping[str, DType],
        nodes: Iterable[Node],
        results: Sequence[str],
        dtypes: Sequence[DType],
    ) -> FuncRef:
        """Adds a function to the library."""
        graph = body_graph(arguments, nodes, self.functions)
        graph = self.finish(graph, results)
        self.functions = {**graph.functions, name: function(name, arguments, graph, results, dtypes)}
        return FuncRef(name)


def body_graph(arguments: Mapping[str, DType], nodes: Iterable[Node], functions: Mapping[str, Function]) -> Graph:
    """A function's body: nodes, and before them one for each argument."""
    made = [Node(name, ARGUMENT, (), {"T": dtype, "index": i}) for i, (name, dtype) in enumerate(arguments.items())]
    graph = Graph.of([*made, *nodes])
    graph.functions = dict(functions)
    return graph


def function(
    name: str, arguments: Mapping[str, DType], graph: Graph, results: Sequence[str], dtypes: Sequence[DType]
) -> Function:
    """A function of a body."""
    values = {f"result_{number}": value_name(value) for number, value in enumerate(results)}
    types = dict(zip(values, dtypes, strict=True))
    return function_of(Body(name, arguments, values, types, (), graph), Function(name, {}))


def _dtype(node: Node) -> DType:
    dtype = node.attrs.get("T")
    if not isinstance(dtype, DType):
        raise UnsupportedError(node.name, f"expected a type in {node.op}'s attribute 'T', got none")
    return dtype
