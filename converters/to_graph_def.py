"""IR -> GraphDef: the inverse of `from_tf`, equal messages for an unchanged graph.

`graph_def_parts` hands out one NodeDef at a time, so that a writer can stream a graph whose constants are
larger than memory should hold at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tensorferry.formats import protos
from tensorferry.formats.dtype import DType
from tensorferry.formats.errors import GraphError
from tensorferry.formats.graph_writer import Constant
from tensorferry.formats.tensor import Tensor
from tensorferry.formats.tensor_proto import content_head, has_content, number_of_dtype, to_proto

from .from_tf import LIST_FIELDS
from .ir import Attr, AttrList, FuncRef, Function, Graph, Node, Opaque, Placeholder, Shape

_LARGE = 1 << 20
"""Bytes of a tensor that is worth streaming."""


def to_graph_def(graph: Graph) -> Any:
    """The GraphDef message of a graph in the TensorFlow dialect."""
    message = protos.message_class("GraphDef")()
    for part in graph_def_parts(graph):
        message.MergeFrom(part)
    return message


def graph_def_parts(graph: Graph, *, streamed: bool = False) -> Iterator[Any]:
    """GraphDef messages that add up to the graph: one for each node, then functions and versions.

    With `streamed`, a constant that is large comes as a `graph_writer.Constant`, its value not yet read.
    """
    if graph.dialect != "tensorflow":
        raise GraphError("", f"expected a graph in the tensorflow dialect, got {graph.dialect}")
    graph_def = protos.message_class("GraphDef")
    for node in graph:
        tensor = node.attrs.get("value")
        if streamed and isinstance(tensor, Tensor) and tensor.nbytes >= _LARGE and _can_stream(node, tensor):
            yield Constant(to_node_def(node.with_(attrs=_without_value(node))), content_head(tensor), tensor)
            continue
        part = graph_def()
        _fill_node_def(part.node.add(), node)
        yield part
    rest = graph_def.FromString(graph.residue)
    for function in graph.functions.values():
        _fill_function_def(rest.library.function.add(), function)
    yield rest


def _can_stream(node: Node, tensor: Tensor) -> bool:
    """Whether a node's value can be written last: it is the last attribute, and nothing follows the attributes."""
    return node.op == "Const" and not node.residue and max(node.attrs) == "value" and has_content(tensor)


def _without_value(node: Node) -> dict[str, Attr]:
    return {name: attr for name, attr in node.attrs.items() if name != "value"}


def to_node_def(node: Node) -> Any:
    """The NodeDef message of a node."""
    message = protos.message_class("NodeDef")()
    _fill_node_def(message, node)
    return message


def to_attr_value(attr: Attr) -> Any:
    """The AttrValue message of an attribute."""
    message = protos.message_class("AttrValue")()
    _fill_attr_value(message, attr)
    return message


def _fill_function_def(message: Any, function: Function) -> None:
    message.MergeFromString(function.residue)
    for node in function.nodes.values():
        _fill_node_def(message.node_def.add(), node)


def _fill_node_def(message: Any, node: Node) -> None:
    if node.residue:
        message.MergeFromString(node.residue)
    message.name = node.name
    message.op = node.op
    message.input.extend(node.inputs)
    message.device = node.device
    for key, attr in node.attrs.items():
        _fill_attr_value(message.attr[key], attr)


def _fill_attr_value(message: Any, attr: Attr) -> None:
    # bool before int: Python's bool is an int.
    if isinstance(attr, bool):
        message.b = attr
    elif isinstance(attr, int):
        message.i = attr
    elif isinstance(attr, float):
        message.f = attr
    elif isinstance(attr, bytes):
        message.s = attr
    elif isinstance(attr, DType):
        message.type = number_of_dtype(attr)
    elif isinstance(attr, Shape):
        _fill_shape(message.shape, attr)
    elif isinstance(attr, Tensor):
        message.tensor.CopyFrom(to_proto(attr))
    elif isinstance(attr, AttrList):
        _fill_list(message.list, attr)
    elif isinstance(attr, FuncRef):
        _fill_func(message.func, attr)
    elif isinstance(attr, Placeholder):
        message.placeholder = attr.name
    elif isinstance(attr, Opaque):
        message.MergeFromString(attr.encoding)
    elif attr is not None:
        raise GraphError("", f"expected an attribute of the tensorflow dialect, got a {type(attr).__name__}")


def _fill_shape(message: Any, shape: Shape) -> None:
    message.SetInParent()
    if shape.dims is None:
        message.unknown_rank = True
        return
    for index, size in enumerate(shape.dims):
        message.dim.add(size=size, name=shape.names[index] if shape.names else "")


def _fill_func(message: Any, func: FuncRef) -> None:
    message.SetInParent()
    message.name = func.name
    for key, attr in func.attrs.items():
        _fill_attr_value(message.attr[key], attr)


def _fill_list(message: Any, attrs: AttrList) -> None:
    message.SetInParent()
    if not attrs.items:
        return
    field = getattr(message, LIST_FIELDS[attrs.kind])
    for item in attrs.items:
        if isinstance(item, DType):
            field.append(number_of_dtype(item))
        elif isinstance(item, Shape):
            _fill_shape(field.add(), item)
        elif isinstance(item, Tensor):
            field.add().CopyFrom(to_proto(item))
        elif isinstance(item, FuncRef):
            _fill_func(field.add(), item)
        else:
            field.append(item)
