"""Handles: what becomes of a variable's resource once the variable is a constant.

The constant goes where the handle went, and everything on its way changes with it:

    ReadVariableOp                an Identity of it, under its own name, keeping `_class`
    ResourceGather                a GatherV2, with its axis in a Const `NAME/axis` before it
    ResourceGatherNd              a GatherNd
    VariableShape                 a Shape
    VarIsInitializedOp            a Const, true
    DisableCopyOnRead             a NoOp
    Identity, Switch, Enter, ...  the same of the variable's type; `_output_shapes` goes
    While, If, Case, calls        the same with functions `NAME_frozen` that take the constant as an argument

The way leads into those functions, and out of them again where they give a handle back. Whatever else takes a handle
(an assignment, above all) can do nothing with a constant, and is refused by name, all such nodes at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tensorferry.formats.dtype import DType
from tensorferry.formats.errors import GraphError, UnsupportedError, listing
from tensorferry.formats.tensor import Tensor

from ..functions import body_of, called_function, function_key, function_of
from ..ir import Attr, AttrList, FuncRef, Function, Graph, Node, Shape, node_name, value_name
from ..op_registry import attr_value
from .inline import CONTROL_FLOW, fresh

READERS = (
    "ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape", "VarIsInitializedOp", "DisableCopyOnRead",
)  # fmt: skip
"""The ops that take what they need to know from a handle's variable."""

MAX_DEPTH = 100
"""Functions inside of functions."""

_BETWEEN = ("Identity", "Switch", "Enter", "Exit", "Merge", "NextIteration")


@dataclass(frozen=True, slots=True)
class Handle:
    """What is known of the variable behind a handle."""

    dtype: DType
    shape: Shape


