"""Random numbers: no two runtimes draw the same, so the distributions are tested, within bounds beyond chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.ir import Graph, Node
from tensorferry.converters.lowering import lower
from tensorferry.formats.dtype import DTYPES, INT32, INT64
from tensorferry.formats.errors import UnsupportedError

from ..graph_text import const, graph, placeholder
from ..onnx_model import run_graph

SIZE = 4000


def draw(nodes: list[Node], **feeds: Any) -> np.ndarray[Any, Any]:
    found = lower(graph(*nodes), None, ["y"])
    return run_graph(found, {f"{name}:0": value for name, value in feeds.items()})["y:0"]


def node(op: str, *inputs: str, **attrs: Any) -> Node:
    return Node("y", op, inputs, {"T": INT32, "seed": 0, "seed2": 0, **attrs})


def shape(*, known: bool) -> tuple[Node, dict[str, Any]]:
    if known:
        return const("shape", [SIZE, 2], "int32"), {}
    return placeholder("shape", [2], "int32"), {"shape": np.array([SIZE, 2], np.int32)}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_uniform(dtype: str, *, known: bool) -> None:
    source, feeds = shape(known=known)
    found = draw([source, node("RandomUniform", "shape", dtype=DTYPES[dtype])], **feeds)
    assert (found.shape, found.dtype) == ((SIZE, 2), np.dtype(dtype))
    assert found.min() >= 0
    assert found.max() <= 1
    assert abs(found.astype(np.float64).mean() - 0.5) < 0.05
    assert abs(found.astype(np.float64).std() - 12**-0.5) < 0.05


@pytest.mark.parametrize("known", [True, False])
def test_normal(*, known: bool) -> None:
    source, feeds = shape(known=known)
    found = draw([source, node("RandomStandardNormal", "shape", dtype=DTYPES["float32"])], **feeds)
    assert found.shape == (SIZE, 2)
    assert abs(found.mean()) < 0.1
    assert abs(found.std() - 1) < 0.1


def test_truncated_normal() -> None:
    source, _ = shape(known=True)
    found = draw([source, node("TruncatedNormal", "shape", dtype=DTYPES["float32"])])
    assert np.abs(found).max() <= 2
    assert abs(found.mean()) < 0.1
    assert abs(found.std() - 0.8796) < 0.05  # that of a normal distribution cut off at two deviations


def test_integers() -> None:
    low, high = placeholder("low", [], "int32"), const("high", 4, "int32")
    nodes = [const("shape", [SIZE, 2], "int32"), low, high]
    found = draw([*nodes, node("RandomUniformInt", "shape", "low", "high", Tout=INT32)], low=np.array(-2, np.int32))
    assert found.dtype == np.int32
    assert sorted(set(found.ravel())) == [-2, -1, 0, 1, 2, 3]


def test_a_seed_gives_the_same_numbers_again() -> None:
    nodes = [const("shape", [SIZE, 2], "int32"), node("RandomUniform", "shape", dtype=DTYPES["float32"], seed=7)]
    np.testing.assert_array_equal(draw(nodes), draw(nodes))


def test_shuffling_keeps_the_rows() -> None:
    x = np.arange(200, dtype=np.float32).reshape(100, 2)
    shuffled = Node("y", "RandomShuffle", ("x",), {"T": DTYPES["float32"], "seed": 0, "seed2": 0})
    found = draw([placeholder("x", [None, 2]), shuffled], x=x)
    assert not np.array_equal(found, x)
    np.testing.assert_array_equal(found[np.argsort(found[:, 0])], x)


def test_classes_by_their_log_probabilities() -> None:
    logits = np.log(np.array([[0.7, 0.3, 1e-30], [1e-30, 1e-30, 1]], np.float32))
    drawn = node("Multinomial", "x", "count", T=DTYPES["float32"], output_dtype=INT64)
    found = draw([placeholder("x", [2, 3]), const("count", SIZE, "int32"), drawn], x=logits)
    assert (found.shape, found.dtype) == ((2, SIZE), np.int64)
    assert set(found[1]) == {2}
    assert abs((found[0] == 0).mean() - 0.7) < 0.05


def test_stateless_numbers_are_refused() -> None:
    attrs = {"T": INT32, "Tseed": INT64, "dtype": DTYPES["float32"]}
    source = Graph.of(
        [
            const("shape", [2], "int32"),
            placeholder("seed", [2], "int64"),
            Node("y", "StatelessRandomUniform", ("shape", "seed"), attrs),
        ]
    )
    with pytest.raises(UnsupportedError, match="StatelessRandomUniform"):
        lower(source, None, ["y"])
