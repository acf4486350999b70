"""Expected values: the message of a SavedModel that TensorFlow wrote, divided as proto_splitter does and joined again.

The TensorFlow that anybody can install neither writes nor reads this form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tensorferry.converters.load import load_model
from tensorferry.formats import protos
from tensorferry.formats.chunked_message import read_chunked
from tensorferry.formats.errors import FormatError, UnsupportedError
from tensorferry.formats.graph_file import read_message
from tests.fixture import HOME

from .riegeli_writer import Writer

MODEL = HOME / "saved_model_v2"
META_GRAPHS, GRAPH_DEF, NODE, LIBRARY, FUNCTION, ATTR, TENSOR, CONTENT = 2, 2, 1, 2, 1, 5, 8, 4


def way(*steps: int | str | list[int]) -> list[Any]:
    """Field numbers; [index] after a list, a text after a map."""
    made = []
    for step in steps:
        tag = protos.message_class("FieldIndex")()
        if isinstance(step, list):
            tag.index = step[0]
        elif isinstance(step, str):
            tag.map_key.s = step
        else:
            tag.field = step
        made.append(tag)
    return made


class Pieces:
    """A message on its way into pieces."""

    def __init__(self, base: Any) -> None:
        self.records: list[bytes] = []
        self.metadata = protos.message_class("ChunkMetadata")()
        self.metadata.message.chunk_index = self.piece(base)

    def piece(self, data: Any) -> int:
        is_bytes = isinstance(data, bytes)
        self.records.append(data if is_bytes else data.SerializeToString())
        self.metadata.chunks.add(type=2 if is_bytes else 1, size=len(self.records[-1]))
        return len(self.records) - 1

    def add(self, data: Any, *steps: int | str | list[int], into: Any = None) -> Any:
        """Adds a piece at the end of a way; gives its ChunkedMessage, for pieces inside of it."""
        field = (self.metadata.message if into is None else into).chunked_fields.add()
        field.field_tag.extend(way(*steps))
        field.message.chunk_index = self.piece(data)
        return field.message

    def write(self, path: Path, compression: str = "b") -> Path:
        writer = Writer()
        for record, chunk in zip(self.records, self.metadata.chunks, strict=True):
            writer.records([record], compression)
            chunk.offset = writer.positions[-1]
        writer.records([self.metadata.SerializeToString()])
        path.write_bytes(writer.data)
        return path


def whole() -> Any:
    return read_message("SavedModel", MODEL / "saved_model.pb")


def divided() -> Pieces:
    """The SavedModel with its GraphDef, some nodes, some functions and one function in pieces of their own."""
    saved = whole()
    meta = saved.meta_graphs[0]
    graph = protos.message_class("GraphDef")()
    graph.CopyFrom(meta.graph_def)
    middle = len(graph.node) // 2
    functions = list(graph.library.function)
    few, fourth = functions[:3], functions[3]
    nodes = list(graph.node)
    base = protos.message_class("SavedModel")()
    base.CopyFrom(saved)
    base.meta_graphs[0].ClearField("graph_def")
    pieces = Pieces(base)
    rest = protos.message_class("GraphDef")()
    rest.CopyFrom(graph)
    del rest.node[:]
    rest.ClearField("library")
    inner = pieces.add(rest, META_GRAPHS, [0], GRAPH_DEF)
    half = protos.message_class("GraphDef")()
    half.node.extend(nodes[:middle])
    pieces.add(half, into=inner)
    library = protos.message_class("FunctionDefLibrary")()
    library.function.extend(few)
    pieces.add(library, LIBRARY, into=inner)
    pieces.add(fourth, LIBRARY, FUNCTION, [3], into=inner)
    other = protos.message_class("GraphDef")()
    other.library.function.extend(functions[4:])
    other.node.extend(nodes[middle:])
    pieces.add(other, META_GRAPHS, [0], GRAPH_DEF)
    return pieces


@pytest.mark.parametrize("compression", ["", "b", "z"])
def test_pieces_join(compression: str, tmp_path: Path) -> None:
    found = read_chunked("SavedModel", divided().write(tmp_path / "saved_model.cpb", compression))
    assert found == whole()


def test_bytes_are_appended(tmp_path: Path) -> None:
    base = protos.message_class("GraphDef")()
    base.node.add(name="c", op="Const").attr["value"].tensor.dtype = 1
    pieces = Pieces(base)
    for part in b"abcd", b"", b"efgh":
        pieces.add(part, NODE, [0], ATTR, "value", TENSOR, CONTENT)
    pieces.add(b"new", NODE, [1], ATTR, "other", TENSOR, CONTENT)
    found = read_chunked("GraphDef", pieces.write(tmp_path / "x.cpb"))
    assert found.node[0].attr["value"].tensor.tensor_content == b"abcdefgh"
    assert found.node[0].attr["value"].tensor.dtype == 1
    assert found.node[1].attr["other"].tensor.tensor_content == b"new"


def test_items_in_any_order(tmp_path: Path) -> None:
    pieces = Pieces(protos.message_class("GraphDef")())
    for index in 2, 0, 1:
        node = protos.message_class("NodeDef")(name=f"n{index}")
        pieces.add(node, NODE, [index])
    found = read_chunked("GraphDef", pieces.write(tmp_path / "x.cpb"))
    assert [node.name for node in found.node] == ["n0", "n1", "n2"]


def test_a_saved_model_is_loaded(tmp_path: Path) -> None:
    divided().write(tmp_path / "saved_model.cpb")
    (tmp_path / "variables").symlink_to(MODEL / "variables")
    model, other = load_model(tmp_path), load_model(MODEL)
    assert list(model.signatures) == list(other.signatures)
    assert model.graph.nodes.keys() == other.graph.nodes.keys()
    assert model.tensors is not None


def refused(message: str, pieces: Pieces, folder: Path) -> None:
    path = pieces.write(folder / "x.cpb")
    with pytest.raises(FormatError) as error:
        read_chunked("GraphDef", path)
    assert str(error.value) == f"{path}: {message}"


NODE_DEF = protos.message_class("NodeDef")(name="n", op="NoOp")
WAYS: list[tuple[Any, tuple[Any, ...], str]] = [
    (NODE_DEF, (99,), "expected a field of tensorflow.GraphDef, got field: 99"),
    (NODE_DEF, ([0],), "expected a field of tensorflow.GraphDef, got index: 0"),
    (NODE_DEF, (NODE,), "expected an index up to 1 of tensorflow.GraphDef.node, got nothing"),
    (NODE_DEF, (NODE, [2]), "expected an index up to 1 of tensorflow.GraphDef.node, got index: 2"),
    (NODE_DEF, (NODE, "x"), 'expected an index up to 1 of tensorflow.GraphDef.node, got map_key { s: "x" }'),
    (NODE_DEF, (NODE, [0], ATTR), "expected a key of the map tensorflow.NodeDef.attr, got nothing"),
    (NODE_DEF, (NODE, [0], ATTR, [0]), "expected a key of the map tensorflow.NodeDef.attr, got index: 0"),
    (b"x", (NODE, [0], 1), "expected a message or bytes at the end of a way, got the field tensorflow.NodeDef.name"),
    (b"x", (NODE, [0], 3), "expected a message or bytes at the end of a way, got the field tensorflow.NodeDef.input"),
    (b"x", (NODE, [0]), "expected piece 1 to be a message, got bytes"),
]


@pytest.mark.parametrize(("data", "steps", "message"), WAYS)
def test_ways_that_lead_nowhere(data: Any, steps: tuple[Any, ...], message: str, tmp_path: Path) -> None:
    pieces = Pieces(protos.message_class("GraphDef")(node=[NODE_DEF]))
    pieces.add(data, *steps)
    refused(message, pieces, tmp_path)


def test_keys_of_another_type(tmp_path: Path) -> None:
    pieces = Pieces(protos.message_class("GraphDef")(node=[NODE_DEF]))
    pieces.add(NODE_DEF, NODE, [0], ATTR, "x")
    pieces.metadata.message.chunked_fields[0].field_tag[3].map_key.i32 = 3
    refused("expected a key of the map tensorflow.NodeDef.attr, got map_key { i32: 3 }", pieces, tmp_path)


def test_pieces_that_are_not_there(tmp_path: Path) -> None:
    pieces = Pieces(protos.message_class("GraphDef")())
    pieces.add(NODE_DEF, NODE, [0]).chunk_index = 7
    refused("expected a piece below 2, got 7", pieces, tmp_path)


def test_pieces_of_another_size(tmp_path: Path) -> None:
    pieces = Pieces(protos.message_class("GraphDef")())
    pieces.metadata.chunks[0].size = 3
    refused("expected 3 bytes in piece 0, got 0", pieces, tmp_path)


def test_pieces_that_are_no_messages(tmp_path: Path) -> None:
    pieces = Pieces(protos.message_class("GraphDef")())
    pieces.records[0] = b"\xff"
    pieces.metadata.chunks[0].size = 1
    refused("expected piece 0 to be a GraphDef, got 1 bytes that are none", pieces, tmp_path)


def test_bytes_with_pieces_inside(tmp_path: Path) -> None:
    pieces = Pieces(protos.message_class("TensorProto")())
    pieces.add(b"x", CONTENT).chunked_fields.add()
    path = pieces.write(tmp_path / "x.cpb")
    with pytest.raises(
        FormatError, match="expected one piece for the bytes tensorflow.TensorProto.tensor_content, got"
    ):
        read_chunked("TensorProto", path)


def test_a_newer_way_of_joining(tmp_path: Path) -> None:
    pieces = Pieces(protos.message_class("GraphDef")())
    pieces.metadata.version.join_version = 1
    with pytest.raises(UnsupportedError, match="expected pieces that version 0 can join, got 1$"):
        read_chunked("GraphDef", pieces.write(tmp_path / "x.cpb"))
