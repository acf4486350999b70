"""Control flow, live: graphs of both TensorFlows, fed with other values than the recorded ones, here and there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tests.converters.evaluation.recorded import Arrays, Run, runs

from .conftest import Oracle
from .test_running import read_tensors

pytestmark = pytest.mark.parity

RUNS = {f"{run.path.stem}-{run.case}-{run.number}": run for run in runs() if run.feeds}


def other_feeds(run: Run) -> Arrays:
    """The recorded feeds changed: counts one more, bools the other way, other numbers; words stay."""
    changed: Arrays = {}
    for name, value in run.feeds.items():
        if value.dtype.kind == "b":
            changed[name] = ~value
        elif value.dtype.kind in "iu":
            changed[name] = value + value.dtype.type(1)
        else:
            changed[name] = value if value.dtype.kind == "O" else value * value.dtype.type(0.75) - value.dtype.type(0.5)
    return changed


def write_feeds(path: Path, feeds: Arrays) -> None:
    """The pair of files that answer.py reads; strings as their bytes and lengths."""
    items, entries = [], {}
    for number, (name, value) in enumerate(feeds.items()):
        key, is_text = f"t{number}", value.dtype.kind == "O"
        words = value.reshape(-1).tolist() if is_text else []
        dtype = "string" if is_text else value.dtype.name
        items.append({"key": key, "name": name, "dtype": dtype, "shape": list(value.shape)})
        entries[key] = np.frombuffer(b"".join(words), np.uint8) if is_text else value
        if is_text:
            entries[f"{key}_lengths"] = np.array([len(word) for word in words], np.int64)
    path.with_suffix(".json").write_text(json.dumps(items))
    np.savez(path, **entries)


def is_run_by(run: Run, oracle: Oracle) -> bool:
    """TensorFlow 2 runs the graphs of both."""
    return oracle.name == "tf2" or run.path.stem == "tensorflow1"


@pytest.fixture(scope="module")
def ran(tensorflow: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path | str]:
    """The file with TensorFlow's results of each run, or its error."""
    folder = tmp_path_factory.mktemp("ran")
    questions, places = [], []
    for name, run in RUNS.items():
        if is_run_by(run, tensorflow):
            feeds, out = folder / f"{name}_feeds.npz", folder / f"{name}.npz"
            write_feeds(feeds, other_feeds(run))
            words = ["run", run.path, out, "--outputs", ",".join(run.answers), "--feeds", feeds]
            questions.append([*words, "--first", "init_tables"])
            places.append((name, out))
    errors = tensorflow.ask(questions, folder)
    return {name: out if error is None else error for (name, out), error in zip(places, errors, strict=True)}


@pytest.mark.parametrize("name", RUNS)
def test_the_evaluator_gives_what_tensorflow_gives(name: str, tensorflow: Oracle, ran: dict[str, Path | str]) -> None:
    run = RUNS[name]
    if not is_run_by(run, tensorflow):
        assert name not in ran
        return
    told = ran[name]
    assert isinstance(told, Path), told
    expected = read_tensors(told)
    found = evaluate(run.graph, list(expected), other_feeds(run))
    for output, value in expected.items():
        assert found[output].dtype == value.dtype
        assert found[output].shape == value.shape
        if value.dtype.kind == "f":
            np.testing.assert_allclose(found[output], value, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(found[output], value)
