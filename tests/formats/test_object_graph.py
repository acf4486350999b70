"""object_graph: TF2 checkpoints whose live objects TensorFlow told, and graphs that it would not write."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats import object_graph, protos
from tensorferry.formats.bundle import read_bundle
from tensorferry.formats.errors import FormatError, TensorferryError, UnsupportedError
from tensorferry.formats.object_graph import GRAPH_KEY, ObjectTensor, has_object_graph, object_tensors
from tensorferry.formats.tensor import ArrayTensor, Tensor
from tests.fixture import FIXTURES

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
OBJECTS = ["objects_export", "objects_keras", "objects_keras2", "objects_module", "objects_saved_model"]


def objects_of(name: str) -> dict[str, ObjectTensor]:
    return object_tensors(read_bundle(FIXTURES[name].prefix), FIXTURES[name].prefix)


# --- what TensorFlow wrote --------------------------------------------------------------------------


@pytest.mark.parametrize("name", OBJECTS)
def test_full_names_and_paths_are_those_of_the_live_objects(name: str) -> None:
    found = objects_of(name)
    for expected in FIXTURES[name].about["objects"]:
        tensor = found[expected["key"]]
        assert tensor.key == expected["key"]
        assert tensor.full_name == expected["full_name"]
        assert sorted(tensor.paths) == expected["paths"]
        assert tensor.attribute == "VARIABLE_VALUE"


@pytest.mark.parametrize("name", OBJECTS)
def test_slots_are_those_of_the_live_optimizer(name: str) -> None:
    found = {key: [tensor.slot, tensor.variable] for key, tensor in objects_of(name).items() if tensor.slot}
    assert found == FIXTURES[name].about["slots"]


@pytest.mark.parametrize("name", OBJECTS)
def test_every_tensor_but_the_graph_belongs_to_an_object(name: str) -> None:
    bundle = read_bundle(FIXTURES[name].prefix)
    assert has_object_graph(bundle)
    assert list(object_tensors(bundle, "")) == [key for key in bundle if key != GRAPH_KEY]


def test_paths_for_people_come_first() -> None:
    found = objects_of("objects_keras")
    names = {tensor.full_name: tensor.object_name for tensor in found.values()}
    assert names["hidden/kernel"] == "model/_operations/1/_kernel"
    assert names["adam/iteration"] == "optimizer/_iterations"
    assert names["adam/out_bias_velocity"] == "optimizer/_velocities/5"
    found = objects_of("objects_module")
    assert found["net/tied" + VALUE].paths == ("net/tied", "net/layers/0/kernel")
    assert found["net/by_name/a.Sb/kernel" + VALUE].object_name == "net/by_name/a/b/kernel"
    assert found["net/by_name/c..d" + VALUE].object_name == "net/by_name/c.d"
    slot = found["net/tied/.OPTIMIZER_SLOT/optimizer/m" + VALUE]
    assert (slot.paths, slot.object_name) == ((), "net/tied/.OPTIMIZER_SLOT/optimizer/m")
    export = objects_of("objects_export")
    assert export["variables/0" + VALUE].object_name == "variables/0"


def test_what_belongs_to_an_optimizer() -> None:
    found = objects_of("objects_keras")
    owned = {tensor.paths[0] for tensor in found.values() if tensor.optimizer == "optimizer" and not tensor.slot}
    assert owned == {"optimizer/_iterations", "optimizer/_learning_rate"}
    assert {
        tensor.optimizer for tensor in found.values() if tensor.full_name.startswith(("hidden", "norm", "out"))
    } == {None}
    found = objects_of("objects_keras2")
    owned = {tensor.paths[0] for tensor in found.values() if tensor.optimizer == "optimizer" and not tensor.slot}
    assert owned == {f"optimizer/{name}" for name in ("beta_1", "beta_2", "decay", "iter", "learning_rate")}


def test_a_hash_table_has_two_tensors() -> None:
    found = objects_of("objects_module")
    table = [found[f"net/table/.ATTRIBUTES/table-{part}"] for part in ("keys", "values")]
    assert [tensor.attribute for tensor in table] == ["table-keys", "table-values"]
    assert [tensor.object_name for tensor in table] == ["net/table/table-keys", "net/table/table-values"]
    assert [tensor.full_name for tensor in table] == ["", ""]


def test_what_keras_exports_is_stored_twice() -> None:
    fixture = FIXTURES["objects_export"]
    found, values = objects_of("objects_export"), fixture.tensors()
    copies = {key: tensor for key, tensor in found.items() if tensor.duplicate_of}
    assert sorted(copies) == [f"_all_variables/{index}{VALUE}" for index in range(8)]
    assert sorted(copy.duplicate_of for copy in copies.values()) == [f"variables/{index}{VALUE}" for index in range(8)]
    for key, copy in copies.items():
        assert copy.full_name == found[copy.duplicate_of].full_name
        assert values[key].tobytes() == values[copy.duplicate_of].tobytes()
    for name in OBJECTS[1:]:
        assert not any(tensor.duplicate_of for tensor in objects_of(name).values())


def test_a_checkpoint_without_objects() -> None:
    bundle = read_bundle(FIXTURES["add"].prefix)
    assert not has_object_graph(bundle)
    assert object_tensors(bundle, "") == {}


# --- graphs by hand ---------------------------------------------------------------------------------


def text(value: bytes) -> Tensor:
    array = np.empty((), object)
    array[()] = value
    return ArrayTensor(array)


def node(
    children: Mapping[str, int] | None = None,
    key: str = "",
    full_name: str = "",
    slots: Any = (),
    name: str = "VARIABLE_VALUE",
) -> Any:
    """A node of the message; `slots` are (variable's node, slot's name, slot's node)."""
    made = protos.message_class("TrackableObjectGraph.TrackableObject")()
    for child, number in (children or {}).items():
        made.children.add(local_name=child, node_id=number)
    if key:
        made.attributes.add(name=name, full_name=full_name, checkpoint_key=key)
    for original, slot_name, slot in slots:
        made.slot_variables.add(original_variable_node_id=original, slot_name=slot_name, slot_variable_node_id=slot)
    return made


def read(*nodes: Any, keys: Any = None) -> dict[str, ObjectTensor]:
    """What is told of the keys of these nodes (or of `keys`)."""
    graph = protos.message_class("TrackableObjectGraph")(nodes=nodes)
    listed = [attribute.checkpoint_key for made in nodes for attribute in made.attributes] if keys is None else keys
    tensors: dict[str, Tensor] = {key: ArrayTensor(np.zeros(2, np.float32)) for key in listed}
    return object_tensors({**tensors, GRAPH_KEY: text(graph.SerializeToString())}, "ckpt")


def test_cycles_and_shared_objects() -> None:
    found = read(
        node({"self": 0, "a": 1, "b": 2}),
        node({"parent": 0, "other": 2, "w": 3}),
        node({"parent": 0, "other": 1, "w": 3}),
        node({"back": 1}, "k"),
    )
    assert found["k"].paths == ("a/w", "b/w")


def test_an_object_that_nothing_leads_to() -> None:
    found = read(node({}), node({"w": 2}), node({}, "lost" + VALUE))
    assert (found["lost" + VALUE].paths, found["lost" + VALUE].object_name) == ((), "lost")


def test_a_root_that_is_a_variable() -> None:
    found = read(node({}, ".ATTRIBUTES/VARIABLE_VALUE"))
    assert found[".ATTRIBUTES/VARIABLE_VALUE"].paths == ()


def test_keys_that_the_checkpoint_has_not_and_such_that_the_graph_has_not() -> None:
    found = read(node({"a": 1, "b": 2}), node({}, "a" + VALUE), node({}, "b" + VALUE), keys=["b" + VALUE, "c", "x-y"])
    assert list(found) == ["b" + VALUE]


def test_the_first_of_two_objects_with_one_key_counts() -> None:
    found = read(node({"a": 1, "b": 2}), node({}, "k", "first"), node({}, "k", "second"))
    assert (found["k"].full_name, found["k"].paths) == ("first", ("a",))


def test_an_empty_graph() -> None:
    assert read() == {}


def test_weights_that_only_a_keras_optimizer_leads_to_are_no_slots() -> None:
    """As in a checkpoint of the optimizer alone."""
    found = read(
        node({"optimizer": 1}),
        node({"_variables": 2, "_trainable_variables": 3, "_momentums": 4, "_iterations": 5}),
        node({"0": 5, "1": 7}),
        node({"0": 6}),
        node({"0": 7}),
        node({}, "it"),
        node({}, "weight"),
        node({}, "slot"),
    )
    assert (found["weight"].optimizer, found["weight"].slot) == (None, "")
    assert (found["it"].optimizer, found["it"].slot) == ("optimizer", "")
    assert (found["slot"].optimizer, found["slot"].slot, found["slot"].variable) == ("optimizer", "momentums", "weight")


def test_a_variable_that_others_use_too_is_not_the_optimizers() -> None:
    found = read(
        node({"optimizer": 1, "mine": 4}),
        node({"_variables": 2, "_iterations": 3}),
        node({"0": 4, "1": 5}),
        node({}, "it"),
        node({}, "shared"),
        node({}, "own"),
    )
    assert (found["shared"].optimizer, found["shared"].slot) == (None, "")
    assert (found["own"].optimizer, found["own"].slot, found["own"].variable) == ("optimizer", "variables", "")


def test_a_list_of_another_length_says_nothing_of_variables() -> None:
    found = read(
        node({"o": 1}),
        node({"_variables": 2, "_trainable_variables": 3, "_momentums": 4, "_iterations": 5}),
        node({"0": 5, "1": 8}),
        node({"0": 6, "1": 7}),
        node({"0": 8}),
        *(node({}, key) for key in ("it", "v", "w", "slot")),
    )
    assert (found["slot"].slot, found["slot"].variable) == ("variables", "")


@pytest.mark.parametrize(
    ("full_name", "dtype", "crc"), [("b", "float32", 1), ("a", "float64", 1), ("a", "float32", 2), ("", "float32", 1)]
)
def test_no_copy_but_by_name_type_and_checksum(full_name: str, dtype: str, crc: int) -> None:
    from tensorferry.formats.dtype import DTYPES
    from tensorferry.formats.tensor import FileTensor

    def tensors(key: str, kind: str, crc32c: int) -> Tensor:
        return FileTensor(DTYPES[kind], (2,), "none", 0, name=key, crc32c=crc32c)

    def copies(full_name: str, dtype: str, crc: int) -> list[str]:
        nodes = [
            node({"variables": 1, "_all_variables": 2}),
            node({"0": 3}),
            node({"0": 4}),
            node({}, "x", "a" if full_name else ""),
            node({}, "y", full_name),
        ]
        graph = protos.message_class("TrackableObjectGraph")(nodes=nodes)
        made = {"x": tensors("x", "float32", 1), "y": tensors("y", dtype, crc)}
        found = object_tensors({**made, GRAPH_KEY: text(graph.SerializeToString())}, "ckpt")
        return [tensor.duplicate_of for tensor in found.values()]

    assert copies("a", "float32", 1) == ["", "x"]
    assert copies(full_name, dtype, crc) == ["", ""]


# --- damage and harm --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2, -1, 2**31 - 1])
@pytest.mark.parametrize("where", ["child", "variable", "slot"])
def test_references_to_objects_that_are_not_there(where: str, number: int) -> None:
    harm: dict[str, Callable[[], Any]] = {
        "child": lambda: node({"a": number}),
        "variable": lambda: node(slots=[(number, "m", 0)]),
        "slot": lambda: node(slots=[(0, "m", number)]),
    }
    with pytest.raises(FormatError) as caught:
        read(node({"a": 1}), harm[where]())
    assert str(caught.value) == f"ckpt: expected object 1 to refer to one below 2, got {number}"


def test_a_graph_that_is_no_message() -> None:
    with pytest.raises(FormatError) as caught:
        object_tensors({GRAPH_KEY: text(b"\x0a\xff")}, "ckpt")
    assert caught.value.where == f"ckpt: {GRAPH_KEY}"
    assert caught.value.problem.startswith("expected a TrackableObjectGraph message, got 2 bytes that are none")


@pytest.mark.parametrize(("value", "got"), [(np.zeros(()), "float64 []"), (np.array([b"", b""], object), "string [2]")])
def test_a_graph_that_is_no_string(value: Any, got: str) -> None:
    with pytest.raises(FormatError) as caught:
        object_tensors({GRAPH_KEY: ArrayTensor(value)}, "ckpt")
    assert str(caught.value) == f"ckpt: expected {GRAPH_KEY} to be one string, got {got}"


def test_a_long_chain_is_refused_before_its_paths_fill_memory() -> None:
    """Paths of 1, 3, 5, ... characters: together as many as the square of the chain's length."""
    count = 100_000
    with pytest.raises(UnsupportedError) as caught:
        read(*(node({"a": min(number + 1, count - 1)}) for number in range(count)))
    assert str(caught.value) == "ckpt: expected object paths of at most 67108864 characters, got more"


def test_many_references_to_deep_objects_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_graph, "MAX_TEXT", 1000)
    nodes = [node({f"{'n' * 50}{number}": 1 for number in range(50)}), node({}, "k")]
    with pytest.raises(UnsupportedError, match="expected object paths of at most 1000 characters, got more"):
        read(*nodes)


