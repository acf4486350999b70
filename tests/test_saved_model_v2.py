"""SavedModels of TensorFlow 2 from the command line, against what TensorFlow computed and how it froze them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import Graph, node_name

from .cli import ferried, refused
from .fixture import HOME, graph_def

MODELS = sorted(path.parent for path in HOME.glob("saved_model_v2*/signatures.json"))
LEFT = ("VarHandleOp", "ReadVariableOp", "VariableV2", "ResourceGather", "PartitionedCall", "StatefulPartitionedCall")
ASSIGNS = "counted"
"""The signature that counts its calls: it can't be frozen, not by TensorFlow either."""
LOWERED = "branch"
"""The signature of which TensorFlow lowers a Case to Switch and Merge, by names of its own."""


def signatures(model: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((model / "signatures.json").read_text())["signatures"]
    return found


CASES = [(model, name) for model in MODELS for name in signatures(model) if name != ASSIGNS]


def values(model: Path, named: dict[str, str]) -> dict[str, Any]:
    arrays = np.load(model / "answers.npz")
    return {name: arrays[key] for name, key in named.items()}


def frozen(model: Path, name: str, folder: Path, *words: str) -> tuple[Graph, Any]:
    """The graph that comes out, and the report."""
    report = ferried("convert", model, folder / "model.pb", "--signature", name, "--json", *words).json
    return from_graph_def(graph_def(folder / "model.pb")), report


@pytest.mark.parametrize(("model", "name"), CASES, ids=lambda value: getattr(value, "name", value))
def test_frozen_it_computes_what_tensorflow_did(model: Path, name: str, tmp_path: Path) -> None:
    about = signatures(model)[name]
    _, report = frozen(model, name, tmp_path, "--verify")
    words = []
    public = ferried("inspect", model, "--json").json["graph"]["signatures"][name]
    for key, array in values(model, about["feeds"]).items():
        np.save(tmp_path / f"{key}.npy", array)
        words += ["--feed", f"{public['inputs'][key]['name']}={tmp_path / f'{key}.npy'}"]
    outputs = {key: info["name"] for key, info in public["outputs"].items()}
    run = ferried("run", tmp_path / "model.pb", "--outputs", ",".join(outputs.values()), *words, "--json").json
    for key, expected in values(model, about["fetches"]).items():
        np.testing.assert_allclose(run[outputs[key]]["value"], expected, rtol=1e-5, atol=1e-6)
    assert report["verified"] is True


@pytest.mark.parametrize(("model", "name"), CASES, ids=lambda value: getattr(value, "name", value))
def test_nothing_of_variables_and_calls_is_left(model: Path, name: str, tmp_path: Path) -> None:
    graph, _ = frozen(model, name, tmp_path)
    nodes = [*graph, *(node for function in graph.functions.values() for node in function.nodes.values())]
    assert [node.name for node in nodes if node.op in LEFT or node.op in graph.functions] == []
    theirs = {node for node in signatures(model)[name]["nodes"] or [] if "/" in node and name != LOWERED}
    outputs = ferried("inspect", model, "--json").json["graph"]["signatures"][name]["outputs"]
    call = node_name(next(iter(outputs.values()))["name"])
    assert {f"{call}/{node}" for node in theirs} <= graph.nodes.keys()


def test_names_were_compared() -> None:
    assert sum(len(signatures(model)[name]["nodes"] or []) for model, name in CASES if name != LOWERED) > 250


@pytest.mark.parametrize(("model", "name"), CASES, ids=lambda value: getattr(value, "name", value))
def test_onnx(model: Path, name: str, tmp_path: Path) -> None:
    about = signatures(model)[name]
    ferried("convert", model, tmp_path / "model.onnx", "--signature", name, "--verify")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    expected = values(model, about["fetches"])
    found = session.run(list(expected), values(model, about["feeds"]))
    for array, value in zip(found, expected.values(), strict=True):
        np.testing.assert_allclose(array, value, rtol=1e-4, atol=1e-5)


def test_functions_are_kept_on_request(tmp_path: Path) -> None:
    graph, report = frozen(HOME / "saved_model_v2", "serving_default", tmp_path, "--keep-functions", "--verify")
    assert report["verified"] is True
    ops = {node.op for node in graph}
    assert "StatefulPartitionedCall" in ops
    assert "VarHandleOp" not in ops
    assert all(name.endswith("_frozen") or "_frozen_" in name for name in graph.functions)
    inner = {node.op for function in graph.functions.values() for node in function.nodes.values()}
    assert not inner & {"ReadVariableOp", "ResourceGather", "ResourceGatherNd"}
    line = refused("convert", HOME / "saved_model_v2", tmp_path / "model.onnx", "--keep-functions")
    assert line == "--keep-functions: means nothing for onnx"


def test_variables_whose_names_repeat(tmp_path: Path) -> None:
    """Three layers, all `dense`: each takes its own values, however it is called in the graph."""
    _, report = frozen(HOME / "saved_model_v2", "serving_default", tmp_path)
    assert report["renamed"]["first/kernel"] != "dense/kernel"
    assert {"first/kernel", "second/kernel"} <= report["renamed"].keys()


def test_an_assignment_is_refused(tmp_path: Path) -> None:
    line = refused("convert", HOME / "saved_model_v2", tmp_path / "x.pb", "--signature", ASSIGNS)
    assert line.startswith("the graph: expected only ops that read to take variables, got StatefulPartitionedCall")
    assert line.endswith("/AssignAddVariableOp (AssignAddVariableOp of count)")


@pytest.mark.parametrize(("model", "name"), CASES, ids=lambda value: getattr(value, "name", value))
def test_run_takes_and_gives_what_the_signature_names(model: Path, name: str, tmp_path: Path) -> None:
    words = []
    about = signatures(model)[name]
    for key, array in values(model, about["feeds"]).items():
        np.save(tmp_path / f"{key}.npy", array)
        words += ["--feed", f"{key}={tmp_path / f'{key}.npy'}"]
    found = ferried("run", model, "--signature", name, *words, "--json").json
    for key, expected in values(model, about["fetches"]).items():
        np.testing.assert_allclose(found[key]["value"], expected, rtol=1e-5, atol=1e-6)


def test_run_counts_calls(tmp_path: Path) -> None:
    """What is assigned to in a run is read in the same run: TensorFlow counted the first call."""
    model = HOME / "saved_model_v2"
    about = signatures(model)[ASSIGNS]
    np.save(tmp_path / "x.npy", values(model, about["feeds"])["x"])
    words = ["--signature", ASSIGNS, "--tag", "serve", "--feed", f"x={tmp_path / 'x.npy'}", "--json"]
    found = ferried("run", model, *words).json
    assert found["output_0"]["value"] == values(model, about["fetches"])["output_0"]
    line = refused("run", model, "--signature", ASSIGNS, "--outputs", "x:0")
    assert line == "--outputs, --signature: expected one of them, got both"


def test_outputs_and_cuts_inside_of_calls(tmp_path: Path) -> None:
    model = HOME / "saved_model_v2_text"
    inside = "StatefulPartitionedCall/StatefulPartitionedCall"
    ferried(
        "convert",
        model,
        tmp_path / "x.pb",
        "--outputs",
        f"{inside}/Tanh:0",
        "--inputs",
        f"{inside}/MatMul:0",
        "--verify",
    )
    assert [node.op for node in graph_def(tmp_path / "x.pb").node] == [
        "Const",
        "Placeholder",
        "Identity",
        "AddV2",
        "Tanh",
    ]
    line = refused("convert", model, tmp_path / "y.pb", "--outputs", f"{inside}/Tan:0")
    assert line.startswith(f"the graph: expected the nodes asked for, got none of the name: {inside}/Tan:0 (near: ")


def test_renames_are_of_the_names_that_inspect_shows(tmp_path: Path) -> None:
    model = HOME / "saved_model_v2_text"
    names = [row["name"] for row in ferried("inspect", model, "--json").json["variables"] if row["role"] == "weight"]
    assert sorted(names) == ["dense/bias", "dense/kernel"]
    line = refused("convert", model, tmp_path / "x.pb", "--exclude", "dense/kernel")
    assert line == (
        "dense/kernel: not in the checkpoint; it has: _CHECKPOINTABLE_OBJECT_GRAPH, dense/bias "
        "(left out before: dense/kernel (--exclude dense/kernel))"
    )


@pytest.mark.parametrize("key", ["dense/kernel", "kernel/.ATTRIBUTES/VARIABLE_VALUE"])
def test_renames_onto_the_graph(key: str, tmp_path: Path) -> None:
    """Another layer's weights, by their name for people or by their key in the checkpoint."""
    model = HOME / "saved_model_v2_text"
    line = refused("convert", model, tmp_path / "x.pb", "--rename", f"{key}=other/kernel")
    assert line.startswith("dense/kernel: not in the checkpoint; it has: ")
    assert "other/kernel" in line


def test_signatures_that_are_not_there(tmp_path: Path) -> None:
    model = HOME / "saved_model_v2"
    line = refused("convert", model, tmp_path / "x.pb", "--signature", "train")
    has = "branch, convolve, counted, loop, serving_default"
    assert line == f"--signature train: expected a signature of {model}/saved_model.pb, which has: {has}"
    line = refused("convert", model, tmp_path / "x.pb", "--tag", "gpu")
    assert line == f"--tag gpu: expected one MetaGraph of {model} with that tag, got 0 of: serve"
