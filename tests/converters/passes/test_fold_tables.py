"""Fold tables: what becomes a constant, and what keeps the contents."""

from __future__ import annotations

import numpy as np

from tensorferry.converters.ir import Graph, Node
from tensorferry.converters.passes.fold_tables import fold_tables
from tensorferry.converters.tables import Table
from tensorferry.formats.dtype import INT64, RESOURCE
from tensorferry.formats.tensor import ArrayTensor
from tests.converters.graph_text import placeholder

KEYS, VALUES = ArrayTensor(np.array([1, 2])), ArrayTensor(np.array([10, 20]))
TYPES = {"Tkeys": INT64, "Tvalues": INT64}


def source() -> Graph:
    return Graph.of([
        Node("t", "HashTableV2", (), {"key_dtype": INT64, "value_dtype": INT64}),
        Node("i", "Identity", ("t",), {"T": RESOURCE}),
        placeholder("x", [None], "int64"),
        Node("size", "LookupTableSizeV2", ("i",), {}),
        Node("all", "LookupTableExportV2", ("t",), TYPES),
        Node("all_1", "Neg", ("all:1",), {"T": INT64}),
        Node("both", "AddV2", ("all", "all_1"), {"T": INT64}),
        Node("find", "LookupTableFindV2", ("i:0", "x", "size"), {"Tin": INT64, "Tout": INT64}),
    ])  # fmt: skip


def test_what_becomes_of_users() -> None:
    found = fold_tables(source(), {"t": Table(KEYS, VALUES)})
    assert list(found.nodes) == ["t", "i", "x", "size", "all", "all_1_", "all_1", "both", "find"]
    constants = {node.name: node.attrs["value"].numpy().tolist() for node in found if node.op == "Const"}  # type: ignore[union-attr]
    assert constants == {"size": 2, "all": [1, 2], "all_1_": [10, 20]}
    assert found.nodes["all_1"].inputs == ("all_1_:0",)
    assert found.nodes["both"].inputs == ("all", "all_1")
    assert found.nodes["find"].inputs == ("i:0", "x", "size")
    assert (found.nodes["find"].attrs["_keys"], found.nodes["find"].attrs["_values"]) == (KEYS, VALUES)


def test_unknown_tables_stay() -> None:
    graph = source()
    assert fold_tables(graph, {}) is graph
    assert list(fold_tables(graph, {"other": Table(KEYS, VALUES)})) == list(graph)
