"""The readers of TensorFlow's checkpoints that transformers 4 had make the same tensors of them as the presets."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import tensorferry
from tests.cli import ferried
from tests.fixture import HOME
from tests.parity.conftest import build
from tests.preset_fixture import PRESETS

pytestmark = pytest.mark.hub


@dataclass(frozen=True)
class Reader:
    """Which class reads, where it is not the preset's, and what stands before its names in those of the preset."""

    kind: str = ""
    before: str = ""
    besides: tuple[str, ...] = ()
    """What it has besides."""

    lacks: str = ""
    """What the names begin with that it has no place for."""


READERS = {
    "albert": Reader(),
    "bert": Reader(),
    "bert_encoder": Reader(),
    "bert_mlm": Reader("BertForPreTraining", besides=("bert.pooler.dense.bias", "bert.pooler.dense.weight")),
    "canine": Reader(),
    "electra": Reader(),
    "electra_generator": Reader(),
    "funnel_small": Reader("FunnelModel", "funnel.", lacks="discriminator_predictions."),
    "funnel_small_base": Reader(),
    "gpt2": Reader("GPT2Model", "transformer."),
    "mobilebert": Reader(),
    "mobilenet_v1": Reader(),
    "mobilenet_v2": Reader(),
    "t5": Reader(),
    "t5_v1_1": Reader(),
    "tapas": Reader(),
    "xlnet": Reader(),
}
"""It had none for the weights that run_classifier.py and run_squad.py add, nor for checkpoints of objects."""


@pytest.fixture(scope="session")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, object], Path]]:
    """What each reader said, and the file with what it made; all in one process."""
    home = tmp_path_factory.mktemp("read")
    words: list[object] = []
    for name, reader in READERS.items():
        fixture = PRESETS[name]
        kind = reader.kind or fixture.about["class"]
        words += [fixture.path / "model.json", kind, fixture.prefix, home / f"{name}.npz"]
    answers = json.loads(build("transformers4").run(HOME / "oracle" / "transformers4_answer.py", *words))
    return {name: (answer, home / f"{name}.npz") for name, answer in zip(READERS, answers, strict=True)}


@pytest.mark.parametrize("name", READERS)
def test_it_makes_the_same(name: str, read: dict[str, tuple[dict[str, object], Path]], tmp_path: Path) -> None:
    """Of the variables themselves: readers know no averages."""
    fixture, reader = PRESETS[name], READERS[name]
    answer, file = read[name]
    assert "error" not in answer, answer
    arrays = np.load(file)
    theirs = {reader.before + key: arrays[key] for key in arrays.files}
    ferried("convert", fixture.prefix, tmp_path / "ours.safetensors", "--map", fixture.about["preset"])
    ours = {key: tensor.numpy() for key, tensor in tensorferry.load_checkpoint(tmp_path / "ours.safetensors").items()}
    if reader.lacks:
        ours = {key: array for key, array in ours.items() if not key.startswith(reader.lacks)}
    assert set(ours) <= set(theirs)
    assert set(theirs) - set(ours) <= {*fixture.names["tied"], *reader.besides}
    for key, array in ours.items():
        assert array.dtype == theirs[key].dtype
        assert np.array_equal(array, theirs[key]), key


def test_a_saved_model_gives_the_same(tmp_path: Path) -> None:
    """Of a class of transformers 4, as the weights alone that the same class saved."""
    fixture = PRESETS["transformers_roberta_mlm"]
    script, model = HOME / "oracle" / "transformers4_answer.py", tmp_path / "model"
    build("transformers4").run(script, "--saved-model", fixture.path / "model.json", fixture.prefix, model)
    shutil.copy(fixture.published(tmp_path / "it").parent / "config.json", model)
    one, other = tmp_path / "one", tmp_path / "other"
    preset = fixture.about["preset"]
    assert f"--map {preset}" in ferried("inspect", model).out
    for source, result in ((fixture.prefix, one), (model, other)):
        ferried("convert", source, f"{result}.safetensors", "--map", preset)
    assert ferried("diff", f"{one}.safetensors", f"{other}.safetensors").status == 0
    other.mkdir()
    ferried("convert", model, other, "--map", preset)
    assert json.loads((other / "config.json").read_text())["num_attention_heads"] == 4
