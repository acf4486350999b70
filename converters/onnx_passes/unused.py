"""Nodes that no result needs are left away. Inputs stay: they are the model's interface."""

from __future__ import annotations

from ..ir import Graph, node_name


def remove_unused(graph: Graph) -> Graph:
    """The graph with only its inputs, its outputs, and what these need."""
    stack = [node.name for node in graph if node.op in ("Input", "Output")]
    needed = set(stack)
    while stack:
        for value in graph.nodes[stack.pop()].inputs:
            name = node_name(value)
            if name and name not in needed:
                needed.add(name)
                stack.append(name)
    return Graph.of((node for node in graph if node.name in needed), like=graph)
