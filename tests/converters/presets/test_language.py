"""Presets of language models: they give the names and shapes of transformers, and the way back gives the bytes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import tensorferry
from tensorferry.formats.tensor import Tensor
from tests.cli import ferried, ferry, refused
from tests.fixture import HOME
from tests.preset_fixture import PRESETS, PresetFixture

LANGUAGE = {name: fixture for name, fixture in PRESETS.items() if fixture.is_language}

DROPPED = {
    "electra": ("generator",),
    "tapas": ("bert/pooler/", "cls/seq_relationship/"),
    "bert_mlm": ("bert/pooler/",),
    "canine": ("cls/",),
    "bert_squad": ("bert/pooler/",),
    "bert_garden_pretraining": ("encoder/layer_with_weights-5/",),
    "bert_garden_squad": ("encoder/layer_with_weights-5/",),
    "bert_garden_v2_pretraining": ("encoder/_pooler_layer/",),
    "funnel_small": ("generator/",),
}
"""What a preset leaves out, by what its names begin with."""

SEVERAL = {
    "electra": ["electra", "electra-generator"],
    "funnel_medium": ["funnel-medium", "funnel-small"],
    "funnel_small": ["funnel-medium", "funnel-small"],
    "funnel_small_base": ["funnel-medium-base", "funnel-small-base"],
}
"""Checkpoints that hold two models, or that their names do not tell from others."""

OWN = {"t5_v1_1": {"lm_head.weight"}, "transformers_t5_v1_1": {"lm_head.weight"}}
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
    came = _weights(fixture, tmp_path)
    back = tensorferry.load_checkpoint(tmp_path / "back.ckpt")
    assert sorted(back) == sorted(name for name in came if not name.startswith(gone) and not _is_extra(name))
    assert all(tensor.tobytes() == came[name].tobytes() for name, tensor in back.items())


def _weights(fixture: PresetFixture, folder: Path) -> Mapping[str, Tensor]:
    """What is in the checkpoint, by the names that tables see: those of variables, not of objects."""
    if not fixture.about["preset"].startswith("transformers-"):
        return tensorferry.load_checkpoint(fixture.prefix)
    plain = folder / "plain.safetensors"
    ferried("convert", fixture.prefix, plain)
    return tensorferry.load_checkpoint(plain)


def _is_extra(name: str) -> bool:
    """What BERT's own optimizer, or Adafactor, or one of Keras leaves beside weights; the graph of objects."""
    slots = ("/adam_m", "/adam_v", "_slot_vr", "_slot_vc", "_slot_v")
    if "/.OPTIMIZER_SLOT/" in name or name.startswith(("optimizer/", "global_step/")):
        return True
    return name.endswith(slots) or name in ("global_step", "_CHECKPOINTABLE_OBJECT_GRAPH")


@each
def test_inspect_recognises_it_and_nothing_else(fixture: PresetFixture) -> None:
    found = ferried("inspect", fixture.prefix, "--json").json
    expected = SEVERAL.get(fixture.path.name, [fixture.about["preset"]])
    assert [item["preset"] for item in found["recognised"]] == expected


def bert_words(lower: bool) -> dict[str, Any]:
    return {"tokenizer_class": "BertTokenizer", "model_max_length": 24, "do_lower_case": lower}


WORDS: dict[tuple[str, str], tuple[dict[str, str], dict[str, Any]]] = {
    ("bert", "uncased"): ({"vocab.txt": "vocab.txt"}, {"tokenizer_config.json": bert_words(lower=True)}),
    ("electra", "cased"): ({"vocab.txt": "vocab.txt"}, {"tokenizer_config.json": bert_words(lower=False)}),
    ("gpt2", "gpt2"): (
        {"encoder.json": "vocab.json", "vocab.bpe": "merges.txt"},
        {
            "tokenizer_config.json": {
                "tokenizer_class": "GPT2Tokenizer", "model_max_length": 16, "add_prefix_space": False
            },
            "generation_config.json": {"bos_token_id": 49, "eos_token_id": 49},
        },
    ),
    ("albert", "albert"): (
        {"30k-clean.model": "spiece.model"},
        {
            "tokenizer_config.json": {
                "tokenizer_class": "AlbertTokenizer", "do_lower_case": True, "keep_accents": False,
                "model_max_length": 24, "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
            },
            "tokenizer.json": ...,
        },
    ),
    ("t5", "t5"): (
        {"sentencepiece.model": "spiece.model"},
        {
            "tokenizer_config.json": {"tokenizer_class": "T5Tokenizer", "extra_ids": 100},
            "generation_config.json": {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0},
            "tokenizer.json": ...,
        },
    ),
}  # fmt: skip
"""Fixture and vocabulary -> what is copied, and the files of JSON; what is in tokenizer.json, the hub's tests judge."""


