import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats import protos
from tensorferry.formats.binary import open_file
from tensorferry.formats.message_kind import MessageKind, message_kind
from tests.fixture import FIXTURES, GRAPH_FILES

from .bundle_writer import message, number


def kind_of(path):
    with open_file(path, "a message") as file:
        return message_kind(file)


@pytest.fixture
def kind(tmp_path):
    def kind(data):
        (tmp_path / "m").write_bytes(data)
        found = kind_of(tmp_path / "m")
        return None if found is None else str(found)

    return kind


@pytest.mark.parametrize("path", GRAPH_FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_graph_that_tensorflow_wrote(path):
    expected = {
        ".meta": MessageKind("MetaGraphDef"),
        ".pb": MessageKind("GraphDef"),
        ".pbtxt": MessageKind("GraphDef", text=True),
    }
    assert kind_of(path) == expected[path.suffix]


def test_the_state_file_that_tensorflow_wrote():
    assert kind_of(FIXTURES["latest"].path / "checkpoint") == MessageKind("CheckpointState", text=True)


NODE = message(1, b"a") + message(2, b"Const")

BINARY = {
    "a node": (message(1, NODE), "GraphDef"),
    "a node without a name": (message(1, message(2, b"NoOp")), "GraphDef"),
    "a node with its op first": (message(1, message(2, b"NoOp") + message(1, b"a")), "GraphDef"),
    "an op of a namespace": (message(1, message(1, b"a") + message(2, b"Addons>Op.v2")), "GraphDef"),
    "a call of a function": (message(1, message(1, b"a") + message(2, b"__inference_f_12")), "GraphDef"),
    "functions alone": (
        message(2, message(1, message(1, message(1, b"f") + message(2, message(1, b"x"))))),
        "GraphDef",
    ),
    "an empty library": (message(2, b""), "GraphDef"),
    "versions alone": (message(4, number(1, 27)), "GraphDef"),
    "an old version number": (number(3, 21), "GraphDef"),
    "meta information with ops": (
        message(1, message(2, message(1, message(1, b"Add"))) + message(4, b"serve")),
        "MetaGraphDef",
    ),
    "meta information with its version": (message(1, message(1, b"v1") + message(5, b"1.15.5")), "MetaGraphDef"),
    "meta information with defaults stripped": (message(1, message(5, b"2.0") + number(7, 1)), "MetaGraphDef"),
    "meta information with no ops": (message(1, message(2, b"") + message(5, b"2.0")), "MetaGraphDef"),
    "empty meta information": (message(1, b"") + message(2, message(1, NODE)), "MetaGraphDef"),
    "a graph": (message(2, message(1, NODE)), "MetaGraphDef"),
    "a graph without nodes": (message(2, message(4, number(1, 27))), "MetaGraphDef"),
    "a saver": (message(3, message(1, b"save/Const")), "MetaGraphDef"),
    "a collection": (message(4, message(1, b"variables")), "MetaGraphDef"),
    "a signature": (message(5, message(1, b"serving_default")), "MetaGraphDef"),
    "a SavedModel": (number(1, 1) + message(2, message(1, message(4, b"serve"))), "SavedModel"),
    "a SavedModel without meta information": (number(1, 1) + message(2, message(2, b"")), "SavedModel"),
    "an empty SavedModel": (number(1, 1), "SavedModel"),
    "an ONNX model": (number(1, 8) + message(2, b"pytorch"), "ModelProto"),
    "an old ONNX model": (number(1, 1) + message(2, b"caffe2"), "ModelProto"),
    "an ONNX model without a producer": (number(1, 8) + message(7, message(2, b"g")), "ModelProto"),
    "nothing": (b"", None),
    "text": (b"Hello, world", None),
    "a line break and text": (b"\nHello, world", None),
    "a node with an op that is no word": (message(1, message(1, b"a") + message(2, b"\x01\x02")), None),
    "a message in a field that none has": (message(15, b"x"), None),
    "a version and no more": (number(1, 8), None),
    "a TensorProto": (number(1, 3) + number(2, 1), None),
    "a version beyond all": (number(1, 1000) + message(2, b"x"), None),
    "a field beyond the end": (b"\x0a\x7f\x0a\x01a", None),
    "a group": (b"\x0b\x0c", None),
    "zeros": (b"\0" * 100, None),
}


@pytest.mark.parametrize("name", BINARY)
def test_binary_forms(kind, name):
    data, expected = BINARY[name]
    assert kind(data) == expected


TEXT = {
    b'node {\n  name: "a"\n}': "GraphDef",
    b"node<name: 'a'>": "GraphDef",
    b"versions { producer: 27 }": "GraphDef",
    b"library {}": "GraphDef",
    b"meta_info_def { tags: 'serve' }": "MetaGraphDef",
    b"graph_def: {}": "MetaGraphDef",
    b"saver_def {": "MetaGraphDef",
    b"collection_def {": "MetaGraphDef",
    b"saved_model_schema_version: 1": "SavedModel",
    b"meta_graphs {": "SavedModel",
    b"model_checkpoint_path: 'm'": "CheckpointState",
    b"all_model_checkpoint_paths: 'm'": "CheckpointState",
    b"\n\t # a comment\n# node {\n\r\nnode\n{": "GraphDef",
    b"\xef\xbb\xbfnode {": "GraphDef",
}


@pytest.mark.parametrize("data", TEXT)
def test_text_forms(kind, data):
    assert kind(data) == f"{TEXT[data]} in text form"


@pytest.mark.parametrize("data", [b"nodes {", b"node", b"Node {", b"# node {", b'{"node": 1}', b"x: 1", b"node = 1"])
def test_text_that_is_none(kind, data):
    assert kind(data) is None


def test_a_first_node_beyond_the_first_bytes(kind):
    """The op comes before the attributes, so the size of the constant is no matter."""
    assert kind(message(1, NODE + message(5, bytes(1 << 20)))) == "GraphDef"


@given(st.binary(max_size=60))
def test_any_bytes_are_one_or_none(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("k") / "m"
    path.write_bytes(data)
    assert kind_of(path) is None or kind_of(path).name in {
        "GraphDef",
        "MetaGraphDef",
        "SavedModel",
        "ModelProto",
        "CheckpointState",
    }


@given(st.text("ab/_", min_size=1, max_size=40), st.sampled_from(["Const", "_Arg", "f_1", "a>b"]), st.integers(0, 3))
def test_graphs_and_meta_graphs_that_protobuf_writes(tmp_path_factory, name, op, count):
    path = tmp_path_factory.mktemp("k") / "m"
    meta = protos.message_class("MetaGraphDef")()
    meta.meta_info_def.tensorflow_version = "2.0"
    for index in range(count):
        meta.graph_def.node.add(name=f"{name}{index}", op=op)
        meta.meta_info_def.stripped_op_list.op.add(name=op)
    meta.graph_def.versions.producer = 27
    for found, expected in (meta, "MetaGraphDef"), (meta.graph_def, "GraphDef"):
        path.write_bytes(found.SerializeToString())
        assert kind_of(path) == MessageKind(expected)
        path.write_text(protos.to_text(found))
        assert kind_of(path) == MessageKind(expected, text=True)
