"""Keep tables: a frozen graph with the contents of its lookup tables.

1. Behind the graph's nodes, each table TABLE gets the constants `TABLE/keys` and `TABLE/values` and a node
`TABLE/fill`, a LookupTableImportV2 (LookupTableImport for a table of the old, string-handled kind), which fills it.
2. One NoOp, `init_all_tables`, waits for all of these, as `tf.tables_initializer()` would be called: run it once
before the first lookup. tensorferry itself finds the contents without that. 3. Names that are taken get underscores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..ir import Graph, Node
from .handles import constant

if TYPE_CHECKING:
    from ..tables import Table

INITIALIZER = "init_all_tables"
_OLD = ("HashTable", "MutableHashTable", "MutableHashTableOfTensors", "MutableDenseHashTable")
"""Tables whose handle is a string, not a resource."""


def keep_tables(graph: Graph, tables: Mapping[str, Table]) -> tuple[Graph, str]:
    """`graph` with what fills its `tables` (by node name), and the name of the node to run; "" where there are none."""
    if not tables:
        return graph, ""
    nodes = dict(graph.nodes)

    def add(name: str, op: str, inputs: tuple[str, ...] = (), like: Node | None = None) -> str:
        while name in nodes:
            name += "_"
        nodes[name] = Node(name, op, inputs) if like is None else like.with_(name=name, inputs=inputs)
        return name

    fills = []
    for handle, table in tables.items():
        keys = add(f"{handle}/keys", "Const", like=constant("", table.keys))
        values = add(f"{handle}/values", "Const", like=constant("", table.values))
        op = "LookupTableImport" if graph.nodes[handle].op in _OLD else "LookupTableImportV2"
        fill = Node("", op, (), {"Tin": table.keys.dtype, "Tout": table.values.dtype})
        fills.append(add(f"{handle}/fill", op, (handle, keys, values), fill))
    name = add(INITIALIZER, "NoOp", tuple(f"^{fill}" for fill in fills))
    return Graph.of(nodes.values(), like=graph), name
