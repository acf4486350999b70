"""Keep tables: a frozen graph that looks words up, as TensorFlow did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tensorferry import api
from tensorferry.converters.ir import Graph, Model, Node
from tensorferry.converters.load import load_model
from tensorferry.converters.passes.keep_tables import keep_tables
from tensorferry.converters.tables import Table, find_tables, tables_of
from tensorferry.formats.dtype import INT64
from tensorferry.formats.tensor import ArrayTensor
from tests.converters.graph_text import const
from tests.fixture import HOME
from tests.table_answers import CASES, assert_same, recorded


@pytest.mark.parametrize(("fixture", "signature"), CASES)
def test_a_frozen_model_still_looks_up(tmp_path: Path, fixture: str, signature: str) -> None:
    once, twice = tmp_path / "once.pb", tmp_path / "twice.pb"
    report = api.convert(HOME / fixture, once, signature=signature)
    assert report.notes == ["run init_all_tables once, before the first lookup: it fills the tables"]
    declared = load_model(HOME / fixture).signatures[signature]
    inputs, outputs = recorded(fixture, signature)
    model = load_model(once)
    feeds = {declared.inputs[name].value: array for name, array in inputs.items()}
    values = {name: info.value for name, info in declared.outputs.items()}
    found = api.evaluate(model, outputs=list(values.values()), feeds=feeds)
    assert_same({name: found[value] for name, value in values.items()}, outputs)
    api.convert(once, twice, outputs=list(values.values()))
    assert twice.read_bytes() == once.read_bytes()


def test_what_is_in_the_report(tmp_path: Path) -> None:
    report = api.convert(HOME / "tables_v1", tmp_path / "model.pb")
    assert report.tables == {
        "vocabulary/hash_table/hash_table": "5 of string to int64",
        "weights": "3 of string to float32",
        "codes": "3 of int64 to string",
        "learnt": "2 of string to int64",
    }
    assert report.dropped == {}, "what the tables hold is in the result"
    assert "  table     codes: 3 of int64 to string" in report.text()
    assert report.to_dict()["tables"] == report.tables


def test_a_table_that_nothing_fills_is_reported(tmp_path: Path) -> None:
    """As in a graph that TensorFlow froze."""
    from tensorferry.converters.to_graph_def import to_graph_def

    model = load_model(HOME / "tables_v1")
    bare = Graph.of(node for node in model.graph if "init" not in node.name and "Assign" not in node.op)
    (tmp_path / "bare.pb").write_bytes(to_graph_def(bare).SerializeToString())
    report = api.convert(tmp_path / "bare.pb", tmp_path / "out.pb", outputs=["weighed:0"])
    assert report.notes == ["tables that nothing fills: weights"]
    assert report.tables == {}


def numbers(*items: int) -> ArrayTensor:
    return ArrayTensor(np.array(items, np.int64))


def test_names_ops_and_order() -> None:
    types = {"key_dtype": INT64, "value_dtype": INT64}
    graph = Graph.of(
        [Node("old", "HashTable", (), types), Node("new", "MutableHashTableV2", (), types), const("new/keys", 1)]
    )
    kept, name = keep_tables(graph, {"old": Table(numbers(1), numbers(2)), "new": Table(numbers(3), numbers(4))})
    assert name == "init_all_tables"
    assert [(node.name, node.op, node.inputs) for node in kept][3:] == [
        ("old/keys", "Const", ()),
        ("old/values", "Const", ()),
        ("old/fill", "LookupTableImport", ("old", "old/keys", "old/values")),
        ("new/keys_", "Const", ()),
        ("new/values", "Const", ()),
        ("new/fill", "LookupTableImportV2", ("new", "new/keys_", "new/values")),
        ("init_all_tables", "NoOp", ("^old/fill", "^new/fill")),
    ]
    assert kept.nodes["new/fill"].attrs == {"Tin": INT64, "Tout": INT64}
    _, name = keep_tables(kept, {"old": Table(numbers(1), numbers(2))})
    assert name == "init_all_tables_"


def test_without_tables_nothing_changes() -> None:
    graph = Graph.of([const("c", 1)])
    assert keep_tables(graph, {}) == (graph, "")


def test_found_again() -> None:
    types = {"key_dtype": INT64, "value_dtype": INT64}
    kept, _ = keep_tables(Graph.of([Node("t", "HashTable", (), types)]), {"t": Table(numbers(1, 5), numbers(2, 6))})
    found = find_tables(Model(kept), tables_of(kept))["t"]
    assert [array.tolist() for array in found.arrays()] == [[1, 5], [2, 6]]
