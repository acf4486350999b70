"""Tables that we keep of TensorFlow's, against TensorFlow, live: message fields, op definitions, names of averages."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorSet

from tensorferry.converters.names.ema import restore_table
from tensorferry.converters.op_registry import REGISTRY
from tensorferry.formats import protos
from tests.fixture import FIXTURES, HOME

from .conftest import Oracle

pytestmark = pytest.mark.parity


def flat(files: FileDescriptorSet) -> tuple[dict[str, DescriptorProto], dict[str, EnumDescriptorProto]]:
    """Messages and enumerations of TensorFlow's by full name."""
    messages: dict[str, DescriptorProto] = {}
    enums: dict[str, EnumDescriptorProto] = {}

    def add(message: DescriptorProto, prefix: str) -> None:
        messages[f"{prefix}.{message.name}"] = message
        for nested in message.nested_type:
            add(nested, f"{prefix}.{message.name}")
        enums.update({f"{prefix}.{message.name}.{enum.name}": enum for enum in message.enum_type})

    for file in files.file:
        if file.package == "tensorflow":
            for message in file.message_type:
                add(message, file.package)
            enums.update({f"{file.package}.{enum.name}": enum for enum in file.enum_type})
    return messages, enums


def fields(message: DescriptorProto) -> dict[int, tuple[Any, ...]]:
    """What of a message is on the wire or in its text, by number."""
    oneofs = [oneof.name for oneof in message.oneof_decl]
    return {
        field.number: (
            field.name,
            field.type,
            field.label,
            field.type_name,
            oneofs[field.oneof_index] if field.HasField("oneof_index") else None,
        )
        for field in message.field
    }


def test_messages_are_those_of_2_21(tf2: Oracle, tmp_path: Path) -> None:
    """Every message that we have has the fields of TensorFlow's, all of them; so do enumerations."""
    ours = FileDescriptorSet.FromString(Path(protos.DESCRIPTORS).read_bytes())
    # The messages of chunked SavedModels are in no TensorFlow that can be installed.
    messages, enums = flat(FileDescriptorSet(file=[file for file in ours.file if file.name != "chunk.proto"]))
    tops = sorted(name.removeprefix("tensorflow.") for name in messages if name.count(".") == 1)
    assert tf2.ask([["descriptors", tmp_path / "theirs", "--messages", ",".join(tops)]], tmp_path) == [None]
    their_messages, their_enums = flat(FileDescriptorSet.FromString((tmp_path / "theirs").read_bytes()))
    assert len(messages) > 60
    for name, message in messages.items():
        assert fields(message) == fields(their_messages[name]), name
    for name, enum in enums.items():
        theirs = {value.name: value.number for value in their_enums[name].value}
        assert {value.name: value.number for value in enum.value} == theirs, name


def test_ops_are_those_of_both(tf1: Oracle, tf2: Oracle, tmp_path: Path) -> None:
    script = HOME / "dump_ops.py"
    tf1.run(script, tmp_path / "tf1")
    tf2.run(script, tmp_path / "tf2")
    tf2.run(script, "--merge", tmp_path / "tf2", tmp_path / "tf1", tmp_path / "both.z")
    assert zlib.decompress((tmp_path / "both.z").read_bytes()) == zlib.decompress(Path(REGISTRY).read_bytes())


def test_variables_to_restore(tf1: Oracle, tmp_path: Path) -> None:
    """Of evaluation graphs: on an imported training graph TensorFlow finds the shadows' names taken."""
    metas = {name: FIXTURES[name].file("eval.meta") for name in ("ema", "mnist")}
    metas |= {name: FIXTURES[name].graph for name in ("add", "encoder", "latest", "add_resource")}
    questions = [["variables-to-restore", meta, tmp_path / f"{name}.json"] for name, meta in metas.items()]
    assert tf1.ask(questions, tmp_path) == [None] * len(metas)
    for name, meta in metas.items():
        theirs = json.loads((tmp_path / f"{name}.json").read_text())
        assert theirs
        assert list(restore_table(meta).items()) == list(theirs.items()), name
