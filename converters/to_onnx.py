"""An ONNX-dialect graph as a ModelProto.

    to_onnx_model(graph, opset)   (ModelProto without its weights, {initializer name: Tensor}) for the streaming writer
    to_model_proto(graph, opset)  a ModelProto with the weights inside, below 2 GiB

Names: a graph input or output is called what its public name says (`x:0`, or a signature's name); any other value is
`node:index`, unique since nodes are. A symbolic dimension keeps its symbol as `dim_param`. Every Constant becomes an
initializer, whatever its size. The IR version is the lowest that the opset allows, for the sake of older runtimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tensorferry.formats.dtype import STRING, DType
from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.tensor import Tensor

from .ir import Attr, AttrList, Graph, Node, Shape

if TYPE_CHECKING:
    import onnx

MODEL_LIMIT = (1 << 31) - 1
"""protobuf messages end here."""

_NUMBERS = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "string": 8, "bool": 9,
    "float16": 10, "float64": 11, "uint32": 12, "uint64": 13, "complex64": 14, "complex128": 15, "bfloat16": 16,
    "float8_e4m3fn": 17, "float8_e4m3fnuz": 18, "float8_e5m2": 19, "float8_e5m2fnuz": 20, "uint4": 21, "int4": 22,
    "float4_e2m1fn": 23, "uint2": 25, "int2": 26,
}  # fmt: skip


def onnx_number(dtype: DType) -> int:
    """ONNX's number of an element type; UnsupportedError where it has none."""
    if dtype.name not in _NUMBERS:
        raise UnsupportedError("", f"ONNX has no element type {dtype}")
    return _NUMBERS[dtype.name]


def to_onnx_model(
    graph: Graph, opset: int, metadata: Mapping[str, str] | None = None
) -> tuple[onnx.ModelProto, dict[str, Tensor]]:
    """The model without its weights, and the weights by name, lazy. `metadata` becomes metadata_props."""
    import onnx
    from onnx import helper

    names = _public_names(graph)
    model = onnx.ModelProto(producer_name="tensorferry", producer_version=_version())
    domains = {"": opset} | {node.op.partition("::")[0]: 1 for node in graph if "::" in node.op}
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in domains.items())
    model.ir_version = helper.find_min_ir_version_for([helper.make_opsetid("", opset)], True)
    model.metadata_props.extend(
        onnx.StringStringEntryProto(key=key, value=value) for key, value in (metadata or {}).items()
    )
    weights = _fill(model.graph, graph, names)
    model.graph.name = "tensorferry"
    return model, weights


def to_model_proto(graph: Graph, opset: int, metadata: Mapping[str, str] | None = None) -> onnx.ModelProto:
    """The model with its weights inside. UnsupportedError where it would outgrow a message."""
    model, weights = to_onnx_model(graph, opset, metadata)
    total = sum(tensor.nbytes for tensor in weights.values())
    if total > MODEL_LIMIT:
        raise UnsupportedError(
            "the model", f"expected weights below 2 GiB, got {total} bytes", hint="write it to a file"
        )
    model.graph.initializer.extend(tensor_proto(tensor, name) for name, tensor in weights.items())
    return model


def tensor_proto(tensor: Tensor, name: str = "") -> onnx.TensorProto:
    """A tensor with its value as a TensorProto of ONNX."""
    import onnx

    proto = onnx.TensorProto(name=name, dims=tensor.shape, data_type=onnx_number(tensor.dtype))
    if tensor.dtype.kind == STRING:
        proto.string_data.extend(
            item if isinstance(item, bytes) else str(item).encode() for item in tensor.numpy().reshape(-1)
        )
    elif tensor.dtype.bits < 8:
        proto.raw_data = _packed(tensor)
    else:
        proto.raw_data = tensor.tobytes()
    return proto


def _packed(tensor: Tensor) -> bytes:
    """Elements narrower than a byte, the first in the lowest bits."""
    import numpy as np

    bits = tensor.dtype.bits
    per_byte = 8 // bits
    codes = np.frombuffer(tensor.tobytes(), np.uint8) & ((1 << bits) - 1)
    codes = np.concatenate([codes, np.zeros(-len(codes) % per_byte, np.uint8)]).reshape(-1, per_byte)
    shifts = np.arange(per_byte, dtype=np.uint8) * bits
    return bytes(np.bitwise_or.reduce(codes << shifts, axis=1).astype(np.uint8).tobytes())


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tensorferry")
    except PackageNotFoundError:
        return ""