@pytest.mark.parametrize("both", WORDS, ids="-".join)
def test_words_go_along(both: tuple[str, str], tmp_path: Path) -> None:
    name, kind = both
    copies, files = WORDS[both]
    source, vocabulary = LANGUAGE[name].published(tmp_path / "it"), HOME / "vocabularies" / kind
    shutil.copytree(vocabulary, source.parent, dirs_exist_ok=True)
    result = tmp_path / "result"
    outcome = ferried("convert", source, result, "--map", name)
    assert {path.name for path in result.iterdir()} == {"config.json", "model.safetensors", *copies.values(), *files}
    for there, here in copies.items():
        assert (result / here).read_bytes() == (vocabulary / there).read_bytes()
        assert f"{here} beside it, a copy of {source.parent}" in outcome.out
    for file, entries in files.items():
        found = json.loads((result / file).read_text())
        assert found == (found if entries is ... else entries)
        assert f"{file} beside it, of {name}" in outcome.out


@each
def test_files_that_are_of_no_use_without_words(fixture: PresetFixture, tmp_path: Path) -> None:
    result, _ = fixture.converted(tmp_path / "it")
    expected = {"config.json", "model.safetensors", "generation_config.json"}
    if fixture.path.name == "canine":  # whose words are characters
        expected.add("tokenizer_config.json")
    assert {path.name for path in result.iterdir()} <= expected


def test_a_cased_vocabulary_is_said(tmp_path: Path) -> None:
    source = LANGUAGE["bert"].published(tmp_path / "it")
    (source.parent / "vocab.txt").write_text("[PAD]\nThe\n")
    outcome = ferried("convert", source, tmp_path / "result", "--map", "bert")
    assert "tokenizer_config.json: do_lower_case false from vocab.txt\n" in outcome.out


def test_what_only_settings_tell(tmp_path: Path) -> None:
    """ALBERT's layers share their weights."""
    fixture = LANGUAGE["albert"]
    source = fixture.published(tmp_path / "it")
    (source.parent / "albert_config.json").unlink()
    result = tmp_path / "result"
    assert refused("convert", source, result, "--map", "albert") == (
        "albert: expected num_hidden_layers, num_attention_heads in albert_config.json or config.json "
        "beside the source, since shapes do not tell, got no such file"
    )
    assert not result.exists()
    ferried("convert", source, tmp_path / "albert.safetensors", "--map", "albert")


def test_a_checkpoint_of_objects_is_recognised_by_its_own_names() -> None:
    prefix = LANGUAGE["bert_garden"].prefix
    said = "BERT's encoder of TensorFlow's Model Garden, 2 layers, 16 wide"
    assert f"looks like {said}: --map bert-garden --names key\n" in ferried("inspect", prefix).out
    found = ferried("inspect", prefix, "--json").json["recognised"]
    assert found == [{"preset": "bert-garden", "says": said, "names": "key"}]
    for names in ([], ["--names", "key"]):
        assert ferried("map", "check", "bert-garden", prefix, *names).out == "13 rules make 39 tensors of 39\n"
    outcome = ferry("map", "check", "bert-garden", prefix, "--names", "full")
    assert outcome.status == 2
    assert "no rule takes word_embeddings/embeddings" in outcome.err


def test_a_preset_takes_the_names_that_it_is_made_for(tmp_path: Path) -> None:
    fixture = LANGUAGE["bert_garden"]
    outcome = ferried("convert", fixture.prefix, tmp_path / "it", "--map", "bert-garden", "--verify")
    assert "names are the checkpoint's own (--names key), for which the table is made\n" in outcome.out
    ferried("convert", fixture.prefix, tmp_path / "named", "--map", "bert-garden", "--names", "key")
    found, same = (tensorferry.load_checkpoint(tmp_path / name / "model.safetensors") for name in ("it", "named"))
    assert {name: tensor.tobytes() for name, tensor in found.items()} == {
        name: tensor.tobytes() for name, tensor in same.items()
    }
    back = tmp_path / "back.toml"
    back.write_text(ferried("map", "invert", "bert-garden", fixture.prefix).out)
    ferried("convert", tmp_path / "it" / "model.safetensors", tmp_path / "back.npz", "--map", back)


