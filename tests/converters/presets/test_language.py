"""Presets of language models: they give the names and shapes that transformers has, and the way back gives the bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tensorferry
from tests.cli import ferried
from tests.preset_fixture import PRESETS, PresetFixture

LANGUAGE = {name: fixture for name, fixture in PRESETS.items() if fixture.is_language}

each = pytest.mark.parametrize("fixture", LANGUAGE.values(), ids=LANGUAGE)


@each
def test_names_and_shapes(fixture: PresetFixture, tmp_path: Path) -> None:
    result, outcome = fixture.converted(tmp_path / "it")
    assert outcome.status == 0, outcome.err
    found = tensorferry.load_checkpoint(result / "model.safetensors")
    wanted = {name: shape for name, shape in fixture.names["shapes"].items() if name not in fixture.names["tied"]}
    assert {name: list(tensor.shape) for name, tensor in found.items()} == wanted


@each
def test_config(fixture: PresetFixture, tmp_path: Path) -> None:
    """What the graph was built with, though the file beside it has only what shapes do not tell."""
    result, _ = fixture.converted(tmp_path / "it")
    config = json.loads((result / "config.json").read_text())
    about = fixture.about
    assert {key: config.get(key) for key in about["config"]} == about["config"]
    assert config["architectures"] == [about["class"]]


@each
def test_back(fixture: PresetFixture, tmp_path: Path) -> None:
    weights, table = tmp_path / "there.safetensors", tmp_path / "back.toml"
    ferried("convert", fixture.prefix, weights, "--map", fixture.about["preset"])
    table.write_text(ferried("map", "invert", fixture.about["preset"], fixture.prefix).out)
    ferried("convert", weights, tmp_path / "back.ckpt", "--map", table, "--allow-unused")
    came = tensorferry.load_checkpoint(fixture.prefix)
    back = tensorferry.load_checkpoint(tmp_path / "back.ckpt")
    gone = fixture.about["dropped"]
    assert sorted(back) == sorted(name for name in came if not name.startswith(tuple(gone)) and not _is_slot(name))
    assert all(tensor.tobytes() == came[name].tobytes() for name, tensor in back.items())


def _is_slot(name: str) -> bool:
    """What BERT's own optimizer, or Adafactor, leaves beside weights."""
    return name.endswith(("/adam_m", "/adam_v", "_slot_vr", "_slot_vc", "_slot_v")) or name == "global_step"


@each
def test_inspect_recognises_it_and_nothing_else(fixture: PresetFixture) -> None:
    found = ferried("inspect", fixture.prefix, "--json").json
    expected = {fixture.about["preset"], *fixture.about["also"]}
    assert {item["preset"] for item in found["recognised"]} == expected
