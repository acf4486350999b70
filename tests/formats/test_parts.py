"""parts: what the dead leave is removed, what the living have is not."""

# ruff: noqa: PT012 (what is under test is the context manager, not the one statement in it)

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tensorferry.formats import parts
from tensorferry.formats.atomic import OutputSet, output
from tensorferry.formats.parts import SUFFIX


def write(path: Path, data: bytes, force: bool = False) -> None:
    with output(path, force) as file:
        file.write(data)


def leftover(directory: Path, stem: str, *names: str, token: str = "01234567") -> Path:
    """A folder of parts as a killed run leaves it."""
    folder = directory / f".{stem}.{token}{SUFFIX}"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"half")
    return folder


def test_the_parts_of_the_living_are_left_alone(tmp_path: Path) -> None:
    with output(tmp_path / "a") as file:
        file.write(b"first")
        write(tmp_path / "a", b"second")
        (tmp_path / "a").unlink()
    assert (tmp_path / "a").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["a"]


def test_leftovers_are_removed(tmp_path: Path) -> None:
    leftover(tmp_path, "a", "a")
    leftover(tmp_path, "a", token="11111111")
    leftover(tmp_path, "a.data", "a.data", "a")  # of a set that `a` was in
    write(tmp_path / "a", b"new")
    assert os.listdir(tmp_path) == ["a"]


def test_leftovers_of_long_names_are_removed(tmp_path: Path) -> None:
    name = "x" * 255
    with output(tmp_path / name):
        (folder,) = os.listdir(tmp_path)
    leftover(tmp_path, folder[1 : -len(SUFFIX) - 9], name)
    write(tmp_path / name, b"new", force=True)
    assert os.listdir(tmp_path) == [name]


def test_nothing_else_is_removed(tmp_path: Path) -> None:
    others = [
        leftover(tmp_path, "b", "b"),
        leftover(tmp_path, "a.b", "a.b"),
        leftover(tmp_path, "a.01234567", "a.01234567"),
        leftover(tmp_path, "a", "a", token="0123456"),
        leftover(tmp_path, "a", "a", token="0123456g"),
        leftover(tmp_path, "a", "a").rename(tmp_path / "a.01234567.folder"),
        leftover(tmp_path, "a", "a").rename(tmp_path / f".a.01234567{SUFFIX}.bak"),
        leftover(tmp_path, "a", "a").rename(tmp_path / "kept"),
    ]
    link = tmp_path / f".a.22222222{SUFFIX}"
    link.symlink_to("kept")
    plain = tmp_path / f".a.33333333{SUFFIX}"
    plain.write_bytes(b"")
    write(tmp_path / "a", b"new")
    assert set(tmp_path.iterdir()) == {*others, link, plain, tmp_path / "a"}
    assert (tmp_path / "kept" / "a").read_bytes() == b"half"


def test_links_and_folders_in_a_leftover_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "far").write_bytes(b"far")
    folder = leftover(tmp_path, "a")
    (folder / "a").symlink_to("../far")
    (folder / "deep").mkdir()
    write(tmp_path / "a", b"new")
    assert (tmp_path / "far").read_bytes() == b"far"
    assert folder.is_dir()


def test_a_part_that_is_locked_stays(tmp_path: Path) -> None:
    folder = leftover(tmp_path, "a", "a")
    with (folder / "a").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write(tmp_path / "a", b"new")
        assert (folder / "a").exists()
    write(tmp_path / "a", b"newer", force=True)
    assert os.listdir(tmp_path) == ["a"]


def test_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filesystem that has no flock: everything works but the removal of leftovers."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    folder = leftover(tmp_path, "a", "a")
    write(tmp_path / "a", b"new")
    assert sorted(os.listdir(tmp_path)) == [folder.name, "a"]


def test_a_system_without_flock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "fcntl", None)
    leftover(tmp_path, "a", "a")
    write(tmp_path / "a", b"new")
    write(tmp_path / "a", b"newer", force=True)
    assert (tmp_path / "a").read_bytes() == b"newer"
    with pytest.raises(ValueError, match="stop"), output(tmp_path / "b") as file:
        file.write(b"half")
        raise ValueError("stop")
    with pytest.raises(ValueError, match="stop"), OutputSet() as files:
        files.open(tmp_path / "c")
        files.open(tmp_path / "d")
        raise ValueError("stop")
    assert os.listdir(tmp_path) == ["a"]


def interfered(monkeypatch: pytest.MonkeyPatch, sweeps: Iterator[str], folder: Path) -> None:
    """Lets another run's sweep come between the making of a part and its lock."""
    lock, make = parts._lock, parts.make_folder

    def late_lock(descriptor: int) -> bool | None:
        what = next(sweeps, "")
        if what == "part":
            for path in folder.glob(f".*{SUFFIX}/*"):
                path.unlink()
        return False if what == "locked" else lock(descriptor)

    def late_make(directory: str, name: str) -> str:
        made = make(directory, name)
        if next(sweeps, "") == "folder":
            os.rmdir(made)
        return made

    monkeypatch.setattr(parts, "_lock", late_lock)
    monkeypatch.setattr("tensorferry.formats.atomic.make_folder", late_make)


@pytest.mark.parametrize("sweeps", [["folder"], ["", "part"], ["", "locked"], ["folder", "", "part", "locked", "part"]])
def test_a_part_that_a_sweep_took_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sweeps: list[str]
) -> None:
    interfered(monkeypatch, iter(sweeps), tmp_path)
    write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]
