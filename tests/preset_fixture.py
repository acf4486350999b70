"""The directories of fixtures/presets: checkpoints as they were published, in small, and what TensorFlow computed.

PRESETS["bert"].prefix      the checkpoint
PRESETS["bert"].about       model.json: preset, class, config, and `given`, the entries that no shape tells
PRESETS["bert"].names       names.json: what transformers keeps for that class, and what it ties
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .cli import Outcome, ferry
from .fixture import HOME

SETTINGS = {
    "albert": "albert_config.json", "albert-garden": "albert_config.json", "bert": "bert_config.json",
    "gpt2": "hparams.json",
    "bert-encoder": "bert_config.json", "bert-classifier": "bert_config.json", "bert-squad": "bert_config.json",
    "bert-mlm": "bert_config.json", "mobilebert": "bert_config.json", "tapas": "bert_config.json",
    "canine": "canine_config.json", "xlnet": "xlnet_config.json",
    "funnel-small": "net_config.json", "funnel-small-base": "net_config.json", "funnel-medium": "net_config.json",
    "funnel-intermediate": "net_config.json", "funnel-large": "net_config.json", "funnel-xlarge": "net_config.json",
}  # fmt: skip
"""What the file of settings beside a published checkpoint is called; config.json for all others."""

OF_OBJECTS = (
    "albert-garden",
    *(f"bert-garden{kind}" for kind in ("", "-v2", "-pretraining", "-v2-pretraining", "-classifier", "-squad")),
)
"""Presets for TensorFlow 2's checkpoints of objects."""


@dataclass(frozen=True)
class PresetFixture:
    """One directory of fixtures/presets."""

    path: Path

    def __repr__(self) -> str:
        return f"<preset fixture {self.path.name}>"

    @property
    def prefix(self) -> Path:
        return self.path / "model.ckpt"

    @property
    def about(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / "model.json").read_text("utf-8"))
        return found

    @property
    def names(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / "names.json").read_text("utf-8"))
        return found

    @property
    def is_language(self) -> bool:
        """Whether it is fed with words, not with images."""
        return "input/input_ids" in np.load(self.path / "answers.npz")

    @property
    def is_edited(self) -> bool:
        """Whether it is for a model of timm, `timm.NAME`."""
        return str(self.about["class"]).startswith("timm.")

    def published(self, folder: Path) -> Path:
        """The checkpoint with its settings beside it, in a new folder: its prefix there."""
        folder.mkdir()
        for file in self.path.glob("model.ckpt*"):
            shutil.copy(file, folder)
        if self.about["given"]:
            (folder / SETTINGS.get(self.about["preset"], "config.json")).write_text(json.dumps(self.about["given"]))
        return folder / "model.ckpt"

    def converted(self, folder: Path) -> tuple[Path, Outcome]:
        """The directory for transformers that the preset makes of the published checkpoint, and what was said."""
        result = folder / "result"
        source = self.published(folder)
        result.mkdir()
        return result, ferry("convert", source, result, "--map", self.about["preset"], *self.options, "--json")

    @property
    def options(self) -> list[str]:
        """What to convert with, besides --map: averages, and the checkpoint's own names where it has objects."""
        names = ["--names", "key"] if self.about["preset"] in OF_OBJECTS else []
        return [*names, *(["--ema"] if self.about["averages"] else [])]


_ALL = {path.parent.name: PresetFixture(path.parent) for path in sorted((HOME / "presets").glob("*/model.json"))}
PRESETS = {name: fixture for name, fixture in _ALL.items() if not fixture.is_edited}
"""All of them by name, but for those of which transformers has no model."""

EDITED = {name: fixture for name, fixture in _ALL.items() if fixture.is_edited}
"""Those for models of timm, which have to be edited first (docs/presets.md)."""
