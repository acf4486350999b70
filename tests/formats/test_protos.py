import pytest
from google.protobuf import descriptor_pool
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats import protos
from tensorferry.formats.errors import FormatError
from tensorferry.formats.wire import head

from ..fixture import GRAPH_FILES, graph_def


@pytest.mark.parametrize(
    "name", ["GraphDef", "NodeDef", "AttrValue.ListValue", "MetaGraphDef", "SavedModel", "VariableDef"]
)
def test_message_classes_by_name(name):
    assert protos.message_class(name).DESCRIPTOR.full_name == f"tensorflow.{name}"
    assert protos.message_class(name) is protos.message_class(name)


def test_message_classes_as_attributes():
    assert protos.GraphDef is protos.message_class("GraphDef")
    with pytest.raises(AttributeError, match="^NoSuchMessage$"):
        protos.NoSuchMessage  # noqa: B018
    with pytest.raises(AttributeError, match="^_private$"):
        protos._private  # noqa: B018
    with pytest.raises(KeyError):
        protos.message_class("NoSuchMessage")


def test_the_pool_is_private():
    default = descriptor_pool.Default()
    assert protos.GraphDef.DESCRIPTOR.file.pool is not default
    with pytest.raises(KeyError):
        default.FindMessageTypeByName("tensorflow.GraphDef")


def test_the_wire_form_is_tensorflows():
    """NodeDef: name 1, op 2, input 3; GraphDef: node 1 - by hand."""
    graph = protos.GraphDef()
    graph.node.add(name="a", op="Add", input=["x", "^y"])
    assert graph.SerializeToString() == b"\x0a\x0f" + b"\x0a\x01a" + b"\x12\x03Add" + b"\x1a\x01x" + b"\x1a\x02^y"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_parse_takes_any_buffer(kind):
    data = protos.NodeDef(name="a", op="B").SerializeToString()
    assert protos.parse("NodeDef", kind(data), "x.pb").name == "a"


@pytest.mark.parametrize("data", [b"\x0a", b"\x0a\x05abc", b"\xff" * 11, b"\x0a\x02\xff\xfe", b"\x07"])
def test_parse_of_something_else(data):
    with pytest.raises(FormatError) as error:
        protos.parse("NodeDef", data, "x.pb")
    assert str(error.value).startswith(f"x.pb: expected a NodeDef message, got {len(data)} bytes that are none (")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("depth", "readable"), [(40, True), (2000, False)])
def test_parse_of_a_deep_message(depth, readable):
    """Messages may hold themselves: a TensorProto a variant, and that a TensorProto."""
    data = b""
    for _ in range(depth):
        data = head(3, len(data)) + data  # VariantTensorDataProto.tensors
        data = head(15, len(data)) + data  # TensorProto.variant_val
    if readable:
        assert protos.parse("TensorProto", data, "x.pb").SerializeToString() == data
        return
    with pytest.raises(FormatError, match="^x.pb: expected a TensorProto message, got "):
        protos.parse("TensorProto", data, "x.pb")


@given(st.binary(max_size=200))
def test_parse_of_anything_is_a_message_or_an_error(data):
    message = "x: expected a MetaGraphDef message"
    try:
        protos.parse("MetaGraphDef", data, "x")
    except FormatError as error:
        message = str(error)
    assert message.startswith("x: expected a MetaGraphDef message")


@pytest.mark.parametrize(
    "path", [p for p in GRAPH_FILES if p.stat().st_size < 60_000], ids=lambda p: "/".join(p.parts[-2:])
)
def test_text_form_and_back(path):
    graph = graph_def(path)
    assert protos.parse_text("GraphDef", protos.to_text(graph), "x") == graph


@pytest.mark.parametrize(
    ("text", "place"),
    [("node { name: 'a' ", "1:"), ("node {\n  nome: 'a'\n}", "2:3"), ("node { name: 5 }", "1:"), ("\0", "1:1")],
)
def test_text_of_something_else(text, place):
    with pytest.raises(FormatError) as error:
        protos.parse_text("GraphDef", text, "x.pbtxt")
    assert str(error.value).startswith(f"x.pbtxt: expected a GraphDef message in text form, got: {place}")


def test_deep_text():
    with pytest.raises(FormatError, match="^x: expected a TensorProto message in text form, got: "):
        protos.parse_text("TensorProto", "variant_val { tensors { " * 5000, "x")


def test_types_without_a_message_of_their_own_are_kept():
    """A field that is newer than our .proto files survives reading and writing."""
    data = protos.NodeDef(name="a", op="B").SerializeToString() + b"\xfa\x01\x03new"
    assert protos.parse("NodeDef", data, "x").SerializeToString() == data
