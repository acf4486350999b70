"""Clean: the same answers from fewer nodes, on a graph with all that is to go."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.ir import Graph
from tensorferry.converters.load import load_model
from tensorferry.converters.passes.clean import clean
from tests.fixture import HOME

OUTPUTS = ["scores:0"]
EVERYTHING = {"everything": True}


@pytest.fixture(scope="module")
def graph() -> Graph:
    return load_model(HOME / "cleaning" / "graph.pb").graph


@pytest.mark.parametrize(
    ("asked", "ops"),
    [
        ({"constants": True}, {"FusedBatchNormV3": 3, "Rsqrt": 0, "Assert": 1, "FakeQuantWithMinMaxArgs": 1}),
        ({"batch_norm": True}, {"FusedBatchNormV3": 1, "Rsqrt": 0, "BiasAdd": 5}),
        (EVERYTHING, {"FusedBatchNormV3": 3, "Identity": 1, "Print": 0, "CheckNumerics": 0, "Assert": 0,
                      "RandomUniform": 0, "PlaceholderWithDefault": 0, "FakeQuantWithMinMaxArgs": 1}),
        (EVERYTHING | {"batch_norm": True}, {"FusedBatchNormV3": 1, "BiasAdd": 5, "Conv2D": 3, "Identity": 0,
                                             "FakeQuantWithMinMaxArgs": 1}),
    ],
)  # fmt: skip
def test_the_same_answers_from_fewer_nodes(graph: Graph, asked: dict[str, Any], ops: dict[str, int]) -> None:
    cleaned, counts = clean(graph, OUTPUTS, **asked)
    found = Counter(node.op for node in cleaned)
    assert {op: found[op] for op in ops} == ops
    assert list(counts.values())[-1][1] == len(cleaned) < len(graph)
    assert all(after <= before for before, after in counts.values())
    recorded = np.load(HOME / "cleaning" / "answers.npz")
    found, expected = (evaluate(g, OUTPUTS, {"images:0": recorded["images"]})["scores:0"] for g in (cleaned, graph))
    np.testing.assert_allclose(found, recorded["scores"], rtol=1e-5)
    if "batch_norm" not in asked:
        np.testing.assert_array_equal(found, expected)
    assert "scores" in cleaned.nodes


def test_placeholders_that_are_asked_for_stay(graph: Graph) -> None:
    cleaned, _ = clean(graph, OUTPUTS, everything=True, keep=["keep_prob"])
    assert cleaned.nodes["keep_prob"].op == "PlaceholderWithDefault"
    assert any(node.op == "RandomUniform" for node in cleaned), "something may be dropped then"


def test_cleaning_twice_is_cleaning_once(graph: Graph) -> None:
    once, _ = clean(graph, OUTPUTS, everything=True, batch_norm=True)
    twice, _ = clean(once, OUTPUTS, everything=True, batch_norm=True)
    assert list(twice.nodes) == list(once.nodes)


def test_nothing_was_asked_for(graph: Graph) -> None:
    assert clean(graph, OUTPUTS) == (graph, {})
