"""The Saver inside a graph: under which name it keeps each variable in a checkpoint.

`Saver({"v1": other_v1})` leaves its dictionary in the graph as nodes, which is how TensorFlow restores an imported
MetaGraph without the script that made it:

    tensor_names (Const ["v1"]) -> RestoreV2 -> output k -> Assign(other_v1, ...)           reference variables
                                                         -> AssignVariableOp(other_v1, ...)  resource variables

Between them may stand Identity and Reshape. TensorFlow 2 keeps the same in a function, and a call of it in the graph.
The slices of a partitioned variable are variables of their own, kept under one name: a third input of RestoreV2,
shape_and_slices, has for each the shape of the whole and its place in it, `10 4 0,5:0,4`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tensorferry.formats.sliced import Box
from tensorferry.formats.tensor import Tensor

from ..functions import called_function
from ..ir import Graph, Node, node_name, split_value
from ..passes.inline import inline
from ..passes.prune import prune

_ASSIGNS = ("Assign", "AssignVariableOp")
_PASSING = ("Identity", "Reshape")
_SLICE = re.compile(r"([0-9]{1,18} )+(-|[0-9]{1,18},[0-9]{1,18})(:(-|[0-9]{1,18},[0-9]{1,18}))*")
_MAX_SLICE = 10_000
"""Characters of a slice's text."""


@dataclass(frozen=True, slots=True)
class SavedSlice:
    """The part of a checkpoint's entry that a slice of a partitioned variable is restored from."""

    key: str
    shape: tuple[int, ...]
    """Of the whole entry."""
    box: Box


def saver_table(graph: Graph, restore_op: str = "") -> dict[str, str]:
    """Variable's node -> its name in the checkpoint, for the Saver whose restore op is `restore_op`.

    Without `restore_op`, every Saver in the graph counts, and a variable that two of them keep under different names
    is left out. What does not look like a Saver is passed over: this is a source of names, not a check of the graph.
    """
    return {variable: key for variable, (key, text) in _saved(graph, restore_op).items() if not text}


def saver_slices(graph: Graph, restore_op: str = "") -> dict[str, SavedSlice]:
    """The same for the slices of partitioned variables, each a variable of its own."""
    found = {}
    for variable, (key, text) in _saved(graph, restore_op).items():
        saved = _slice(key, text) if text else None
        if saved is not None:
            found[variable] = saved
    return found


def _saved(graph: Graph, restore_op: str) -> dict[str, tuple[str, str]]:
    """Variable's node -> its name in the checkpoint and what it is of the entry of that name ("" for all)."""
    if not any(node.op == "RestoreV2" for node in graph) and not graph.functions:
        return {}
    if restore_op in graph.nodes and called_function(graph.functions, graph.nodes[restore_op]) is not None:
        graph = inline(prune(graph, [restore_op]), keep=[restore_op])
    scope = _ancestors(graph, restore_op) if restore_op in graph.nodes else None
    takers = _takers(graph)
    found: dict[str, set[tuple[str, str]]] = {}
    for node in graph:
        if node.op != "RestoreV2" or (scope is not None and node.name not in scope) or len(node.inputs) < 3:
            continue
        keys = _strings(graph, node.inputs[1])
        slices = _strings(graph, node.inputs[2])
        for index, saved in enumerate(zip(keys, slices, strict=False)):
            for variable in _assigned(graph, takers, node, index):
                found.setdefault(variable, set()).add(saved)
    return {variable: next(iter(saved)) for variable, saved in found.items() if len(saved) == 1}


def _slice(key: str, text: str) -> SavedSlice | None:
    """`10 4 0,5:-`: the shape of the whole, and start and length (`-`: all) along each axis."""
    if len(text) > _MAX_SLICE or not _SLICE.fullmatch(text):
        return None
    *sizes, spec = text.split(" ")
    shape = tuple(map(int, sizes))
    axes = [axis.split(",") for axis in spec.split(":")]
    if len(axes) != len(shape):
        return None
    box = tuple(
        (0, size) if axis == ["-"] else (int(axis[0]), int(axis[0]) + int(axis[1]))
        for axis, size in zip(axes, shape, strict=True)
    )
    return SavedSlice(key, shape, box) if all(end <= size for (_, end), size in zip(box, shape, strict=True)) else None


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


def _takers(graph: Graph) -> dict[tuple[str, int], list[Node]]:
    """Value -> the nodes that assign it to a variable, or pass it on."""
    found: dict[tuple[str, int], list[Node]] = {}
    for node in graph:
        place = 1 if node.op in _ASSIGNS else 0 if node.op in _PASSING else None
        data = node.data_inputs if place is not None else ()
        if place is not None and len(data) > place:
            found.setdefault(split_value(data[place]), []).append(node)
    return found


def _assigned(graph: Graph, takers: Mapping[tuple[str, int], list[Node]], restore: Node, index: int) -> list[str]:
    """The variables that output `index` of a RestoreV2 is assigned to."""
    variables = []
    stack = [(restore.name, index)]
    for _ in range(1000):
        if not stack:
            break
        for user in takers.get(stack.pop(), ()):
            if user.op in _ASSIGNS:
                variables.append(node_name(user.data_inputs[0]))
            else:
                stack.append((user.name, 0))
    return [name for name in variables if name in graph.nodes]