def _public_names(graph: Graph) -> dict[str, str]:
    """The names of values that are not simply `node:index`: graph inputs, and outputs that can be called as asked.

    An output whose value is an input or a constant, or has another name already, gets an Identity of its own instead.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for node in graph:
        if node.op == "Input":
            names[f"{node.name}:0"] = _text(node, "name")
            taken.add(_text(node, "name"))
    for node in graph:
        if node.op == "Output":
            value, public = node.inputs[0], _text(node, "name")
            if public in taken and names.get(value) != public:
                raise GraphError(public, "expected inputs and outputs of different names, got one for two values")
            taken.add(public)
            if value not in names and graph.producer(value).op not in ("Input", "Constant"):
                names[value] = public
    return names


def _fill(proto: Any, graph: Graph, names: Mapping[str, str]) -> dict[str, Tensor]:
    """Writes nodes, inputs and outputs into a GraphProto; returns the weights."""
    weights: dict[str, Tensor] = {}
    counts = _value_counts(graph)
    claimed = set(names.values())

    def named(value: str) -> str:
        if value in names or not value:
            return names.get(value, value)
        # A public name may be what some inner value is called: that one steps aside.
        return f"{value}/inner" if value in claimed else value

    for node in graph.topological():
        if node.op == "Input":
            proto.input.append(_value_info(node))
        elif node.op == "Constant":
            weights[named(f"{node.name}:0")] = _tensor(node)
        elif node.op != "Output":
            proto.node.append(_node(node, counts.get(node.name, 1), named))
    for node in graph:
        if node.op == "Output":
            public, value = _text(node, "name"), named(node.inputs[0])
            if public != value:
                proto.node.add(op_type="Identity", name=node.name, input=[value], output=[public])
            proto.output.append(_value_info(node))
    return weights


def _value_counts(graph: Graph) -> dict[str, int]:
    """For each node, how many of its outputs have to be named: up to the last one that is used."""
    counts: dict[str, int] = {}
    for node in graph:
        for value in node.inputs:
            name, _, index = value.rpartition(":")
            counts[name] = max(counts.get(name, 1), int(index or 0) + 1)
    return counts


def _node(node: Node, outputs: int, named: Any) -> onnx.NodeProto:
    import onnx

    domain, _, op = node.op.rpartition("::")
    proto = onnx.NodeProto(name=node.name, op_type=op, domain=domain)
    proto.input.extend(named(value) for value in node.inputs)
    proto.output.extend(named(f"{node.name}:{index}") for index in range(outputs))
    for key in sorted(node.attrs):
        proto.attribute.append(_attribute(key, node.attrs[key], node.name))
    return proto


def _attribute(key: str, value: Attr, where: str) -> onnx.AttributeProto:
    import onnx
    from onnx import AttributeProto

    proto = onnx.AttributeProto(name=key)
    if isinstance(value, DType):
        proto.type, proto.i = AttributeProto.INT, onnx_number(value)
    elif isinstance(value, int):
        proto.type, proto.i = AttributeProto.INT, value
    elif isinstance(value, float):
        proto.type, proto.f = AttributeProto.FLOAT, value
    elif isinstance(value, bytes):
        proto.type, proto.s = AttributeProto.STRING, value
    elif isinstance(value, Tensor):
        proto.type = AttributeProto.TENSOR
        proto.t.CopyFrom(tensor_proto(value))
    elif isinstance(value, Graph):
        proto.type = AttributeProto.GRAPH
        weights = _fill(proto.g, value, {})
        proto.g.initializer.extend(tensor_proto(tensor, name) for name, tensor in weights.items())
    elif isinstance(value, AttrList) and value.kind in _LISTS:
        kind, field = _LISTS[value.kind]
        proto.type = kind
        getattr(proto, field).extend(value.items)
    else:
        raise GraphError(where, f"expected an attribute {key!r} that ONNX has a form for, got {value!r:.80}")
    return proto


_LISTS = {"int": (7, "ints"), "float": (6, "floats"), "bytes": (8, "strings")}
"""AttributeProto's type and field for each kind of list."""


def _value_info(node: Node) -> onnx.ValueInfoProto:
    """An Input's or Output's name, type and shape (left out where the rank is unknown)."""
    import onnx

    dtype, shape = node.attrs["dtype"], node.attrs["shape"]
    if not isinstance(dtype, DType) or not isinstance(shape, Shape):
        raise GraphError(node.name, "expected a type and a shape of an input or output")
    info = onnx.ValueInfoProto(name=_text(node, "name"))
    info.type.tensor_type.elem_type = onnx_number(dtype)
    if shape.dims is None:
        return info
    info.type.tensor_type.shape.SetInParent()
    for dim, symbol in zip(shape.dims, shape.names or ("",) * len(shape.dims), strict=True):
        size = info.type.tensor_type.shape.dim.add()
        if dim >= 0:
            size.dim_value = dim
        elif symbol:
            size.dim_param = symbol
    return info


def _text(node: Node, key: str) -> str:
    value = node.attrs[key]
    if not isinstance(value, bytes):
        raise GraphError(node.name, f"expected a name in attribute {key!r}")
    return value.decode()


def _tensor(node: Node) -> Tensor:
    value = node.attrs["value"]
    if not isinstance(value, Tensor):
        raise GraphError(node.name, "expected a tensor in attribute 'value'")
    return value
