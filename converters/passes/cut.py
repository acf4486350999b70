"""Cut: inner values of a graph as its inputs.

1. Each value that is named becomes the output of a Placeholder, of the value's element type and of its shape as far as
   that is known; whoever took the value takes the placeholder's. A value of a Placeholder is left alone.
2. The placeholder takes the place and the name of the node whose only output was cut.
3. Where a node has several outputs, it stays for the others, and the placeholder for output i, right behind it, is
   called `NODE_i` (made unique by underscores); `cut_names` tells.
4. Nodes that were only colocated (`_class`) with what the outputs no longer need are free of that: a colocation is no
   reason to keep a variable beyond the cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tensorferry.formats.errors import GraphError, UnsupportedError, listing
from tensorferry.formats.tensor import Tensor
from tensorferry.formats.tensor_proto import base_dtype

from ..ir import AttrList, Graph, Node, Shape, node_name, split_value, value_name
from ..op_registry import attr_value, op_defs, output_dtypes
from .prune import needed, present, with_colocations

PLACEHOLDERS = ("Placeholder", "PlaceholderV2")
"""The ops that are inputs already."""


def cut(
    graph: Graph,
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    shape_of: Callable[[str], Shape] | None = None,
) -> Graph:
    """`graph` with placeholders in place of the values `inputs`; nothing is pruned yet.

    `shape_of` tells the shape of a value (`node:0`); without it, the graph's own words are taken. GraphError lists all
    that the graph lacks; UnsupportedError for a value that no placeholder can have (a resource).
    """
    names = cut_names(graph, inputs)
    placeholders: dict[str, list[Node]] = {}
    for value, new in names.items():
        source = graph.producer(value)
        if source.op not in PLACEHOLDERS:
            shape = _written_shape(source, split_value(value)[1]) if shape_of is None else shape_of(value)
            placeholders.setdefault(source.name, []).append(_placeholder(source, value, node_name(new), shape))
    renamed = {value: new for value, new in names.items() if value != new}
    piece = Graph.of(_with_placeholders(graph, placeholders, renamed), like=graph)
    kept = needed(piece, outputs)
    return Graph.of((with_colocations(node, kept) for node in piece), like=piece)


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


def _placeholder(source: Node, value: str, name: str, shape: Shape) -> Node:
    dtype = base_dtype(output_dtypes(source)[split_value(value)[1]])
    if not dtype.storage:
        raise UnsupportedError(value, f"expected a value that can be given from outside, got a {dtype}")
    return Node(name, "Placeholder", (), {"dtype": dtype, "shape": shape})


def _written_shape(source: Node, index: int) -> Shape:
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
