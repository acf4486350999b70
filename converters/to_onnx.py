"""An ONNX-dialect graph as a ModelProto.

    to_onnx_model(graph, opset)   (ModelProto without its weights, {initializer name: Tensor}) for the streaming writer
    to_model_proto(graph, opset)  a ModelProto with the weights inside, below 2 GiB

Names: a graph input or output is called what its public name says (`x:0`, or a signature's name); any other value is
`node:index`, unique since nodes are. A symbolic dimension keeps its symbol as `dim_param`. Every Constant becomes an
initializer, whatever its size; a large one in a body becomes one of the model's, which the body sees from there. A
Capture is the outer value that it stands for. The IR version is the lowest that the opset allows, for the sake of
older runtimes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from tensorferry.formats.dtype import STRING, DType
from tensorferry.formats.errors import GraphError, UnsupportedError, listing
from tensorferry.formats.onnx_types import onnx_dtype
from tensorferry.formats.packed import pack
from tensorferry.formats.tensor import Tensor

from .ir import Attr, AttrList, Graph, Node, Shape
from .onnx_passes.bodies import capture_index, captures_of

if TYPE_CHECKING:
    import onnx

_VERSIONS = {"ai.onnx.ml": 2}
"""The version of a domain's ops, where it is not 1."""

MODEL_LIMIT = (1 << 31) - 1
"""protobuf messages end here."""

LARGEST_INNER = 1 << 12
"""Bytes of the largest constant that stays in the body that uses it."""


def to_onnx_model(
    graph: Graph, opset: int, metadata: Mapping[str, str] | None = None
) -> tuple[onnx.ModelProto, dict[str, Tensor]]:
    """The model without its weights, and the weights by name, lazy. `metadata` becomes metadata_props."""
    import onnx
    from onnx import helper

    model = onnx.ModelProto(producer_name="tensorferry", producer_version=_version())
    domains = {"": opset} | {domain: _VERSIONS.get(domain, 1) for domain in sorted(_domains(graph))}
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in domains.items())
    model.ir_version = helper.find_min_ir_version_for([helper.make_opsetid("", opset)], True)
    model.metadata_props.extend(
        onnx.StringStringEntryProto(key=key, value=value) for key, value in (metadata or {}).items()
    )
    writer = _Writer()
    writer.fill(model.graph, graph.topological())
    model.graph.name = "tensorferry"
    return model, writer.weights


def to_model_proto(graph: Graph, opset: int, metadata: Mapping[str, str] | None = None) -> onnx.ModelProto:
    """The model with its weights inside. UnsupportedError where it would outgrow a message."""
    return with_weights(*to_onnx_model(graph, opset, metadata))


def with_weights(model: onnx.ModelProto, weights: Mapping[str, Tensor]) -> onnx.ModelProto:
    """`model`, filled with its weights. UnsupportedError where it would outgrow a message."""
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

    proto = onnx.TensorProto(name=name, dims=tensor.shape, data_type=onnx_dtype(tensor.dtype))
    if tensor.dtype.kind == STRING:
        proto.string_data.extend(
            item if isinstance(item, bytes) else str(item).encode() for item in tensor.numpy().reshape(-1)
        )
    elif tensor.dtype.bits < 8:
        proto.raw_data = b"".join(pack(tensor.chunks(), tensor.dtype.bits))
    else:
        proto.raw_data = tensor.tobytes()
    return proto


def _domains(graph: Graph) -> set[str]:
    """The domains of ops that are not standard, in the graph and in the graphs within."""
    found = set()
    stack = [graph]
    while stack:
        for node in stack.pop():
            found |= {node.op.partition("::")[0]} if "::" in node.op else set()
            stack.extend(attr for attr in node.attrs.values() if isinstance(attr, Graph))
    return found


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tensorferry")
    except PackageNotFoundError:
        return ""


class _Names:
    """What values are called: inputs and outputs as they are known outside, any other `node:index`.

    An output whose value is an input or a constant, or has a public name already, gets an Identity of its own. An inner
    value whose name is some other value's public one steps aside.
    """

    def __init__(self, nodes: Sequence[Node], captured: Sequence[str] = (), reserved: Collection[str] = ()) -> None:
        inputs = {f"{node.name}:0": _text(node, "name") for node in nodes if node.op == "Input"}
        constants = {f"{node.name}:0" for node in nodes if node.op == "Constant"}
        outputs = [(node.inputs[0], _text(node, "name")) for node in nodes if node.op == "Output"]
        publics = [*inputs.values(), *(public for _, public in outputs)]
        doubled = sorted({name for name in publics if publics.count(name) > 1})
        if doubled:
            raise GraphError(
                "the graph", f"expected inputs and outputs of different names, got {listing(doubled)} twice"
            )
        inputs |= {f"{node.name}:0": captured[capture_index(node)] for node in nodes if node.op == "Capture"}
        self.names = dict(inputs)
        for value, public in outputs:
            if value not in self.names and value not in constants:
                self.names[value] = public
        self.public = {*publics, *reserved}

    def __call__(self, value: str) -> str:
        if value in self.names or not value:
            return self.names.get(value, value)
        return f"{value}/inner" if value in self.public else value


