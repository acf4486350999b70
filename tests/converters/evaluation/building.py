"""Small graphs by hand: nodes, constants, functions, and the error that an evaluation ends in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import Function, Graph, Node
from tensorferry.converters.to_graph_def import to_node_def
from tensorferry.formats import protos
from tensorferry.formats.dtype import FLOAT32, INT32, DType
from tensorferry.formats.errors import TensorferryError
from tensorferry.formats.tensor import ArrayTensor
from tensorferry.formats.tensor_proto import number_of_dtype

F32 = {"T": FLOAT32}
I32 = {"T": INT32}


def op(name: str, kind: str, *inputs: str, **attrs: Any) -> Node:
    return Node(name, kind, inputs, attrs)


def const(name: str, value: Any, dtype: DType = FLOAT32, *inputs: str) -> Node:
    return op(name, "Const", *inputs, dtype=dtype, value=ArrayTensor(np.array(value, dtype.numpy()), dtype))


def function(
    name: str,
    arguments: Mapping[str, DType],
    nodes: list[Node],
    results: Mapping[str, tuple[str, DType]],
    control: tuple[str, ...] = (),
) -> Function:
    """A function: results are `name: (value, element type)`, inputs of nodes are spelled as in a FunctionDef."""
    graph_def = protos.message_class("GraphDef")()
    defined = graph_def.library.function.add()
    defined.signature.name = name
    for argument, dtype in arguments.items():
        defined.signature.input_arg.add(name=argument, type=number_of_dtype(dtype))
    for result, (value, dtype) in results.items():
        defined.signature.output_arg.add(name=result, type=number_of_dtype(dtype))
        defined.ret[result] = value
    for node in control:
        defined.control_ret[node] = node
        defined.signature.control_output.append(node)
    defined.node_def.extend(to_node_def(node) for node in nodes)
    return from_graph_def(graph_def).functions[name]


def graph(*nodes: Node, functions: tuple[Function, ...] = ()) -> Graph:
    built = Graph.of(nodes)
    built.functions = {one.name: one for one in functions}
    return built


def error(built: Graph, output: str, feeds: Mapping[str, Any] | None = None, **options: Any) -> str:
    """The message of the error in which the evaluation of an output ends."""
    with pytest.raises(TensorferryError) as caught:
        evaluate(built, [output], feeds or {}, **options)
    return str(caught.value)


def value(built: Graph, output: str, feeds: Mapping[str, Any] | None = None, **options: Any) -> np.ndarray[Any, Any]:
    return evaluate(built, [output], feeds or {}, **options)[output]
