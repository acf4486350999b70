"""Which entry of a checkpoint each variable of a SavedModel has, by its object graph.

TensorFlow 2 tells it twice. The graph's restore function is one way (`saver_table`). The other:

    object graph      concrete function -> the objects whose values it is given last (bound_inputs)
    graph             call of that function -> the variables' nodes that it is given last
    checkpoint        its own object graph, numbered alike: object -> key

So a variable that no signature's function is given is not told this way; and what is told has to agree with the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tensorferry.formats import protos
from tensorferry.formats.errors import GraphError, listing
from tensorferry.formats.object_graph import GRAPH_KEY, VARIABLE_VALUE, has_object_graph
from tensorferry.formats.tensor import Tensor

from ..functions import called_function
from ..ir import Function, Node, node_name


def object_numbers(nodes: Iterable[Node], functions: Mapping[str, Function], object_graph: Any) -> dict[str, int]:
    """Node -> its number in a SavedObjectGraph message, for the nodes that the message's functions are bound to."""
    bound = {name: list(called.bound_inputs) for name, called in object_graph.concrete_functions.items()}
    found: dict[str, int] = {}
    for node in nodes:
        called = called_function(functions, node)
        numbers = bound.get(called.name, []) if called is not None else []
        values = node.data_inputs[-len(numbers) :] if numbers else ()
        if len(values) == len(numbers):
            found.update(zip(map(node_name, values), numbers, strict=True))
    return found


def object_table(numbers: Mapping[str, int], tensors: Mapping[str, Tensor], where: str) -> dict[str, str]:
    """Variable's node -> its name in the checkpoint, for nodes of known number; none without an object graph."""
    if not numbers or not has_object_graph(tensors):
        return {}
    graph = protos.parse("TrackableObjectGraph", bytes(tensors[GRAPH_KEY].numpy().item()), f"{where}: {GRAPH_KEY}")
    found: dict[str, str] = {}
    for name, number in numbers.items():
        if 0 <= number < len(graph.nodes):
            for attribute in graph.nodes[number].attributes:
                if attribute.name == VARIABLE_VALUE:
                    found[name] = attribute.checkpoint_key
    return found


def joined_tables(saver: Mapping[str, str], objects: Mapping[str, str]) -> dict[str, str]:
    """What both tables say; GraphError that names every variable of which they say different things."""
    differing = [f"{name}: {saver[name]}, {key}" for name, key in objects.items() if saver.get(name, key) != key]
    if differing:
        raise GraphError(
            "the graph's variables", f"expected its Saver and its object graph to agree, got {listing(differing)}"
        )
    return {**objects, **saver}
