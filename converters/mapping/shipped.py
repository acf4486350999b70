"""The tables that come with the package: presets, and the parts that several presets, or a user's table, include."""

from __future__ import annotations

from pathlib import Path

PART = "shared/"
"""How the names of parts begin: `shared/bert_layers`."""


def preset_files() -> list[Path]:
    """The presets' files."""
    return _tables_in("presets")


def part_files() -> list[Path]:
    """The files of the parts."""
    return _tables_in("presets/shared")


def shipped_names() -> list[str]:
    """All presets, then all parts."""
    return [*(file.stem for file in preset_files()), *(f"{PART}{file.stem}" for file in part_files())]


def shipped_file(name: str) -> Path | None:
    """The preset or the part of that name; None where there is none."""
    files = part_files() if name.startswith(PART) else preset_files()
    return next((file for file in files if file.stem == name.removeprefix(PART)), None)


def _tables_in(folder: str) -> list[Path]:
    return sorted((Path(__file__).parent.parent / folder).glob("*.toml"), key=lambda file: file.stem)
