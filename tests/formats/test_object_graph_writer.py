"""object_graph_writer: the graph of what is left of a checkpoint. tests/parity has TensorFlow restore from such."""

from __future__ import annotations

from typing import Any

import pytest

from tensorferry.formats import protos
from tensorferry.formats.bundle import read_bundle
from tensorferry.formats.errors import FormatError
from tensorferry.formats.object_graph import GRAPH_KEY
from tensorferry.formats.object_graph_writer import renamed_object_graph
from tests.fixture import FIXTURES

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def fixture(name: str) -> tuple[bytes, list[str]]:
    """The message as TensorFlow wrote it, and all keys."""
    bundle = read_bundle(FIXTURES[name].prefix)
    return bytes(bundle[GRAPH_KEY].numpy().item()), list(bundle)


def parsed(message: bytes) -> Any:
    return protos.parse("TrackableObjectGraph", message, "graph")


def keys_of(message: bytes) -> list[str]:
    return [attribute.checkpoint_key for node in parsed(message).nodes for attribute in node.attributes]


@pytest.mark.parametrize("name", ["objects_keras", "objects_keras2", "objects_module", "objects_export"])
def test_a_graph_of_everything_is_the_very_same(name: str) -> None:
    message, keys = fixture(name)
    new, left, before = renamed_object_graph(message, {key: key for key in keys}, "graph")
    assert new is message
    assert left == before == len(keys_of(message))


def test_what_is_left_out_loses_its_attribute_and_nothing_else_changes() -> None:
    message, keys = fixture("objects_keras")
    gone = {key for key in keys if key.startswith("optimizer/_variables/")}
    new, left, before = renamed_object_graph(message, {k: None if k in gone else k for k in keys}, "graph")
    assert (left, before) == (before - len(gone), len(keys_of(message)))
    assert keys_of(new) == [key for key in keys_of(message) if key not in gone]
    old_graph, new_graph = parsed(message), parsed(new)
    for old, node in zip(old_graph.nodes, new_graph.nodes, strict=True):
        kept = [attribute for attribute in old.attributes if attribute.checkpoint_key not in gone]
        del old.attributes[:]
        old.attributes.extend(kept)
        assert node == old


def test_new_names() -> None:
    message, keys = fixture("objects_keras2")
    new, left, before = renamed_object_graph(message, {key: f"new/{key}" for key in keys}, "graph")
    assert left == before
    assert keys_of(new) == [f"new/{key}" for key in keys_of(message)]


def test_an_attribute_of_several_tensors() -> None:
    message, keys = fixture("objects_module")
    (base,) = [key for key in keys_of(message) if key.endswith("/.ATTRIBUTES/table")]
    same = {key: key for key in keys}
    both = {f"{base}-keys": f"new/{base}-keys", f"{base}-values": f"new/{base}-values"}
    new, left, before = renamed_object_graph(message, same | both, "graph")
    assert left == before
    assert f"new/{base}" in keys_of(new)
    for broken in ({f"{base}-keys": None}, both | {f"{base}-values": f"other/{base}-values"}, {f"{base}-keys": "k"}):
        new, left, before = renamed_object_graph(message, same | broken, "graph")
        assert left == before - 1
        assert not any(key.endswith("/table") for key in keys_of(new))


def test_an_attribute_whose_tensor_is_nowhere() -> None:
    message, _ = fixture("objects_saved_model")
    new, left, before = renamed_object_graph(message, {}, "graph")
    assert left == 0 < before
    assert keys_of(new) == []


def test_what_is_no_message() -> None:
    with pytest.raises(FormatError, match="model.ckpt"):
        renamed_object_graph(b"\xff\xff", {}, "model.ckpt")