class Handles:
    """Variables' handles on their way through one graph and the functions of its library."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self.functions = dict(functions)
        """The library, and the functions that were made for it."""
        self._made: dict[object, tuple[FuncRef, dict[int, Handle]]] = {}
        self._refused: list[str] = []
        self._depth = 0

    def follow(self, graph: Graph, handles: dict[str, Handle], within: str = "") -> dict[str, list[Node]]:
        """Node -> what takes its place, where the values `handles` are constants; adds those that they become.

        `within` is the function that `graph` is the body of.
        """
        changed: dict[str, list[Node]] = {}
        if not handles and not any(node.op in READERS for node in graph):
            return changed
        for node in graph.topological():
            values = map(value_name, node.data_inputs)
            given = {index: handles[value] for index, value in enumerate(values) if value in handles}
            if node.op in READERS:
                _check_reader(node, graph, given, within)
                changed[node.name] = list(_read(node, given[0]))
            elif given:
                passed = self._pass_on(node, given)
                if passed is None:
                    at = f"{within}/{node.name}" if within else node.name
                    self._refused += [f"{at} ({node.op} of {node_name(node.data_inputs[i])})" for i in given]
                else:
                    changed[node.name] = [passed[0]]
                    handles.update((f"{node.name}:{index}", handle) for index, handle in passed[1].items())
        return changed

    def check(self) -> None:
        """UnsupportedError that names all nodes that can do nothing with a constant."""
        if self._refused:
            found = listing(self._refused)
            raise UnsupportedError("the graph", f"expected only ops that read to take variables, got {found}")

    def _pass_on(self, node: Node, given: dict[int, Handle]) -> tuple[Node, dict[int, Handle]] | None:
        """A node that passes on the handles among its inputs, and those among its outputs; None for all others."""
        kept = {name: attr for name, attr in node.attrs.items() if name != "_output_shapes"}
        if node.op in _BETWEEN and (0 in given or node.op == "Merge"):
            handle = next(iter(given.values()))
            changed = Node(node.name, node.op, node.inputs, kept | {"T": handle.dtype})
            return changed, dict.fromkeys((0, 1) if node.op == "Switch" else (0,), handle)
        if node.op == "IdentityN":
            return node.with_(attrs=kept | {"T": _with_types(node, "T", given)}), given
        if node.op in CONTROL_FLOW:
            first = 0 if node.op.endswith("While") else 1
            return self._call(node, kept, CONTROL_FLOW[node.op], given, first) if min(given) >= first else None
        called = called_function(self.functions, node)
        if called is None:
            return None
        if node.op in self.functions:
            ref, results = self._function(called, given, node.name)
            return node.with_(op=ref.name, attrs=kept), results
        return self._call(node, kept, ("f",), given, 1 if node.op == "RemoteCall" else 0)

    def _call(
        self, node: Node, attrs: dict[str, Attr], names: Iterable[str], given: dict[int, Handle], first: int
    ) -> tuple[Node, dict[int, Handle]]:
        """A node that hands its inputs from `first` on to the functions in the attributes `names`."""
        is_loop = node.op.endswith("While")
        arguments = {index - first: handle for index, handle in given.items()}
        found = []
        for name in names:
            attr = attrs.get(name)
            refs = attr.items if isinstance(attr, AttrList) else (attr,)
            made = []
            for ref in refs:
                if not isinstance(ref, FuncRef):
                    raise GraphError(node.name, f"expected a function in {node.op}'s attribute {name!r}, got {ref!r}")
                new, results = self._function(ref, arguments, node.name)
                made.append(new)
                if name != "cond":
                    found.append(results)
            attrs[name] = AttrList("func", tuple(made)) if isinstance(attr, AttrList) else made[0]
        results = found[0] if found else {}
        wanted = arguments if is_loop else results
        if any(_types(each) != _types(wanted) for each in found):
            raise UnsupportedError(node.name, f"expected {node.op} to give the same variables in every case")
        kept = {name: attr for name, attr in attrs.items() if name != "_read_only_resource_inputs"}
        types_in, types_out = ("T", "T") if is_loop else ("Tin", "Tout")
        kept[types_in] = _with_types(node, types_in, arguments)
        kept[types_out] = _with_types(node, types_out, wanted)
        shapes = kept.get("output_shapes")
        if isinstance(shapes, AttrList) and shapes.items:
            kept["output_shapes"] = _with_items(shapes, {index: handle.shape for index, handle in wanted.items()})
        return node.with_(attrs=kept), dict(wanted)

    def _function(self, ref: FuncRef, given: dict[int, Handle], caller: str) -> tuple[FuncRef, dict[int, Handle]]:
        """The function that takes constants in place of the handles `given`, and the handles among its results."""
        if not given:
            return ref, {}
        key = (function_key(ref), tuple(sorted(_types(given).items())))
        if key in self._made:
            return self._made[key]
        if self._depth >= MAX_DEPTH:
            raise UnsupportedError(caller, f"expected at most {MAX_DEPTH} functions inside of functions, got more")
        body = body_of(self.functions, ref)
        if max(given) >= len(body.arguments):
            has = len(body.arguments)
            raise GraphError(caller, f"expected a function of more than {max(given)} arguments, got {body.name}: {has}")
        name = fresh(f"{ref.name}_frozen", self.functions)
        self.functions[name] = self.functions[ref.name]  # its name is taken
        self._made[key] = FuncRef(name), {}
        arguments = dict(body.arguments)
        handles: dict[str, Handle] = {}
        changed: dict[str, list[Node]] = {}
        for index, argument in enumerate(body.arguments):
            if index in given:
                arguments[argument] = given[index].dtype
                handles[f"{argument}:0"] = given[index]
                node = body.graph.nodes[argument]
                kept = {key: attr for key, attr in node.attrs.items() if not key.startswith("_output_shapes")}
                changed[argument] = [node.with_(attrs=kept | {"T": given[index].dtype})]
        self._depth += 1
        changed |= self.follow(body.graph, handles, ref.name)
        self._depth -= 1
        results = {
            index: handles[value_name(value)]
            for index, value in enumerate(body.results.values())
            if value_name(value) in handles
        }
        dtypes = {
            result: results[index].dtype if index in results else dtype
            for index, (result, dtype) in enumerate(body.result_dtypes.items())
        }
        graph = replace(Graph.of(replaced(body.graph, changed)), functions=self.functions)
        made = replace(body, name=name, arguments=arguments, result_dtypes=dtypes, graph=graph)
        self.functions[name] = function_of(made, self.functions[ref.name])
        self._made[key] = FuncRef(name), results
        return self._made[key]


def replaced(graph: Graph, changed: Mapping[str, Sequence[Node]]) -> Iterable[Node]:
    """The nodes of a graph in their order, with others in the place of some."""
    for node in graph:
        yield from changed.get(node.name, (node,))


def constant(name: str, value: Tensor, dtype: Attr = None) -> Node:
    """A Const node."""
    return Node(name, "Const", (), {"dtype": dtype or value.dtype, "value": value})


def _check_reader(node: Node, graph: Graph, given: Mapping[int, Handle], within: str) -> None:
    if 0 not in given:
        source = graph.producer(node.data_inputs[0]) if node.data_inputs else None
        got = "nothing" if source is None else f"{source.op} {source.name!r}"
        at = f"{within}/{node.name}" if within else node.name
        raise GraphError(at, f"expected {node.op} to read a variable of the graph, got {got}")


def _read(node: Node, handle: Handle) -> Iterable[Node]:
    """What an op that reads a variable becomes. Control inputs go: constants never change."""
    name, value = node.name, node.inputs[:1]
    match node.op:
        case "ReadVariableOp":
            yield Node(name, "Identity", value, {"T": node.attrs.get("dtype"), **_class(node)})
        case "ResourceGather":
            yield from _gather(node)
        case "ResourceGatherNd":
            types = {"Tparams": node.attrs.get("dtype"), "Tindices": node.attrs.get("Tindices")}
            yield Node(name, "GatherNd", node.data_inputs[:2], {**types, **_class(node)})
        case "VariableShape":
            yield Node(
                name, "Shape", value, {"T": handle.dtype, "out_type": attr_value(node, "out_type"), **_class(node)}
            )
        case "VarIsInitializedOp":
            yield constant(name, _true())
        case _:
            yield Node(name, "NoOp")


def _gather(node: Node) -> Iterable[Node]:
    from tensorferry.formats.tensor import ArrayTensor

    if attr_value(node, "batch_dims"):
        raise UnsupportedError(
            node.name, f"expected a ResourceGather without batch_dims, got {node.attrs['batch_dims']!r}"
        )
    indices = attr_value(node, "Tindices")
    if not isinstance(indices, DType) or not indices.is_integer:
        raise GraphError(node.name, f"expected an integer type in Tindices, got {indices!s}")
    import numpy as np

    axis = f"{node.name}/axis"
    yield constant(axis, ArrayTensor(np.zeros((), indices.numpy())))
    types: dict[str, Attr] = {"Tparams": node.attrs.get("dtype"), "Tindices": indices, "Taxis": indices}
    yield Node(node.name, "GatherV2", (*node.data_inputs[:2], axis), {**types, **_class(node)})


def _true() -> Tensor:
    import numpy as np

    from tensorferry.formats.tensor import ArrayTensor

    return ArrayTensor(np.array(True))


def _class(node: Node) -> dict[str, Attr]:
    return {"_class": node.attrs["_class"]} if "_class" in node.attrs else {}


def _types(handles: Mapping[int, Handle]) -> dict[int, str]:
    return {index: handle.dtype.name for index, handle in handles.items()}


def _with_types(node: Node, name: str, handles: Mapping[int, Handle]) -> Attr:
    listed = attr_value(node, name)
    if not isinstance(listed, AttrList) or any(index >= len(listed.items) for index in handles):
        raise GraphError(node.name, f"expected {node.op}'s attribute {name!r} to list a type for each value")
    return _with_items(listed, {index: handle.dtype for index, handle in handles.items()})


def _with_items(listed: AttrList, items: Mapping[int, Attr]) -> AttrList:
    return AttrList(listed.kind, tuple(items.get(index, item) for index, item in enumerate(listed.items)))
