"""Fold defaults: a placeholder with a default gives its default.

 1. PlaceholderWithDefault becomes an Identity of its input, under its own name and with its control inputs, so that a
    pass for constants sees through it.
 2. Those named in `keep` stay inputs, as they are.

So `training = placeholder_with_default(False)` becomes the constant False.
"""

from __future__ import annotations

from collections.abc import Iterable

from tensorferry.formats.errors import GraphError, listing

from ..ir import Graph, Node, node_name
from ..op_registry import output_dtypes
from .prune import present


def fold_defaults(graph: Graph, *, keep: Iterable[str] = ()) -> Graph:
    """`graph` with defaults in place of the placeholders that have one, but for `keep` (nodes or values).

    GraphError lists names in `keep` that the graph lacks, and nodes of that op that have not one input.
    """
    kept = set(present(graph, keep))
    wrong = [node.name for node in graph if _is_folded(node, kept) and len(node.data_inputs) != 1]
    if wrong:
        raise GraphError("", f"expected one input of each PlaceholderWithDefault, got another number: {listing(wrong)}")
    return Graph.of((_identity(node) if _is_folded(node, kept) else node for node in graph), like=graph)


def _is_folded(node: Node, kept: set[str]) -> bool:
    return node.op == "PlaceholderWithDefault" and node_name(node.name) not in kept


def _identity(node: Node) -> Node:
    private = {name: attr for name, attr in node.attrs.items() if name.startswith("_")}
    return node.with_(op="Identity", attrs={"T": output_dtypes(node)[0], **private})
