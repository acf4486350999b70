"""What a selection says of averages behind a table that joins and drops."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tensorferry.converters.mapping.select import select_by_tables
from tensorferry.converters.mapping.table import read_rules
from tensorferry.formats.tensor import ArrayTensor, Tensor

EMA = "ExponentialMovingAverage"


def test_one_averaged_part_makes_an_averaged_tensor_and_only_what_is_used_lacks_one(tmp_path: Path) -> None:
    names = ["a", "b", f"b/{EMA}", "c", "d"]
    tensors: dict[str, Tensor] = {name: ArrayTensor(np.full(1, n, np.float32)) for n, name in enumerate(names)}
    rules = [
        {"from": ["a", "b"], "to": "ab", "do": {"concat": 0}},
        {"from": "c", "to": "c"},
        {"from": "d", "drop": True},
    ]
    (tmp_path / "t.json").write_text(json.dumps({"rules": rules}))
    found = select_by_tables(tensors, [read_rules(tmp_path / "t.json")], ema=EMA)
    assert {name: entry.averaged for name, entry in found.entries.items()} == {"ab": True, "c": False}
    assert found.entries["ab"].tensor.numpy().tolist() == [0.0, 2.0]
    assert found.unaveraged == ["a", "c"]
