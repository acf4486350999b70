"""Prune: the part of a graph that some outputs need, as TensorFlow's `extract_sub_graph` takes it.

1. A node stays if an output needs it, through values or control inputs; loops are followed all the way round.
2. Nodes stay as they are, in the order of the source.
3. Functions stay all ("all", as TensorFlow does), or those that a node that stays refers to, directly or not ("used").
4. What a node that stays is colocated with (`_class`, `loc:@NODE`) stays too if `colocated` says so, as TensorFlow
   does: it can't load a graph in which such a node is missing. For the same reason, colocations with nodes that the
   source itself lacks are left out.
5. Without `controls`, control inputs are neither followed nor kept: for a graph without effects to order.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence

from tensorferry.formats.errors import GraphError, listing

from ..ir import Attr, AttrList, FuncRef, Graph, Node, node_name, value_name
from ..names.selection import near_names


def prune(
    graph: Graph,
    outputs: Sequence[str],
    *,
    functions: str = "all",
    colocated: bool = False,
    controls: bool = True,
) -> Graph:
    """The part of `graph` that `outputs` (nodes or values) need.

    `functions` is "all" or "used". GraphError lists all outputs, or all inputs, that the graph lacks.
    """
    kept = needed(graph, outputs, colocated=colocated, controls=controls)
    nodes: Iterable[Node] = (node for node in graph if node.name in kept)
    if colocated:
        nodes = (with_colocations(node, graph.nodes) for node in nodes)
    if not controls:
        nodes = (node.with_(inputs=node.data_inputs) if node.control_inputs else node for node in nodes)
    pruned = Graph.of(nodes, like=graph)
    if functions == "used":
        used = used_functions(pruned)
        pruned.functions = {name: function for name, function in graph.functions.items() if name in used}
    return pruned


def needed(
    graph: Graph,
    outputs: Iterable[str],
    fed: Collection[str] = (),
    *,
    colocated: bool = False,
    controls: bool = True,
) -> set[str]:
    """The names of the nodes that have to run for `outputs`, where the values in `fed` (`node:0`) are given.

    `colocated` adds the nodes that these name for their place, as far as the graph has them; without `controls`,
    control inputs count for nothing.

    GraphError lists all outputs, or all inputs, that the graph lacks.
    """
    stack = present(graph, [value for value in outputs if value_name(value) not in fed])
    kept: set[str] = set()
    lacking: list[str] = []
    while stack:
        name = stack.pop()
        if name in kept:
            continue
        kept.add(name)
        if colocated:
            stack.extend(other for other in _colocations(graph.nodes[name]) if other in graph.nodes)
        for value in graph.nodes[name].inputs if controls else graph.nodes[name].data_inputs:
            below = node_name(value)
            if below not in graph.nodes:
                lacking.append(f"{value!r} of {name}")
            elif below not in kept and (not fed or value.startswith("^") or value_name(value) not in fed):
                stack.append(below)
    if lacking:
        raise GraphError("", f"expected every input to be in the graph, got none of the name: {listing(lacking)}")
    return kept


def with_colocations(node: Node, present: Container[str]) -> Node:
    """`node`, colocated with those nodes only that are in `present`."""
    places = node.attrs.get("_class")
    if not isinstance(places, AttrList):
        return node
    kept = tuple(place for place in places.items if (other := _colocated_with(place)) is None or other in present)
    if len(kept) == len(places.items):
        return node
    attrs = {name: attr for name, attr in node.attrs.items() if name != "_class"}
    return node.with_(attrs=attrs | {"_class": AttrList(places.kind, kept)} if kept else attrs)


def _colocations(node: Node) -> Iterator[str]:
    places = node.attrs.get("_class")
    for place in places.items if isinstance(places, AttrList) else ():
        other = _colocated_with(place)
        if other is not None:
            yield other


def _colocated_with(place: Attr) -> str | None:
    """The node that an entry of `_class` names."""
    return place[5:].decode("utf-8", "replace") if isinstance(place, bytes) and place.startswith(b"loc:@") else None


def present(graph: Graph, values: Iterable[str]) -> list[str]:
    """The nodes of `values`; GraphError lists all that the graph lacks, with near names."""
    names = list(dict.fromkeys(node_name(value) for value in values))
    lacking = []
    for name in names:
        if name not in graph.nodes:
            near = near_names(name, graph.nodes)
            lacking.append(f"{name!r} (near: {', '.join(near)})" if near else repr(name))
    if lacking:
        raise GraphError("", f"expected nodes of the graph, got none of the name: {listing(lacking)}")
    return names


def used_functions(graph: Graph) -> set[str]:
    """The names of the functions that the graph's nodes refer to, directly or through other functions."""
    used: set[str] = set()
    stack: list[Iterable[Node]] = [graph.nodes.values()]
    gradients = _gradients(graph)
    while stack:
        for node in stack.pop():
            for name in references(node):
                for each in (name, gradients.get(name, "")):
                    if each in graph.functions and each not in used:
                        used.add(each)
                        stack.append(graph.functions[each].nodes.values())
    return used


def references(node: Node) -> Iterator[str]:
    """The names of the functions that a node refers to; its op may be one."""
    yield node.op  # a function may be called by its name, as an op
    for attr in node.attrs.values():
        yield from _functions_in(attr)


def _functions_in(attr: Attr) -> Iterator[str]:
    if isinstance(attr, FuncRef):
        yield attr.name
        for inner in attr.attrs.values():
            yield from _functions_in(inner)
    elif isinstance(attr, AttrList):
        for item in attr.items:
            yield from _functions_in(item)


def _gradients(graph: Graph) -> Mapping[str, str]:
    """The gradient that the library defines for a function, by the function's name."""
    if not graph.functions or not graph.residue:
        return {}
    from tensorferry.formats import protos

    library = protos.parse("GraphDef", graph.residue, "").library
    return {gradient.function_name: gradient.gradient_func for gradient in library.gradient}
