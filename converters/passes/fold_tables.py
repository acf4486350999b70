"""Fold tables: lookup tables of known contents, as far as they need no table any more.

1. LookupTableSize becomes a constant, and so do the two outputs of LookupTableExport (the second one is called
`NODE_1`, made unique by underscores). 2. LookupTableFind keeps its place, and has the contents of its table in the
private attributes `_keys` and `_values`. 3. A table is found behind identities. Tables of unknown contents stay as
they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ..ir import Attr, Graph, Node, node_name, value_name
from .handles import constant

if TYPE_CHECKING:
    from ..tables import Table

_FINDS = ("LookupTableFind", "LookupTableFindV2")
_SIZES = ("LookupTableSize", "LookupTableSizeV2")
_EXPORTS = ("LookupTableExport", "LookupTableExportV2")
KEYS, VALUES = "_keys", "_values"


def fold_tables(graph: Graph, tables: Mapping[str, Table]) -> Graph:
    """`graph` with the contents of `tables` (by node name) where they are used."""
    if not tables:
        return graph
    exported = {
        f"{node.name}:1": _fresh(graph, f"{node.name}_1")
        for node in graph
        if node.op in _EXPORTS and _table(graph, node) in tables
    }
    return Graph.of(_folded(graph, tables, exported), like=graph)


def _folded(graph: Graph, tables: Mapping[str, Table], exported: Mapping[str, str]) -> Iterator[Node]:
    import numpy as np

    from tensorferry.formats.tensor import ArrayTensor

    for node in graph:
        table = tables.get(_table(graph, node))
        if table is None:
            inputs = tuple(f"{exported[value_name(v)]}:0" if value_name(v) in exported else v for v in node.inputs)
            yield node if inputs == node.inputs else node.with_(inputs=inputs)
        elif node.op in _SIZES:
            yield constant(node.name, ArrayTensor(np.array(len(table), np.int64)))
        elif node.op in _EXPORTS:
            yield constant(node.name, table.keys)
            yield constant(exported[f"{node.name}:1"], table.values)
        else:
            contents: dict[str, Attr] = {KEYS: table.keys, VALUES: table.values}
            yield node.with_(attrs={**node.attrs, **contents})


def _table(graph: Graph, node: Node) -> str:
    """The table that a node looks into; "" for one that does not."""
    if node.op not in (*_FINDS, *_SIZES, *_EXPORTS) or not node.data_inputs:
        return ""
    name = node_name(node.data_inputs[0])
    for _ in range(len(graph)):
        source = graph.nodes.get(name)
        if source is None or source.op != "Identity" or not source.data_inputs:
            break
        name = node_name(source.data_inputs[0])
    return name


def _fresh(graph: Graph, name: str) -> str:
    while name in graph.nodes:
        name += "_"
    return name
