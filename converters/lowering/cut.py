"""The piece of a graph between its inputs and its outputs.

A value that is named as an input need not be a placeholder: whatever computes it is left away, and a placeholder of
its type takes its place. Control inputs go, since a frozen graph has no effects to order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tensorferry.formats.errors import GraphError, listing

from ..inference import infer
from ..inference.dims import Dims
from ..ir import Attr, Graph, Node, Shape, node_name, split_value, value_name
from ..op_registry import op_defs, output_dtypes

PLACEHOLDERS = ("Placeholder", "PlaceholderV2")


def cut(graph: Graph, inputs: Mapping[str, str] | None, outputs: Sequence[str]) -> tuple[Graph, dict[str, str]]:
    """The piece, all of its inputs placeholders, and public name -> value of its inputs.

    GraphError where the outputs need placeholders that are not among the inputs.
    """
    for value in [*(inputs or {}).values(), *outputs]:
        _check(graph, value)
    stops = set((inputs or {}).values())
    needed = _needed(graph, outputs, stops)
    if inputs is None:
        placeholders = [node for node in needed if node.op in PLACEHOLDERS]
        inputs = {f"{node.name}:0": f"{node.name}:0" for node in placeholders}
    stand_ins = _stand_ins(graph, inputs.values(), {node.name for node in needed})
    lost = [node.name for node in needed if node.op in PLACEHOLDERS and f"{node.name}:0" not in stand_ins]
    if lost:
        raise GraphError(
            "the graph",
            f"expected all placeholders that the outputs need among the inputs, got none of: {listing(lost)}",
        )
    renamed = {value: f"{node.name}:0" for value, node in stand_ins.items()}
    nodes = list(stand_ins.values())
    taken = {node.name for node in nodes}
    for node in needed:
        if node.name not in taken:
            kept = tuple(renamed.get(value_name(value), value) for value in node.data_inputs)
            nodes.append(_fixed_default(node.with_(inputs=kept)))
    return Graph.of(nodes, like=graph), {public: renamed[value] for public, value in inputs.items()}


def _check(graph: Graph, value: str) -> None:
    node = graph.producer(value)
    if node.op in op_defs() and split_value(value)[1] >= len(output_dtypes(node)):
        raise GraphError(value, f"expected one of the {len(output_dtypes(node))} outputs of {node.op}")


def _needed(graph: Graph, outputs: Sequence[str], stops: set[str]) -> list[Node]:
    """The nodes that the outputs need, in the graph's order, without what is behind the values `stops`."""
    stack = [node_name(value) for value in outputs if value_name(value) not in stops]
    seen = set(stack)
    while stack:
        node = graph.producer(stack.pop())
        for value in node.data_inputs:
            name = node_name(value)
            if value_name(value) not in stops and name not in seen:
                graph.producer(value)
                seen.add(name)
                stack.append(name)
    return [node for node in graph if node.name in seen]


def _stand_ins(graph: Graph, values: Collection[str], needed: set[str]) -> dict[str, Node]:
    """A placeholder for each input value: itself where it is one."""
    made: dict[str, Node] = {}
    known = None
    for value in values:
        name, index = split_value(value)
        node = graph.nodes[name]
        if node.op in PLACEHOLDERS:
            made[value] = node
            continue
        if node.op not in op_defs():
            raise GraphError(value, f"expected an input of a known type, got one of {node.op}")
        if known is None:
            known = infer(Graph.of(_needed(graph, list(values), set()), like=graph))
        title = name if name not in needed and index == 0 else f"{name}_{index}"
        while title in needed or (title != name and title in graph.nodes):
            title += "_"
        found = known.get(value)
        attrs: dict[str, Attr] = {"dtype": output_dtypes(node)[index], "shape": _fixed(found.dims if found else None)}
        made[value] = Node(title, "Placeholder", (), attrs)
    return made


def _fixed_default(node: Node) -> Node:
    """A placeholder that nobody feeds is its default."""
    if node.op != "PlaceholderWithDefault":
        return node
    return node.with_(op="Identity", attrs={"T": node.attrs["dtype"]} if "dtype" in node.attrs else {})


def _fixed(dims: Dims) -> Shape:
    return Shape(None if dims is None else tuple(dim if isinstance(dim, int) else -1 for dim in dims))
