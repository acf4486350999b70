"""Presets of Funnel Transformer, whose blocks no shape tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tensorferry
from tests.cli import ferried, refused
from tests.preset_fixture import PRESETS


@pytest.mark.parametrize("size", ["small", "medium"])
def test_blocks_that_shapes_do_not_tell_apart(size: str, tmp_path: Path) -> None:
    """Both have twelve layers; without the settings, the preset's word is taken."""
    source = PRESETS[f"funnel_{size}"].published(tmp_path / "it")
    other = "funnel-medium" if size == "small" else "funnel-small"
    got = "'4_4_4' for [6, 3, 3]" if size == "small" else "'6_3x2_3x2' for [4, 4, 4]"
    expected = f"expected what the table and the source's shapes tell, got block_sizes {got}"
    (tmp_path / "result").mkdir()
    assert refused("convert", source, tmp_path / "result", "--map", other).endswith(f"net_config.json: {expected}")
    (source.parent / "net_config.json").unlink()
    ferried("convert", source, tmp_path / "result", "--map", other)


@pytest.mark.parametrize("size", ["small", "medium", "intermediate", "large", "xlarge"])
def test_an_encoder_alone(size: str, tmp_path: Path) -> None:
    """It has what the whole model has in its encoder; `funnel_small_base` is one that transformers runs."""
    fixture = PRESETS[f"funnel_{size}"]
    (tmp_path / "result").mkdir()
    source = fixture.published(tmp_path / "it")
    ferried("convert", source, tmp_path / "result", "--map", f"funnel-{size}-base")
    found = tensorferry.load_checkpoint(tmp_path / "result" / "model.safetensors")
    inner = ("funnel.embeddings.", "funnel.encoder.")
    wanted = {name[7:]: shape for name, shape in fixture.names["shapes"].items() if name.startswith(inner)}
    assert {name: list(tensor.shape) for name, tensor in found.items()} == wanted
    config = json.loads((tmp_path / "result" / "config.json").read_text())
    assert config["architectures"] == ["FunnelBaseModel"]
    assert {key: config.get(key) for key in fixture.about["config"]} == fixture.about["config"]


def test_a_discriminator_without_its_head(tmp_path: Path) -> None:
    """FunnelModel needs none: the rest comes through if that is allowed."""
    fixture, source = PRESETS["funnel_medium"], tmp_path / "headless.ckpt"
    ferried("convert", fixture.prefix, source, "--exclude", "model/binary_*", "--exclude", "model/binary_*/**")
    found = ferried("inspect", source, "--json").json["recognised"]
    assert [item["preset"] for item in found] == ["funnel-medium", "funnel-small"]
    told = refused("convert", source, tmp_path / "it.safetensors", "--map", "funnel-medium")
    assert "expected model/binary_loss/weight in the source, got none" in told
    assert "--allow-unmatched would let that pass" in told
    ferried("convert", source, tmp_path / "it.safetensors", "--map", "funnel-medium", "--allow-unmatched")
    names = {name for name in fixture.names["shapes"] if name.startswith("funnel.")}
    assert set(tensorferry.load_checkpoint(tmp_path / "it.safetensors")) == names
