"""The ONNX graph under construction: nodes, their names, constants, and the sizes that symbols stand for.

`Emitter` adds nodes, `SizeEmitter` (in `sizes`) makes sizes, `Builder` (in `builder`) has what lowerings call. A value
is a `Value` with the name that it has in the new graph. A constant or a vector of known sizes has no name until
somebody needs one: then a Constant node, or a few nodes that take the sizes from a graph input's shape, are added,
once for the whole graph.

The nodes of one lowering are kept apart until it is done, so that the one that makes the result can have the name of
the TensorFlow node, and the others names below it (`conv/Transpose`).

A body (of a Loop or If) has a builder of its own, `inner`. What it takes from the graph around it becomes a node

    Capture    index        the value of that number among those that the body's node takes besides its inputs

so that a body is a graph of its own, and the node that runs it (`emit_with`) lists all that it uses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from tensorferry.formats.dtype import INT32, INT64, STRING_TYPE, DType
from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.tensor import Tensor

from ..inference.dims import Dim, Dims, broadcast_dims, known
from ..inference.values import Value
from ..ir import Attr, AttrList, Graph, Node
from ..views import Reshaped, Strided, cast
from .op_types import cast_types, onnx_spelling, plan

_Emitter = TypeVar("_Emitter", bound="Emitter")

SHARED_BYTES = 1 << 12
"""Constants up to this size are compared by content, larger ones by identity."""

_BROADCASTING = """
    Add Sub Mul Div Pow Mod Max Min Sum Mean And Or Xor BitwiseAnd BitwiseOr BitwiseXor BitShift Equal Greater
    GreaterOrEqual Less LessOrEqual Where PRelu
"""
_SAME_SHAPE = """
    Abs Acos Acosh Asin Asinh Atan Atanh BatchNormalization BitwiseNot Cast Ceil Celu Clip Cos Cosh CumSum Elu Erf
    Exp Floor Gelu HardSigmoid HardSwish Identity IsInf IsNaN LRN LayerNormalization LeakyRelu Log LogSoftmax Mish
    Neg Not Reciprocal Relu ReverseSequence Round ScatterElements ScatterND Selu Sigmoid Sign Sin Sinh Softmax
    Softplus Softsign Sqrt Tan Tanh ThresholdedRelu Trilu
