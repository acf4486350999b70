"""Functions: a FunctionDef as a graph of plain nodes.

    signature    name, arguments, results, each with a type or the name of an attribute that gives it
    node_def     the body. An input is `argument`, `node:output_argument:index` or `^node`
    ret          result -> the value in the body
    control_ret  what has to run besides the results: control output -> node
    attr         of an attribute `$T` of a node, T is what the caller gives (a Placeholder in the IR)

`body_of` gives all of it in the spelling of graphs: each argument is a node `_Arg` with its type in T and its number in
index, inputs are `node:index`, attributes are the caller's. An argument that stands for several values (N or a
list of types) is one `_Arg` for each, called NAME_0, NAME_1, ...; so is such a result. `function_of` is the way back.

Source: TensorFlow's core/framework/function.proto and function.cc.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tensorferry.formats import protos
from tensorferry.formats.dtype import DType
from tensorferry.formats.errors import GraphError
from tensorferry.formats.tensor_proto import number_of_dtype

from .from_tf import from_attr_value
from .ir import Attr, AttrList, FuncRef, Function, Graph, Node, Placeholder, split_value
from .op_registry import argument_dtypes, op_defs
from .to_graph_def import to_attr_value

ARGUMENT = "_Arg"
"""The op of an argument's node."""


@dataclass(frozen=True, slots=True)
class Body:
    """A function as it is called: its arguments and results in order, and the graph between them."""

    name: str
    arguments: Mapping[str, DType]
    """Argument -> element type. `graph` has a node of this name for each."""
    results: Mapping[str, str]
    """Result -> the value of `graph` that it is, `node:index`."""
    result_dtypes: Mapping[str, DType]
    """Result -> element type, as the signature promises."""
    control: tuple[str, ...]
    """The nodes of `graph` that have to run, whether a result needs them or not."""
    graph: Graph
    """The nodes, and the library that the function comes from."""


def body_of(functions: Mapping[str, Function], called: FuncRef | str, attrs: Mapping[str, Attr] | None = None) -> Body:
    """The body of the function `called`, for a call with the attributes `attrs` (a FuncRef's own by default).

    GraphError, at `FUNCTION` or `FUNCTION/NODE`, where there is no such function or where it contradicts itself.
    """
    name = called if isinstance(called, str) else called.name
    function = functions.get(name)
    if function is None:
        raise GraphError(name, "expected a function of the graph's library, got none of this name")
    given = attrs if attrs is not None else {} if isinstance(called, str) else called.attrs
    return _Instance(functions, function, given).body()


def function_key(ref: FuncRef) -> tuple[str, bytes]:
    """What tells a function as it is called from others: its name, and the attributes that it is called with."""
    encoded = (name.encode() + to_attr_value(ref.attrs[name]).SerializeToString() for name in sorted(ref.attrs))
    return ref.name, b"\0".join(encoded)


def signature_of(function: Function) -> Any:
    """The OpDef that says what a function takes and gives."""
    return _definition(function).signature


def called_function(functions: Mapping[str, Function], node: Node) -> FuncRef | None:
    """The function that a node calls once with all of its inputs, and nothing else; None for all other ops."""
    if node.op in functions:
        return FuncRef(node.op, node.attrs)
    if node.op in ("PartitionedCall", "StatefulPartitionedCall", "RemoteCall"):
        called = node.attrs.get("f")
        if not isinstance(called, FuncRef):
            raise GraphError(node.name, f"expected a function in {node.op}'s attribute 'f', got {called!r}")
        return called
    return None


