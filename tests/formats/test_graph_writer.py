"""graph_writer: the parts' concatenation is the merged message."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

from tensorferry.formats import graph_writer, protos
from tensorferry.formats.atomic import OutputSet
from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.errors import DestinationError, UnsupportedError
from tensorferry.formats.graph_writer import LIMIT, Constant, refuse_too_large, write_graph_def
from tensorferry.formats.tensor import ArrayTensor, SplatTensor


def node(name: str, size: int = 4) -> Any:
    part = protos.message_class("GraphDef")()
    made = part.node.add(name=name, op="Const")
    for key in "zyxwvu":
        made.attr[key].i = 1
    made.attr["value"].tensor.tensor_content = b"\x07" * size
    return part


def parts() -> list[Any]:
    rest = protos.message_class("GraphDef")()
    rest.versions.producer = 27
    rest.library.function.add().signature.name = "f"
    return [node("a"), node("b"), rest]


def merged() -> Any:
    graph_def = protos.message_class("GraphDef")()
    for part in parts():
        graph_def.MergeFrom(part)
    return graph_def


def test_the_wire_form(tmp_path: Path) -> None:
    write_graph_def(tmp_path / "a.pb", parts())
    data = (tmp_path / "a.pb").read_bytes()
    assert protos.parse("GraphDef", data, "") == merged()
    write_graph_def(tmp_path / "b.pb", [merged()])
    assert (tmp_path / "b.pb").read_bytes() == data


def test_the_text_form(tmp_path: Path) -> None:
    write_graph_def(tmp_path / "a.pbtxt", parts(), text=True)
    text = (tmp_path / "a.pbtxt").read_text()
    assert text.startswith('node {\n  name: "a"\n  op: "Const"\n')
    assert text_format.Parse(text, protos.message_class("GraphDef")()) == merged()


def test_no_parts_is_an_empty_graph(tmp_path: Path) -> None:
    for text in False, True:
        write_graph_def(tmp_path / f"{text}", iter(()), text=text)
        assert (tmp_path / f"{text}").read_bytes() == b""


def test_one_part_at_a_time(tmp_path: Path) -> None:
    """The next part is made only when the one before is written."""
    alive = []

    def made() -> Iterator[Any]:
        for index in range(50):
            (part,) = tmp_path.glob(".*/a.pb")
            alive.append(part.stat().st_size)
            yield node(str(index), 100_000)

    write_graph_def(tmp_path / "a.pb", made())
    assert alive == sorted(alive)
    assert alive[-1] > 4_000_000


@pytest.mark.parametrize("text", [False, True])
def test_two_gib_is_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bool) -> None:
    path = tmp_path / "a.pb"
    size = sum(len(part.SerializeToString()) for part in parts())
    monkeypatch.setattr(graph_writer, "LIMIT", size)
    write_graph_def(path, parts(), text=text)
    path.unlink()
    monkeypatch.setattr(graph_writer, "LIMIT", size - 1)
    with pytest.raises(UnsupportedError) as error:
        write_graph_def(path, parts(), text=text)
    assert str(error.value) == (
        f"{path}: a graph of 2 GiB or more is no protobuf message (write ONNX, which keeps large tensors in a file "
        "beside the model, or the tensors alone as safetensors)"
    )
    assert os.listdir(tmp_path) == []


def test_a_node_that_protobuf_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from google.protobuf.message import EncodeError

    class Huge:
        def SerializeToString(self, deterministic: bool) -> bytes:
            raise EncodeError("Failed to serialize proto")

    with pytest.raises(UnsupportedError, match="2 GiB or more"):
        write_graph_def(tmp_path / "a.pb", [Huge()])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("text", [False, True])
def test_an_error_in_the_source_leaves_nothing(tmp_path: Path, text: bool) -> None:
    def broken() -> Iterator[Any]:
        yield node("a")
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        write_graph_def(tmp_path / "a.pb", broken(), text=text)
    assert os.listdir(tmp_path) == []


def test_as_one_of_several_files(tmp_path: Path) -> None:
    with OutputSet() as files:
        write_graph_def(tmp_path / "a.pb", parts(), files=files)
        assert protos.parse("GraphDef", Path(files.parts()[str(tmp_path / "a.pb")]).read_bytes(), "") == merged()
        assert not [name for name in os.listdir(tmp_path) if name.startswith("a")]
    assert [name[0] for name in os.listdir(tmp_path)] == ["a"]


def test_force(tmp_path: Path) -> None:
    path = tmp_path / "a.pb"
    path.write_bytes(b"old")
    with pytest.raises(DestinationError, match="exists already"):
        write_graph_def(path, parts())
    write_graph_def(path, parts(), force=True)
    assert protos.parse("GraphDef", path.read_bytes(), path) == merged()


def constant_part(array: np.ndarray[Any, Any]) -> tuple[Constant, Any]:
    """A Const in pieces, and as a message."""
    whole = protos.message_class("GraphDef")()
    made = whole.node.add(name="weights", op="Const", device="/cpu:0", input=["^x"])
    made.attr["dtype"].type = 1
    made.attr["_class"].list.s.append(b"loc:@y")
    bare = protos.message_class("NodeDef").FromString(made.SerializeToString())
    proto = protos.message_class("TensorProto")(dtype=1)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    tensor = made.attr["value"].tensor
    tensor.CopyFrom(proto)
    tensor.tensor_content = array.tobytes()
    return Constant(bare, proto, ArrayTensor(array)), whole


@pytest.mark.parametrize("count", [1, 30, 127, 128, 16_383, 100_000])
def test_a_constant_in_pieces_is_the_same_bytes(tmp_path: Path, count: int) -> None:
    part, whole = constant_part(np.arange(count, dtype=np.float32).reshape(1, count))
    assert not isinstance(part.encoded()[1], bytes)
    write_graph_def(tmp_path / "a.pb", [node("a"), part, node("b")])
    write_graph_def(tmp_path / "b.pb", [node("a"), whole, node("b")])
    assert (tmp_path / "a.pb").read_bytes() == (tmp_path / "b.pb").read_bytes()


def test_a_graph_of_2_gib_is_refused_before_it_is_read(tmp_path: Path) -> None:
    refuse_too_large(tmp_path / "a.pb", LIMIT)
    with pytest.raises(UnsupportedError) as caught:
        refuse_too_large(tmp_path / "a.pb", LIMIT + 1)
    assert str(caught.value) == (
        f"{tmp_path / 'a.pb'}: a graph of 2 GiB or more is no protobuf message (write ONNX, which keeps large tensors "
        "in a file beside the model, or the tensors alone as safetensors)"
    )
    huge = SplatTensor(np.float32(1), (1 << 29,), DTYPES["float32"])
    part = Constant(protos.message_class("NodeDef")(name="w"), protos.message_class("TensorProto")(dtype=1), huge)
    with pytest.raises(UnsupportedError, match="a graph of 2 GiB or more is no protobuf message"):
        write_graph_def(tmp_path / "a.pb", [part])
    assert not list(tmp_path.iterdir())
