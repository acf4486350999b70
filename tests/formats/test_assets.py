"""Assets: their names as SavedModels list them, and names that lead out of the directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorferry.formats.assets import asset_file, asset_names
from tensorferry.formats.errors import FormatError
from tensorferry.formats.graph_file import read_message
from tests.fixture import HOME


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tables_v1", {"vocabulary/hash_table/asset_path:0": "vocabulary.txt"}),
        ("tables_v2", {"asset_path_initializer:0": "columns.txt", "asset_path_initializer_1:0": "vocabulary.txt"}),
        ("saved_model", {}),
    ],
)
def test_names_of_saved_models(name: str, expected: dict[str, str]) -> None:
    path = HOME / name / "saved_model.pb"
    meta = read_message("SavedModel", path).meta_graphs[0]
    assert asset_names(meta, str(path)) == expected


def test_a_file_below_the_directory(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "words.txt").write_bytes(b"a\n")
    (tmp_path / "also").symlink_to(tmp_path / "deep" / "words.txt")
    assert asset_file(str(tmp_path), "deep/words.txt") == str(tmp_path / "deep" / "words.txt")
    assert asset_file(str(tmp_path), "also") == str(tmp_path / "also")


@pytest.mark.parametrize(
    "name", ["", "../words", "deep/../../words", "/etc/passwd", "\\etc", "c:words", "..\\w", "a\0"]
)
def test_names_that_climb_out_are_refused(tmp_path: Path, name: str) -> None:
    home = tmp_path / "assets"
    home.mkdir()
    (tmp_path / "words").write_bytes(b"a\n")
    with pytest.raises(FormatError) as caught:
        asset_file(str(home), name)
    shown = repr(name).encode().decode()
    assert str(caught.value) == f"{home}: expected an asset's name below the directory, got {shown}"


def test_links_that_climb_out_are_refused(tmp_path: Path) -> None:
    home = tmp_path / "assets"
    home.mkdir()
    (tmp_path / "words").write_bytes(b"a\n")
    (home / "words").symlink_to(tmp_path / "words")
    (home / "deep").symlink_to(tmp_path)
    for name in ("words", "deep/words"):
        with pytest.raises(
            FormatError, match=r": expected an asset within its directory, got a link that leads out of it$"
        ):
            asset_file(str(home), name)


def test_a_missing_asset_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"/words: expected the asset that the graph names, got no such file$"):
        asset_file(str(tmp_path), "words")