def function_of(body: Body, like: Function) -> Function:
    """A function with the arguments, results and nodes of `body`; what TensorFlow keeps besides is that of `like`.

    What `like` says of the shapes and handles of arguments is left out where an argument's type is another now.
    """
    definition = protos.message_class("FunctionDef")()
    definition.CopyFrom(_definition(like))
    old = {arg.name: arg for arg in definition.signature.input_arg}
    for field in "signature", "ret", "control_ret", "arg_attr", "resource_arg_unique_id":
        definition.ClearField(field)
    signature = definition.signature
    signature.name = body.name
    signature.is_stateful = _definition(like).signature.is_stateful
    changed = False
    for index, (name, dtype) in enumerate(body.arguments.items()):
        arg, number = signature.input_arg.add(name=name), number_of_dtype(dtype)
        if name in old and old[name].type == number:
            arg.CopyFrom(old[name])
        else:
            arg.type = number
            changed = True
        for key, attr in body.graph.nodes[name].attrs.items():
            if key not in ("T", "index"):
                definition.arg_attr[index].attr[key].CopyFrom(to_attr_value(attr))
    if changed:
        definition.attr.pop("_input_shapes", None)
    inner = {node.name: node for node in body.graph if node.name not in body.arguments}
    ranges = {node.name: _output_ranges(body.graph.functions, node, f"{body.name}/{node.name}") for node in body.graph}
    for name, value in body.results.items():
        signature.output_arg.add(name=name, type=number_of_dtype(body.result_dtypes[name]))
        definition.ret[name] = _spelled(value, body.arguments, ranges)
    for name in body.control:
        signature.control_output.append(name)
        definition.control_ret[name] = name
    nodes = {
        name: node.with_(inputs=tuple(_spelled(value, body.arguments, ranges) for value in node.inputs))
        for name, node in inner.items()
    }
    return Function(body.name, nodes, definition.SerializeToString(deterministic=True))


def _spelled(value: str, arguments: Container[str], ranges: Mapping[str, Mapping[str, range]]) -> str:
    """A value of a graph in the spelling of functions."""
    name, index = split_value(value)
    if value.startswith("^"):
        return value
    if name in arguments:
        return name
    for argument, indices in ranges[name].items():
        if index in indices:
            return f"{name}:{argument}:{index - indices.start}"
    raise GraphError(name, f"expected an output {index}, got a node with {sum(map(len, ranges[name].values()))}")


def _output_ranges(functions: Mapping[str, Function], node: Node, where: str) -> Mapping[str, range]:
    """Output argument -> the indices of its values among the node's."""
    called = functions.get(node.op)
    op_def = op_defs().get(node.op) if called is None else signature_of(called)
    if op_def is None:
        raise GraphError(where, f"expected an op that TensorFlow registers, or a function, got {node.op}")
    found, start = {}, 0
    for arg in op_def.output_arg:
        several = arg.number_attr or arg.type_list_attr
        count = len(argument_dtypes(node.with_(name=where), arg)) if several else 1
        found[arg.name] = range(start, start + count)
        start += count
    return found


def _definition(function: Function) -> Any:
    return protos.parse("FunctionDef", function.residue, f"function {function.name}")


