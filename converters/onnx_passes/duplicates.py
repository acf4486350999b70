"""Nodes that compute the same are one: TensorFlow's graphs take the same shape, mean or mask many times.

Two nodes are the same if their ops, attributes and inputs are, after their inputs were made one where they could be.
Constants are shared when they are made.
"""

from __future__ import annotations

from collections.abc import Hashable

from tensorferry.formats.tensor import Tensor

from ..ir import Attr, Graph, Node

_NEVER = frozenset(
    ["Input", "Output", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial"]
)


def merge_duplicates(graph: Graph) -> Graph:
    """The graph with one node of each kind."""
    first: dict[Hashable, str] = {}
    instead: dict[str, str] = {}
    nodes: list[Node] = []
    for node in graph.topological():
        inputs = tuple(_replaced(value, instead) for value in node.inputs)
        if inputs != node.inputs:
            node = node.with_(inputs=inputs)  # noqa: PLW2901 (the node as it is from here on)
        if node.op not in _NEVER and not any(isinstance(value, Graph) for value in node.attrs.values()):
            key = (node.op, inputs, tuple(sorted((name, _key(value)) for name, value in node.attrs.items())))
            if key in first:
                instead[node.name] = first[key]
                continue
            first[key] = node.name
        nodes.append(node)
    merged = Graph.of(nodes, like=graph)
    merged.outputs = {name: _replaced(value, instead) for name, value in graph.outputs.items()}
    return merged


def _replaced(value: str, instead: dict[str, str]) -> str:
    name, colon, index = value.rpartition(":")
    return f"{instead[name]}{colon}{index}" if name in instead else value


def _key(value: Attr) -> tuple[str, Hashable]:
    """An attribute as something to compare, with the type in front, since 1 and 1.0 are two things in ONNX."""
    if isinstance(value, Tensor):
        return ("tensor", id(value))
    return (type(value).__name__, repr(value))