"""
BROADCASTING = frozenset(_BROADCASTING.split())
"""The ops whose inputs broadcast to the shape of the result."""
SAME_SHAPE = frozenset(_SAME_SHAPE.split())
"""The ops whose result has the shape of the first input."""


class _Unset:
    """Marks a shape that was not given, where None means an unknown rank."""


UNSET = _Unset()


class Emitter(ABC):
    """Builds a graph for one opset. `reserved` are the names that TensorFlow's nodes have a right to."""

    def __init__(self, opset: int, reserved: Collection[str] = ()) -> None:
        self.opset = opset
        self.nodes: dict[str, Node] = {}
        self.dims: dict[str, Dims] = {}
        self.without: Collection[str] = ()
        """The rewrites that are not wanted, by name."""
        self.results: tuple[Value, ...] = ()
        """What inference knows of the outputs of the node that is being lowered."""
        self._scope = ""
        self._open: dict[str, Node] = {}
        self._reserved = reserved
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}
        self._shared: dict[Any, Value] = {}
        self._titles: dict[int, str] = {}
        self._kept: list[Tensor] = []
        self._aside: list[dict[str, Node]] = []
        self._outer: Emitter | None = None
        self._captures: dict[str, str] = {}

    # Names and scopes

    def inner(self: _Emitter, title: str = "body") -> _Emitter:
        """A builder for a body of the node that is being lowered."""
        made = type(self)(self.opset, self._reserved)
        made._outer, made.dims = self, self.dims
        made._taken, made._counts = self._taken, self._counts
        made._titles, made._kept = self._titles, self._kept
        made._scope, made.without = self.under(title), self.without
        return made

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Sets the node that is being lowered aside, while others are lowered that belong to it."""
        kept = self._scope, self._open, self.results
        self._aside.append(self._open)
        try:
            yield
        finally:
            self._aside.pop()
            self._scope, self._open, self.results = kept

    def begin(self, name: str, results: Sequence[Value] = ()) -> None:
        """Starts the lowering of the node `name`."""
        self._scope, self._open, self.results = name, {}, tuple(results)

    def finish(self, values: Sequence[Value]) -> list[Value]:
        """Ends it: the node that makes the first of `values` takes the scope's name."""
        renamed: dict[str, str] = {}
        main = values[0].name.rpartition(":")[0] if values else ""
        if main in self._open and self._open[main].op == "Transpose":
            # A change of layout is likely to vanish: what it is made from is the op's true counterpart.
            source = self._open[main].inputs[0].rpartition(":")[0]
            main = source if source in self._open else main
        if main in self._open and self._scope not in self._taken:
            self._taken.add(self._scope)
            self._taken.discard(main)
            renamed[main] = self._scope
        for node in self._open.values():
            name = renamed.get(node.name, node.name)
            self.nodes[name] = node.with_(name=name, inputs=tuple(_renamed(value, renamed) for value in node.inputs))
        if main in renamed:
            index = 0
            while f"{main}:{index}" in self.dims:
                self.dims[f"{self._scope}:{index}"] = self.dims.pop(f"{main}:{index}")
                index += 1
        self._open = {}
        return [value.with_(name=_renamed(value.name, renamed)) for value in values]

    def unique(self, base: str) -> str:
        """A node name that nobody has and no TensorFlow node claims."""
        name = base or "node"
        while name in self._taken or name in self._reserved:
            self._counts[base] = self._counts.get(base, 0) + 1
            name = f"{base}_{self._counts[base]}"
        self._taken.add(name)
        return name

    def under(self, title: str) -> str:
        """A name below that of the node that is being lowered."""
        return f"{self._scope}/{title}" if self._scope else title

    # Nodes

    def emit(
        self,
        op: str,
        inputs: Sequence[str],
        attrs: dict[str, Attr],
        outputs: Sequence[tuple[DType, Dims]],
        *,
        name: str = "",
    ) -> tuple[Value, ...]:
        """Adds one node as it is. With a `name` of its own it belongs to no scope.

        A node of several outputs says how many in the attribute `_outputs`, since not all of them need a consumer.
        """
        if len(outputs) > 1:
            attrs = {**attrs, "_outputs": len(outputs)}
        title = name or self.unique(self.under(op.rpartition("::")[2]))
        place = self.nodes if name else self._open
        place[title] = Node(title, op, tuple(map(self._local, inputs)), attrs)
        values = tuple(Value(dtype, dims, name=f"{title}:{i}") for i, (dtype, dims) in enumerate(outputs))
        for value in values:
            self.dims[value.name] = value.dims
        return values

    def emit_with(
        self,
        bodies: Mapping[str, Emitter],
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[tuple[DType, Dims]],
    ) -> tuple[Value, ...]:
        """Adds a node that runs bodies, by attribute, with what they capture."""
        captured = list(dict.fromkeys(value for body in bodies.values() for value in body._captures))
        attrs: dict[str, Attr] = {name: body._closed(captured) for name, body in bodies.items()}
        if captured:
            attrs["_captures"] = len(captured)
        return self.emit(op, [*inputs, *captured], attrs, outputs)

    def _closed(self, captured: Sequence[str]) -> Graph:
        """The graph of a body, its captures numbered."""
        for value, name in self._captures.items():
            title = name.rpartition(":")[0]
            self.nodes[title] = self.nodes[title].with_(attrs={"index": captured.index(value)})
        return self.graph({})

    def _local(self, value: str) -> str:
        """What a value of the graphs around this one is called in here."""
        if self._outer is None or not value or self._is_own(value):
            return value
        if value not in self._captures:
            title = self.unique(self.under("capture"))
            self.nodes[title] = Node(title, "Capture", (), {"index": len(self._captures)})
            self._captures[value] = f"{title}:0"
            self.dims[f"{title}:0"] = self.dims.get(value)
        return self._captures[value]

    def _is_own(self, value: str) -> bool:
        title = value.rpartition(":")[0]
        return any(title in nodes for nodes in (self.nodes, self._open, *self._aside))

    def ops(
        self,
        op: str,
        *inputs: Value | None,
        outputs: int,
        dtypes: Sequence[DType | None] = (),
        dims: Sequence[Dims] = (),
        **attrs: object,
    ) -> tuple[Value, ...]:
        """Adds a standard op with several outputs, and casts around it where its types ask for that.

        Attributes are keywords; one that is called as an argument of this method gets an underscore (`dtype_`).
        """
        given = list(inputs)
        while given and given[-1] is None:
            given.pop()
        casts = plan(op, self.opset, tuple(value.dtype if value is not None else None for value in given), outputs)
        operands = [
            self._cast(value, target) if value is not None and target is not None else value
            for value, target in zip(given, casts.inputs, strict=True)
        ]
        wanted = [a or b for a, b in zip([*dtypes, *[None] * outputs], casts.outputs, strict=False)]
        computed = [made or want for made, want in zip(casts.computed, wanted, strict=True)]
        if None in computed:
            raise TypeError(f"{op} needs to be told the types of its outputs")
        shapes = [*dims, *[None] * outputs][:outputs]
        made = self.emit(
            op,
            [self.ref(value) if value is not None else "" for value in operands],
            {key.rstrip("_"): _attribute(value) for key, value in attrs.items() if value is not None},
            list(zip(computed, shapes, strict=True)),  # type: ignore[arg-type]
        )
        return tuple(self._cast(value, dtype) for value, dtype in zip(made, wanted, strict=True))  # type: ignore[arg-type]

    def op(
        self, op: str, *inputs: Value | None, dtype: DType | None = None, dims: Dims | _Unset = UNSET, **attrs: object
    ) -> Value:
        """Adds a standard op with one output.

        Its type follows from the op's schema unless that leaves it open; its shape is known here for ops that work
        element by element, else unknown unless given.
        """
        if isinstance(dims, _Unset):
            if op in BROADCASTING:
                dims = broadcast_dims(value.dims for value in inputs if value is not None)
            else:
                dims = inputs[0].dims if op in SAME_SHAPE and inputs and inputs[0] is not None else None
        return self.ops(op, *inputs, outputs=1, dtypes=[dtype], dims=[dims], **attrs)[0]

    def _cast(self, value: Value, dtype: DType) -> Value:
        if value.dtype == dtype:
            return value
        for end in (value.dtype, dtype):
            if onnx_spelling(end) not in cast_types(self.opset):
                raise UnsupportedError("", f"ONNX has no cast of {value.dtype} to {dtype} at opset {self.opset}")
        if value.tensor is not None and STRING_TYPE not in (value.dtype, dtype):
            return Value.of_tensor(cast(value.tensor, dtype))
        if not value.name and value.is_known and value.dtype.is_integer and dtype in (INT32, INT64):
            return value.with_(dtype=dtype)
        return self.emit("Cast", [self.ref(value)], {"to": dtype}, [(dtype, value.dims)])[0]

    # Constants and sizes

    def ref(self, value: Value) -> str:
        """The name of a value, after adding the nodes that make it if nobody needed it so far."""
        if value.name:
            return value.name
        if value.tensor is not None:
            return self.constant(value.tensor).name
        shape = known(value.dims)
        if value.entries is None or shape is None:
            raise GraphError(self._scope, "expected a value of the graph under construction, got one without a name")
        return self.sizes(value.dtype, value.entries, shape).name

    def title(self, tensor: Tensor, name: str) -> None:
        """Says how the Constant of `tensor` is to be called, if one is ever needed."""
        self._kept.append(tensor)
        self._titles.setdefault(id(tensor), name)

    def constant(self, tensor: Tensor) -> Value:
        """The Constant node of a tensor, one for all that are equal."""
        key = self._identity(tensor)
        if key not in self._shared:
            title = self._titles.get(id(tensor), "")
            name = title if title and title not in self._taken else self.unique(title or self.under("constant"))
            self._taken.add(name)
            (self._shared[key],) = self.emit(
                "Constant", [], {"value": tensor}, [(tensor.dtype, tensor.shape)], name=name
            )
            self._kept.append(tensor)
        return self._shared[key]

    def _identity(self, tensor: Tensor) -> object:
        """What two tensors have in common that are one constant."""
        if tensor.dtype.is_plain and tensor.nbytes <= SHARED_BYTES:
            return (tensor.dtype.name, tensor.shape, tensor.tobytes())
        if isinstance(tensor, Strided):
            return ("strided", tensor.shape, tensor.strides, tensor.offset, self._identity(tensor.base))
        if isinstance(tensor, Reshaped):
            return ("reshaped", tensor.shape, self._identity(tensor.base))
        return id(tensor)

    @abstractmethod
    def sizes(self, dtype: DType, entries: tuple[Dim, ...], dims: tuple[int, ...]) -> Value:
        """A vector of known sizes, or a tensor `dims` of them in order."""

    def graph(self, outputs: dict[str, str]) -> Graph:
        """The graph as far as it has come."""
        return Graph(dict(self.nodes), outputs=outputs, dialect="onnx")


def _renamed(value: str, names: dict[str, str]) -> str:
    node, colon, index = value.rpartition(":")
    return f"{names[node]}{colon}{index}" if node in names else value


def _attribute(value: object) -> Attr:
    """A Python value as an attribute: truths are integers in ONNX."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (list, tuple, range)):
        items = [_attribute(item) for item in value]
        kinds = {bytes: "bytes", int: "int", float: "float"}
        if any(isinstance(item, float) for item in items):
            items = [float(item) for item in items]  # type: ignore[arg-type]
        return AttrList(kinds[type(items[0])] if items else "int", tuple(items))
    return value  # type: ignore[return-value]
