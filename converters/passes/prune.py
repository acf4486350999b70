"""Prune and cut: the part of a graph that some outputs need, and inner values as inputs.

Prune, as TensorFlow's `extract_sub_graph`:

 1. A node stays if an output needs it, through values or control inputs; loops are followed all the way round.
 2. Nodes stay as they are, in the order of the source.
 3. Functions stay all ("all", as TensorFlow does), or those that a node that stays refers to, directly or not ("used").
 4. What a node that stays is colocated with (`_class`, `loc:@NODE`) stays too if `colocated` says so, as TensorFlow
    does: it can't load a graph in which such a node is missing.

Cut:

 1. Each value that is named becomes the output of a Placeholder, of the value's element type and, where the graph
    tells it, of its shape; whoever took the value takes the placeholder's. A value of a Placeholder is left alone.
 2. The placeholder takes the place and the name of the node whose only output was cut.
 3. Where a node has several outputs, it stays for the others, and the placeholder for output i, right behind it, is
    called `NODE_i` (made unique by underscores); `cut_names` tells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from tensorferry.formats.errors import GraphError, UnsupportedError, listing
from tensorferry.formats.tensor import Tensor
from tensorferry.formats.tensor_proto import base_dtype

from ..ir import Attr, AttrList, FuncRef, Graph, Node, Shape, node_name, split_value, value_name
from ..names.selection import near_names
from ..op_registry import attr_value, op_defs, output_dtypes


def prune(graph: Graph, outputs: Sequence[str], *, functions: str = "all", colocated: bool = False) -> Graph:
    """The part of `graph` that `outputs` (nodes or values) need.

    `functions` is "all" or "used". GraphError lists all outputs, or all inputs, that the graph lacks.
    """
    kept = needed(graph, outputs, colocated=colocated)
    pruned = Graph.of((node for node in graph if node.name in kept), like=graph)
    if functions == "used":
        used = used_functions(pruned)
        pruned.functions = {name: function for name, function in graph.functions.items() if name in used}
    return pruned


def needed(graph: Graph, outputs: Iterable[str], fed: Collection[str] = (), *, colocated: bool = False) -> set[str]:
    """The names of the nodes that have to run for `outputs`, where the values in `fed` (`node:0`) are given.

    `colocated` adds the nodes that these name for their place, as far as the graph has them.

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
        for value in graph.nodes[name].inputs:
            below = node_name(value)
            if below not in graph.nodes:
                lacking.append(f"{value!r} of {name}")
            elif below not in kept and (not fed or value.startswith("^") or value_name(value) not in fed):
                stack.append(below)
    if lacking:
        raise GraphError("", f"expected every input to be in the graph, got none of the name: {listing(lacking)}")
    return kept


def _colocations(node: Node) -> Iterator[str]:
    places = node.attrs.get("_class")
    for place in places.items if isinstance(places, AttrList) else ():
        if isinstance(place, bytes) and place.startswith(b"loc:@"):
            yield place[5:].decode("utf-8", "replace")


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
            for name in _references(node):
                for each in (name, gradients.get(name, "")):
                    if each in graph.functions and each not in used:
                        used.add(each)
                        stack.append(graph.functions[each].nodes.values())
    return used


def _references(node: Node) -> Iterator[str]:
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


def cut(graph: Graph, inputs: Sequence[str]) -> Graph:
    """`graph` with placeholders in place of the values `inputs`.

    GraphError lists all that the graph lacks; UnsupportedError for a value that no placeholder can have (a resource).
    """
    names = cut_names(graph, inputs)
    placeholders: dict[str, list[Node]] = {}
    for value, new in names.items():
        source = graph.producer(value)
        if source.op != "Placeholder":
            placeholders.setdefault(source.name, []).append(_placeholder(source, value, node_name(new)))
    renamed = {value: new for value, new in names.items() if value != new}
    return Graph.of(_with_placeholders(graph, placeholders, renamed), like=graph)


def cut_names(graph: Graph, inputs: Sequence[str]) -> dict[str, str]:
    """For each value of `inputs` (`node:0`), the value of the placeholder that `cut` makes for it."""
    controls = [value for value in inputs if value.startswith("^")]
    if controls:
        raise GraphError("", f"expected values to cut at, got control inputs: {listing(controls)}")
    present(graph, inputs)
    taken = set(graph.nodes)
    names: dict[str, str] = {}
    for value in map(value_name, inputs):
        source, index = split_value(value)
        count = _output_count(graph.nodes[source], value)
        if index >= count:
            raise GraphError(value, f"expected an output of {graph.nodes[source].op}, which has {count}")
        fresh = source
        if count > 1 and value not in names:
            fresh = f"{source}_{index}"
            while fresh in taken:
                fresh += "_"
            taken.add(fresh)
        names.setdefault(value, f"{fresh}:0")
    return names


def _output_count(node: Node, value: str) -> int:
    if node.op not in op_defs():
        raise UnsupportedError(value, f"expected an output of a known op to cut at, got one of {node.op}")
    return len(output_dtypes(node))


def _with_placeholders(
    graph: Graph, placeholders: Mapping[str, list[Node]], renamed: Mapping[str, str]
) -> Iterator[Node]:
    for node in graph:
        made = placeholders.get(node.name, [])
        if not any(placeholder.name == node.name for placeholder in made):
            inputs = tuple(renamed.get(value_name(value), value) for value in node.inputs) if renamed else node.inputs
            yield node if inputs == node.inputs else node.with_(inputs=inputs)
        yield from made


def _placeholder(source: Node, value: str, name: str) -> Node:
    index = split_value(value)[1]
    dtype = base_dtype(output_dtypes(source)[index])
    if not dtype.storage:
        raise UnsupportedError(value, f"expected a value that can be given from outside, got a {dtype}")
    return Node(name, "Placeholder", (), {"dtype": dtype, "shape": _shape(source, index)})


def _shape(source: Node, index: int) -> Shape:
    """The shape of an output as far as its node tells it."""
    written = attr_value(source, "_output_shapes")
    if isinstance(written, AttrList) and index < len(written.items):
        shape = written.items[index]
        if isinstance(shape, Shape):
            return shape
    value, shape = attr_value(source, "value"), attr_value(source, "shape")
    if source.op == "Const" and isinstance(value, Tensor):
        return Shape(value.shape)
    return shape if source.op == "PlaceholderWithDefault" and isinstance(shape, Shape) else Shape()