def test_a_ladder_of_exponentially_many_paths_is_nothing_special() -> None:
    steps = [node({"a": number + 1, "b": number + 1}) for number in range(60)]
    assert read(*steps, node({}, "k"))["k"].paths == ("/".join("a" * 60), "/".join("a" * 59) + "/b")


def test_optimizers_that_share_everything_take_no_longer() -> None:
    """3,000 optimizers with one list of 3,000 variables: one look at each reference, not one for each pair."""
    count = 3_000
    optimizers = [node({"_variables": 1, "_iterations": 2, "_trainable_variables": 1}) for _ in range(count)]
    nodes = [
        node({str(number): number + 3 for number in range(count)}),
        node({str(number): number + 3 + count for number in range(count)}),
        node({}, "it"),
        *optimizers,
        *(node({}, f"k{number}") for number in range(count)),
    ]
    start = time.process_time()
    assert len(read(*nodes)) == count + 1
    assert time.process_time() - start < 3


def test_twenty_thousand_variables_take_no_second() -> None:
    """0.4 s on the machine it was written on."""
    count = 20_000
    nodes = [node({"layers": 1}), node({str(n): n + 2 for n in range(count)})]
    nodes += [node({}, f"layers/{n}{VALUE}", f"layer_{n}/kernel") for n in range(count)]
    start = time.process_time()
    assert len(read(*nodes)) == count
    assert time.process_time() - start < 5


GRAPHS = {name: read_bundle(FIXTURES[name].prefix) for name in OBJECTS}


@given(
    name=st.sampled_from(OBJECTS),
    position=st.integers(0, 1 << 14),
    data=st.binary(max_size=6),
    length=st.integers(0, 6),
)
def test_no_bytes_break_the_reader(name: str, position: int, data: bytes, length: int) -> None:
    tensors = dict(GRAPHS[name])
    whole = bytes(tensors[GRAPH_KEY].numpy().item())
    place = position % len(whole)
    tensors[GRAPH_KEY] = text(whole[:place] + data + whole[place + length :])
    try:
        found = object_tensors(tensors, "ckpt")
    except TensorferryError:
        return
    assert set(found) <= set(tensors)
