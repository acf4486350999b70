"""named: the tensors of a source under names for people, with roles."""

from __future__ import annotations

import os

import pytest

from tensorferry.converters.names.named import named_tensors, source_name
from tensorferry.formats.bundle import Bundle
from tensorferry.formats.detect import detect
from tensorferry.formats.errors import UsageError
from tests.fixture import FIXTURES, HOME


def test_a_checkpoint_of_tensorflow_1_has_its_own_names() -> None:
    named = named_tensors(detect(FIXTURES["ema"].prefix))
    assert named.keys == {name: name for name in FIXTURES["ema"].tensors()}
    assert named.roles == {"v": "weight", "v/ExponentialMovingAverage": "ema"}
    assert isinstance(named.origin, Bundle)
    assert named.notes == []


def test_a_checkpoint_of_objects_has_names_for_people_and_keys_that_lead_back() -> None:
    named = named_tensors(detect(HOME / "objects_keras"))
    assert set(named.tensors) == set(named.keys) == set(named.roles)
    assert set(named.keys.values()) | set(named.dropped) == set(named.origin)
    assert all(named.tensors[name] is named.origin[key] for name, key in named.keys.items())
    assert named.roles["hidden/kernel"] == "weight"
    assert any("--names key gives the checkpoint's own" in note for note in named.notes)


def test_whoever_chose_what_a_file_holds_chose_weights() -> None:
    named = named_tensors(detect(HOME / "ema" / "frozen_raw.pb"))
    assert set(named.roles.values()) == {"weight"}


def test_a_scheme_that_is_none() -> None:
    with pytest.raises(UsageError, match="--names short: expected one of key, full, object"):
        named_tensors(detect(FIXTURES["add"].prefix), "short")


def test_the_name_of_a_source() -> None:
    assert source_name("a/b/model.ckpt") == "model.ckpt"
    assert source_name("a/saved_model/") == "saved_model"
    assert source_name(os.fsdecode(b"a/caf\xe9.ckpt")) == "caf\ufffd.ckpt"
