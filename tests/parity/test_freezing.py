"""freeze against convert_variables_to_constants, live: equal messages, for whole graphs and for parts of them."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any

import pytest

from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import Model
from tensorferry.converters.names.selection import EMA_SUFFIX
from tensorferry.converters.op_registry import input_dtypes
from tensorferry.converters.passes.freeze import freeze
from tensorferry.converters.to_graph_def import to_graph_def
from tensorferry.formats.errors import NameMapError, UnsupportedError
from tests.converters.freezing import load_fixture, values_of
from tests.fixture import FIXTURES, WITH_GRAPH, Fixture, graph_def

from .conftest import Oracle

pytestmark = pytest.mark.parity

PARTS = 6
"""Sets of nodes for which each graph is frozen, besides its outputs."""


class Case:
    """A graph to be frozen for some nodes, with the variables or their averages."""

    def __init__(self, fixture: Fixture, meta: str, outputs: list[str], ema: bool) -> None:
        self.fixture = fixture
        self.meta = fixture.file(meta)
        self.outputs = outputs
        self.ema = EMA_SUFFIX if ema else None

    def question(self, out: Path) -> list[object]:
        words = ["freeze", self.meta, self.fixture.prefix, out, "--outputs", ",".join(self.outputs)]
        return [*words, "--ema"] if self.ema else words

    def ours(self) -> Any:
        model = load(self.fixture, self.meta)
        return to_graph_def(freeze(model.graph, self.outputs, values_of(model, self.outputs, self.ema)))


_models: dict[Path, Model] = {}


def load(fixture: Fixture, meta: Path) -> Model:
    return _models.setdefault(meta, load_fixture(fixture, meta))


def cases() -> dict[str, Case]:
    """Every MetaGraph that TensorFlow 1.15 can import, for its outputs and for nodes picked anywhere in it."""
    found: dict[str, Case] = {}
    for name, fixture in WITH_GRAPH.items():
        if fixture.about["tensorflow"].startswith("2"):
            continue
        for meta in filter(None, (fixture.about["graph"], fixture.about.get("evaluation"))):
            averaged = "ema" in fixture.frozen and meta == fixture.about["graph"]
            for ema in [False, True] if averaged else [False]:
                title = f"{name}-{meta}{'-ema' * ema}"
                found[title] = Case(fixture, meta, fixture.outputs, ema)
            nodes = sorted(node.name for node in graph_def(fixture.file(meta)).node)
            pick = random.Random(meta + name)
            for index in range(PARTS):
                part = pick.sample(nodes, min(len(nodes), 1 + 2 * index))
                found[f"{name}-{meta}-part{index}"] = Case(fixture, meta, part, averaged and index % 2 == 1)
    return found


CASES = cases()


@pytest.fixture(scope="module")
def frozen(tf1: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Case -> TensorFlow's GraphDef, or its error."""
    folder = tmp_path_factory.mktemp("frozen")
    errors = tf1.ask([case.question(folder / f"{index}.pb") for index, case in enumerate(CASES.values())], folder)
    return {
        name: graph_def(folder / f"{index}.pb") if error is None else error
        for index, (name, error) in enumerate(zip(CASES, errors, strict=True))
    }


def is_broken(message: Any) -> bool:
    """Whether TensorFlow put a constant where an op wants a variable's resource: nothing can load such a graph."""
    graph = from_graph_def(message)
    return any(
        dtype.name == "resource" and graph.producer(value).op == "Const"
        for node in graph
        if node.op not in graph.functions
        for dtype, value in zip(input_dtypes(node), node.data_inputs, strict=True)
    )


@pytest.mark.parametrize("name", CASES)
def test_equal_messages(name: str, frozen: dict[str, Any]) -> None:
    if isinstance(frozen[name], str):
        # A variable that is not in the checkpoint: there is no value for either.
        with pytest.raises(NameMapError):
            CASES[name].ours()
        return
    if is_broken(frozen[name]):
        # Or it is an op that TensorFlow 1.15 did not know how to turn into one without a variable.
        with contextlib.suppress(UnsupportedError):
            assert not is_broken(CASES[name].ours())
        return
    ours = CASES[name].ours()
    assert [node.name for node in ours.node] == [node.name for node in frozen[name].node]
    assert ours == frozen[name]


def test_the_recorded_ones_are_what_it_says_today(frozen: dict[str, Any]) -> None:
    for name in "add", "ema", "mnist", "encoder":
        assert frozen[f"{name}-model.ckpt.meta"] == graph_def(FIXTURES[name].frozen["raw"])


def test_most_cases_are_compared(frozen: dict[str, Any]) -> None:
    compared = [name for name, message in frozen.items() if not isinstance(message, str) and not is_broken(message)]
    assert len(compared) > 0.7 * len(CASES)
