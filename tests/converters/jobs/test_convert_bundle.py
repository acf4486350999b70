"""convert_bundle: which data files a checkpoint comes out in, and what lies in each."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from tensorferry.formats import protos
from tensorferry.formats.bundle import read_bundle
from tensorferry.formats.bundle_layout import read_layout
from tensorferry.formats.bundle_writer import write_bundle
from tensorferry.formats.object_graph import GRAPH_KEY
from tensorferry.formats.sliced import Part, SlicedTensor
from tensorferry.formats.tensor import ArrayTensor
from tests.cli import ferried, refused
from tests.fixture import FIXTURES, HOME

SHARDED = ("bundle_sharded", "bundle2_max_size", "bundle2_merged", "bundle_partitioned", "add", "mnist")


def files(prefix: Path) -> dict[str, bytes]:
    """The bytes of a checkpoint's files by ending."""
    found = prefix.parent.glob(f"{prefix.name}.*")
    wanted = (".index", ".data-")
    return {
        path.name[len(prefix.name) :]: path.read_bytes()
        for path in found
        if path.name[len(prefix.name) :].startswith(wanted)
    }


@pytest.mark.parametrize("name", SHARDED)
def test_kept_with_its_layout_a_checkpoint_is_byte_identical(name: str, tmp_path: Path) -> None:
    words = ["--keep-layout", "--keep-optimizer", "--verify"]
    outcome = ferried("convert", FIXTURES[name].prefix, tmp_path / "copy.ckpt", *words)
    assert files(tmp_path / "copy.ckpt") == files(FIXTURES[name].prefix)
    assert "joined" not in outcome.out


@pytest.mark.parametrize("name", ["bundle2_max_size", "bundle2_merged"])
def test_by_default_it_has_what_tensorflow_saves_of_the_values(name: str, tmp_path: Path) -> None:
    """TensorFlow saved them in the order of the names, and here they stay in the order of the source."""
    ferried("convert", FIXTURES[name].prefix, tmp_path / "v2.ckpt", "--keep-optimizer")
    resaved = FIXTURES[name].file(FIXTURES[name].about["resaved"])
    assert set(files(tmp_path / "v2.ckpt")) == set(files(resaved))
    found, expected = read_bundle(tmp_path / "v2.ckpt"), read_bundle(resaved)
    assert {n: (t.dtype, t.shape) for n, t in found.items()} == {n: (t.dtype, t.shape) for n, t in expected.items()}
    assert all(
        type(found[n]) is type(t) and found[n].numpy().tolist() == t.numpy().tolist() for n, t in expected.items()
    )


@pytest.mark.parametrize("name", ["v1_types", "v1_saver"])
def test_v1_with_its_layout_is_byte_identical_to_what_tensorflow_saves_again(name: str, tmp_path: Path) -> None:
    """A Saver whose variables are partitioned saves them so again, whatever the version it restored."""
    source = FIXTURES[name].file("model.ckpt")
    words = ["--keep-layout"] if name == "v1_saver" else []  # TensorFlow has saved that one without variables
    ferried("convert", source, tmp_path / "v2.ckpt", "--keep-optimizer", *words)
    assert files(tmp_path / "v2.ckpt") == files(FIXTURES[name].file("resaved"))


def test_the_layout_of_v1_shards(tmp_path: Path) -> None:
    source = FIXTURES["v1_sharded"]
    ferried("convert", source.file("model.ckpt"), tmp_path / "v2.ckpt", "--keep-layout", "--keep-optimizer", "--verify")
    found, resaved = read_bundle(tmp_path / "v2.ckpt"), read_bundle(source.file("resaved"))
    assert (found.num_shards, resaved.num_shards) == (3, 1)
    for name, tensor in resaved.items():
        other = found[name]
        assert other.numpy().tolist() == tensor.numpy().tolist()
        if isinstance(tensor, SlicedTensor):
            assert isinstance(other, SlicedTensor)
            assert {part.box for part in other.parts} == {part.box for part in tensor.parts}


def test_what_is_given_up_is_told(tmp_path: Path) -> None:
    source = FIXTURES["bundle_sharded"].prefix
    outcome = ferried("convert", source, tmp_path / "one.ckpt")
    assert "note      2 partitioned tensors put together, 3 data files joined (--keep-layout keeps both)" in outcome.out
    outcome = ferried("convert", source, tmp_path / "two.ckpt", "--exclude", "by_*", "--max-shard-size", "150")
    assert "note      divided into 2 data files (--keep-layout keeps both)" in outcome.out
    assert ferried("convert", FIXTURES["add"].prefix, tmp_path / "same.ckpt", "--force", "--json").json["notes"] == []


