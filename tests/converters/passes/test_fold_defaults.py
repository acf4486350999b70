"""Fold defaults: a placeholder with a default becomes its default."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.ir import AttrList, Graph, Node, Shape
from tensorferry.converters.passes.fold_defaults import fold_defaults
from tensorferry.formats.dtype import BOOL
from tensorferry.formats.errors import GraphError
from tensorferry.formats.tensor import ArrayTensor

CLASS = AttrList("bytes", (b"loc:@false",))
FALSE = Node("false", "Const", (), {"dtype": BOOL, "value": ArrayTensor(np.array(False))})
TRAINING = Node(
    "training",
    "PlaceholderWithDefault",
    ("false", "^other"),
    {"dtype": BOOL, "shape": Shape(()), "_class": CLASS},
    "/cpu:0",
)
OTHER = Node("other", "NoOp")
GRAPH = Graph.of([FALSE, OTHER, TRAINING])


def test_a_placeholder_with_a_default_becomes_an_identity() -> None:
    folded = fold_defaults(GRAPH)
    assert list(folded) == [
        FALSE,
        OTHER,
        Node("training", "Identity", ("false", "^other"), {"T": BOOL, "_class": CLASS}, "/cpu:0"),
    ]
    assert GRAPH.nodes["training"] is TRAINING
    assert not evaluate(folded, ["training"], {})["training"]
    assert list(fold_defaults(folded)) == list(folded)


@pytest.mark.parametrize("keep", [["training"], ["training:0"]])
def test_those_to_keep_stay(keep: list[str]) -> None:
    assert list(fold_defaults(GRAPH, keep=keep)) == list(GRAPH)


def test_an_unknown_name_to_keep_is_an_error() -> None:
    with pytest.raises(GraphError, match=r"got none of the name: 'trainin' \(near: training\)$"):
        fold_defaults(GRAPH, keep=["trainin:0"])


def test_a_placeholder_without_its_default_is_an_error() -> None:
    graph = Graph.of([Node("d", "PlaceholderWithDefault", ("^other",), {"dtype": BOOL}), OTHER])
    with pytest.raises(GraphError, match=r"^expected one input of each PlaceholderWithDefault, got another number: d$"):
        fold_defaults(graph)
