"""GraphDef -> IR, losing nothing: `to_graph_def` gives an equal message back.

What the IR has no field for travels as residue: a node's debug information and full type, a function's signature, a
graph's versions, and any field that is newer than our .proto files.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from tensorferry.formats.errors import FormatError
from tensorferry.formats.tensor_proto import ProtoTensor, dtype_of_number

from .ir import Attr, AttrList, FuncRef, Function, Graph, Node, Opaque, Placeholder, Shape

LIST_FIELDS = {
    "bytes": "s", "int": "i", "float": "f", "bool": "b", "dtype": "type", "shape": "shape", "tensor": "tensor",
    "func": "func",
}  # fmt: skip
"""The field of AttrValue.ListValue for each kind of list."""


def from_graph_def(graph_def: Any, where: str = "") -> Graph:
    """The IR of a GraphDef message. FormatError (at `where`) on nodes without a name or with a doubled one."""
    graph = Graph(nodes=_nodes(graph_def.node, where))
    for function_def in graph_def.library.function:
        name = function_def.signature.name
        nodes = _nodes(function_def.node_def, f"{where}: function {name}" if where else f"function {name}")
        if not name or name in graph.functions:
            raise FormatError(where, f"expected functions with names of their own, got {name!r} twice or none")
        graph.functions[name] = Function(name, nodes, _without(function_def, "node_def"))
    rest = _shallow(graph_def, "node", "library")
    if graph_def.HasField("library"):
        rest.library.CopyFrom(_shallow(graph_def.library, "function"))
    graph.residue = rest.SerializeToString(deterministic=True)
    return graph


def without_versions(residue: bytes) -> bytes:
    """The residue of a graph without the versions of TensorFlow that it was made for, and with a library, if empty."""
    from tensorferry.formats import protos

    message = protos.message_class("GraphDef").FromString(residue)
    message.ClearField("versions")
    message.library.SetInParent()
    return bytes(message.SerializeToString(deterministic=True))


def from_node_def(node_def: Any) -> Node:
    """The IR of one NodeDef."""
    name = node_def.name
    return Node(
        name=name,
        op=node_def.op,
        inputs=tuple(node_def.input),
        attrs={key: from_attr_value(value, name) for key, value in node_def.attr.items()},
        device=node_def.device,
        residue=_node_residue(node_def),
    )


def _nodes(node_defs: Any, where: str) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    for index, node_def in enumerate(node_defs):
        if not node_def.name or not node_def.op:
            raise FormatError(
                where, f"expected node {index} to have a name and an op, got {node_def.name!r} and {node_def.op!r}"
            )
        if node_def.name in nodes:
            raise FormatError(where, f"expected node names of their own, got {node_def.name!r} twice")
        nodes[node_def.name] = from_node_def(node_def)
    return nodes


def _node_residue(node_def: Any) -> bytes:
    if node_def.HasField("experimental_debug_info") or node_def.HasField("experimental_type") or _has_unknown(node_def):
        return _without(node_def, "name", "op", "input", "attr", "device")
    return b""


def _has_unknown(message: Any) -> bool:
    return len(_unknown_field_set()(message)) > 0


@cache
def _unknown_field_set() -> Any:
    from google.protobuf.unknown_fields import UnknownFieldSet

    return UnknownFieldSet


def _shallow(message: Any, *fields: str) -> Any:
    """A copy of `message` without some of its fields, that never copies those fields."""
    copy = type(message)()
    for descriptor, value in message.ListFields():
        if descriptor.name in fields:
            continue
        # By what a value can do: descriptors say in other words in every few versions of protobuf.
        if hasattr(value, "SerializeToString"):
            getattr(copy, descriptor.name).CopyFrom(value)
        elif hasattr(value, "MergeFrom"):
            getattr(copy, descriptor.name).MergeFrom(value)
        else:
            setattr(copy, descriptor.name, value)
    if _has_unknown(message):
        whole = type(message)()
        whole.CopyFrom(message)
        for field in fields:
            whole.ClearField(field)
        return whole
    return copy


def _without(message: Any, *fields: str) -> bytes:
    encoded: bytes = _shallow(message, *fields).SerializeToString(deterministic=True)
    return encoded


_SHARED = ("type", "b", "i", "s", "f", "shape", "list")
"""The kinds of attributes that many nodes have alike; tensors and functions are not."""
_SMALL = 64
"""Bytes of an attribute that is worth sharing."""


def from_attr_value(value: Any, where: str = "") -> Attr:
    """The IR of one AttrValue; `where` names the node in messages."""
    kind = value.WhichOneof("value")
    if kind in _SHARED and not (kind == "list" and value.list.tensor):
        encoding = value.SerializeToString()
        if len(encoding) <= _SMALL:
            return _small_attr(encoding)
    return _from_attr_value(value, kind, where)


@lru_cache(maxsize=1 << 14)
def _small_attr(encoding: bytes) -> Attr:
    """A small attribute, one for all nodes that have it: a large graph has few of them."""
    from tensorferry.formats import protos

    value = protos.message_class("AttrValue").FromString(encoding)
    return _from_attr_value(value, value.WhichOneof("value"), "")


def _from_attr_value(value: Any, kind: str | None, where: str) -> Attr:
    if _exceeds_ir(value, kind):
        return Opaque(value.SerializeToString(deterministic=True))
    return _READERS[kind](value, where)


def _exceeds_ir(value: Any, kind: str | None) -> bool:
    """Whether a value holds what the IR has no place for.

    That is fields newer than our .proto files, tensors of unknown shape, sizes of an unknown rank, lists of two kinds.
    """
    if _has_unknown(value):
        return True
    if kind == "shape":
        return _is_odd_shape(value.shape)
    if kind == "func":
        return _has_unknown(value.func)
    if kind == "tensor":
        return _is_shapeless(value.tensor)
    if kind == "list":
        listed = value.list
        return (
            _has_unknown(listed)
            or len(listed.ListFields()) > 1
            or any(map(_is_odd_shape, listed.shape))
            or any(map(_has_unknown, listed.func))
            or any(map(_is_shapeless, listed.tensor))
        )
    return False


def _is_odd_shape(shape: Any) -> bool:
    return bool(shape.unknown_rank and shape.dim) or _has_unknown(shape) or any(map(_has_unknown, shape.dim))


def _is_shapeless(tensor: Any) -> bool:
    return bool(tensor.tensor_shape.unknown_rank or any(dim.size < 0 for dim in tensor.tensor_shape.dim))


def _scalar(field: str) -> Callable[[Any, str], Attr]:
    return lambda value, where: getattr(value, field)


def _list(value: Any, where: str) -> Attr:
    for kind, field in LIST_FIELDS.items():
        items = getattr(value.list, field)
        if len(items):
            read = _ITEMS.get(kind)
            return AttrList(kind, tuple(items) if read is None else tuple(read(item, where) for item in items))
    return AttrList()


def from_shape(proto: Any) -> Shape:
    """The IR of a TensorShapeProto."""
    if proto.unknown_rank:
        return Shape()
    names = tuple(dim.name for dim in proto.dim)
    return Shape(tuple(dim.size for dim in proto.dim), names if any(names) else ())


def _func(proto: Any, where: str) -> Attr:
    return FuncRef(proto.name, {key: from_attr_value(value, where) for key, value in proto.attr.items()})


_ITEMS: dict[str, Callable[[Any, str], Attr]] = {
    "dtype": lambda number, _: dtype_of_number(number),
    "shape": lambda proto, _: from_shape(proto),
    "tensor": ProtoTensor,
    "func": _func,
}


_READERS: dict[str | None, Callable[[Any, str], Attr]] = {
    None: lambda value, where: None,
    "s": _scalar("s"),
    "i": _scalar("i"),
    "f": _scalar("f"),
    "b": _scalar("b"),
    "type": lambda value, where: dtype_of_number(value.type),
    "shape": lambda value, where: from_shape(value.shape),
    "tensor": lambda value, where: ProtoTensor(value.tensor, where),
    "list": _list,
    "func": lambda value, where: _func(value.func, where),
    "placeholder": lambda value, where: Placeholder(value.placeholder),
}
