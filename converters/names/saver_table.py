"""The Saver inside a graph: under which name it keeps each variable in a checkpoint.

`Saver({"v1": other_v1})` leaves its dictionary in the graph as nodes, which is how TensorFlow restores an imported
MetaGraph without the script that made it:

    tensor_names (Const ["v1"]) -> RestoreV2 -> output k -> Assign(other_v1, ...)           reference variables
                                                         -> AssignVariableOp(other_v1, ...)  resource variables

Between them may stand Identity and Reshape. A slice of a partitioned variable (shape_and_slices not empty) has no
entry of its own here.
"""

from __future__ import annotations

from collections.abc import Mapping

from tensorferry.formats.tensor import Tensor

from ..ir import Graph, Node, node_name, split_value

_ASSIGNS = ("Assign", "AssignVariableOp")
_PASSING = ("Identity", "Reshape")


def saver_table(graph: Graph, restore_op: str = "") -> dict[str, str]:
    """Variable's node -> its name in the checkpoint, for the Saver whose restore op is `restore_op`.

    Without `restore_op`, every Saver in the graph counts, and a variable that two of them keep under different names
    is left out. What does not look like a Saver is passed over: this is a source of names, not a check of the graph.
    """
    scope = _ancestors(graph, restore_op) if restore_op in graph.nodes else None
    consumers = graph.consumers() if any(node.op == "RestoreV2" for node in graph) else {}
    found: dict[str, set[str]] = {}
    for node in graph:
        if node.op != "RestoreV2" or (scope is not None and node.name not in scope) or len(node.inputs) < 3:
            continue
        keys = _strings(graph, node.inputs[1])
        slices = _strings(graph, node.inputs[2])
        for index, key in enumerate(keys):
            if index < len(slices) and not slices[index]:
                for variable in _assigned(graph, consumers, node, index):
                    found.setdefault(variable, set()).add(key)
    return {variable: next(iter(keys)) for variable, keys in found.items() if len(keys) == 1}


def _ancestors(graph: Graph, name: str) -> set[str]:
    seen: set[str] = set()
    stack = [name]
    while stack:
        current = stack.pop()
        if current not in seen and current in graph.nodes:
            seen.add(current)
            stack.extend(node_name(value) for value in graph.nodes[current].inputs)
    return seen


def _strings(graph: Graph, value: str) -> list[str]:
    node = graph.nodes.get(node_name(value))
    tensor = node.attrs.get("value") if node is not None and node.op == "Const" else None
    if not isinstance(tensor, Tensor) or tensor.dtype.name != "string" or tensor.size > 10_000_000:
        return []
    return [text.decode("utf-8", "surrogateescape") for text in tensor.numpy().reshape(-1)]


def _assigned(graph: Graph, consumers: Mapping[str, list[Node]], restore: Node, index: int) -> list[str]:
    """The variables that output `index` of a RestoreV2 is assigned to."""
    variables = []
    stack = [(restore.name, index)]
    for _ in range(1000):
        if not stack:
            break
        producer = stack.pop()
        for user in consumers.get(producer[0], ()):
            data = user.data_inputs
            if user.op in _ASSIGNS and len(data) == 2 and split_value(data[1]) == producer:
                variables.append(node_name(data[0]))
            elif user.op in _PASSING and data and split_value(data[0]) == producer:
                stack.append((user.name, 0))
    return [name for name in variables if name in graph.nodes]
