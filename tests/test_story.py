"""The classic tutorial of tf.train.Saver, from the command line: checkpoints in, TensorFlow's numbers out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors.numpy import load_file

import tensorferry

from .cli import ferried
from .fixture import FIXTURES, HOME, WITH_GRAPH, Answer, Fixture, graph_def

ADD, EMA = HOME / "add" / "model.ckpt", HOME / "ema" / "model.ckpt"

CONVERTIBLE = [name for name in WITH_GRAPH if name not in ("add_renamed", "latest", "ema_control")]
"""Fixtures whose own checkpoint and graph give their answers, in ONNX too."""


def run_onnx(path: Path, feeds: dict[str, Any] | None = None) -> dict[str, Any]:
    """Checks a model and runs it."""
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = {value.name for value in session.get_inputs()}
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {k: v for k, v in (feeds or {}).items() if k in wanted}), strict=True))


def test_add_to_a_frozen_graph(tmp_path: Path) -> None:
    ferried("convert", ADD, tmp_path / "add.pb")
    assert graph_def(tmp_path / "add.pb") == graph_def(HOME / "add" / "frozen_raw.pb")
    assert "[3.]" in ferried("run", tmp_path / "add.pb", "--outputs", "add:0").out


def test_add_to_safetensors(tmp_path: Path) -> None:
    ferried("convert", ADD, tmp_path / "add.safetensors", "--verify")
    loaded = load_file(tmp_path / "add.safetensors")
    assert {name: value.tolist() for name, value in loaded.items()} == {"v1": [1.0], "v2": [2.0]}


def test_add_to_onnx(tmp_path: Path) -> None:
    ferried("convert", ADD, tmp_path / "add.onnx", "--verify")
    assert run_onnx(tmp_path / "add.onnx")["add:0"].tolist() == [3.0]


@pytest.mark.parametrize("ending", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_any_file_of_a_checkpoint_names_it(ending: str) -> None:
    assert "[3.]" in ferried("run", f"{ADD}{ending}", "--outputs", "add:0").out


def test_the_directory_names_its_latest_checkpoint() -> None:
    assert "[3.]" in ferried("run", ADD.parent, "--outputs", "add:0").out


def test_the_latest_checkpoint_of_a_directory_that_was_moved(tmp_path: Path) -> None:
    moved = shutil.copytree(HOME / "latest", tmp_path / "elsewhere")
    found = ferried("inspect", moved, "--json").json
    assert found["checkpoint"] == str(moved / "model.ckpt-30")
    value = tensorferry.load_checkpoint(moved)["global_step"].numpy()
    np.testing.assert_array_equal(value, FIXTURES["latest"].tensors()["global_step"])


def test_a_part_of_the_variables(tmp_path: Path) -> None:
    ferried("convert", HOME / "add_partial" / "model.ckpt", tmp_path / "v1.safetensors")
    assert list(load_file(tmp_path / "v1.safetensors")) == ["v1"]
    assert "[1.]" in ferried("run", HOME / "add_partial" / "model.ckpt", "--outputs", "v1:0").out


def test_other_names_by_the_command_line() -> None:
    words = ["--graph", HOME / "add_renamed" / "graph.pb", "--rename", "v1=other-v1", "--rename", "v2=other-v2"]
    assert "[3.]" in ferried("run", ADD, "--outputs", "add:0", *words).out


def test_other_names_by_a_table(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text(json.dumps({"v1": "other-v1", "v2": "other-v2"}))
    graph = HOME / "add_renamed" / "plain.meta"
    ferried("convert", ADD, tmp_path / "add.onnx", "--graph", graph, "--map", tmp_path / "names.json")
    assert run_onnx(tmp_path / "add.onnx")["add:0"].tolist() == [3.0]


def test_other_names_by_the_saver_in_the_graph() -> None:
    """The Saver({'v1': other_v1, ...}) that wrote the .meta tells the names, as it does in TensorFlow."""
    assert "[3.]" in ferried("run", ADD, "--graph", HOME / "add_renamed" / "renamed.meta", "--outputs", "add:0").out


def test_the_table_of_variables_to_restore_loads_the_average(tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    table.write_text(ferried("map", "variables-to-restore", EMA).out)
    ferried("convert", EMA, tmp_path / "ema.onnx", "--map", table)
    assert str(run_onnx(tmp_path / "ema.onnx")["out:0"]) == "0.099999905"
    outcome = ferried("convert", EMA, tmp_path / "ema.safetensors", "--map", table)
    assert "dropped   1 tensor, the table gives the name to another: v" in outcome.out
    assert {name: str(value) for name, value in load_file(tmp_path / "ema.safetensors").items()} == {"v": "0.099999905"}


def test_a_table_the_other_way_round_is_read_so_and_told(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text(json.dumps({"other-v1": "v1", "other-v2": "v2"}))
    graph = HOME / "add_renamed" / "plain.meta"
    words = ["--graph", graph, "--map", tmp_path / "names.json"]
    outcome = ferried("convert", ADD, tmp_path / "add.pb", *words)
    assert "a table fits only the other way round, and is read so: v1 -> other-v1, v2 -> other-v2" in outcome.out
    assert "[3.]" in ferried("run", tmp_path / "add.pb", "--outputs", "add:0").out


def test_ema_takes_the_shadow_under_the_variables_name(tmp_path: Path) -> None:
    report = ferried("convert", EMA, tmp_path / "ema.safetensors", "--ema", "--json").json
    loaded = load_file(tmp_path / "ema.safetensors")
    assert list(loaded) == ["v"]
    assert loaded["v"] == FIXTURES["ema"].tensors()["v/ExponentialMovingAverage"]
    assert str(loaded["v"]) == "0.099999905"
    assert [(row["name"], row["source"], row["averaged"]) for row in report["tensors"]] == [
        ("v", "v/ExponentialMovingAverage", True)
    ]


def test_ema_to_onnx(tmp_path: Path) -> None:
    ferried("convert", EMA, tmp_path / "ema.onnx", "--ema")
    assert str(run_onnx(tmp_path / "ema.onnx")["out:0"]) == "0.099999905"
    ferried("convert", EMA, tmp_path / "raw.onnx")
    assert run_onnx(tmp_path / "raw.onnx")["out:0"] == 10.0


@pytest.mark.parametrize("name", [name for name, fixture in FIXTURES.items() if fixture.variables_to_restore()])
def test_variables_to_restore_is_tensorflows(name: str) -> None:
    fixture = FIXTURES[name]
    assert ferried("map", "variables-to-restore", fixture.prefix).json == fixture.variables_to_restore()


@pytest.mark.parametrize(
    ("name", "variables"), [(n, v) for n in CONVERTIBLE for v in ("raw", "ema") if v in FIXTURES[n].frozen]
)
def test_frozen_graphs_are_tensorflows(name: str, variables: str, tmp_path: Path) -> None:
    fixture = FIXTURES[name]
    outputs = ",".join(fixture.outputs)
    words = ["--ema"] if variables == "ema" else []
    words += ["--keep-functions"] if name == "defun" else []  # as 1.15 does
    ferried("convert", fixture.prefix, tmp_path / "frozen.pb", "--outputs", outputs, *words)
    # TensorFlow 2.21 has another convert_variables_to_constants; what 1.15's makes of the same graph lies beside it.
    wanted = fixture.file("frozen_tf1.pb") if name == "add_tf2" else fixture.frozen[variables]
    assert graph_def(tmp_path / "frozen.pb") == graph_def(wanted)


def answers() -> list[Any]:
    return [
        pytest.param(FIXTURES[name], answer, id=f"{name}-{answer.variables}-{index}")
        for name in CONVERTIBLE
        for index, answer in enumerate(FIXTURES[name].answers())
    ]


@pytest.mark.parametrize(("fixture", "answer"), answers())
def test_onnx_gives_tensorflows_answers(fixture: Fixture, answer: Answer, tmp_path: Path) -> None:
    words = ["--ema"] if answer.variables == "ema" else []
    ferried("convert", fixture.prefix, tmp_path / "model.onnx", "--outputs", ",".join(fixture.outputs), *words)
    found = run_onnx(tmp_path / "model.onnx", answer.feeds)
    for name, value in answer.fetches.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-5, err_msg=name)
        assert found[name].dtype == value.dtype


@pytest.mark.parametrize("name", [name for name in WITH_GRAPH if name != "add_renamed"])
def test_every_tensor_of_every_checkpoint_is_tensorflows(name: str) -> None:
    fixture = FIXTURES[name]
    found = tensorferry.load_checkpoint(fixture.prefix)
    wanted = fixture.tensors()
    assert set(found) == set(wanted)
    for key, value in wanted.items():
        array = found[key].numpy()
        assert array.shape == value.shape, key
        assert array.tobytes() == value.tobytes() if array.dtype != object else array.tolist() == value.tolist(), key
