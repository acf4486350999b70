"""What TensorFlow says of its ops: argument names and types, attribute defaults.

`op_registry.binpb.z` is a zlib-compressed OpList of every op of TensorFlow 2.21 and of those that only 1.15 had,
without their documentation (`fixtures/dump_ops.py` wrote it). An attribute that a NodeDef leaves out means the
default given here, and a FunctionDef's `node:output:index` can only be resolved with the argument names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from tensorferry.formats import protos
from tensorferry.formats.dtype import DType
from tensorferry.formats.errors import GraphError
from tensorferry.formats.tensor_proto import dtype_of_number

from .from_tf import from_attr_value
from .ir import Attr, AttrList, Node

REGISTRY = os.path.join(os.path.dirname(__file__), "op_registry.binpb.z")


@cache
def op_defs() -> Mapping[str, Any]:
    """Every registered op's OpDef by its name."""
    import zlib

    with open(REGISTRY, "rb") as file:
        ops = protos.parse("OpList", zlib.decompress(file.read()), REGISTRY)
    return {op.name: op for op in ops.op}


@cache
def attr_defaults(op: str) -> Mapping[str, Attr]:
    """The defaults of an op's attributes; empty for an op that is not registered."""
    op_def = op_defs().get(op)
    if op_def is None:
        return {}
    return {
        attr.name: from_attr_value(attr.default_value, op) for attr in op_def.attr if attr.HasField("default_value")
    }


@cache
def type_attrs(op: str) -> frozenset[str]:
    """The attributes that only say the types and counts of an op's arguments, which the values tell anyway."""
    op_def = op_defs().get(op)
    if op_def is None:
        return frozenset()
    arguments = [*op_def.input_arg, *op_def.output_arg]
    names = {name for arg in arguments for name in (arg.type_attr, arg.number_attr, arg.type_list_attr)}
    return frozenset(names - {""})


def attr_value(node: Node, name: str) -> Attr:
    """The attribute `name` of a node, or the op's default; None where there is neither."""
    if name in node.attrs:
        return node.attrs[name]
    return attr_defaults(node.op).get(name)


def is_stateful(op: str) -> bool:
    """Whether the order in which an op runs may matter. An op that is not registered counts as one where it does."""
    op_def = op_defs().get(op)
    return op_def is None or bool(op_def.is_stateful)


def output_dtypes(node: Node) -> tuple[DType, ...]:
    """The element type of each output. GraphError for an op that is not registered."""
    return tuple(dtype for _, dtypes in output_arguments(node) for dtype in dtypes)


def input_dtypes(node: Node) -> tuple[DType, ...]:
    """The element type that each data input has to have."""
    return tuple(dtype for _, dtypes in _arguments(node, "input_arg") for dtype in dtypes)


def reference_inputs(node: Node) -> frozenset[int]:
    """The numbers of the data inputs that the op takes by reference: the variable itself, not its value."""
    if not _takes_references(node.op):
        return frozenset()
    kinds = [arg.is_ref for arg in op_defs()[node.op].input_arg for _ in argument_dtypes(node, arg)]
    return frozenset(index for index, is_ref in enumerate(kinds) if is_ref)


@cache
def _takes_references(op: str) -> bool:
    return op in op_defs() and any(arg.is_ref for arg in op_defs()[op].input_arg)


def output_arguments(node: Node) -> list[tuple[str, tuple[DType, ...]]]:
    """(name, element types) of each output argument: an argument may stand for several outputs."""
    return _arguments(node, "output_arg")


def _arguments(node: Node, side: str) -> list[tuple[str, tuple[DType, ...]]]:
    op_def = op_defs().get(node.op)
    if op_def is None:
        raise GraphError(node.name, f"expected an op that TensorFlow registers, got {node.op}")
    return [(arg.name, argument_dtypes(node, arg)) for arg in getattr(op_def, side)]


def argument_dtypes(node: Node, arg: Any) -> tuple[DType, ...]:
    """The element types of the values that an argument (an OpDef's ArgDef) stands for at `node`."""
    if arg.type_list_attr:
        listed = attr_value(node, arg.type_list_attr)
        if not isinstance(listed, AttrList) or not all(isinstance(item, DType) for item in listed.items):
            raise GraphError(node.name, f"expected a list of types in {node.op}'s attribute {arg.type_list_attr!r}")
        return listed.items  # type: ignore[return-value]
    dtype = attr_value(node, arg.type_attr) if arg.type_attr else dtype_of_number(arg.type)
    if not isinstance(dtype, DType):
        raise GraphError(node.name, f"expected a type in {node.op}'s attribute {arg.type_attr!r}")
    if not arg.number_attr:
        return (dtype,)
    count = attr_value(node, arg.number_attr)
    if not isinstance(count, int) or not 0 <= count <= 1 << 20:
        raise GraphError(node.name, f"expected a count in {node.op}'s attribute {arg.number_attr!r}, got {count!r}")
    return (dtype,) * count