def test_labels_go_along(tmp_path: Path) -> None:
    """No shape tells their names, but what transformers saved does."""
    source = LANGUAGE["transformers_bert_tagger"].published(tmp_path / "it")
    labels = {"id2label": {"0": "O", "1": "B", "2": "I"}, "label2id": {"O": 0, "B": 1, "I": 2}}
    (source.parent / "config.json").write_text(json.dumps({"num_attention_heads": 4, **labels}))
    result = tmp_path / "result"
    result.mkdir()
    ferried("convert", source, result, "--map", "transformers-bert-tagger")
    config = json.loads((result / "config.json").read_text())
    assert {key: config[key] for key in labels} == labels
    assert config["num_labels"] == 3


@pytest.mark.parametrize("name", ["bert_mlm", "roberta_classifier", "xlm_roberta_squad"])
def test_the_pooler_that_a_class_no_longer_has(name: str, tmp_path: Path) -> None:
    """Versions before 4 made it for all classes."""
    fixture = LANGUAGE[f"transformers_{name}"]
    preset, weights = fixture.about["preset"], {key: each.numpy() for key, each in _weights(fixture, tmp_path).items()}
    (words,) = [key for key in weights if key.endswith("/embeddings/word_embeddings/weight")]
    pooler = words.replace("embeddings/word_embeddings/weight", "pooler/dense")
    extra = {f"{pooler}/kernel": np.zeros([8, 8], np.float32), f"{pooler}/bias": np.zeros([8], np.float32)}
    old = tmp_path / "old.safetensors"
    save_file({**weights, **extra}, old)
    ferried("convert", old, tmp_path / "result.safetensors", "--map", preset)
    ferried("convert", fixture.prefix, tmp_path / "wanted.safetensors", "--map", preset)
    assert ferried("diff", tmp_path / "result.safetensors", tmp_path / "wanted.safetensors").status == 0


def test_the_second_model_of_a_session(tmp_path: Path) -> None:
    """Keras numbers it; and what stands beside it is left out where that is asked for (docs/presets.md)."""
    fixture = LANGUAGE["transformers_bert_encoder"]
    weights = {key: each.numpy() for key, each in _weights(fixture, tmp_path).items()}
    second = {key.replace("tf_bert_model/", "tf_bert_model_1/", 1): array for key, array in weights.items()}
    save_file({**second, "dense/kernel": np.zeros([8, 3], np.float32)}, tmp_path / "second.safetensors")
    source, result = tmp_path / "second.safetensors", tmp_path / "result.safetensors"
    asked = "transformers-bert-encoder:model=tf_bert_model_1"
    assert f"1 layers, 8 wide: --map {asked}\n" in ferried("inspect", source).out
    assert "no rule takes dense/kernel" in refused("convert", source, result, "--map", asked)
    ferried("convert", source, result, "--map", asked, "--allow-unused")
    ferried("convert", fixture.prefix, tmp_path / "wanted.safetensors", "--map", "transformers-bert-encoder")
    assert ferried("diff", result, tmp_path / "wanted.safetensors").status == 0


@pytest.mark.parametrize(
    ("name", "renamed", "values"),
    [
        ("gpt2", {"tfgpt2lm_head_model/": "tfgp_t2lm_head_model/", "/wte/embeddings": "/wte/weight"},
         ":model=tfgp_t2lm_head_model"),
        ("t5", {"shared/shared/embeddings": "shared/shared/weight"}, ""),
        ("t5_v1_1", {"tft5_for": "tf_t5for"}, ":model=tf_t5for_conditional_generation"),
    ],
)  # fmt: skip
def test_names_of_old_versions(name: str, renamed: dict[str, str], values: str, tmp_path: Path) -> None:
    fixture = LANGUAGE[f"transformers_{name}"]
    preset, weights = fixture.about["preset"], {key: each.numpy() for key, each in _weights(fixture, tmp_path).items()}
    for new, old in renamed.items():
        weights = {key.replace(new, old): array for key, array in weights.items()}
    save_file(weights, tmp_path / "old.safetensors")
    ferried("convert", tmp_path / "old.safetensors", tmp_path / "result.safetensors", "--map", preset + values)
    ferried("convert", fixture.prefix, tmp_path / "wanted.safetensors", "--map", preset)
    assert ferried("diff", tmp_path / "result.safetensors", tmp_path / "wanted.safetensors").status == 0
