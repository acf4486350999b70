"""SavedModels of TensorFlow 1 from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime

from .cli import ferried, refused
from .fixture import HOME

MODEL = HOME / "saved_model"
ANSWERS = json.loads((MODEL / "answers.json").read_text())


def test_the_signature_names_inputs_and_outputs(tmp_path: Path) -> None:
    ferried("convert", MODEL, tmp_path / "model.onnx", "--verify")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    (found,) = session.run(["scores"], {"features": np.array(ANSWERS["x"], np.float32)})
    np.testing.assert_allclose(found, ANSWERS["y"], rtol=1e-5, atol=1e-5)


def test_a_frozen_graph(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array(ANSWERS["x"], np.float32))
    ferried("convert", MODEL, tmp_path / "model.pb")
    words = ["--outputs", "y:0", "--feed", f"x={tmp_path / 'x.npy'}", "--json"]
    found = ferried("run", tmp_path / "model.pb", *words).json["y:0"]["value"]
    np.testing.assert_allclose(found, ANSWERS["y"], rtol=1e-5, atol=1e-5)


def test_tags(tmp_path: Path) -> None:
    ferried("convert", MODEL, tmp_path / "train.onnx", "--tag", "train", "--verify")
    session = onnxruntime.InferenceSession(str(tmp_path / "train.onnx"), providers=["CPUExecutionProvider"])
    (found,) = session.run(["scores"], {"features": np.array(ANSWERS["x"], np.float32)})
    np.testing.assert_allclose(found, 2 * np.array(ANSWERS["y"]), rtol=1e-5, atol=1e-5)
    line = refused("convert", MODEL, tmp_path / "x.pb", "--tag", "gpu")
    assert line == f"--tag gpu: expected one MetaGraph of {MODEL} with that tag, got 0 of: serve, train"
    line = refused("convert", HOME / "add", tmp_path / "x.pb", "--tag", "serve")
    assert line.startswith("--tag serve: expected a SavedModel, got bundle ")


def test_inspect_names_the_signature() -> None:
    found = ferried("inspect", MODEL, "--json").json
    assert found["graph"]["signatures"]["serving_default"]["inputs"]["features"]["name"] == "x:0"
    assert sorted(row["name"] for row in found["variables"]) == ["b", "w"]
    assert "--signature serving_default" in found["graph"]["convert"]
    line = refused("convert", MODEL, "x.pb", "--signature", "other")
    assert line.startswith("--signature other: expected a signature of ")
    assert line.endswith("which has: serving_default")
