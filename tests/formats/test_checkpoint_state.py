import os
import shutil

import pytest

from tensorferry.formats.checkpoint_state import (
    CheckpointState,
    checkpoint_kind,
    latest_checkpoint,
    prefixes,
    read_state,
    v1_shards,
)
from tensorferry.formats.errors import FormatError
from tests.fixture import FIXTURES


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.fixture
def state(tmp_path):
    """A training directory whose state file says so, with the checkpoint model-1 in it."""
    directory = tmp_path / "run"
    touch(directory / "model-1.index")

    def state(path, text="model_checkpoint_path: {}\n"):
        quoted = '"' + str(path).replace("\\", "\\\\") + '"'
        (directory / "checkpoint").write_text(text.format(quoted))
        return directory

    return state


def refused(call, *arguments):
    with pytest.raises(FormatError) as caught:
        call(*arguments)
    return str(caught.value)


# --- reading ----------------------------------------------------------------------------------------


def test_the_state_that_tensorflow_wrote():
    path = FIXTURES["latest"].path / "checkpoint"
    run = "/tmp/stale_run/train"
    assert read_state(path) == CheckpointState(
        str(path), f"{run}/model.ckpt-30", tuple(f"{run}/model.ckpt-{step}" for step in (10, 20, 30))
    )


def test_the_directory_was_moved():
    directory = FIXTURES["latest"].path
    assert latest_checkpoint(directory) == str(directory / "model.ckpt-30")


def test_timestamps_and_comments_are_no_matter(state):
    text = "# mine\nmodel_checkpoint_path: {}\nall_model_checkpoint_timestamps: 1.5\nlast_preserved_timestamp: 2\n"
    assert read_state(state("model-1", text) / "checkpoint").latest == "model-1"


def test_no_state_file(tmp_path):
    assert refused(latest_checkpoint, tmp_path) == (
        f"{tmp_path}/checkpoint: expected the state of a training directory, got no such file"
    )


def test_a_state_file_that_names_nothing(state):
    directory = state("", "all_model_checkpoint_paths: {}\n")
    assert (
        refused(latest_checkpoint, directory) == f"{directory}/checkpoint: expected a model_checkpoint_path, got none"
    )


def test_a_state_file_that_is_none(state):
    directory = state("", "model_checkpoint: {}\n")
    assert refused(latest_checkpoint, directory).startswith(
        f"{directory}/checkpoint: expected a CheckpointState message in text form, got: 1:1 : "
    )


def test_a_state_file_of_other_bytes(tmp_path):
    (tmp_path / "checkpoint").write_bytes(b"mode\xffl")
    assert refused(latest_checkpoint, tmp_path) == (
        f"{tmp_path}/checkpoint: expected a CheckpointState in text form, got no UTF-8 at byte 4"
    )


def test_a_state_file_beyond_measure(tmp_path):
    with open(tmp_path / "checkpoint", "wb") as file:
        file.truncate((64 << 20) + 1)
    assert refused(latest_checkpoint, tmp_path) == (
        f"{tmp_path}/checkpoint: expected the state of a training directory of at most 67108864 bytes, got 67108865"
    )


# --- where the checkpoint is ------------------------------------------------------------------------


def test_an_absolute_path_that_exists_is_taken_at_its_word(state, tmp_path):
    touch(tmp_path / "elsewhere" / "model-1.index")
    path = tmp_path / "elsewhere" / "model-1"
    assert latest_checkpoint(state(path)) == str(path)


@pytest.mark.parametrize("path", ["model-1", "./model-1", "deeper/../model-1"])
def test_a_relative_path_is_relative_to_the_state_file(state, path, monkeypatch, tmp_path):
    directory = state(path)
    touch(tmp_path / "cwd" / "model-1.index", directory / "deeper" / "x")
    monkeypatch.chdir(tmp_path / "cwd")
    assert os.path.realpath(latest_checkpoint(directory)) == str(directory / "model-1")


def test_a_checkpoint_below_the_directory(state, tmp_path):
    touch(tmp_path / "run" / "sub" / "model-2.index")
    assert latest_checkpoint(state("sub/model-2")) == str(tmp_path / "run" / "sub" / "model-2")


