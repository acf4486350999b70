"""docs/presets.md names every preset, and the classes that their config.json asks for."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from tensorferry.converters.mapping.presets import preset_names, read_preset

PAGE = Path(__file__).parent.parent / "docs" / "presets.md"


def expanded(pattern: str) -> list[str]:
    """`a-{b,c}` -> a-b, a-c."""
    parts = re.split(r"\{(.*?)\}", pattern)
    choices = [part.split(",") if place % 2 else [part] for place, part in enumerate(parts)]
    return ["".join(words) for words in product(*choices)]


def rows() -> dict[str, str]:
    """Preset -> its row in one of the page's galleries."""
    lines = PAGE.read_text("utf-8").splitlines()
    cells = [(line.split("|")[1], line) for line in lines if line.startswith("| `")]
    return {name: line for cell, line in cells for word in re.findall("`(.*?)`", cell) for name in expanded(word)}


def test_every_preset_has_its_row() -> None:
    assert sorted(rows()) == sorted(preset_names())


@pytest.mark.parametrize("name", [name for name in preset_names() if not name.startswith("transformers-")])
def test_the_row_names_the_class(name: str) -> None:
    config = read_preset(name).config
    wanted = config["architectures"][0] if "architectures" in config else config["architecture"]
    row = rows()[name]
    assert wanted in row or (wanted.endswith("ForImageClassification") and "transformers" in row)