def test_a_layout_under_other_names_without_what_is_left_out(tmp_path: Path) -> None:
    source = FIXTURES["bundle2_merged"]
    words = ["--keep-layout", "--exclude", "worker*", "--rename", "grid=new/grid", "--verify"]
    ferried("convert", source.prefix, tmp_path / "b.ckpt", *words)
    wanted = [
        [(piece.name.replace("grid", "new/grid"), piece.extents) for piece in shard if "worker" not in piece.name]
        for shard in read_layout(source.prefix)
    ]
    found = [[(piece.name, piece.extents) for piece in shard] for shard in read_layout(tmp_path / "b.ckpt")]
    assert found == [shard for shard in wanted if shard]
    assert read_bundle(tmp_path / "b.ckpt")["new/grid"].numpy().tolist() == source.tensors()["grid"].tolist()


def test_everything_of_a_file_left_out(tmp_path: Path) -> None:
    ferried("convert", FIXTURES["bundle_sharded"].prefix, tmp_path / "b.ckpt", "--include", "v0", "--keep-layout")
    assert set(files(tmp_path / "b.ckpt")) == {".index", ".data-00000-of-00001"}


def test_slices_are_cast_one_by_one(tmp_path: Path) -> None:
    source = FIXTURES["bundle_sharded"]
    outcome = ferried("convert", source.prefix, tmp_path / "b.ckpt", "--keep-layout", "--dtype", "bfloat16", "--verify")
    assert "9 tensors cast from float32 to bfloat16" in outcome.out
    assert read_layout(tmp_path / "b.ckpt") == read_layout(source.prefix)
    found = read_bundle(tmp_path / "b.ckpt")
    for name, value in source.tensors().items():
        wanted = value if value.dtype == object else value.astype(ml_dtypes.bfloat16)
        assert found[name].numpy().tolist() == wanted.tolist()


def test_what_overflows_in_slices_is_counted(tmp_path: Path) -> None:
    big = np.array([1e9, 1, 1e9, 2], np.float32)
    parts = [Part((0,), ArrayTensor(big[:1])), Part((1,), ArrayTensor(big[1:]))]
    tensor = SlicedTensor(parts[0].tensor.dtype, (4,), parts)
    write_bundle(tmp_path / "a.ckpt", {"big": tensor}, keep_slices=True)
    for words in ["--keep-layout"], []:
        outcome = ferried("convert", tmp_path / "a.ckpt", tmp_path / "b.ckpt", "--dtype", "float16", "--force", *words)
        assert "big: 2 of 4 values are too large for float16, and infinite now" in outcome.out


def test_data_files_of_a_bounded_size(tmp_path: Path) -> None:
    source = FIXTURES["mnist"]
    words = ["--max-shard-size", "20kB", "--keep-optimizer", "--verify"]
    outcome = ferried("convert", source.prefix, tmp_path / "m.ckpt", *words)
    data = {ending: len(value) for ending, value in files(tmp_path / "m.ckpt").items() if ending != ".index"}
    assert f"divided into {len(data)} data files" in outcome.out
    assert len(data) > 2
    largest = max(value.nbytes for value in source.tensors().values())
    assert all(size <= max(20_000, largest) for size in data.values())
    state = (tmp_path / "checkpoint").read_text()
    assert state.startswith('model_checkpoint_path: "m.ckpt"\n')
    joined = files(tmp_path / "m.ckpt")
    whole = files(source.prefix)[".data-00000-of-00001"]
    assert b"".join(joined[ending] for ending in sorted(data)) == whole


def test_strings_count_by_what_they_take_on_disk(tmp_path: Path) -> None:
    source = FIXTURES["bundle2_dtypes"].prefix
    ferried("convert", source, tmp_path / "b.ckpt", "--max-shard-size", "70000")
    sizes = [len(value) for ending, value in sorted(files(tmp_path / "b.ckpt").items()) if ending != ".index"]
    assert sizes == [546, 74610, 32]


def test_of_another_source_by_name(tmp_path: Path) -> None:
    ferried("convert", FIXTURES["add"].prefix, tmp_path / "a.safetensors", "--rename", "v1=z")
    ferried("convert", tmp_path / "a.safetensors", tmp_path / "b.ckpt", "--max-shard-size", "4")
    shards = [[piece.name for piece in shard] for shard in read_layout(tmp_path / "b.ckpt")]
    assert shards == [["v2"], ["z"]]


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "b.ckpt"
    add = FIXTURES["add"].prefix
    assert refused("convert", HOME / "add" / "frozen_raw.pb", out, "--keep-layout") == (
        f"--keep-layout: expected a checkpoint, got {HOME / 'add' / 'frozen_raw.pb'}"
    )
    assert refused("convert", add, out, "--keep-layout", "--max-shard-size", "1") == (
        "--max-shard-size, --keep-layout: expected one of them, got both"
    )
    assert refused("convert", add, tmp_path / "b.npz", "--keep-layout") == "--keep-layout: means nothing for npz"
    assert refused("convert", add, tmp_path / "b.npz", "--max-shard-size", "1") == (
        "--max-shard-size: means nothing for npz"
    )
    assert not list(tmp_path.iterdir())


