"""Presets of slim's networks: all that was published is taken, under names of PyTorch's libraries, and comes back.

That those have these names and shapes, and what they compute, is for tests/hub to say.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import tensorferry
from tensorferry.converters.mapping.config import config_of
from tensorferry.converters.mapping.plan import make_plan
from tensorferry.converters.mapping.presets import preset_names, read_preset
from tensorferry.converters.mapping.recognition import Recognised, recognise
from tensorferry.formats.tensor import Tensor
from tests.cli import ferried, ferry
from tests.hub.pages import code_of
from tests.preset_fixture import EDITED, PRESETS, PresetFixture
from tests.published import slim, zeros

SLIM = {name: (PRESETS | EDITED)[name] for name in ("resnet_v1_50", "resnet_v2_50", "inception_v3")}
each = pytest.mark.parametrize("fixture", SLIM.values(), ids=SLIM)

PUBLISHED = {
    "resnet_v1_50": ("ResNet V1 50, 2048 wide, 1000 labels", 320),
    "resnet_v1_101": ("ResNet V1 101, 2048 wide, 1000 labels", 626),
    "resnet_v1_152": ("ResNet V1 152, 2048 wide, 1000 labels", 932),
    "resnet_v2_50": ("ResNet V2 50, 2048 wide, 1001 labels", 321),
    "resnet_v2_101": ("ResNet V2 101, 2048 wide, 1001 labels", 644),
    "resnet_v2_152": ("ResNet V2 152, 2048 wide, 1001 labels", 967),
    "inception_v3": ("Inception V3, 1001 labels", 580),
}
"""What inspect says, and how many entries the state of the model has, as PyTorch's libraries count them."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_was_published(name: str) -> None:
    says, count = PUBLISHED[name]
    source = zeros(slim(name))
    assert recognise(source) == [Recognised(name, says)]
    plan = make_plan(read_preset(name).rules, source)
    assert plan.all_problems(source, allow_unmatched=False, allow_unused=False) == []
    assert sum(len(move.targets) for move in plan.moves) == count


@pytest.mark.parametrize(("name", "depths"), [("50", [3, 4, 6, 3]), ("101", [3, 4, 23, 3]), ("152", [3, 8, 36, 3])])
def test_configs_of_resnets(name: str, depths: list[int]) -> None:
    first = config_of(read_preset(f"resnet_v1_{name}"), zeros(slim(f"resnet_v1_{name}"))).entries
    assert (first["depths"], first["hidden_sizes"], first["embedding_size"]) == (depths, [256, 512, 1024, 2048], 64)
    second = config_of(read_preset(f"resnet_v2_{name}"), zeros(slim(f"resnet_v2_{name}"))).entries
    assert (second["architecture"], second["num_classes"]) == (f"resnetv2_{name}", 1001)
    assert second["model_args"] == {
        "in_chans": 3, "stem_chs": 64, "channels": [256, 512, 1024, 2048], "layers": depths, "stem_type": "same",
    }  # fmt: skip


@each
def test_the_note_is_in_the_report(fixture: PresetFixture, tmp_path: Path) -> None:
    preset = fixture.about["preset"]
    _, outcome = fixture.converted(tmp_path / "it")
    note = read_preset(preset).note
    assert "docs/presets.md" in note
    assert f"{preset}: {note}" in outcome.json["notes"]
    assert f"note: {note}" in ferried("map", "show", preset).out


@pytest.mark.parametrize("name", preset_names())
def test_what_a_note_says_is_on_the_page(name: str) -> None:
    """Whether that code does what it says, tests/hub finds out."""
    table = read_preset(name)
    if "docs/presets.md" in table.note:
        code = code_of(re.sub(r" \d+$", "", table.title))
        compile(code, "docs/presets.md", "exec")


def test_values(tmp_path: Path) -> None:
    result, _ = SLIM["inception_v3"].converted(tmp_path / "it")
    there, here = (
        tensorferry.load_checkpoint(path) for path in (SLIM["inception_v3"].prefix, result / "model.safetensors")
    )
    kernel = there["InceptionV3/Mixed_7b/Branch_1/Conv2d_0b_3x1/weights"].numpy()
    assert np.array_equal(here["Mixed_7b.branch3x3_2b.conv.weight"].numpy(), kernel.transpose(3, 2, 0, 1))
    shift = there["InceptionV3/Mixed_6a/Branch_0/Conv2d_1a_1x1/BatchNorm/beta"].numpy()
    assert np.array_equal(here["Mixed_6a.branch3x3.bn.bias"].numpy(), shift)
    gains = [tensor.numpy() for name, tensor in here.items() if name.endswith(".bn.weight")]
    assert len(gains) == 96
    assert all((gain == 1).all() and gain.dtype == np.float32 for gain in gains)


def test_inception_without_its_auxiliary_head() -> None:
    source = without(slim("inception_v3"), "/AuxLogits/")
    plan = make_plan(read_preset("inception_v3").rules, source)
    assert plan.all_problems(source, allow_unmatched=False, allow_unused=False) == []
    assert not any(name.startswith("AuxLogits") for move in plan.moves for name in move.targets)
    assert config_of(read_preset("inception_v3"), source).entries["model_args"]["aux_logits"] == 0


def test_the_mean_of_pictures_is_left_out() -> None:
    """The checkpoints of ResNet V1 that were published have it beside the weights."""
    source = zeros({**slim("resnet_v1_50"), "resnet_v1_50/mean_rgb": (3,)})
    plan = make_plan(read_preset("resnet_v1_50").rules, source)
    assert plan.all_problems(source, allow_unmatched=False, allow_unused=False) == []
    assert list(plan.dropped) == ["resnet_v1_50/mean_rgb"]


def test_configs_say_what_they_assume(tmp_path: Path) -> None:
    result, outcome = SLIM["inception_v3"].converted(tmp_path / "it")
    config = json.loads((result / "config.json").read_text())
    assert config["pretrained_cfg"]["input_size"] == [3, 299, 299]
    (note,) = [note for note in outcome.json["notes"] if "assumed" in note]
    assert note.startswith('config.json: shapes do not tell, assumed: pretrained_cfg {"input_size": [3, 299, 299], ')


def test_one_does_not_pass_for_another(tmp_path: Path) -> None:
    outcome = ferry("convert", SLIM["resnet_v1_50"].prefix, tmp_path / "x.safetensors", "--map", "resnet_v2_50")
    assert outcome.status == 2
    assert "no rule takes resnet_v1_50/block1/unit_1/bottleneck_v1/conv1/BatchNorm/beta" in outcome.err


def without(shapes: dict[str, tuple[int, ...]], part: str) -> dict[str, Tensor]:
    return zeros({name: shape for name, shape in shapes.items() if part not in name})
