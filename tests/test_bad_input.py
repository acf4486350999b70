"""Each kind of bad input gets one line and exit status 2, and leaves every file as it was."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from .cli import ferried, refused
from .fixture import HOME

ADD = HOME / "add" / "model.ckpt"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The prefix of a copy of the add checkpoint."""
    return shutil.copytree(ADD.parent, tmp_path / "add") / "model.ckpt"


def snapshot(folder: Path) -> dict[str, bytes]:
    """The files below a folder with their bytes."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused_untouched(folder: Path, *words: object) -> str:
    before = snapshot(folder)
    line = refused(*words)
    assert snapshot(folder) == before
    return line


def test_a_path_that_is_nothing(tmp_path: Path) -> None:
    line = refused_untouched(tmp_path, "convert", tmp_path / "nothing.ckpt", tmp_path / "out.safetensors")
    assert line.startswith(f"{tmp_path / 'nothing.ckpt'}: ")
    assert "no such" in line


def test_a_checkpoint_whose_data_shard_is_missing(copy: Path) -> None:
    os.unlink(f"{copy}.data-00000-of-00001")
    line = refused_untouched(copy.parent, "convert", copy, copy.parent / "out.safetensors")
    assert line.startswith(f"{copy}.data-00000-of-00001: expected the data shard")


def test_damaged_data(copy: Path) -> None:
    data = Path(f"{copy}.data-00000-of-00001")
    damaged = bytearray(data.read_bytes())
    damaged[2] ^= 0x10
    data.write_bytes(damaged)
    for target in ("out.safetensors", "out.pb", "out.onnx", "out.npz"):
        line = refused_untouched(copy.parent, "convert", copy, copy.parent / target)
        assert "expected checksum" in line
        assert "'v1'" in line


def test_truncated_data(copy: Path) -> None:
    data = Path(f"{copy}.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:-1])
    line = refused_untouched(copy.parent, "convert", copy, copy.parent / "out.safetensors")
    assert line.startswith(f"{data}: expected 4 bytes of 'v2' at byte 4")


def test_a_damaged_index(copy: Path) -> None:
    index = Path(f"{copy}.index")
    damaged = bytearray(index.read_bytes())
    damaged[20] ^= 0x01
    index.write_bytes(damaged)
    assert refused_untouched(copy.parent, "inspect", copy).startswith(f"{index}: ")


def test_a_truncated_index(copy: Path) -> None:
    index = Path(f"{copy}.index")
    whole = index.read_bytes()
    for length in (0, 10, 47, len(whole) - 1):
        index.write_bytes(whole[:length])
        assert refused_untouched(copy.parent, "inspect", copy).startswith(f"{index}: ")


def test_a_variable_that_is_not_in_the_checkpoint(tmp_path: Path) -> None:
    partial = HOME / "add_partial" / "model.ckpt"
    for target in ("out.pb", "out.onnx"):
        line = refused_untouched(tmp_path, "convert", partial, tmp_path / target, "--outputs", "add:0")
        assert line == "v2: not in the checkpoint; it has: v1"
    assert refused("run", partial, "--outputs", "add:0") == "v2: not in the checkpoint; it has: v1"


def test_outputs_that_do_not_exist(tmp_path: Path) -> None:
    line = refused_untouched(tmp_path, "convert", ADD, tmp_path / "out.pb", "--outputs", "ad:0,nothing:0")
    assert line == "the graph: expected the nodes asked for, got none of the name: ad:0 (near: add), nothing:0"
    line = refused_untouched(tmp_path, "convert", ADD, tmp_path / "out.pb", "--outputs", "add:1")
    assert line == "add:1: expected an output of add (AddV2), which has 1"


def test_outputs_that_are_not_clear(tmp_path: Path) -> None:
    line = refused_untouched(tmp_path, "convert", HOME / "mnist" / "model.ckpt", tmp_path / "out.onnx")
    assert "2 likely ones: softmax:0, prediction:0" in line


def test_a_destination_that_exists(tmp_path: Path) -> None:
    for target in ("out.pb", "out.pbtxt", "out.onnx", "out.safetensors", "out.npz"):
        (tmp_path / target).write_text("kept")
        line = refused_untouched(tmp_path, "convert", ADD, tmp_path / target)
        assert line == f"{tmp_path / target}: exists already (--force replaces it)"
        ferried("convert", ADD, tmp_path / target, "--force")
        assert (tmp_path / target).read_bytes() != b"kept"


def test_destinations_that_cannot_be_written(tmp_path: Path) -> None:
    line = refused_untouched(tmp_path, "convert", ADD, tmp_path / "nowhere" / "out.pb")
    assert line.startswith(f"{tmp_path / 'nowhere'}: expected a directory")
    (tmp_path / "folder.pb").mkdir()
    assert "got a directory" in refused_untouched(tmp_path, "convert", ADD, tmp_path / "folder.pb", "--force")


def test_a_destination_that_is_the_source(copy: Path) -> None:
    for source in (f"{copy}.meta", f"{copy}.index", f"{copy}.data-00000-of-00001"):
        line = refused_untouched(copy.parent, "convert", copy, source, "--to", "safetensors", "--force")
        assert line == f"{source}: expected a destination of its own, got one of the sources"


def test_a_format_that_is_not_told(tmp_path: Path) -> None:
    assert "expected a name that tells the format" in refused("convert", ADD, tmp_path / "out")
    assert "expected one of" in refused("convert", ADD, tmp_path / "out", "--to", "tflite")


@pytest.mark.parametrize(
    ("target", "words", "option"),
    [
        ("out.safetensors", ["--outputs", "add:0"], "--outputs"),
        ("out.npz", ["--graph", "x.pb"], "--graph"),
        ("out.pb", ["--opset", "18"], "--opset"),
        ("out.pb", ["--dtype", "float16"], "--dtype"),
        ("out.npz", ["--max-shard-size", "1GB"], "--max-shard-size"),
    ],
)
def test_options_that_mean_nothing_for_the_format(target: str, words: list[str], option: str, tmp_path: Path) -> None:
    line = refused_untouched(tmp_path, "convert", ADD, tmp_path / target, *words)
    assert line.startswith(f"{option}: means nothing for ")


def test_a_graph_without_its_checkpoint(copy: Path) -> None:
    os.unlink(f"{copy}.index")
    line = refused_untouched(copy.parent, "convert", f"{copy}.meta", copy.parent / "out.pb")
    assert line.startswith(f"{copy}.meta: expected a checkpoint for the graph's variables (v1, v2)")


def test_wrong_words() -> None:
    assert refused("convert", ADD) == "Missing argument 'DST'. (see tensorferry convert --help)"
    assert refused("no-command").startswith("No such command 'no-command'.")
    assert refused("convert", ADD, "out.pb", "--rename", "v1") == "--rename v1: expected OLD=NEW, got one side only"


def test_ema_without_shadows(tmp_path: Path) -> None:
    line = refused_untouched(tmp_path, "convert", ADD, tmp_path / "out.safetensors", "--ema")
    assert line.startswith("--ema: expected variables with a shadow NAME/ExponentialMovingAverage, got none")


def test_renames_that_do_not_fit(tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    line = refused_untouched(tmp_path, "convert", ADD, out, "--rename", "v3=w")
    assert line == "v3: not in the source; it has: v1, v2"
    line = refused_untouched(tmp_path, "convert", ADD, out, "--rename", "v1=v2")
    assert line == "rename: expected a name for each tensor, got several for one: v2 <- v1, v2"
    line = refused_untouched(tmp_path, "convert", ADD, out, "--rename", "v1=a", "--rename", "v1=b")
    assert line == "rename: expected one new name for v1, got two: a and b"


def test_globs_that_match_nothing(tmp_path: Path) -> None:
    line = refused_untouched(tmp_path, "convert", ADD, tmp_path / "out.safetensors", "--include", "w*")
    assert line == "--include w*: expected to match a name, got none of: v1, v2"
