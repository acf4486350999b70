"""Lookup tables in ONNX: what TensorFlow looked up, and tables of all types by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tensorferry import api
from tensorferry.converters.ir import Graph, Node
from tensorferry.converters.lowering import lower
from tensorferry.converters.passes.fold_tables import fold_tables
from tensorferry.converters.tables import Table
from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.errors import UnsupportedError
from tensorferry.formats.tensor import ArrayTensor
from tests.converters.graph_text import const, placeholder
from tests.converters.onnx_model import ops_of, run_graph
from tests.fixture import HOME
from tests.table_answers import CASES, as_text, assert_same, recorded


@pytest.mark.parametrize(("fixture", "signature"), CASES)
def test_what_tensorflow_looked_up(tmp_path: Path, fixture: str, signature: str) -> None:
    path = tmp_path / "model.onnx"
    api.convert(HOME / fixture, path, signature=signature)
    inputs, outputs = recorded(fixture, signature)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(names, as_text(inputs)), strict=True))
    assert_same({name: np.asarray(value) for name, value in found.items()}, outputs)


def array(values: Any, dtype: str) -> np.ndarray[Any, Any]:
    if dtype != "string":
        return np.array(values, DTYPES[dtype].numpy())
    found = np.empty(np.shape(values), object)
    found[...] = np.array([str(v).encode() for v in np.ravel(values)], object).reshape(np.shape(values))
    return found


def find(keys: str, values: str, known: Any, meant: Any, default: Any = -1) -> Graph:
    """A graph that looks x up in a table."""
    types = {"key_dtype": DTYPES[keys], "value_dtype": DTYPES[values]}
    table = Table(ArrayTensor(array(known, keys), DTYPES[keys]), ArrayTensor(array(meant, values), DTYPES[values]))
    nodes = [
        Node("table", "HashTableV2", (), {**types, "shared_name": b"t"}),
        placeholder("x", [None, 2], keys),
        Node(
            "default",
            "Const",
            (),
            {"dtype": DTYPES[values], "value": ArrayTensor(array(default, values), DTYPES[values])},
        ),
        Node("find", "LookupTableFindV2", ("table", "x", "default"), {"Tin": DTYPES[keys], "Tout": DTYPES[values]}),
    ]
    return fold_tables(Graph.of(nodes), {"table": table})


@pytest.mark.parametrize("keys", ["string", "int32", "int64", "float32"])
@pytest.mark.parametrize("values", ["string", "int32", "int64", "float32", "float64", "bool"])
def test_types(keys: str, values: str) -> None:
    meant = [True, False] if values == "bool" else [30, 50]
    default = False if values == "bool" else -1
    graph = lower(find(keys, values, [3, 5], meant, default), ["x"], ["find"])
    found = run_graph(graph, {"x:0": array([[3, 4], [5, 3]], keys)})["find:0"]
    expected = array([[meant[0], default], [meant[1], meant[0]]], values)
    items = [item.encode() if isinstance(item, str) else item for item in found.ravel().tolist()]
    assert items == expected.ravel().tolist()
    assert found.shape == (2, 2)
    assert values == "string" or found.dtype == expected.dtype


@pytest.mark.parametrize("keys", ["int32", "int64"])
def test_dense_numbers_need_no_encoder(keys: str) -> None:
    graph = lower(find(keys, "string", [1, 0, 2], ["one", "zero", "two"], "none"), ["x"], ["find"])
    assert "ai.onnx.ml::LabelEncoder" not in ops_of(graph)
    found = run_graph(graph, {"x:0": array([[0, 1], [-1, 3]], keys)})["find:0"]
    assert found.tolist() == [["zero", "one"], ["none", "none"]]


def test_values_that_are_rows() -> None:
    graph = lower(find("string", "float32", ["a", "b"], [[1, 2, 3], [4, 5, 6]], [7, 8, 9]), ["x"], ["find"])
    found = run_graph(graph, {"x:0": array([["b", "c"]], "string")})["find:0"]
    assert found.tolist() == [[[4, 5, 6], [7, 8, 9]]]


@pytest.mark.parametrize("keys", ["string", "int64"])
def test_a_default_that_is_computed(keys: str) -> None:
    graph = find(keys, "int64", [1, 2], [10, 20])
    graph.nodes["default"] = placeholder("default", [], "int64")
    found = run_graph(
        lower(graph, ["x", "default"], ["find"]), {"x:0": array([[1, 3]], keys), "default:0": np.array(7)}
    )
    assert found["find:0"].tolist() == [[10, 7]]


@pytest.mark.parametrize("computed", [False, True])
def test_an_empty_table(computed: bool) -> None:
    graph = find("string", "float32", np.zeros(0), np.zeros((0, 2)), [1.5, 2.5])
    inputs = ["x"]
    if computed:
        graph.nodes["default"] = placeholder("default", [2])
        inputs.append("default")
    feeds = {"x:0": array([["a", "b"]], "string"), "default:0": np.array([1.5, 2.5], np.float32)}
    found = run_graph(lower(graph, inputs, ["find"]), feeds)["find:0"]
    assert found.tolist() == [[[1.5, 2.5], [1.5, 2.5]]]


def test_a_table_of_unknown_contents_is_refused() -> None:
    graph = find("string", "int64", ["a"], [1])
    graph.nodes["find"] = graph.nodes["find"].with_(attrs={"Tin": DTYPES["string"], "Tout": DTYPES["int64"]})
    with pytest.raises(
        UnsupportedError, match=r"^find: expected a table whose contents are known, got one that nothing"
    ):
        lower(graph, ["x"], ["find"])


def test_keys_that_an_encoder_does_not_know_are_refused() -> None:
    with pytest.raises(
        UnsupportedError, match=r"^find: expected keys that are strings, integers or float32, got float64$"
    ):
        lower(find("float64", "int64", [1.5], [1]), ["x"], ["find"])


def buckets(count: int) -> Graph:
    words = placeholder("x", [None], "string")
    return Graph.of([words, Node("y", "StringToHashBucketFast", ("x",), {"num_buckets": count}), const("c", 1.0)])


def test_one_bucket_holds_all_words() -> None:
    found = run_graph(lower(buckets(1), ["x"], ["y"]), {"x:0": array(["a", "b"], "string")})["y:0"]
    assert found.tolist() == [0, 0]
    with pytest.raises(UnsupportedError, match=r"^y: expected one bucket, as ONNX has no hash of strings, got 5$"):
        lower(buckets(5), ["x"], ["y"])
