"""Weights from the command line: casts, shards, .npz, and checkpoints that are rewritten as checkpoints."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import tensorferry

from .cli import ferried, ferry
from .fixture import FIXTURES, HOME

MNIST = HOME / "mnist" / "model.ckpt"
ONE_FILE = ("add", "add_partial", "add_resource", "add_tf2", "ema", "ema_control", "encoder", "mnist")


@pytest.mark.parametrize("name", ONE_FILE)
def test_a_checkpoint_copied_as_a_checkpoint_is_byte_identical(name: str, tmp_path: Path) -> None:
    source = FIXTURES[name].prefix
    ferried("convert", source, tmp_path / "copy.ckpt", "--keep-optimizer", "--verify")
    for ending in (".index", ".data-00000-of-00001"):
        assert Path(f"{tmp_path / 'copy.ckpt'}{ending}").read_bytes() == Path(f"{source}{ending}").read_bytes()


@pytest.mark.parametrize("name", ONE_FILE)
def test_there_and_back_through_safetensors(name: str, tmp_path: Path) -> None:
    ferried("convert", FIXTURES[name].prefix, tmp_path / "w.safetensors", "--keep-optimizer", "--verify")
    ferried("convert", tmp_path / "w.safetensors", tmp_path / "back.ckpt", "--verify")
    assert ferried("diff", FIXTURES[name].prefix, tmp_path / "back.ckpt").out.endswith("0 only in A, 0 only in B\n")


def test_a_checkpoint_renamed_and_averaged(tmp_path: Path) -> None:
    ferried("convert", HOME / "ema" / "model.ckpt", tmp_path / "averaged.ckpt", "--ema", "--rename", "v=w")
    found = tensorferry.load_checkpoint(tmp_path / "averaged.ckpt")
    assert {name: str(tensor.numpy()) for name, tensor in found.items()} == {"w": "0.099999905"}
    assert (tmp_path / "checkpoint").read_text() == (
        'model_checkpoint_path: "averaged.ckpt"\nall_model_checkpoint_paths: "averaged.ckpt"\n'
    )


def test_a_state_file_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text("kept")
    outcome = ferried("convert", HOME / "add", tmp_path / "new.ckpt")
    assert f"{tmp_path / 'checkpoint'} stays as it was (--force replaces it)" in outcome.out
    assert (tmp_path / "checkpoint").read_text() == "kept"
    ferried("convert", HOME / "add", tmp_path / "new.ckpt", "--force")
    assert "new.ckpt" in (tmp_path / "checkpoint").read_text()


def test_a_sharded_checkpoint_becomes_one_file(tmp_path: Path) -> None:
    ferried("convert", FIXTURES["bundle_sharded"].prefix, tmp_path / "one.ckpt", "--verify")
    assert (tmp_path / "one.ckpt.data-00000-of-00001").exists()
    found = tensorferry.load_checkpoint(tmp_path / "one.ckpt")
    for name, value in FIXTURES["bundle_sharded"].tensors().items():
        np.testing.assert_array_equal(found[name].numpy(), value, strict=True)


def test_cast(tmp_path: Path) -> None:
    outcome = ferried(
        "convert", MNIST, tmp_path / "w.safetensors", "--dtype", "bfloat16", "--keep-optimizer", "--verify"
    )
    assert "50 tensors cast from float32 to bfloat16" in outcome.out
    found = tensorferry.load_checkpoint(tmp_path / "w.safetensors")
    for name, value in FIXTURES["mnist"].tensors().items():
        wanted = value.astype(ml_dtypes.bfloat16) if value.dtype == np.float32 else value
        assert found[name].numpy().tobytes() == wanted.tobytes()


def test_shards(tmp_path: Path) -> None:
    ferried(
        "convert", MNIST, tmp_path / "model.safetensors", "--max-shard-size", "20kB", "--keep-optimizer", "--verify"
    )
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    found = {}
    for file in sorted(set(index["weight_map"].values())):
        assert (tmp_path / file).exists()
        found |= load_file(tmp_path / file)
    wanted = FIXTURES["mnist"].tensors()
    assert set(found) == set(wanted) == set(index["weight_map"])
    assert index["metadata"]["total_size"] == sum(value.nbytes for value in wanted.values())
    assert all(found[name].tobytes() == value.tobytes() for name, value in wanted.items())
    assert ferried("diff", MNIST, tmp_path / "model.safetensors.index.json").status == 0


def test_metadata_tells_where_the_weights_are_from(tmp_path: Path) -> None:
    ferried("convert", MNIST, tmp_path / "w.safetensors")
    with safe_open(tmp_path / "w.safetensors", framework="numpy") as file:
        metadata = file.metadata()
    assert metadata["format"] == "pt"
    assert metadata["source"] == "model.ckpt"
    assert metadata["producer"] == f"tensorferry {tensorferry.__version__}"


def test_npz(tmp_path: Path) -> None:
    ferried("convert", MNIST, tmp_path / "w.npz", "--include", "conv*", "--exclude", "*Adam*", "--verify")
    with np.load(tmp_path / "w.npz") as found:
        assert sorted(found) == [
            "conv1/kernel",
            "conv1/kernel/ExponentialMovingAverage",
            "conv2/bias",
            "conv2/bias/ExponentialMovingAverage",
            "conv2/kernel",
            "conv2/kernel/ExponentialMovingAverage",
        ]
        assert found["conv2/bias"].tobytes() == FIXTURES["mnist"].tensors()["conv2/bias"].tobytes()


def test_types_that_a_format_lacks_are_listed(tmp_path: Path) -> None:
    outcome = ferry("convert", FIXTURES["bundle_dtypes"].prefix, tmp_path / "w.safetensors")
    assert outcome.status == 2
    assert "complex128" in outcome.err
    assert "qint8" in outcome.err
    assert not list(tmp_path.iterdir())


def test_types_that_a_format_lacks_are_dropped_on_request(tmp_path: Path) -> None:
    words = ["convert", FIXTURES["bundle_dtypes"].prefix, tmp_path / "w.safetensors", "--unstorable", "drop"]
    report = ferried(*words, "--verify", "--json").json
    assert report["dropped"]["types/complex128"] == "the format has no place for complex128"
    wanted = FIXTURES["bundle_dtypes"].tensors()
    assert set(load_file(tmp_path / "w.safetensors")) == set(wanted) - set(report["dropped"])


def test_types_that_a_format_lacks_are_kept_as_bits(tmp_path: Path) -> None:
    source = FIXTURES["bundle_dtypes"].prefix
    words = ["--exclude", "*string*", "--unstorable", "bits", "--verify"]
    outcome = ferried("convert", source, tmp_path / "w.safetensors", *words)
    assert "qint8 kept as int8: types/qint8" in outcome.out
    wanted = FIXTURES["bundle_dtypes"].tensors()
    found = load_file(tmp_path / "w.safetensors")
    for name in ("types/complex128", "types/qint8", "types/quint16", "types/qint32"):
        assert found[name].tobytes() == wanted[name].tobytes()
    assert found["types/complex128"].shape == (*wanted["types/complex128"].shape, 2)


def test_a_checkpoint_has_no_place_for_some_types_either(tmp_path: Path) -> None:
    source = FIXTURES["bundle_odd"].prefix
    outcome = ferry("convert", source, tmp_path / "a.ckpt", "--keep-layout")
    assert "checkpoint: can't be written with 'list' (variant) (--unstorable says what to do" in outcome.err
    words = ("convert", source, tmp_path / "a.ckpt", "--keep-layout", "--unstorable", "drop", "--json")
    assert ferried(*words).json["dropped"] == {"list": "the format has no place for variant"}
    scale = np.array([1, 2], ml_dtypes.float8_e8m0fnu)  # of safetensors, and not of TensorFlow
    header = json.dumps({"a": {"dtype": "F8_E8M0", "shape": [2], "data_offsets": [0, 2]}}).encode()
    (tmp_path / "e8.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + scale.tobytes())
    ferried("convert", tmp_path / "e8.safetensors", tmp_path / "b.ckpt", "--unstorable", "bits", "--verify")
    assert tensorferry.load_checkpoint(tmp_path / "b.ckpt")["a"].tobytes() == scale.tobytes()


def test_what_is_not_a_weight_is_left_out_and_told(tmp_path: Path) -> None:
    report = ferried("convert", MNIST, tmp_path / "w.safetensors", "--json").json
    assert sorted(load_file(tmp_path / "w.safetensors")) == sorted(
        name
        for name in FIXTURES["mnist"].tensors()
        if "Adam" not in name and "Average" not in name and name not in ("beta1_power", "beta2_power", "global_step")
    )
    assert report["dropped"]["conv1/kernel/Adam_1"] == "of the optimizer (--keep-optimizer keeps them)"
    dropped = [value.nbytes for name, value in FIXTURES["mnist"].tensors().items() if name in report["dropped"]]
    assert report["dropped_bytes"] == sum(dropped)
    ferried("convert", MNIST, tmp_path / "adam.safetensors", "--include", "*/Adam")
    assert all(name.endswith("/Adam") for name in load_file(tmp_path / "adam.safetensors"))


@pytest.mark.parametrize("name", ["v1_saver", "v1_sharded"])
def test_v1_as_v2_is_equal_to_tensorflows_resave(name: str, tmp_path: Path) -> None:
    ferried("convert", FIXTURES[name].file("model.ckpt"), tmp_path / "v2.ckpt", "--keep-optimizer", "--verify")
    ferried("diff", tmp_path / "v2.ckpt", FIXTURES[name].file("resaved"))


def test_names_of_a_tensorflow_2_checkpoint(tmp_path: Path) -> None:
    source = HOME / "objects_keras"
    ferried("convert", source, tmp_path / "people.safetensors")
    assert {"hidden/kernel", "norm/gamma"} < set(load_file(tmp_path / "people.safetensors"))
    ferried("convert", source, tmp_path / "keys.safetensors", "--names", "key")
    assert all(name.endswith(".ATTRIBUTES/VARIABLE_VALUE") for name in load_file(tmp_path / "keys.safetensors"))
    assert "norm/gamma" not in tensorferry.load_checkpoint(source)


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same two tensors in every format."""
    import onnx
    from onnx import helper, numpy_helper

    folder = tmp_path_factory.mktemp("everywhere")
    add = HOME / "add"
    ferried("convert", add, folder / "w.safetensors")
    ferried("convert", add, folder / "s.safetensors", "--max-shard-size", "4")
    ferried("convert", add, folder / "w.npz")
    ferried("convert", add, folder / "w.ckpt", "--max-shard-size", "4")
    arrays = FIXTURES["add"].tensors()
    weights = [numpy_helper.from_array(value, f"{name}:0") for name, value in arrays.items()]  # as graphs have them
    model = helper.make_model(helper.make_graph([], "g", [], [], initializer=weights))
    onnx.save_model(model, folder / "w.onnx")
    onnx.save_model(model, folder / "e.onnx", save_as_external_data=True, location="e.data", size_threshold=0)
    found = [
        folder / name for name in ("w.safetensors", "s.safetensors.index.json", "w.npz", "w.ckpt", "w.onnx", "e.onnx")
    ]
    return {path.name: path for path in [add, add / "frozen_raw.pb", *found]}


