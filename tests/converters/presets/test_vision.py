"""Presets of models of pictures: they give the names and shapes of transformers, and the way back gives the bytes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tensorferry
from tensorferry.converters.mapping.config import config_of
from tensorferry.converters.mapping.plan import make_plan
from tensorferry.converters.mapping.presets import read_preset
from tensorferry.converters.mapping.recognition import Recognised, recognise
from tests.cli import ferried, ferry
from tests.preset_fixture import EDITED, PRESETS, PresetFixture
from tests.published import EFFICIENT, efficient, zeros

VISION = {name: fixture for name, fixture in PRESETS.items() if not fixture.is_language}
AVERAGE = "/ExponentialMovingAverage"

each = pytest.mark.parametrize("fixture", VISION.values(), ids=VISION)


@each
def test_names_and_shapes(fixture: PresetFixture, tmp_path: Path) -> None:
    result, outcome = fixture.converted(tmp_path / "it")
    assert outcome.status == 0, outcome.err
    found = tensorferry.load_checkpoint(result / "model.safetensors")
    assert {name: list(tensor.shape) for name, tensor in found.items()} == fixture.names["shapes"]
    counters = [tensor.numpy() for name, tensor in found.items() if name.endswith(".num_batches_tracked")]
    assert all(counter.dtype == np.int64 and counter == 0 for counter in counters)


@each
def test_values(fixture: PresetFixture, tmp_path: Path) -> None:
    """As PyTorch keeps a classifier, and of the averages where there are any."""
    result, _ = fixture.converted(tmp_path / "it")
    there, here = (tensorferry.load_checkpoint(path) for path in (fixture.prefix, result / "model.safetensors"))
    suffix = AVERAGE if fixture.about["averages"] else ""
    kernel, bias = CLASSIFIERS[fixture.about["preset"]]
    (weight,) = [name for name in here if name.startswith("classifier.") and name.endswith("weight")]
    wanted = there[kernel + suffix].numpy()
    assert np.array_equal(here[weight].numpy(), wanted.reshape(wanted.shape[-2:]).T)
    assert np.array_equal(here[weight.replace("weight", "bias")].numpy(), there[bias + suffix].numpy())


CLASSIFIERS = {
    "resnet_v1_50": ("resnet_v1_50/logits/weights", "resnet_v1_50/logits/biases"),
    "bit": ("resnet/head/conv2d/kernel", "resnet/head/conv2d/bias"),
    "efficientnet-b0": ("efficientnet-b0/head/dense/kernel", "efficientnet-b0/head/dense/bias"),
    "mobilenet_v1": ("MobilenetV1/Logits/Conv2d_1c_1x1/weights", "MobilenetV1/Logits/Conv2d_1c_1x1/biases"),
    "mobilenet_v2": ("MobilenetV2/Logits/Conv2d_1c_1x1/weights", "MobilenetV2/Logits/Conv2d_1c_1x1/biases"),
}


@each
def test_config(fixture: PresetFixture, tmp_path: Path) -> None:
    """What the graph was built with, but for the size of pictures, which all of these take."""
    result, _ = fixture.converted(tmp_path / "it")
    config = json.loads((result / "config.json").read_text())
    about = fixture.about
    wanted = {key: value for key, value in about["config"].items() if key != "image_size"}
    assert {key: config.get(key) for key in wanted} == wanted
    assert config["architectures"] == [about["class"]]


@each
def test_how_pictures_are_prepared(fixture: PresetFixture, tmp_path: Path) -> None:
    """No checkpoint tells; so what is written is said to be assumed."""
    result, outcome = fixture.converted(tmp_path / "it")
    prepared = json.loads((result / "preprocessor_config.json").read_text())
    (note,) = [note for note in outcome.json["notes"] if note.startswith("preprocessor_config.json: ")]
    kind, mean = prepared["image_processor_type"], prepared["image_mean"]
    assert f'shapes do not tell, assumed: image_processor_type "{kind}", do_resize true, ' in note
    assert f"image_mean {mean}" in note


@pytest.mark.parametrize("kind", EFFICIENT)
def test_efficientnets_are_fed_at_their_size(kind: str) -> None:
    table = read_preset(f"efficientnet-{kind}")
    prepared, size = table.files["preprocessor_config.json"], table.config["image_size"]
    assert prepared["crop_size"] == {"height": size, "width": size}
    assert prepared["size"] == {"shortest_edge": size + 32}


@pytest.mark.parametrize("fixture", (VISION | EDITED).values(), ids=VISION | EDITED)
def test_back(fixture: PresetFixture, tmp_path: Path) -> None:
    preset, weights, table = fixture.about["preset"], tmp_path / "there.safetensors", tmp_path / "back.toml"
    ferried("convert", fixture.prefix, weights, "--map", preset)
    table.write_text(ferried("map", "invert", preset, "--partial").out)
    ferried("convert", weights, tmp_path / "back.ckpt", "--map", table)
    came = tensorferry.load_checkpoint(fixture.prefix)
    back = tensorferry.load_checkpoint(tmp_path / "back.ckpt")
    assert sorted(back) == sorted(name for name in came if not name.endswith(AVERAGE))
    assert all(tensor.tobytes() == came[name].tobytes() for name, tensor in back.items())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("bit", "BiT, units 1, 2, 1, 1, 64 wide, 5 labels"),
        ("efficientnet_b0", "EfficientNet-B0, 5 labels"),
        ("mobilenet_v1", "MobileNet V1, width 0.0625, 7 labels"),
        ("resnet_v1_50", "ResNet V1 50, 32 wide, 7 labels"),
        ("mobilenet_v2", "MobileNet V2, 20 channels in the last block, 7 labels"),
    ],
)
def test_inspect_recognises_it_and_nothing_else(name: str, says: str) -> None:
    preset = VISION[name].about["preset"]
    assert ferried("inspect", VISION[name].prefix, "--json").json["recognised"] == [{"preset": preset, "says": says}]
    assert f"looks like {says}: --map {preset}" in ferried("inspect", VISION[name].prefix).out


def test_one_does_not_pass_for_another(tmp_path: Path) -> None:
    outcome = ferry("convert", VISION["mobilenet_v2"].prefix, tmp_path / "x.safetensors", "--map", "mobilenet_v1")
    assert outcome.status == 2
    assert "no rule takes MobilenetV2/Conv/BatchNorm/beta float32 [2]" in outcome.err


def test_averages_are_counted_by_the_variables(tmp_path: Path) -> None:
    """Not by the results, of which some variables have two."""
    prefix = VISION["efficientnet_b0"].prefix
    averages = [n for n in tensorferry.load_checkpoint(prefix) if n.endswith("/ExponentialMovingAverage")]
    outcome = ferried("convert", prefix, tmp_path / "new", "--map", "efficientnet-b0", "--ema", "--dry-run")
    assert f"averaged  {len(averages)} variables by the shadow's value" in outcome.out


def test_bit_was_published_as_npz(tmp_path: Path) -> None:
    source, answer = tmp_path / "BiT-M-R50x1.npz", tmp_path / "there.safetensors"
    np.savez(source, **{name: t.numpy() for name, t in tensorferry.load_checkpoint(VISION["bit"].prefix).items()})
    assert ferried("inspect", source, "--json").json["recognised"][0]["preset"] == "bit"
    ferried("convert", source, answer, "--map", "bit")
    found = tensorferry.load_checkpoint(answer)
    assert {name: list(tensor.shape) for name, tensor in found.items()} == VISION["bit"].names["shapes"]


EFFICIENT_REPEATS = {
    "b0": (1280, (1, 2, 2, 3, 3, 4, 1)), "b1": (1280, (2, 3, 3, 4, 4, 5, 2)), "b2": (1408, (2, 3, 3, 4, 4, 5, 2)),
    "b3": (1536, (2, 3, 3, 5, 5, 6, 2)), "b4": (1792, (2, 4, 4, 6, 6, 8, 2)), "b5": (2048, (3, 5, 5, 7, 7, 9, 3)),
    "b6": (2304, (3, 6, 6, 8, 8, 11, 3)), "b7": (2560, (4, 7, 7, 10, 10, 13, 4)),
    "b8": (2816, (4, 8, 8, 11, 11, 15, 4)), "l2": (5504, (6, 11, 11, 16, 16, 22, 6)),
}  # fmt: skip
"""Channels behind the last block, and blocks of each stage; those of the first do not expand."""


@pytest.mark.parametrize("kind", EFFICIENT)
class TestEfficientNet:
    """Ten of one structure, which differ in their widths and in how often blocks are repeated."""

    def test_each(self, kind: str) -> None:
        source, preset, (_, repeats) = zeros(efficient(kind)), f"efficientnet-{kind}", EFFICIENT_REPEATS[kind]
        assert recognise(source) == [Recognised(preset, f"EfficientNet-{kind.upper()}, 1000 labels")]
        plan = make_plan(read_preset(preset).rules, source)
        assert plan.all_problems(source, allow_unmatched=False, allow_unused=False) == []
        found = {name for move in plan.moves for name in move.targets}
        for block in range(sum(repeats)):
            at = f"efficientnet.encoder.blocks.{block}."
            here = {name.removeprefix(at) for name in found if name.startswith(at)}
            assert here == {name for name in BLOCK if block >= repeats[0] or not name.startswith("expansion.")}
        assert not any(name.startswith(f"efficientnet.encoder.blocks.{sum(repeats)}.") for name in found)

    def test_config(self, kind: str) -> None:
        config = config_of(read_preset(f"efficientnet-{kind}"), zeros(efficient(kind))).entries
        top, repeats = EFFICIENT_REPEATS[kind]
        assert (config["hidden_dim"], config["width_coefficient"]) == (top, EFFICIENT[kind][0])
        depth = config["depth_coefficient"]
        assert tuple(int(np.ceil(depth * repeat)) for repeat in EFFICIENT_REPEATS["b0"][1]) == repeats
        assert config["depthwise_padding"] == odd_blocks(config["image_size"], repeats)


NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
BLOCK = {
    "expansion.expand_conv.weight", "depthwise_conv.depthwise_conv.weight", "projection.project_conv.weight",
    *(f"squeeze_excite.{part}.{p}" for part in ("reduce", "expand") for p in ("weight", "bias")),
    *(f"expansion.expand_bn.{p}" for p in NORM), *(f"depthwise_conv.depthwise_norm.{p}" for p in NORM),
    *(f"projection.project_bn.{p}" for p in NORM),
}  # fmt: skip
"""The state of a block of transformers' EfficientNet."""


def odd_blocks(size: int, repeats: tuple[int, ...]) -> list[int]:
    """The blocks with stride 2 that get pictures of an odd size, which SAME pads alike on all sides."""
    size, number, found = (size + 1) // 2, 0, []
    for count, stride in zip(repeats, (1, 2, 2, 2, 1, 2, 1), strict=True):
        if stride == 2:
            if size % 2:
                found.append(number)
            size = (size + 1) // 2
        number += count
    return found
