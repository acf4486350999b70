"""Freeze: variables become constants, and what only training, saving and restoring need goes.

The rules are those of TensorFlow 1.15's `convert_variables_to_constants`, so that the result is the same GraphDef:

 1. The graph is pruned to the chosen outputs first, and to what their nodes are colocated with; a variable elsewhere
    does not matter.
 2. VariableV2, Variable and VarHandleOp become a Const of the same name, with `dtype` and `value` alone.
 3. ReadVariableOp becomes an Identity of its first input, keeping `_class`.
 4. ResourceGather becomes a GatherV2, with its axis in a Const `NAME/axis` before it.
 5. Identity and control flow between a handle and its reader take the variable's type and lose `_output_shapes`.
 6. All else stays as it is, node order included; the function library stays whole; `versions` are left out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace

from tensorferry.formats.dtype import DType
from tensorferry.formats.errors import GraphError, UnsupportedError, listing
from tensorferry.formats.tensor import Tensor
from tensorferry.formats.tensor_proto import base_dtype

from ..from_tf import without_versions
from ..ir import Attr, Graph, Node, Shape, node_name
from ..names.selection import missing_names
from ..op_registry import attr_value
from .prune import prune

VARIABLES = ("VariableV2", "Variable", "VarHandleOp")
"""The ops that hold a variable."""

_READERS = ("ReadVariableOp", "ResourceGather")
_BETWEEN = ("Identity", "Switch", "Enter", "Exit", "Merge", "NextIteration")


def variables_of(graph: Graph) -> dict[str, Node]:
    """The graph's variables by node name."""
    return {node.name: node for node in graph if node.op in VARIABLES}


def freeze(graph: Graph, outputs: Sequence[str], values: Mapping[str, Tensor]) -> Graph:
    """The graph that computes `outputs` from constants; `values` gives each variable's value by node name.

    Raises NameMapError where needed variables have no value, GraphError where they have one of another type or shape,
    UnsupportedError where one is passed to a function or assigned to on the way to the outputs.
    """
    needed = prune(graph, [node_name(output) for output in outputs], colocated=True)
    variables = variables_of(needed)
    _check(variables, values)
    carriers = _carriers(needed, variables)
    _refuse_other_uses(needed, carriers)
    frozen = Graph.of(_frozen_nodes(needed, variables, values, carriers), like=needed)
    return replace(frozen, residue=without_versions(frozen.residue))


def _frozen_nodes(
    graph: Graph, variables: Mapping[str, Node], values: Mapping[str, Tensor], carriers: Mapping[str, DType]
) -> Iterable[Node]:
    for node in graph:
        if node.name in variables:
            yield constant(node.name, values[node.name], attr_value(node, "dtype"))
        elif node.name in carriers:
            kept = {name: attr for name, attr in node.attrs.items() if name != "_output_shapes"}
            yield Node(node.name, node.op, node.inputs, kept | {"T": carriers[node.name]})
        elif node.op == "ReadVariableOp":
            yield Node(node.name, "Identity", node.inputs[:1], {"T": node.attrs.get("dtype"), **_class(node)})
        elif node.op == "ResourceGather":
            yield from _gather(node)
        else:
            yield node


def constant(name: str, value: Tensor, dtype: Attr = None) -> Node:
    """A Const node."""
    return Node(name, "Const", (), {"dtype": dtype or value.dtype, "value": value})


def _gather(node: Node) -> Iterable[Node]:
    from tensorferry.formats.tensor import ArrayTensor

    if attr_value(node, "batch_dims"):
        raise UnsupportedError(
            node.name, f"expected a ResourceGather without batch_dims, got {node.attrs['batch_dims']!r}"
        )
    indices = attr_value(node, "Tindices")
    if not isinstance(indices, DType) or not indices.is_integer:
        raise GraphError(node.name, f"expected an integer type in Tindices, got {indices!s}")
    import numpy as np

    axis = f"{node.name}/axis"
    yield constant(axis, ArrayTensor(np.zeros((), indices.numpy())))
    yield Node(
        node.name,
        "GatherV2",
        (*node.inputs[:2], axis),
        {"Tparams": node.attrs.get("dtype"), "Tindices": indices, "Taxis": indices, **_class(node)},
    )


def _class(node: Node) -> dict[str, Attr]:
    return {"_class": node.attrs["_class"]} if "_class" in node.attrs else {}


def _carriers(graph: Graph, variables: Mapping[str, Node]) -> dict[str, DType]:
    """The nodes that pass a handle on from a variable to its readers, with the variable's type."""
    carriers: dict[str, DType] = {}
    for reader in graph:
        if reader.op not in _READERS or not reader.data_inputs:
            continue
        dtype = reader.attrs.get("dtype")
        stack = [node_name(reader.data_inputs[0])]
        while stack:
            name = stack.pop()
            source = graph.nodes.get(name)
            if source is None or name in carriers or name in variables:
                continue
            if source.op not in _BETWEEN or not isinstance(dtype, DType):
                raise GraphError(
                    reader.name, f"expected {reader.op} to read a variable of the graph, got {source.op} {name!r}"
                )
            carriers[name] = dtype
            inputs = source.data_inputs if source.op == "Merge" else source.data_inputs[:1]
            stack.extend(node_name(value) for value in inputs)
    return carriers


def _refuse_other_uses(graph: Graph, carriers: Container[str]) -> None:
    """UnsupportedError where a handle goes into an op that can do nothing with a constant: an assignment, a call."""
    others = []
    for node in graph:
        for name in map(node_name, node.data_inputs):
            handle = name in carriers or graph.nodes[name].op == "VarHandleOp"
            if handle and node.op not in _READERS and node.name not in carriers:
                others.append(f"{node.name} ({node.op} of {name})")
    if others:
        problem = f"expected only {' and '.join(_READERS)} to take variables, got {listing(others)}"
        raise UnsupportedError("the graph", problem)


def _check(variables: Mapping[str, Node], values: Mapping[str, Tensor]) -> None:
    missing = [name for name in variables if name not in values]
    if missing:
        raise missing_names(missing, values, "the values given")
    wrong = []
    for name, node in variables.items():
        dtype, shape, value = attr_value(node, "dtype"), attr_value(node, "shape"), values[name]
        if not isinstance(dtype, DType) or base_dtype(dtype) != value.dtype:
            wrong.append(f"{name}: expected {dtype!s}, got {value.dtype}")
        elif isinstance(shape, Shape) and shape.dims is not None and not _fits(shape.dims, value.shape, node):
            wrong.append(f"{name}: expected shape {shape}, got {list(value.shape)}")
    if wrong:
        raise GraphError("the graph's variables", listing(wrong))


def _fits(declared: tuple[int, ...], actual: tuple[int, ...], node: Node) -> bool:
    """Whether a value fits the declared shape; the old Variable says [] for any."""
    if node.op == "Variable" and not declared:
        return True
    return len(declared) == len(actual) and all(d in (-1, a) for d, a in zip(declared, actual, strict=True))
