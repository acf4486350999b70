"""sibling: a reference never leads out of the directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorferry.formats.errors import FormatError
from tensorferry.formats.sibling import sibling


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "/etc/passwd",
        "../secret",
        "a/../../secret",
        "..",
        "a\\..\\..\\secret",
        "\\secret",
        "C:\\secret",
        "c:secret",
        "a\0",
    ],
)
def test_a_reference_that_climbs_out(tmp_path: Path, reference: str) -> None:
    (tmp_path / "secret").write_bytes(b"")
    path = tmp_path / "in" / "index"
    path.parent.mkdir()
    with pytest.raises(FormatError) as error:
        sibling(path, reference)
    assert "index: expected a reference to a file beside it, got " in str(error.value)


def test_what_is_beside_or_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "below").mkdir()
    for name in "data", "below/data", "a..b":
        (tmp_path / name).write_bytes(b"")
        assert sibling(tmp_path / "index", name) == str(tmp_path / name)
        assert sibling(tmp_path / "index", name, links=False) == str(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert sibling("index", "data", links=False) == "data"


@pytest.mark.parametrize("reference", ["data", ".", "below", "below/"])
def test_no_file(tmp_path: Path, reference: str) -> None:
    (tmp_path / "below").mkdir()
    with pytest.raises(FormatError) as error:
        sibling(tmp_path / "index", reference)
    assert str(error.value) == f"{tmp_path / 'index'}: expected the file {reference!r} beside it, got none"


def test_links(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "secret").write_bytes(b"")
    (home / "real").write_bytes(b"")
    (home / "near").symlink_to("real")
    (home / "far").symlink_to("../secret")
    (home / "up").symlink_to("..")
    assert sibling(home / "index", "near", links=False) == str(home / "near")
    assert sibling(home / "index", "far") == str(home / "far")
    for reference in "far", "up/secret":
        with pytest.raises(FormatError) as error:
            sibling(home / "index", reference, links=False)
        expected = f"expected the file {reference!r} beside it, got a link that leads elsewhere"
        assert str(error.value) == f"{home / 'index'}: {expected}"
