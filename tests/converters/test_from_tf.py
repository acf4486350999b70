"""GraphDef -> IR -> GraphDef is the identity: on every file that TensorFlow wrote, and on whatever a message can hold.

`to_graph_def` is tested here with its inverse.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorferry.converters.from_tf import from_attr_value, from_graph_def, from_node_def, from_shape, without_versions
from tensorferry.converters.ir import AttrList, FuncRef, Graph, Node, Opaque, Placeholder, Shape
from tensorferry.converters.to_graph_def import graph_def_parts, to_attr_value, to_graph_def, to_node_def
from tensorferry.formats import protos
from tensorferry.formats.dtype import FLOAT32
from tensorferry.formats.errors import FormatError, GraphError
from tensorferry.formats.tensor_proto import ProtoTensor

from ..fixture import GRAPH_FILES, graph_def

UNKNOWN = b"\xfa\x3f\x03new"
"""A field with the number 1023, which no message of ours has."""


def wire(message):
    """Bytes that are equal exactly where messages are, also where they hold NaN."""
    return message.SerializeToString(deterministic=True)


def message_id(path):
    return "/".join(path.parts[-2:])


@pytest.mark.parametrize("path", GRAPH_FILES, ids=message_id)
def test_every_graph_that_tensorflow_wrote(path):
    message = graph_def(path)
    assert len(message.node)
    graph = from_graph_def(message, str(path))
    assert [node.name for node in graph] == [node.name for node in message.node]
    assert to_graph_def(graph) == message


@pytest.mark.parametrize("path", GRAPH_FILES, ids=message_id)
def test_the_parts_add_up(path):
    """As a writer streams them: one message after another in a file."""
    message = graph_def(path)
    stream = b"".join(part.SerializeToString() for part in graph_def_parts(from_graph_def(message)))
    assert protos.parse("GraphDef", stream, path) == message


# --- whatever a message can hold --------------------------------------------------------------------

names = st.text("ab/_é", min_size=1, max_size=5)
numbers = st.sampled_from([0, 1, 3, 7, 19, 33, 34, 101, 133, 150, 999, -1, 2**31 - 1, -(2**31)])
int64 = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(width=32)


def extended(message, unknown):
    """The message with a field from a newer TensorFlow."""
    if unknown:
        message.MergeFromString(UNKNOWN)
    return message


@st.composite
def shapes(draw):
    message = protos.TensorShapeProto(unknown_rank=draw(st.booleans()))
    for size in draw(st.lists(st.integers(-2, 9), max_size=3)):
        dim = message.dim.add(size=size, name=draw(st.sampled_from(["", "", "n"])))
        extended(dim, draw(st.integers(0, 9)) == 9)
    return extended(message, draw(st.integers(0, 9)) == 9)


@st.composite
def tensors(draw):
    message = protos.TensorProto(dtype=draw(numbers), version_number=draw(st.integers(0, 1)))
    message.tensor_shape.CopyFrom(draw(shapes()))
    message.tensor_content = draw(st.binary(max_size=4))
    message.float_val.extend(draw(st.lists(floats, max_size=2)))
    message.string_val.extend(draw(st.lists(st.binary(max_size=2), max_size=2)))
    return extended(message, draw(st.integers(0, 9)) == 9)


def attr_maps(depth):
    return st.dictionaries(names, attr_values(depth - 1), max_size=2) if depth else st.just({})


@st.composite
def funcs(draw, depth):
    message = protos.NameAttrList(name=draw(names))
    for key, value in draw(attr_maps(depth)).items():
        message.attr[key].CopyFrom(value)
    return extended(message, draw(st.integers(0, 9)) == 9)


@st.composite
def lists(draw, depth):
    message = protos.message_class("AttrValue.ListValue")()
    fields = {
        "s": st.binary(max_size=3),
        "i": int64,
        "f": floats,
        "b": st.booleans(),
        "type": numbers,
        "shape": shapes(),
        "tensor": tensors(),
        "func": funcs(depth),
    }
    chosen = draw(
        st.lists(st.sampled_from(sorted(fields)), max_size=2) | st.sampled_from([[k] for k in sorted(fields)])
    )
    for kind in chosen:
        getattr(message, kind).extend(draw(st.lists(fields[kind], max_size=3)))
    return extended(message, draw(st.integers(0, 9)) == 9)


@st.composite
def attr_values(draw, depth=2):
    kind = draw(st.sampled_from(["", "s", "i", "f", "b", "type", "shape", "tensor", "list", "func", "placeholder"]))
    message = protos.AttrValue()
    if kind in ("shape", "tensor", "list", "func"):
        value = draw({"shape": shapes(), "tensor": tensors(), "list": lists(depth), "func": funcs(depth)}[kind])
        getattr(message, kind).CopyFrom(value)
        getattr(message, kind).SetInParent()
    elif kind:
        scalars = {"s": st.binary(max_size=3), "i": int64, "f": floats, "b": st.booleans(), "type": numbers}
        setattr(message, kind, draw(scalars.get(kind, names)))
    return extended(message, draw(st.integers(0, 9)) == 9)


@st.composite
def node_defs(draw, name=None):
    message = protos.NodeDef(name=name or draw(names), op=draw(names), device=draw(st.sampled_from(["", "/cpu:0"])))
    message.input.extend(draw(st.lists(st.sampled_from(["a", "a:0", "a:1", "^b", "f:out:0"]), max_size=3)))
    for key, value in draw(st.dictionaries(names, attr_values(), max_size=3)).items():
        message.attr[key].CopyFrom(value)
    if draw(st.integers(0, 3)) == 3:
        message.experimental_debug_info.original_node_names.extend(draw(st.lists(names, max_size=2)))
    if draw(st.integers(0, 3)) == 3:
        message.experimental_type.type_id = draw(st.sampled_from([0, 2, 1000, 4242]))
        message.experimental_type.args.add(type_id=202)
    return extended(message, draw(st.integers(0, 9)) == 9)


@st.composite
def graph_defs(draw):
    message = protos.GraphDef()
    for name in draw(st.lists(names, max_size=3, unique=True)):
        message.node.add().CopyFrom(draw(node_defs(name)))
    if draw(st.booleans()):
        message.versions.producer = draw(st.integers(0, 2000))
    message.version = draw(st.integers(0, 2))
    if draw(st.booleans()):
        message.library.SetInParent()
        for name in draw(st.lists(names, max_size=2, unique=True)):
            function = message.library.function.add()
            function.signature.name = name
            function.signature.input_arg.add(name="x", type=1, description="kept too")
            function.ret["y"] = "n:out:0"
            function.arg_attr[0].attr["_user_specified_name"].s = b"x"
            function.resource_arg_unique_id[0] = 7
            for key, value in draw(attr_maps(1)).items():
                function.attr[key].CopyFrom(value)
            for node in draw(st.lists(names, max_size=2, unique=True)):
                function.node_def.add().CopyFrom(draw(node_defs(node)))
            extended(function, draw(st.integers(0, 9)) == 9)
        if draw(st.booleans()):
            message.library.gradient.add(function_name="f", gradient_func="g")
        extended(message.library, draw(st.integers(0, 9)) == 9)
    if draw(st.booleans()):
        message.debug_info.files.append("model.py")
        message.debug_info.name_to_trace_id["a"] = 12
    return extended(message, draw(st.integers(0, 9)) == 9)


@settings(max_examples=300)
@given(attr_values())
def test_any_attribute(message):
    assert wire(to_attr_value(from_attr_value(message))) == wire(message)


@settings(max_examples=150)
@given(node_defs())
def test_any_node(message):
    assert wire(to_node_def(from_node_def(message))) == wire(message)


@given(graph_defs())
def test_any_graph(message):
    before = wire(message)
    graph = from_graph_def(message)
    assert wire(to_graph_def(graph)) == before
    assert wire(message) == before
    parts = b"".join(part.SerializeToString() for part in graph_def_parts(graph))
    assert wire(protos.parse("GraphDef", parts, "")) == before


# --- what the IR makes of it ------------------------------------------------------------------------


def attr(**fields):
    return from_attr_value(protos.AttrValue(**fields))


def shape_proto(*sizes, names=()):
    message = protos.TensorShapeProto()
    for index, size in enumerate(sizes):
        message.dim.add(size=size, name=names[index] if names else "")
    return message


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({}, None),
        ({"s": b""}, b""),
        ({"i": 0}, 0),
        ({"f": 0.1}, 0.10000000149011612),
        ({"b": False}, False),
        ({"type": 1}, FLOAT32),
        ({"placeholder": "T"}, Placeholder("T")),
        ({"func": {"name": "f"}}, FuncRef("f", {})),
        ({"list": {}}, AttrList()),
        ({"list": {"i": [1, 2]}}, AttrList("int", (1, 2))),
        ({"list": {"b": [True]}}, AttrList("bool", (True,))),
        ({"list": {"s": [b"a"]}}, AttrList("bytes", (b"a",))),
        ({"list": {"f": [0.5]}}, AttrList("float", (0.5,))),
        ({"list": {"type": [1]}}, AttrList("dtype", (FLOAT32,))),
        ({"shape": {"unknown_rank": True}}, Shape()),
        ({"shape": {}}, Shape(())),
    ],
    ids=str,
)
def test_attributes(fields, value):
    found = attr(**fields)
    assert found == value
    assert type(found) is type(value)


def test_shapes():
    assert from_shape(shape_proto(2, -1)) == Shape((2, -1))
    assert from_shape(shape_proto(2, 3, names=["n", ""])) == Shape((2, 3), ("n", ""))


def test_tensors_are_read_when_asked_for():
    found = attr(tensor={"dtype": 1, "tensor_shape": shape_proto(2), "float_val": [0.5]})
    assert isinstance(found, ProtoTensor)
    assert found.numpy().tolist() == [0.5, 0.5]


@pytest.mark.parametrize("shape", [{"unknown_rank": True}, shape_proto(-1)])
def test_a_tensor_without_a_shape_is_kept_for_its_format(shape):
    assert isinstance(attr(tensor={"dtype": 1, "tensor_shape": shape}), Opaque)


def test_a_list_of_two_kinds_is_kept_for_its_format():
    assert isinstance(attr(list={"i": [1], "f": [2.0]}), Opaque)


def test_a_node():
    message = protos.NodeDef(name="a", op="Add", input=["x", "y:1", "^z"], device="/cpu:0")
    message.attr["T"].type = 1
    assert from_node_def(message) == Node("a", "Add", ("x", "y:1", "^z"), {"T": FLOAT32}, "/cpu:0")


def test_residue_is_what_the_ir_has_no_field_for():
    message = protos.NodeDef(name="a", op="B")
    message.experimental_debug_info.original_node_names.append("c")
    node = from_node_def(message)
    assert node.residue
    changed = to_node_def(node.with_(name="d", inputs=("x",)))
    assert changed.experimental_debug_info == message.experimental_debug_info
    assert (changed.name, list(changed.input)) == ("d", ["x"])


def test_functions():
    message = protos.GraphDef()
    function = message.library.function.add()
    function.signature.name = "f"
    function.node_def.add(name="n", op="Neg", input=["x"])
    graph = from_graph_def(message)
    assert graph.functions["f"].nodes == {"n": Node("n", "Neg", ("x",))}


def test_without_versions():
    message = protos.GraphDef()
    message.versions.producer = 134
    message.library.gradient.add(function_name="f", gradient_func="g")
    graph = from_graph_def(message)
    graph.residue = without_versions(graph.residue)
    message.ClearField("versions")
    assert to_graph_def(graph) == message


# --- errors -----------------------------------------------------------------------------------------


def raises(kind, text, call, *args):
    with pytest.raises(kind) as error:
        call(*args)
    assert str(error.value) == text


def test_nodes_without_a_name_or_an_op():
    message = protos.GraphDef(node=[{"name": "a", "op": "B"}, {"name": "c"}])
    raises(
        FormatError, "x.pb: expected node 1 to have a name and an op, got 'c' and ''", from_graph_def, message, "x.pb"
    )
    message = protos.GraphDef(node=[{"op": "B"}])
    raises(
        FormatError, "x.pb: expected node 0 to have a name and an op, got '' and 'B'", from_graph_def, message, "x.pb"
    )


def test_a_node_twice():
    message = protos.GraphDef(node=[{"name": "a", "op": "B"}] * 2)
    raises(FormatError, "x.pb: expected node names of their own, got 'a' twice", from_graph_def, message, "x.pb")


def test_a_node_twice_in_a_function():
    message = protos.GraphDef()
    function = message.library.function.add(node_def=[{"name": "a", "op": "B"}] * 2)
    function.signature.name = "f"
    text = "x.pb: function f: expected node names of their own, got 'a' twice"
    raises(FormatError, text, from_graph_def, message, "x.pb")
    raises(FormatError, text.removeprefix("x.pb: "), from_graph_def, message)


@pytest.mark.parametrize("names", [[""], ["f", "f"]])
def test_functions_without_names_of_their_own(names):
    message = protos.GraphDef()
    for name in names:
        message.library.function.add().signature.name = name
    text = f"x.pb: expected functions with names of their own, got {names[0]!r} twice or none"
    raises(FormatError, text, from_graph_def, message, "x.pb")


def test_a_tensor_of_a_hostile_shape_names_its_node():
    message = protos.GraphDef(node=[{"name": "a", "op": "Const"}])
    message.node[0].attr["value"].tensor.tensor_shape.CopyFrom(shape_proto(*[1 << 40] * 3))
    text = f"a: expected a tensor below 2**63 elements, got shape {[1 << 40] * 3}"
    raises(FormatError, text, from_graph_def, message, "x.pb")


def test_another_dialect():
    raises(GraphError, "expected a graph in the tensorflow dialect, got onnx", to_graph_def, Graph(dialect="onnx"))


def test_an_attribute_of_another_dialect():
    node = Node("a", "If", (), {"then_branch": Graph()})
    raises(GraphError, "expected an attribute of the tensorflow dialect, got a Graph", to_node_def, node)
