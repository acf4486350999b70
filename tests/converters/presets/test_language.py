"""Presets of language models: they give the names and shapes of transformers, and the way back gives the bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tensorferry
from tests.cli import ferried, refused
from tests.preset_fixture import PRESETS, PresetFixture

LANGUAGE = {name: fixture for name, fixture in PRESETS.items() if fixture.is_language}

DROPPED = {
    "electra": ("generator",),
    "tapas": ("bert/pooler/", "cls/seq_relationship/"),
    "bert_squad": ("bert/pooler/",),
}
"""What a preset leaves out, by what its names begin with."""

OWN = {"t5_v1_1": {"lm_head.weight"}}
"""What transformers ties in every new model, though these have weights of their own there, and it keeps them apart."""

each = pytest.mark.parametrize("fixture", LANGUAGE.values(), ids=LANGUAGE)


@each
def test_names_and_shapes(fixture: PresetFixture, tmp_path: Path) -> None:
    result, outcome = fixture.converted(tmp_path / "it")
    assert outcome.status == 0, outcome.err
    found = tensorferry.load_checkpoint(result / "model.safetensors")
    tied = set(fixture.names["tied"]) - OWN.get(fixture.path.name, set())
    wanted = {name: shape for name, shape in fixture.names["shapes"].items() if name not in tied}
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
    gone = DROPPED.get(fixture.path.name, ())
    weights, table = tmp_path / "there.safetensors", tmp_path / "back.toml"
    ferried("convert", fixture.prefix, weights, "--map", fixture.about["preset"], *fixture.options)
    partial = ["--partial"] if gone else []
    table.write_text(ferried("map", "invert", fixture.about["preset"], fixture.prefix, *partial, *fixture.options).out)
    ferried("convert", weights, tmp_path / "back.ckpt", "--map", table)
    came = tensorferry.load_checkpoint(fixture.prefix)
    back = tensorferry.load_checkpoint(tmp_path / "back.ckpt")
    assert sorted(back) == sorted(name for name in came if not name.startswith(gone) and not _is_extra(name))
    assert all(tensor.tobytes() == came[name].tobytes() for name, tensor in back.items())


def _is_extra(name: str) -> bool:
    """What BERT's own optimizer, or Adafactor, leaves beside weights; the graph of objects."""
    slots = ("/adam_m", "/adam_v", "_slot_vr", "_slot_vc", "_slot_v")
    return name.endswith(slots) or name in ("global_step", "_CHECKPOINTABLE_OBJECT_GRAPH")


@each
def test_inspect_recognises_it_and_nothing_else(fixture: PresetFixture) -> None:
    found = ferried("inspect", fixture.prefix, "--json").json
    # ELECTRA's checkpoints hold two models.
    expected = ["electra-generator", "electra"] if fixture.path.name == "electra" else [fixture.about["preset"]]
    assert [item["preset"] for item in found["recognised"]] == expected


@pytest.mark.parametrize(
    ("name", "there", "here"),
    [
        ("bert", {"vocab.txt": "[PAD]\n"}, {"vocab.txt": "[PAD]\n"}),
        ("gpt2", {"encoder.json": "{}", "vocab.bpe": "a b\n"}, {"vocab.json": "{}", "merges.txt": "a b\n"}),
        ("albert", {"30k-clean.model": "x", "30k-clean.vocab": "y"}, {"spiece.model": "x"}),
        ("t5", {"sentencepiece.model": "x"}, {"spiece.model": "x"}),
    ],
)  # fmt: skip
def test_words_go_along(name: str, there: dict[str, str], here: dict[str, str], tmp_path: Path) -> None:
    source = LANGUAGE[name].published(tmp_path / "it")
    for file, text in there.items():
        (source.parent / file).write_text(text)
    result = tmp_path / "result"
    result.mkdir()
    outcome = ferried("convert", source, result, "--map", name)
    found = {
        path.name: path.read_text()
        for path in result.iterdir()
        if path.name not in ("config.json", "model.safetensors")
    }
    assert found == here
    assert all(f"{file} beside it, a copy of {source.parent}" in outcome.out for file in here)


def test_what_only_settings_tell(tmp_path: Path) -> None:
    """ALBERT's layers share their weights."""
    fixture = LANGUAGE["albert"]
    source = fixture.published(tmp_path / "it")
    (source.parent / "albert_config.json").unlink()
    result = tmp_path / "result"
    result.mkdir()
    assert refused("convert", source, result, "--map", "albert") == (
        "albert: expected num_hidden_layers, num_attention_heads in albert_config.json or config.json "
        "beside the source, since shapes do not tell, got no such file"
    )
    assert list(result.iterdir()) == []
    ferried("convert", source, result / "albert.safetensors", "--map", "albert")


def test_a_checkpoint_of_objects_is_recognised_by_its_own_names() -> None:
    prefix = LANGUAGE["bert_garden"].prefix
    said = "BERT's encoder of TensorFlow's Model Garden, 2 layers, 16 wide"
    assert f"looks like {said}: --map bert-garden --names key\n" in ferried("inspect", prefix).out
    found = ferried("inspect", prefix, "--json").json["recognised"]
    assert found == [{"preset": "bert-garden", "says": said, "names": "key"}]
    outcome = ferried("map", "check", "bert-garden", prefix, "--names", "key")
    assert outcome.out == "15 rules make 39 tensors of 39\n"
    assert "no rule takes table/embeddings" in refused("map", "check", "bert-garden", prefix)
