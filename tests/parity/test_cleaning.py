"""Cleaned graphs, live: TensorFlow computes with them what it computed with the whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorferry import api
from tests.fixture import FIXTURES, HOME

from .conftest import Oracle

pytestmark = pytest.mark.parity

MNIST = FIXTURES["mnist"]
WAYS: dict[str, dict[str, Any]] = {
    "clean": {"clean": True},
    "constants": {"fold_constants": True},
    "batch_norm": {"fold_batch_norm": True},
    "all": {"clean": True, "fold_batch_norm": True},
}


def test_cleaned_graphs(tmp_path: Path, tensorflow: Oracle) -> None:
    recorded = np.load(HOME / "cleaning" / "answers.npz")
    answer = MNIST.answers("raw")[0]
    sources = {
        "cleaning": (HOME / "cleaning" / "graph.pb", "scores:0", "images:0", recorded["images"], recorded["scores"]),
        "mnist": (MNIST.prefix, "softmax:0", "images:0", answer.feeds["images:0"], answer.fetches["softmax:0"]),
    }
    questions, expected = [], []
    for name, (source, output, fed, value, result) in sources.items():
        np.savez(tmp_path / f"{name}.npz", t0=value)
        item = {"key": "t0", "name": fed, "dtype": "float32", "shape": list(value.shape)}
        (tmp_path / f"{name}.json").write_text(json.dumps([item]))
        for way, options in WAYS.items():
            path = tmp_path / f"{name}_{way}.pb"
            api.convert(source, path, outputs=[output], **options)
            out = tmp_path / f"{name}_{way}_out.npz"
            questions.append(["run", path, out, "--outputs", output, "--feeds", tmp_path / f"{name}.npz"])
            expected.append((out, result))
    assert tensorflow.ask(questions, tmp_path) == [None] * len(questions)
    for out, result in expected:
        np.testing.assert_allclose(np.load(out)["t0"], result, rtol=2e-5, atol=1e-6, err_msg=out.name)
