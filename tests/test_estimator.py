"""An Estimator's model_dir, whose .meta files are gone, and its export give what TensorFlow computed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from .cli import ferried
from .fixture import HOME, graph_def

MODEL = HOME / "estimator"
ANSWERS = json.loads((MODEL / "answers.json").read_text())


CUT = ["--inputs", "IteratorGetNext:0", "--outputs", "probabilities:0"]


@pytest.mark.parametrize(("source", "words"), [("export", []), (".", CUT), ("model.ckpt-4", CUT)])
def test_what_it_computes(source: str, words: list[str], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array(ANSWERS["x"], np.float32))
    ferried("convert", MODEL / source, tmp_path / "model.pb", *words, "--verify")
    (feed,) = [node.name for node in graph_def(tmp_path / "model.pb").node if node.op == "Placeholder"]
    given = ["--outputs", "probabilities:0", "--feed", f"{feed}:0={tmp_path / 'x.npy'}", "--json"]
    found = ferried("run", tmp_path / "model.pb", *given).json["probabilities:0"]["value"]
    np.testing.assert_allclose(found, ANSWERS["probabilities"], rtol=1e-5)


def test_inspect_finds_the_graph() -> None:
    found = ferried("inspect", MODEL, "--json").json
    assert found["graph"]["path"].endswith("/graph.pbtxt")
    assert "hidden/kernel" in {row["name"] for row in found["variables"]}
