"""TensorFlow functions in a few lines of Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tensorferry.converters.ir import AttrList, FuncRef, Function, Graph, Node
from tensorferry.formats import protos
from tensorferry.formats.dtype import FLOAT32, DType
from tensorferry.formats.tensor_proto import number_of_dtype


def function(
    name: str,
    takes: Mapping[str, DType] | Iterable[str],
    gives: Mapping[str, str],
    *nodes: Node,
    control: Iterable[str] = (),
    dtype: DType = FLOAT32,
) -> Function:
    """A function of arguments (float32 unless a type is given), results by their spelling in it, and nodes."""
    definition = protos.message_class("FunctionDef")()
    definition.signature.name = name
    given = takes if isinstance(takes, Mapping) else dict.fromkeys(takes, FLOAT32)
    for argument, kind in given.items():
        definition.signature.input_arg.add(name=argument, type=number_of_dtype(kind))
    for result, value in gives.items():
        definition.signature.output_arg.add(name=result, type=number_of_dtype(dtype))
        definition.ret[result] = value
    for node in control:
        definition.signature.control_output.append(node)
        definition.control_ret[node] = node
    return Function(name, {node.name: node for node in nodes}, definition.SerializeToString())


def graph_with(functions: Iterable[Function], *nodes: Node) -> Graph:
    """A graph of nodes, with functions."""
    graph = Graph.of(nodes)
    graph.functions = {function.name: function for function in functions}
    return graph


def call(name: str, called: str, *inputs: str, op: str = "StatefulPartitionedCall", **attrs: object) -> Node:
    """A call of a function with one result of float32."""
    given = {"f": FuncRef(called), "Tout": AttrList("dtype", (FLOAT32,)), **attrs}
    return Node(name, op, inputs, given)  # type: ignore[arg-type]
