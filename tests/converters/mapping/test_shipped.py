"""The tables that come with the package, by their names."""

import pytest

from tensorferry.converters.mapping.presets import preset_names, read_preset
from tensorferry.converters.mapping.shipped import part_files, shipped_file, shipped_names


def test_names():
    names = shipped_names()
    assert names[: len(preset_names())] == preset_names() == sorted(preset_names())
    assert {"bert", "shared/bert_layers"} < set(names)
    assert len(set(names)) == len(names)
    assert all(shipped_file(name).is_file() for name in names)


@pytest.mark.parametrize("name", ["", "shared/", "shared/bert", "bert_layers", "../presets/bert", "/bert", "bert.toml"])
def test_what_is_none(name):
    assert shipped_file(name) is None


@pytest.mark.parametrize(
    "file", [f for f in part_files() if "\n[[rules]]" in f.read_text("utf-8")], ids=lambda f: f.stem
)
def test_parts_can_be_read_alone(file):
    """Each part has defaults for all of its variables, as a user who includes it needs."""
    assert read_preset(f"shared/{file.stem}").rules