class _Writer:
    """Writes graphs into GraphProtos, and keeps the weights of the model."""

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}
        self._known: dict[int, str] = {}

    def fill(self, proto: onnx.GraphProto, nodes: Sequence[Node]) -> None:
        """Writes nodes, in an order that they can run in, inputs and outputs into the model's graph."""
        named = _Names(nodes)
        for node in nodes:
            if node.op == "Constant":
                self.weights[named(f"{node.name}:0")] = tensor = _tensor(node)
                self._known.setdefault(id(tensor), named(f"{node.name}:0"))
        self._fill(proto, nodes, named)

    def _body(self, proto: onnx.GraphProto, body: Graph, captured: Sequence[str], outer: _Names) -> None:
        nodes = body.topological()
        named = _Names(nodes, captured, outer.public)
        for node in nodes:
            if node.op == "Constant":
                name, tensor = named(f"{node.name}:0"), _tensor(node)
                if tensor.nbytes > LARGEST_INNER:
                    named.names[f"{node.name}:0"] = self._keep(name, tensor)
                else:
                    proto.initializer.append(tensor_proto(tensor, name))
        self._fill(proto, nodes, named)

    def _keep(self, name: str, tensor: Tensor) -> str:
        """The name of a weight of the model, which is `name` if the model hasn't got it."""
        if id(tensor) not in self._known:
            while name in self.weights:
                name += "_"
            self.weights[name] = tensor
            self._known[id(tensor)] = name
        return self._known[id(tensor)]

    def _fill(self, proto: onnx.GraphProto, nodes: Sequence[Node], named: _Names) -> None:
        for node in nodes:
            if node.op == "Input":
                proto.input.append(_value_info(node))
            elif node.op not in ("Constant", "Capture", "Output"):
                proto.node.append(self._node(node, named))
        for node in nodes:
            if node.op == "Output":
                public, value = _text(node, "name"), named(node.inputs[0])
                if public != value:
                    proto.node.add(op_type="Identity", name=node.name, input=[value], output=[public])
                proto.output.append(_value_info(node))

    def _node(self, node: Node, named: _Names) -> onnx.NodeProto:
        import onnx

        outputs = node.attrs.get("_outputs", 1)
        assert isinstance(outputs, int)

        domain, _, op = node.op.rpartition("::")
        proto = onnx.NodeProto(name=node.name, op_type=op, domain=domain)
        captured = [named(value) for value in captures_of(node)]
        proto.input.extend(named(value) for value in node.inputs[: len(node.inputs) - len(captured)])
        proto.output.extend(named(f"{node.name}:{index}") for index in range(outputs))
        for key in sorted(key for key in node.attrs if not key.startswith("_")):
            value = node.attrs[key]
            if isinstance(value, Graph):
                attribute = proto.attribute.add(name=key, type=onnx.AttributeProto.GRAPH)
                attribute.g.name = f"{node.name}/{key}"
                self._body(attribute.g, value, captured, named)
            else:
                proto.attribute.append(_attribute(key, value, node.name))
        return proto


def _attribute(key: str, value: Attr, where: str) -> onnx.AttributeProto:
    import onnx
    from onnx import AttributeProto

    proto = onnx.AttributeProto(name=key)
    if isinstance(value, DType):
        proto.type, proto.i = AttributeProto.INT, onnx_dtype(value)
    elif isinstance(value, int):
        proto.type, proto.i = AttributeProto.INT, int(value)
    elif isinstance(value, float):
        proto.type, proto.f = AttributeProto.FLOAT, value
    elif isinstance(value, bytes):
        proto.type, proto.s = AttributeProto.STRING, value
    elif isinstance(value, Tensor):
        proto.type = AttributeProto.TENSOR
        proto.t.CopyFrom(tensor_proto(value))
    elif isinstance(value, AttrList) and value.kind in _LISTS:
        kind, field = _LISTS[value.kind]
        proto.type = getattr(AttributeProto, kind)
        getattr(proto, field).extend(value.items)
    else:
        raise GraphError(where, f"expected an attribute {key!r} that ONNX has a form for, got {value!r:.80}")
    return proto


_LISTS = {"int": ("INTS", "ints"), "float": ("FLOATS", "floats"), "bytes": ("STRINGS", "strings")}
"""AttributeProto's type and field for each kind of list."""


def _value_info(node: Node) -> onnx.ValueInfoProto:
    """An Input's or Output's name, type and shape (left out where the rank is unknown)."""
    import onnx

    dtype, shape = node.attrs["dtype"], node.attrs["shape"]
    if not isinstance(dtype, DType) or not isinstance(shape, Shape):
        raise GraphError(node.name, "expected a type and a shape of an input or output")
    info = onnx.ValueInfoProto(name=_text(node, "name"))
    info.type.tensor_type.elem_type = onnx_dtype(dtype)
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
