"""Drop identities: nodes that only pass a value on are bypassed.

1. Who takes the value of an Identity, StopGradient, PreventGradient or Snapshot takes its input's instead, and who
   waits for such a node waits for its input's node. The node goes.
2. It stays if it is one of the `outputs`, or if nobody takes its value or waits for it: that is a result too.
3. It stays if it has control inputs, which are an order, and in a conditional decide whether there is a value at all.
4. It stays if somebody waits for it and its input comes from a Switch, of which only one output has a value.
5. CheckNumerics (an error if a value is not finite) goes only if `ops` names it.
"""

from __future__ import annotations

from collections.abc import Collection

from ..evaluation.frames import SWITCHES
from ..ir import Graph, Node, node_name, value_name

IDENTITIES = frozenset({"Identity", "StopGradient", "PreventGradient", "Snapshot"})


def drop_identities(graph: Graph, *, outputs: Collection[str] = (), ops: Collection[str] = IDENTITIES) -> Graph:
    """`graph` without the nodes of `ops` that only pass a value on."""
    kept = {node_name(value) for value in (*outputs, *graph.outputs.values())}
    taken = {node_name(value) for node in graph for value in node.data_inputs}
    awaited = {name for node in graph for name in node.control_inputs}
    sources: dict[str, str] = {}
    for node in graph.topological():
        if node.op not in ops or node.name in kept or len(node.inputs) != 1 or node.control_inputs:
            continue
        # The input itself may have been bypassed.
        source = sources.get(value_name(node.inputs[0]), node.inputs[0])
        if node.name in awaited and graph.producer(source).op in SWITCHES:
            continue
        if node.name in taken or node.name in awaited:
            sources[f"{node.name}:0"] = source
    return Graph.of(
        (_rewired(node, sources) for node in graph if f"{node.name}:0" not in sources),
        like=graph,
    )


def _rewired(node: Node, sources: dict[str, str]) -> Node:
    inputs = dict.fromkeys(_control(value, sources) for value in node.inputs if value.startswith("^"))
    rewired = (*(sources.get(value_name(value), value) for value in node.data_inputs), *inputs)
    return node if rewired == node.inputs else node.with_(inputs=rewired)


def _control(value: str, sources: dict[str, str]) -> str:
    source = sources.get(f"{value[1:]}:0")
    return value if source is None else f"^{node_name(source)}"
