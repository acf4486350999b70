"""object_names: a name of its own for every tensor of a TF2 checkpoint."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.formats.bundle import read_bundle
from tensorferry.formats.object_graph import GRAPH_KEY, ObjectTensor, object_tensors
from tensorferry.formats.object_names import SCHEMES, Naming, Scheme, name_tensors, scheme_for_people
from tests.fixture import FIXTURES

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def naming_of(name: str, scheme: Scheme) -> Naming:
    bundle = read_bundle(FIXTURES[name].prefix)
    return name_tensors(bundle, object_tensors(bundle, ""), scheme)


def test_full_names_of_a_keras_model() -> None:
    naming = naming_of("objects_keras", "full")
    weights = ["hidden/kernel", "hidden/bias", "norm/gamma", "norm/beta", "out/kernel", "out/bias"]
    expected = {f"optimizer/_trainable_variables/{index}{VALUE}": name for index, name in enumerate(weights)}
    assert expected.items() <= naming.names.items()
    assert naming.names[GRAPH_KEY] == GRAPH_KEY
    assert naming.names["save_counter" + VALUE] == "save_counter"
    assert (naming.left_out, naming.fallen_back) == ({}, {})


@pytest.mark.parametrize("scheme", ["full", "object"])
def test_an_export_gives_each_value_once(scheme: Scheme) -> None:
    naming = naming_of("objects_export", scheme)
    names = {item["key"]: item["full_name"] if scheme == "full" else item["key"].removesuffix(VALUE)
             for item in FIXTURES["objects_export"].about["objects"]}  # fmt: skip
    assert naming.names == {GRAPH_KEY: GRAPH_KEY, **names}
    assert sorted(naming.left_out) == [f"_all_variables/{index}{VALUE}" for index in range(8)]
    reasons = sorted(naming.left_out.values())
    assert reasons == ["stored twice, and kept under the other key"] * 8


def test_by_key_all_keep_their_keys() -> None:
    naming = naming_of("objects_export", "key")
    assert naming.names == {key: key for key in read_bundle(FIXTURES["objects_export"].prefix)}
    assert (naming.left_out, naming.fallen_back) == ({}, {})


def test_full_names_of_several_fall_back_to_paths() -> None:
    naming = naming_of("objects_saved_model", "full")
    paths = {f"{layer}/{name}" for layer in ("first", "rest/0", "rest/1") for name in ("kernel", "bias")}
    assert set(naming.names.values()) == paths | {GRAPH_KEY}
    assert naming.fallen_back["first/kernel" + VALUE] == "3 tensors have the name 'kernel'"
    naming = naming_of("objects_module", "full")
    assert naming.names["net/pair/0" + VALUE] == "one"
    assert naming.names["net/tied" + VALUE] == "net/tied"
    assert naming.fallen_back["net/table/.ATTRIBUTES/table-keys"] == "it has no full name"


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("objects_keras", "full"),
        ("objects_keras2", "full"),
        ("objects_export", "full"),
        ("objects_module", "object"),
        ("objects_saved_model", "object"),
        ("add", "key"),
    ],
)
def test_the_scheme_for_people(name: str, scheme: str) -> None:
    assert scheme_for_people(object_tensors(read_bundle(FIXTURES[name].prefix), "")) == scheme


def named(key: str, full_name: str, *paths: str) -> tuple[str, ObjectTensor]:
    return key, ObjectTensor(key, full_name, paths)


def test_names_that_are_other_tensors_names() -> None:
    """`b` is the full name of one and the path of another, whose full name is a third's key."""
    objects = dict([named("k1", "b", "x"), named("k2", "k3", "b")])
    naming = name_tensors(["k1", "k2", "k3"], objects, "full")
    assert naming.names == {"k1": "x", "k2": "k2", "k3": "k3"}
    assert naming.fallen_back == {
        "k1": "2 tensors have the name 'b'",
        "k2": "2 tensors have the name 'k3'",
    }


def test_no_tensors() -> None:
    assert name_tensors([], {}, "full").names == {}
    assert scheme_for_people({}) == "key"


NAMES = st.sampled_from(["", "a", "b", "a/b", "k0", "k1", "k2"])


@given(
    tensors=st.lists(st.tuples(NAMES, st.lists(NAMES, max_size=2), st.booleans()), max_size=8),
    scheme=st.sampled_from(SCHEMES),
)
def test_every_tensor_has_a_name_of_its_own(tensors: list[tuple[str, list[str], bool]], scheme: Scheme) -> None:
    keys = [f"k{index}" for index in range(len(tensors))]
    objects = {
        key: ObjectTensor(key, full_name, tuple(paths))
        for key, (full_name, paths, known) in zip(keys, tensors, strict=True)
        if known
    }
    naming = name_tensors(keys, objects, scheme)
    assert list(naming.names) == keys
    assert len(set(naming.names.values())) == len(keys)
    assert all(naming.names.values())
    for key, name in naming.names.items():
        found = objects.get(key)
        first = key if found is None or scheme == "key" else found.full_name if scheme == "full" else found.object_name
        assert (name != first) <= (key in naming.fallen_back)