class _Instance:
    """A function on its way from its own spelling to that of graphs."""

    def __init__(self, functions: Mapping[str, Function], function: Function, attrs: Mapping[str, Attr]) -> None:
        self.functions = functions
        self.function = function
        definition = _definition(function)
        self.definition = definition
        self.attrs = {
            attr.name: from_attr_value(attr.default_value, function.name)
            for attr in definition.signature.attr
            if attr.HasField("default_value")
        } | dict(attrs)
        self.caller = Node(function.name, function.name, attrs=self.attrs)
        self.arguments: dict[str, tuple[str, ...]] = {}
        """Argument of the signature -> its values."""
        self.outputs: dict[str, Mapping[str, range]] = {}
        """Node -> its output arguments -> the indices of their values."""

    def body(self) -> Body:
        nodes = list(self.argument_nodes())
        dtypes = {node.name: node.attrs["T"] for node in nodes}
        if len(dtypes) < len(nodes):
            raise self.error("arguments", f"expected {len(nodes)} names of their own, got {', '.join(dtypes)}")
        for node in self.function.nodes.values():
            if node.name in dtypes:
                raise self.error(node.name, "expected a name of its own, got an argument's")
            nodes.append(node.with_(attrs={key: self.filled(node.name, attr) for key, attr in node.attrs.items()}))
        self.outputs = {
            node.name: _output_ranges(self.functions, node, f"{self.function.name}/{node.name}")
            for node in nodes[len(dtypes) :]
        }
        spelled = [*nodes[: len(dtypes)], *map(self.with_plain_inputs, nodes[len(dtypes) :])]
        results, result_dtypes = self.results()
        graph = replace(Graph.of(spelled), functions=dict(self.functions))
        return Body(self.function.name, dtypes, results, result_dtypes, self.control(), graph)  # type: ignore[arg-type]

    def argument_nodes(self) -> Iterator[Node]:
        count = 0
        for number, arg in enumerate(self.definition.signature.input_arg):
            written = self.definition.arg_attr[number].attr if number in self.definition.arg_attr else {}
            attrs = {key: from_attr_value(value, arg.name) for key, value in written.items()}
            names = []
            for name, dtype in _numbered(arg, argument_dtypes(self.caller, arg)):
                yield Node(name, ARGUMENT, attrs={**attrs, "T": dtype, "index": count})
                names.append(f"{name}:0")
                count += 1
            self.arguments[arg.name] = tuple(names)

    def with_plain_inputs(self, node: Node) -> Node:
        inputs: list[str] = []
        for value in node.inputs:
            if value.startswith("^"):
                if value[1:] not in self.outputs and value[1:] not in self.arguments:
                    raise self.error(node.name, f"expected its input {value!r} in the function, got none of that name")
                targets = self.arguments.get(value[1:])
                inputs += [value] if targets is None else [f"^{target.partition(':')[0]}" for target in targets]
            else:
                inputs += self.values(value, node.name)
        return node.with_(inputs=tuple(inputs))

    def values(self, spelled: str, user: str) -> tuple[str, ...]:
        """What `argument`, `argument:index`, `node:output_argument` or `node:output_argument:index` stand for."""
        name, *rest = spelled.split(":")
        if name in self.arguments:
            found: tuple[str, ...] | None = self.arguments[name]
        elif name in self.outputs and rest:
            indices = self.outputs[name].get(rest.pop(0))
            found = None if indices is None else tuple(f"{name}:{index}" for index in indices)
        else:
            found = None
        if found is None or len(rest) > 1:
            raise self.error(user, f"expected its input {spelled!r} in the function, got none of that name")
        if not rest:
            return found
        if not rest[0].isdecimal() or len(rest[0]) > 9 or int(rest[0]) >= len(found):
            raise self.error(user, f"expected an index below {len(found)} in its input {spelled!r}")
        return (found[int(rest[0])],)

    def results(self) -> tuple[dict[str, str], dict[str, DType]]:
        values: dict[str, str] = {}
        dtypes: dict[str, DType] = {}
        for arg in self.definition.signature.output_arg:
            named = list(_numbered(arg, argument_dtypes(self.caller, arg)))
            found = self.values(self.definition.ret.get(arg.name, ""), f"result {arg.name}")
            if len(found) != len(named):
                raise self.error(f"result {arg.name}", f"expected {len(named)} values, got {len(found)}")
            values |= {name: value for (name, _), value in zip(named, found, strict=True)}
            dtypes |= dict(named)
        return values, dtypes

    def control(self) -> tuple[str, ...]:
        """TensorFlow lists them in the signature; what only `control_ret` has counts as well."""
        ret = self.definition.control_ret
        order = [*self.definition.signature.control_output, *sorted(ret)]
        nodes = tuple(dict.fromkeys(ret[name] for name in order if name in ret))
        for name in nodes:
            if name not in self.outputs:
                raise self.error(name, "expected a node of the function to end with, got none of this name")
        return nodes

    def filled(self, node: str, attr: Attr) -> Attr:
        """An attribute with the caller's in place of placeholders."""
        if isinstance(attr, Placeholder):
            if attr.name not in self.attrs:
                raise self.error(node, f"expected the caller to give the attribute {attr.name!r}, got none")
            return self.attrs[attr.name]
        if isinstance(attr, FuncRef):
            return FuncRef(attr.name, {key: self.filled(node, inner) for key, inner in attr.attrs.items()})
        if isinstance(attr, AttrList) and attr.kind == "func":
            return AttrList("func", tuple(self.filled(node, item) for item in attr.items))
        return attr

    def error(self, node: str, problem: str) -> GraphError:
        return GraphError(f"{self.function.name}/{node}", problem)


def _numbered(arg: Any, dtypes: tuple[DType, ...]) -> Iterator[tuple[str, DType]]:
    """(name, element type) of each value that an argument stands for."""
    if arg.number_attr or arg.type_list_attr:
        yield from ((f"{arg.name}_{index}", dtype) for index, dtype in enumerate(dtypes))
    else:
        yield arg.name, dtypes[0]
