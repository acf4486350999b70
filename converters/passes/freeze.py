"""Freeze: variables become constants, and what only training, saving and restoring need goes.

The rules are those of TensorFlow 1.15's `convert_variables_to_constants`, so that the result is the same GraphDef:

 1. The graph is pruned to the chosen outputs first, and to what their nodes are colocated with; a variable elsewhere
    does not matter.
 2. VariableV2, Variable and VarHandleOp become a Const of the same name, with `dtype` and `value` alone.
 3. What takes a handle follows (`handles`): a ReadVariableOp becomes an Identity, a ResourceGather a GatherV2.
 4. All else stays as it is, node order included; the function library stays whole; `versions` are left out.

Of functions, which only TensorFlow 2's `convert_variables_to_constants_v2` freezes, those that take variables are made
anew; the library then keeps what the graph still refers to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tensorferry.formats.dtype import DType
from tensorferry.formats.errors import GraphError, UnsupportedError, listing
from tensorferry.formats.tensor import Tensor
from tensorferry.formats.tensor_proto import base_dtype

from ..from_tf import without_versions
from ..ir import Graph, Node, Shape, node_name
from ..names.selection import missing_names
from ..op_registry import attr_value
from .prune import prune, used_functions

VARIABLES = ("VariableV2", "Variable", "VarHandleOp")
"""The ops that hold a variable."""


def variables_of(graph: Graph) -> dict[str, Node]:
    """The graph's variables by node name."""
    return {node.name: node for node in graph if node.op in VARIABLES}


def freeze(graph: Graph, outputs: Sequence[str], values: Mapping[str, Tensor]) -> Graph:
    """The graph that computes `outputs` from constants; `values` gives each variable's value by node name.

    Raises NameMapError where needed variables have no value, GraphError where they have one of another type or shape,
    UnsupportedError where one is passed to a function or assigned to on the way to the outputs.
    """
    from .handles import Handle, Handles, constant, replaced

    needed = prune(graph, [node_name(output) for output in outputs], colocated=True)
    variables = variables_of(needed)
    _check(variables, values)
    changed = {name: [constant(name, values[name], attr_value(node, "dtype"))] for name, node in variables.items()}
    handles = Handles(needed.functions)
    changed |= handles.follow(
        needed,
        {
            f"{name}:0": Handle(values[name].dtype, Shape(values[name].shape))
            for name, node in variables.items()
            if node.op == "VarHandleOp"
        },
    )
    handles.check()
    frozen = Graph.of(replaced(needed, changed), like=needed)
    frozen.residue = without_versions(frozen.residue)
    if handles.functions.keys() != needed.functions.keys():
        used = used_functions(replace(frozen, functions=handles.functions))
        frozen.functions = {name: function for name, function in handles.functions.items() if name in used}
    _refuse_hidden(frozen)
    return frozen


def _refuse_hidden(graph: Graph) -> None:
    """UnsupportedError where a function that the graph needs has variables that nobody gives it."""
    from .handles import READERS

    hidden = [
        f"{name}/{node.name} ({node.op})"
        for name in sorted(used_functions(graph))
        for node in graph.functions[name].nodes.values()
        if node.op in VARIABLES or node.op in READERS
    ]
    if hidden:
        raise UnsupportedError("the graph", f"expected functions without variables of their own, got {listing(hidden)}")


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