@pytest.mark.parametrize(
    "path", ["/gone/run/model-1", "old/model-1", "C:\\run\\model-1", "..\\run\\model-1", "/gone/run/../x/model-1"]
)
def test_a_stale_path_is_looked_for_by_its_last_part(state, path):
    directory = state(path)
    assert latest_checkpoint(directory) == str(directory / "model-1")


@pytest.mark.parametrize(
    "path", ["../other/model-1", "..", "./../other/model-1", "a/../../other/model-1", "../run/model-1"]
)
def test_a_relative_path_that_climbs_out_is_refused(state, tmp_path, path):
    touch(tmp_path / "other" / "model-1.index")
    directory = state(path)
    assert refused(latest_checkpoint, directory) == (
        f"{directory}/checkpoint: expected a checkpoint in or below its directory, got {path!r}"
    )


def test_a_directory_whose_name_only_begins_with_dots(state, tmp_path):
    touch(tmp_path / "run" / "..x" / "model-2.index")
    assert latest_checkpoint(state("..x/model-2")) == str(tmp_path / "run" / "..x" / "model-2")


def test_a_checkpoint_that_is_nowhere(state):
    directory = state("/gone/model-7")
    touch(directory / "model-10.index", directory / "model-9.index")
    assert refused(latest_checkpoint, directory) == (
        f"{directory}/checkpoint: expected the checkpoint '/gone/model-7' that it names, "
        f"got none at /gone/model-7 or {directory}/model-7 (in the directory: model-1, model-9, model-10)"
    )


def test_a_checkpoint_that_is_nowhere_in_an_empty_directory(state):
    directory = state("model-7")
    (directory / "model-1.index").unlink()
    assert refused(latest_checkpoint, directory) == (
        f"{directory}/checkpoint: expected the checkpoint 'model-7' that it names, got none at {directory}/model-7 "
        "(no checkpoint is in the directory)"
    )


@pytest.mark.parametrize("path", ["/", "/gone/", "/gone/.", "."])
def test_a_path_without_a_last_part(state, path):
    assert f"expected the checkpoint {path!r} that it names, got none at" in refused(latest_checkpoint, state(path))


def test_the_current_directory(monkeypatch):
    monkeypatch.chdir(FIXTURES["latest"].path)
    assert latest_checkpoint("") == "model.ckpt-30"
    assert latest_checkpoint(".") == "./model.ckpt-30"


# --- what lies at a prefix --------------------------------------------------------------------------


def test_kinds(tmp_path):
    touch(tmp_path / "v2.index", tmp_path / "v1", tmp_path / "s-00000-of-00002", tmp_path / "s-00001-of-00002")
    touch(tmp_path / "v2.data-00000-of-00001", tmp_path / "other-00000-of-2", tmp_path / "[x]-00000-of-00001")
    (tmp_path / "directory").mkdir()
    kinds = {name: checkpoint_kind(tmp_path / name) for name in ("v2", "v1", "s", "other", "none", "directory", "[x]")}
    assert kinds == {
        "v2": "bundle",
        "v1": "v1_checkpoint",
        "s": "v1_checkpoint",
        "other": None,
        "none": None,
        "directory": None,
        "[x]": "v1_checkpoint",
    }
    assert v1_shards(str(tmp_path / "s")) == [str(tmp_path / f"s-0000{i}-of-00002") for i in (0, 1)]


def test_prefixes_are_sorted_by_number(tmp_path):
    for name in ("m-9", "m-10", "m-100", "a", "m"):
        touch(tmp_path / f"{name}.index")
    touch(tmp_path / ".index", tmp_path / "x.meta")
    assert prefixes(str(tmp_path)) == ["a", "m", "m-9", "m-10", "m-100"]
    assert prefixes(str(tmp_path / "none")) == []


def test_a_v1_checkpoint_is_found_too(state, tmp_path):
    touch(tmp_path / "run" / "model-5")
    assert latest_checkpoint(state("/gone/model-5")) == str(tmp_path / "run" / "model-5")


def test_a_copied_fixture(tmp_path):
    shutil.copytree(FIXTURES["latest"].path, tmp_path / "moved")
    (tmp_path / "moved" / "model.ckpt-30.index").unlink()
    assert "(in the directory: model.ckpt-10, model.ckpt-20)" in refused(latest_checkpoint, tmp_path / "moved")
