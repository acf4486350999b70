"""The bodies of loops and conditionals are graphs of their own, closed but for what they capture.

    node     inputs: those of the op, then `_captures` more, for the bodies alone
    body     `Capture` with an index stands for one of these

So a pass over the outer graph sees every use, and a pass over a body sees an ordinary graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..inference.dims import Dims
from ..ir import Graph, Node


def in_bodies(graph: Graph, change: Callable[[Graph], Graph]) -> Graph:
    """The graph with `change` made to all bodies, and no captures but those that a body still uses."""
    if not any(bodies_of(node) for node in graph):
        return graph
    return Graph.of((_changed(node, change) for node in graph), like=graph)


def bodies_of(node: Node) -> dict[str, Graph]:
    """The bodies that a node runs, by attribute."""
    return {name: value for name, value in node.attrs.items() if isinstance(value, Graph)}


def captures_of(node: Node) -> tuple[str, ...]:
    """The values that the bodies of a node capture."""
    count = node.attrs.get("_captures", 0)
    return node.inputs[len(node.inputs) - count :] if isinstance(count, int) and count else ()


def _changed(node: Node, change: Callable[[Graph], Graph]) -> Node:
    bodies = {name: change(body) for name, body in bodies_of(node).items()}
    if not bodies:
        return node
    captured = captures_of(node)
    used = sorted({capture_index(each) for body in bodies.values() for each in body if each.op == "Capture"})
    places = {old: new for new, old in enumerate(used)}
    attrs = {name: value for name, value in node.attrs.items() if name != "_captures"}
    if used:
        attrs["_captures"] = len(used)
    for name, body in bodies.items():
        attrs[name] = Graph.of((_renumbered(each, places) for each in body), like=body)
    kept = node.inputs[: len(node.inputs) - len(captured)]
    return node.with_(inputs=(*kept, *(captured[old] for old in used)), attrs=attrs)


def dims_within(body: Graph, dims: Mapping[str, Dims]) -> dict[str, Dims]:
    """What `dims` says of a body's own values."""
    found: dict[str, Dims] = {}
    for node in body:
        count = node.attrs.get("_outputs", 1)
        for index in range(count if isinstance(count, int) else 1):
            name = f"{node.name}:{index}"
            if name in dims:
                found[name] = dims[name]
    return found


def capture_index(node: Node) -> int:
    """Which of the captured values a `Capture` is."""
    index = node.attrs["index"]
    assert isinstance(index, int)
    return index


def _renumbered(node: Node, places: dict[int, int]) -> Node:
    return node.with_(attrs={"index": places[capture_index(node)]}) if node.op == "Capture" else node
