"""Which rules a graph's variables can take: those that give names, and no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tensorferry.converters.mapping.select import refuse_transforms
from tensorferry.converters.mapping.table import Table, read_rules
from tensorferry.formats.errors import UnsupportedError


def table(folder: Path, **rule: Any) -> Table:
    (folder / "t.json").write_text(json.dumps({"rules": [{"from": "w", **rule}]}))
    return read_rules(folder / "t.json")


@pytest.mark.parametrize("rule", [{"to": "x"}, {"drop": True}, {"to": ["x", "y"], "do": "tie"}])
def test_names(rule: Any, tmp_path: Path) -> None:
    refuse_transforms([table(tmp_path, **rule), {"a": "b"}], "a graph")


@pytest.mark.parametrize(
    "do",
    [
        {"chunk": {"axis": 0, "parts": 2}},
        {"split": {"axis": 0, "sizes": [1, 1]}},
        {"unstack": 0},
        {"fill": 1.0},
        {"with": {"dtype": "int64", "value": 0}},
        [{"flip": 0}, "tie"],
    ],
)
def test_what_makes_other_tensors(do: Any, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"can only rename for a graph, got rules that do more: t\.json line 1 "):
        refuse_transforms([table(tmp_path, to=["x", "y"], do=do)], "a graph")


def test_verbs_that_wait_for_a_variable(tmp_path: Path) -> None:
    data = {
        "variables": {"n": {"dim": 0, "of": "w"}},
        "rules": [{"from": "w", "to": "x", "do": {"reshape": ["${n}", -1]}}],
    }
    (tmp_path / "t.json").write_text(json.dumps(data))
    with pytest.raises(UnsupportedError, match="rules that do more"):
        refuse_transforms([read_rules(tmp_path / "t.json")], "a graph")