EVERYWHERE = (
    "add",
    "frozen_raw.pb",
    "w.safetensors",
    "s.safetensors.index.json",
    "w.npz",
    "w.ckpt",
    "w.onnx",
    "e.onnx",
)


@pytest.mark.parametrize(("a", "b"), list(combinations(EVERYWHERE, 2)))
def test_diff_of_any_two(a: str, b: str, everywhere: dict[str, Path]) -> None:
    for pair in (everywhere[a], everywhere[b]), (everywhere[b], everywhere[a]):
        assert ferried("diff", *pair).out == "2 equal, 0 different, 0 only in A, 0 only in B\n"


def test_diff_across_formats(tmp_path: Path) -> None:
    ferried("convert", HOME / "add", tmp_path / "add.safetensors")
    ferried("convert", HOME / "add", tmp_path / "add.npz")
    for other in (tmp_path / "add.safetensors", tmp_path / "add.npz", HOME / "add" / "frozen_raw.pb"):
        outcome = ferry("diff", HOME / "add", other, "--json")
        assert (outcome.status, outcome.json["equal"]) == (0, ["v1", "v2"])
    ferried("convert", HOME / "add", tmp_path / "other.safetensors", "--rename", "v2=v3")
    outcome = ferry("diff", HOME / "add", tmp_path / "other.safetensors")
    assert outcome.status == 1
    assert outcome.out.splitlines()[-1] == "1 equal, 0 different, 1 only in A, 1 only in B"
    outcome = ferry("diff", HOME / "latest" / "model.ckpt-10", HOME / "latest" / "model.ckpt-20", "--json")
    assert outcome.status == 1
    assert "global_step" in [row["name"] for row in outcome.json["different"]]


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    outcome = ferried("convert", MNIST, tmp_path / "w.safetensors", "--ema", "--dry-run")
    assert "dry run: nothing written" in outcome.out
    assert "11 variables by the shadow's value" in outcome.out
    assert not list(tmp_path.iterdir())


def test_a_result_without_tensors_is_written_and_verified(tmp_path: Path) -> None:
    words = ["convert", FIXTURES["add"].prefix, tmp_path / "none.safetensors", "--exclude", "*", "--verify", "--json"]
    assert "nothing to verify: the result holds no values" in ferried(*words).json["notes"]
    assert load_file(tmp_path / "none.safetensors") == {}