def test_incomplete_variables_are_named_with_what_is_missing(tmp_path: Path) -> None:
    source = FIXTURES["bundle2_holes"].prefix
    for name in "b.safetensors", "b.npz", "b.ckpt":
        assert refused("convert", source, tmp_path / name, "--dry-run") == (
            f"{source}.index: expected one piece of 'grid' [4, 6] for each element, got none for [0:2, 3:6], "
            "expected one piece of 'rows' [5, 3] for each element, got none for [2:3, 0:3] (--exclude them)"
        )
    assert not list(tmp_path.iterdir())
    ferried("convert", source, tmp_path / "whole.npz", "--include", "whole")
    ferried("convert", source, tmp_path / "same.ckpt", "--keep-layout")
    assert files(tmp_path / "same.ckpt") == files(source)


def test_inspect_shows_variables_and_no_slices() -> None:
    shown = ferried("inspect", FIXTURES["bundle2_merged"].prefix, "--json").json
    assert [(v["name"], v["shape"]) for v in shown["variables"] if "worker" not in v["name"]] == [
        ("bricks", [4, 6]),
        ("cube", [3, 4, 2]),
        ("grid", [6, 9]),
        ("nothing", [0, 5]),
        ("words", [4]),
    ]


def test_the_report_is_the_same_for_programs(tmp_path: Path) -> None:
    words = ["convert", FIXTURES["bundle_sharded"].prefix, tmp_path / "b.ckpt", "--json"]
    notes = ferried(*words).json["notes"]
    assert notes == ["2 partitioned tensors put together, 3 data files joined (--keep-layout keeps both)"]
    assert json.dumps(notes).isascii()


# --- the object graph of TensorFlow 2 ----------------------------------------------------------------


def object_graph(prefix: Path) -> list[str]:
    """The keys of an object graph's attributes."""
    message = protos.parse("TrackableObjectGraph", read_bundle(prefix)[GRAPH_KEY].numpy().item(), prefix)
    return [attribute.checkpoint_key for node in message.nodes for attribute in node.attributes]


def test_the_object_graph_goes_along_with_what_is_left(tmp_path: Path) -> None:
    outcome = ferried("convert", FIXTURES["objects_keras"].prefix, tmp_path / "b.ckpt", "--verify")
    assert "the object graph tells where 8 of 23 tensors went" in outcome.out
    assert sorted(object_graph(tmp_path / "b.ckpt")) == sorted(set(read_bundle(tmp_path / "b.ckpt")) - {GRAPH_KEY})


def test_the_object_graph_goes_along_unasked_and_not_against_the_users_will(tmp_path: Path) -> None:
    source = FIXTURES["objects_keras2"].prefix
    ferried("convert", source, tmp_path / "some.ckpt", "--include", "model/layer_with_weights-0/*")
    assert len(object_graph(tmp_path / "some.ckpt")) == len(read_bundle(tmp_path / "some.ckpt")) - 1 == 6
    ferried("convert", source, tmp_path / "none.ckpt", "--exclude", "_CHECK*")
    assert GRAPH_KEY not in read_bundle(tmp_path / "none.ckpt")
    report = ferried("convert", source, tmp_path / "names.ckpt", "--names", "full", "--json").json
    assert report["dropped"][GRAPH_KEY] == "TensorFlow 2 can't restore objects by names without /.ATTRIBUTES/"
    assert GRAPH_KEY not in read_bundle(tmp_path / "names.ckpt")


def test_the_object_graph_follows_renames(tmp_path: Path) -> None:
    source = FIXTURES["objects_keras2"].prefix
    old = "model/layer_with_weights-0/bias/.ATTRIBUTES/VARIABLE_VALUE"
    ferried("convert", source, tmp_path / "b.ckpt", "--rename", f"{old}=new/{old}", "--keep-optimizer", "--verify")
    assert f"new/{old}" in object_graph(tmp_path / "b.ckpt")
    assert old not in object_graph(tmp_path / "b.ckpt")
    ferried("convert", tmp_path / "b.ckpt", tmp_path / "a.ckpt", "--rename", f"new/{old}={old}", "--keep-optimizer")
    assert object_graph(tmp_path / "a.ckpt") == object_graph(source)


def test_copied_with_everything_a_checkpoint_of_objects_is_byte_identical(tmp_path: Path) -> None:
    source = FIXTURES["objects_keras"].prefix
    ferried("convert", source, tmp_path / "b.ckpt", "--keep-optimizer")
    assert files(tmp_path / "b.ckpt") == files(source)


def test_elsewhere_an_object_graph_is_of_no_use(tmp_path: Path) -> None:
    source = FIXTURES["objects_keras"].prefix
    report = ferried("convert", source, tmp_path / "w.safetensors", "--keep-optimizer", "--json").json
    assert report["dropped"] == {GRAPH_KEY: "of use in a checkpoint only"}
    assert len(report["tensors"]) == 23


def test_a_tensor_that_is_only_called_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{GRAPH_KEY: np.arange(3)})
    ferried("convert", tmp_path / "a.npz", tmp_path / "b.ckpt", "--verify")
    assert read_bundle(tmp_path / "b.ckpt")[GRAPH_KEY].numpy().tolist() == [0, 1, 2]
