"""The contents of lookup tables, found in SavedModels of both TensorFlows and in graphs by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.ir import AttrList, FuncRef, Function, Graph, Model, Node, Shape
from tensorferry.converters.load import load_checkpoint, load_model
from tensorferry.converters.tables import find_tables, tables_of
from tensorferry.formats.dtype import DTYPES, INT64, RESOURCE, STRING_TYPE
from tensorferry.formats.errors import FormatError, GraphError
from tensorferry.formats.tensor import ArrayTensor
from tests.fixture import HOME

LINES = {b"the": 0, b"b": 1, b"the end": 2, "ü".encode(): 3, b"a": 4}


def contents(model: Model, names: list[str] | None = None) -> dict[str, dict[Any, Any]]:
    found = find_tables(model, tables_of(model.graph) if names is None else names)
    return {
        name: dict(zip(*(array.tolist() for array in table.arrays()), strict=True)) for name, table in found.items()
    }


def test_a_saved_model_of_tensorflow_1() -> None:
    assert contents(load_model(HOME / "tables_v1")) == {
        "vocabulary/hash_table/hash_table": LINES,
        "weights": {b"a": 0.5, b"b": -1.5, "ü".encode(): 3.0},
        "codes": {-1: b"no", 0: b"the!", 4: b"a!"},
        "learnt": {b"b": 20, b"2": 22},
    }


def test_a_saved_model_of_tensorflow_2() -> None:
    found = contents(load_model(HOME / "tables_v2"))
    expected = [
        LINES,
        LINES,
        {b"a": 0.5, b"the end": -2.25, "ü".encode(): 1000.0},
        {7: b"seven", 1 << 40: b"many", -3: "ü".encode()},
        {b"b": 20, b"2": 22},
    ]
    assert len(found) == len(expected)
    assert all(one in found.values() for one in expected)


def test_what_the_checkpoint_gave_is_said() -> None:
    model = load_model(HOME / "tables_v1")
    found = find_tables(model, ["learnt", "weights"])
    assert {name: table.sources for name, table in found.items()} == {
        "learnt": ("learnt-keys", "learnt-values"),
        "weights": (),
    }


def node(name: str, op: str, *inputs: str, **attrs: Any) -> Node:
    return Node(name, op, inputs, attrs)


def words(name: str, *items: bytes) -> Node:
    array = np.empty(len(items), object)
    array[:] = items
    return node(name, "Const", dtype=STRING_TYPE, value=ArrayTensor(array, STRING_TYPE))


def numbers(name: str, *items: int) -> Node:
    return node(name, "Const", dtype=INT64, value=ArrayTensor(np.array(items, np.int64)))


def table(name: str = "t", op: str = "HashTableV2", **attrs: Any) -> Node:
    return node(name, op, key_dtype=STRING_TYPE, value_dtype=INT64, **attrs)


TYPES = {"Tkey": STRING_TYPE, "Tval": INT64}


def fill(name: str, handle: str, keys: str, values: str) -> Node:
    return node(name, "InitializeTableV2", handle, keys, values, **TYPES)


def model_of(*nodes: Node, path: str = "", **functions: Function) -> Model:
    graph = Graph.of(nodes)
    graph.functions = functions
    return Model(graph, path)


def test_tables_of_one_shared_name_are_one() -> None:
    nodes = [table("t", shared_name=b"x"), table("u", shared_name=b"x"), table("v"), words("k", b"a"), numbers("n", 3)]
    assert contents(model_of(*nodes, fill("i", "t", "k", "n"))) == {"t": {b"a": 3}, "u": {b"a": 3}}


def test_a_table_that_nothing_fills_is_empty_if_it_is_mutable() -> None:
    model = model_of(
        table("t"),
        table("m", "MutableHashTableV2"),
        table("o", "MutableHashTableOfTensorsV2", value_shape=Shape((2,))),
    )
    found = find_tables(model, ["t", "m", "o"])
    assert sorted(found) == ["m", "o"]
    assert found["m"].keys.shape == (0,)
    assert found["o"].values.shape == (0, 2)


def test_initializers_have_to_agree() -> None:
    nodes = [table(), words("k", b"a", b"b"), numbers("n", 1, 2), numbers("other", 1, 3)]
    assert contents(model_of(*nodes, fill("i", "t", "k", "n"), fill("j", "t", "k", "n")))["t"] == {b"a": 1, b"b": 2}
    with pytest.raises(GraphError, match=r"^t: expected one content of the table, got two: i and j differ$"):
        contents(model_of(*nodes, fill("i", "t", "k", "n"), fill("j", "t", "k", "other")))


def test_keys_that_come_twice() -> None:
    nodes = [words("k", b"a", b"b", b"a"), numbers("n", 1, 2, 1), numbers("other", 1, 2, 3)]
    assert contents(model_of(table(), *nodes, fill("i", "t", "k", "n")))["t"] == {b"a": 1, b"b": 2}
    mutable = table(op="MutableHashTableV2")
    assert contents(model_of(mutable, *nodes, fill("i", "t", "k", "other")))["t"] == {b"a": 3, b"b": 2}
    with pytest.raises(GraphError, match=r"^t: expected one value of each key, got 1 and others for b'a'$"):
        contents(model_of(table(), *nodes, fill("i", "t", "k", "other")))


def test_values_that_are_computed() -> None:
    nodes = [table(), words("k", b"a", b"b"), numbers("n", 1, 2), node("sum", "AddV2", "n", "n", T=INT64)]
    assert contents(model_of(*nodes, fill("i", "t", "k", "sum")))["t"] == {b"a": 2, b"b": 4}


def test_initializers_that_make_no_sense() -> None:
    nodes = [table(), words("k", b"a", b"b"), numbers("n", 1), node("x", "Placeholder", dtype=INT64, shape=Shape((2,)))]
    with pytest.raises(
        GraphError, match=r"^t: expected an initializer .*: i: .* as many values as keys, got \[1\] for"
    ):
        contents(model_of(*nodes, fill("i", "t", "k", "n")))
    with pytest.raises(GraphError, match=r"^t: expected an initializer that can be computed: the feeds: expected"):
        contents(model_of(*nodes, fill("i", "t", "k", "x")))
    with pytest.raises(GraphError, match=r"^t: .*: i: expected InitializeTableV2 to have other inputs than t, k$"):
        contents(model_of(*nodes, node("i", "InitializeTableV2", "t", "k", **TYPES)))
    ring = [node("a", "Identity", "b", T=RESOURCE), node("b", "Identity", "a", T=RESOURCE)]
    with pytest.raises(GraphError, match=r"expected a value that comes from somewhere, got a ring of identities$"):
        contents(model_of(*nodes, *ring, fill("i", "a", "k", "n")))


def from_file(path: bytes, **attrs: Any) -> list[Node]:
    name = np.empty((), object)
    name[()] = path
    attrs = {"key_index": -2, "value_index": -1, "vocab_size": -1, "delimiter": b"\t"} | attrs
    return [
        table(),
        node("path", "Const", dtype=STRING_TYPE, value=ArrayTensor(name, STRING_TYPE)),
        node("i", "InitializeTableFromTextFileV2", "t", "path", **attrs),
    ]


def test_a_vocabulary_beside_the_graph_by_its_base_name(tmp_path: Path) -> None:
    """Wherever the training machine had it; nothing else of the path is ever opened."""
    (tmp_path / "words.txt").write_bytes(b"x\ny\n")
    model = model_of(*from_file(b"/home/me/words.txt"), path=str(tmp_path / "graph.pb"))
    assert contents(model)["t"] == {b"x": 0, b"y": 1}
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "words.txt").write_bytes(b"z\n")
    assert contents(model)["t"] == {b"z": 0}
    model = model_of(*from_file(b"/etc/passwd"), path=str(tmp_path / "graph.pb"))
    with pytest.raises(FormatError, match=r"/passwd: expected the asset that the graph names, got no such file$"):
        contents(model)
    model = model_of(*from_file(b"../.."), path=str(tmp_path / "graph.pb"))
    with pytest.raises(FormatError, match=r"expected an asset's name below the directory, got '\.\.'$"):
        contents(model)


def test_a_vocabulary_that_the_saved_model_lists(tmp_path: Path) -> None:
    model = model_of(*from_file(b"/home/me/words.txt"), path=str(tmp_path / "saved_model.pb"))
    model.assets = {"path:0": "../words.txt"}
    with pytest.raises(
        FormatError, match=r"/assets: expected an asset's name below the directory, got '\.\./words\.txt'$"
    ):
        contents(model)


def calling(name: str, called: str) -> Node:
    return node(
        name, "StatefulPartitionedCall", "t", f=FuncRef(called), Tin=AttrList("dtype", (RESOURCE,)), Tout=AttrList()
    )


def test_functions_that_call_themselves_end() -> None:
    from tensorferry.formats import protos

    definition = protos.message_class("FunctionDef")()
    definition.signature.name = "f"
    definition.signature.input_arg.add(name="t", type=20)
    body = {"again": calling("again", "f"), "i": fill("i", "t", "k:output:0", "n:output:0")}
    body |= {"k": words("k", b"a"), "n": numbers("n", 1)}
    function = Function("f", body, definition.SerializeToString())
    with pytest.raises(GraphError, match=r"expected calls of at most 32 levels to fill a table, got more$"):
        contents(model_of(table(), calling("call", "f"), f=function))


def test_a_table_restored_from_a_checkpoint_that_lacks_it() -> None:
    model = load_model(HOME / "tables_v1")
    tensors = load_checkpoint(HOME / "tables_v1")
    model.tensors = {name: tensors[name] for name in tensors if name != "learnt-values"}
    with pytest.raises(GraphError, match=r"^learnt: .*: expected 'learnt-values' in the checkpoint, got none"):
        find_tables(model, ["learnt"])


def test_types() -> None:
    found = find_tables(load_model(HOME / "tables_v1"), ["weights", "codes"])
    assert [(t.keys.dtype, t.values.dtype) for t in found.values()] == [
        (STRING_TYPE, DTYPES["float32"]),
        (INT64, STRING_TYPE),
    ]
