"""What we wrote, run by TensorFlow, live: frozen graphs give the recorded answers, restored weights too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorferry
from tensorferry.formats import protos
from tests.fixture import FIXTURES, WITH_GRAPH, Answer, Fixture, graph_def, unpack

from .conftest import Oracle

pytestmark = pytest.mark.parity

RTOL, ATOL = 1e-5, 1e-6
"""The answers come from restored variables: from constants TensorFlow may sum in another order."""


class Case:
    """A way to convert a fixture, and the recorded answers that the result has to give."""

    def __init__(self, fixture: Fixture, variables: str, source: Path, ending: str = ".pb", **options: Any) -> None:
        self.fixture = fixture
        self.answers = fixture.answers(variables)
        self.source = source
        self.ending = ending
        self.options = options

    def convert(self, path: Path) -> None:
        tensorferry.convert(self.source, path, outputs=self.fixture.outputs, **self.options)


def cases() -> dict[str, Case]:
    found: dict[str, Case] = {}
    for name, fixture in WITH_GRAPH.items():
        graph = {"graph": fixture.graph}
        found[f"{name}-raw"] = Case(fixture, "raw", fixture.prefix, **graph)
        if fixture.answers("ema"):
            found[f"{name}-ema"] = Case(fixture, "ema", fixture.prefix, **graph, ema=True)
        if "evaluation" in fixture.about:
            evaluation = fixture.file(fixture.about["evaluation"])
            found[f"{name}-evaluation"] = Case(fixture, "ema", fixture.prefix, graph=evaluation)
    for name in "add", "ema_control", "add_resource":
        fixture = WITH_GRAPH[name]
        found[f"{name}-text"] = Case(fixture, "raw", fixture.prefix, ".pbtxt", graph=fixture.graph)
    renamed = FIXTURES["add_renamed"]
    for graph_file in renamed.about["plain"]:
        options = {"graph": renamed.file(graph_file), "rename": {"v1": "other-v1", "v2": "other-v2"}}
        found[f"add_renamed-{graph_file}"] = Case(renamed, "raw", renamed.prefix, **options)
    return found


CASES = cases()


def write_feeds(path: Path, feeds: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """The pair of files that answer.py reads."""
    items = [
        {"key": f"t{index}", "name": name, "dtype": value.dtype.name, "shape": list(value.shape)}
        for index, (name, value) in enumerate(feeds.items())
    ]
    path.with_suffix(".json").write_text(json.dumps(items))
    np.savez(path, **{item["key"]: feeds[item["name"]] for item in items})


def read_tensors(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    arrays = np.load(path)
    return {item["name"]: unpack(arrays, item) for item in json.loads(path.with_suffix(".json").read_text())}


def agree(found: Mapping[str, np.ndarray[Any, Any]], answer: Answer) -> None:
    assert set(found) == set(answer.fetches)
    for name, expected in answer.fetches.items():
        assert found[name].shape == expected.shape
        assert found[name].dtype == expected.dtype
        np.testing.assert_allclose(found[name], expected, rtol=RTOL, atol=ATOL, err_msg=name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case converted, once for both."""
    folder = tmp_path_factory.mktemp("converted")
    for name, case in CASES.items():
        case.convert(folder / f"{name}{case.ending}")
    return folder


@pytest.fixture(scope="module")
def ran(tensorflow: Oracle, folder: Path) -> dict[tuple[str, int], Path | str]:
    """What TensorFlow computed: (case, number of the answer) -> file with the fetches, or the error."""
    questions, places = [], []
    for name, case in CASES.items():
        for index, answer in enumerate(case.answers):
            feeds, out = folder / f"{name}{index}_feeds.npz", folder / f"{tensorflow.name}_{name}{index}.npz"
            write_feeds(feeds, answer.feeds)
            source = folder / f"{name}{case.ending}"
            questions.append(["run", source, out, "--outputs", ",".join(answer.fetches), "--feeds", feeds])
            places.append(((name, index), out))
    errors = tensorflow.ask(questions, folder)
    return {key: out if error is None else error for (key, out), error in zip(places, errors, strict=True)}


@pytest.mark.parametrize("name", CASES)
def test_frozen_graphs_give_the_recorded_answers(name: str, ran: dict[tuple[str, int], Path | str]) -> None:
    assert CASES[name].answers
    for index, answer in enumerate(CASES[name].answers):
        found = ran[name, index]
        assert isinstance(found, Path), found
        agree(read_tensors(found), answer)


@pytest.mark.parametrize("name", ["add", "ema", "mnist"])
def test_checkpoints_that_we_wrote_restore(name: str, tf1: Oracle, tmp_path: Path) -> None:
    """A checkpoint converted to a checkpoint, read by the graph's own Saver, and the averages by one for them."""
    fixture = FIXTURES[name]
    averaged = bool(fixture.answers("ema"))
    tensorferry.convert(fixture.prefix, tmp_path / "model.ckpt", to="bundle", keep_optimizer=True)
    answers = fixture.answers("raw") + (fixture.answers("ema") if averaged else [])
    questions: list[list[object]] = []
    for index, answer in enumerate(answers):
        feeds, out = tmp_path / f"feeds{index}.npz", tmp_path / f"out{index}.npz"
        write_feeds(feeds, answer.feeds)
        words = ["restore", fixture.graph, tmp_path / "model.ckpt", out, "--outputs", ",".join(answer.fetches)]
        questions.append([*words, "--feeds", feeds, *(["--ema"] if answer.variables == "ema" else [])])
    assert tf1.ask(questions, tmp_path) == [None] * len(questions)
    for index, answer in enumerate(answers):
        agree(read_tensors(tmp_path / f"out{index}.npz"), answer)


def test_text_and_binary_are_one(tensorflow: Oracle, tmp_path: Path) -> None:
    """We read the text form that TensorFlow writes of a frozen graph, as it reads ours (above)."""
    frozen = {name: FIXTURES[name].frozen["raw"] for name in ("add", "ema_control", "mnist")}
    questions = [["text", path, tmp_path / f"{name}.pbtxt"] for name, path in frozen.items()]
    assert tensorflow.ask(questions, tmp_path) == [None] * len(frozen)
    for name, path in frozen.items():
        assert graph_def(tmp_path / f"{name}.pbtxt") == graph_def(path)
        tensorferry.convert(tmp_path / f"{name}.pbtxt", tmp_path / f"{name}.pb", outputs=FIXTURES[name].outputs)
        assert protos.parse("GraphDef", (tmp_path / f"{name}.pb").read_bytes(), "") == graph_def(path)
