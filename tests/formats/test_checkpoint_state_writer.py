"""checkpoint_state_writer: the file that TensorFlow's Saver leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tensorferry.formats.checkpoint_state import read_state
from tensorferry.formats.checkpoint_state_writer import write_state
from tensorferry.formats.errors import DestinationError, UsageError
from tests.fixture import FIXTURES


@pytest.mark.parametrize("name", ["add", "mnist", "add_tf2", "bundle_sharded"])
def test_it_is_what_a_saver_wrote(name: str, tmp_path: Path) -> None:
    write_state(tmp_path / "checkpoint", tmp_path / "model.ckpt")
    assert (tmp_path / "checkpoint").read_bytes() == FIXTURES[name].file("checkpoint").read_bytes()


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("n\u00e9\u6c34", "n\u00e9\u6c34".encode()),
        ("a\"b\\c'd", b"a\\\"b\\\\c\\'d"),
        ("tab\tx", b"tab\\tx"),
        ("a\nb\rc", b"a\\nb\\rc"),
        ("\x01\x7f", b"\\001\\177"),
        ("deeper/model.ckpt-3", b"deeper/model.ckpt-3"),
        ("../run/model.ckpt", b"model.ckpt"),
    ],
)
def test_odd_names(name: str, quoted: bytes, tmp_path: Path) -> None:
    """The first three and the last two as a Saver of TensorFlow 2.21 wrote them, the others by protobuf's rules."""
    directory = tmp_path / "run"
    directory.mkdir()
    write_state(directory / "checkpoint", directory / name)
    written = (directory / "checkpoint").read_bytes()
    assert written == b'model_checkpoint_path: "%b"\nall_model_checkpoint_paths: "%b"\n' % (quoted, quoted)
    assert read_state(directory / "checkpoint").latest == os.path.relpath(directory / name, directory)


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_state("checkpoint", "./model.ckpt")
    write_state("checkpoint", tmp_path / "other", force=True)
    assert Path("checkpoint").read_text() == 'model_checkpoint_path: "other"\nall_model_checkpoint_paths: "other"\n'


def test_an_older_one_stays_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    path.write_text("old")
    with pytest.raises(DestinationError, match=r"checkpoint: exists already \(--force replaces it\)"):
        write_state(path, tmp_path / "model.ckpt")
    assert path.read_text() == "old"


@pytest.mark.parametrize("prefix", ["../other/model.ckpt", "..", "."])
def test_a_checkpoint_elsewhere(prefix: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="checkpoint: expected a checkpoint in or below its directory, got '"):
        write_state(tmp_path / "checkpoint", tmp_path / prefix)
    assert not os.listdir(tmp_path)


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"checkpoint: expected a checkpoint with a name in UTF-8, got 'a.udcff'"):
        write_state(tmp_path / "checkpoint", tmp_path / "a\udcff")
