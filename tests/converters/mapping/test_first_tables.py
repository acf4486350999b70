"""What beginners write: the message says what to write instead, and scopes and selections go together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.mapping.inverse import invert_rules
from tensorferry.converters.mapping.presets import read_map
from tensorferry.converters.mapping.select import select_by_tables
from tensorferry.converters.mapping.table import Table, read_rules
from tensorferry.converters.names.selection import select_names
from tensorferry.formats.errors import TensorferryError
from tensorferry.formats.tensor import ArrayTensor, Tensor
from tests.cli import ferried


def refusal(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    with pytest.raises(TensorferryError) as error:
        read_map(path)
    return str(error.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("t.toml", "", "expected rules, or names for names, got an empty table"),
        ("t.json", "{}", "expected rules, or names for names, got an empty table"),
        (
            "t.toml",
            "[[rule]]\nfrom = 'a'\n",
            "expected names on the right, got something else for: rule "
            "(a table of rules has a list of them, [[rules]])",
        ),
        (
            "t.toml",
            "[rules]\nfrom = 'a'\n",
            "expected names on the right, got something else for: rules "
            "(a table of rules has a list of them, [[rules]])",
        ),
        (
            "t.toml",
            '[[rules]]\nregex = "a(\\d)"\n',
            "expected a table of names in TOML, got: Unescaped '\\' in a string (at line 2, column 14) "
            "(between single quotes it stands for itself)",
        ),
    ],
)
def test_messages(name: str, text: str, problem: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, name, text) == problem


def test_yaml_says_where_and_what_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    found = refusal(tmp_path, "t.yaml", "rules:\n- from: {n:int}/x\n  to: b\n")
    assert found.startswith("expected a table of names in YAML, got: expected <block end>, but found ")
    assert found.endswith(" (at line 2, column 16) (names with { or * stand between quotes)")


def test_a_preset_with_a_typing_error() -> None:
    with pytest.raises(TensorferryError, match=r" \(near: bert\b.*\)$"):
        read_map("brt")


def test_a_regular_expression_with_several_targets_and_its_inverse(tmp_path: Path) -> None:
    rule = {"regex": "(.*)/qkv", "to": ["{1}/q", "{1}/k"], "do": {"chunk": {"axis": 0, "parts": 2}}}
    (tmp_path / "t.json").write_text(json.dumps({"rules": [rule]}))
    problem = "a regular expression is turned around for one target only; a name with holes for more"
    back = invert_rules(read_rules(tmp_path / "t.json").rules)
    assert (back.rules, back.problems) == ([], [f"t.json line 1: {problem}"])


def test_show_tells_a_description_without_a_title(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text("description = 'ours'\n[[rules]]\nfrom = '**'\nto = '**'\n")
    assert ferried("map", "show", tmp_path / "t.toml").out.splitlines()[0] == "ours"
    assert json.loads(ferried("map", "show", tmp_path / "t.toml", "--json").out)["description"] == "ours"


TENSORS: dict[str, Tensor] = {
    name: ArrayTensor(np.zeros(2, np.float32)) for name in ("a/w", "a/w/Adam", "b/w", "global_step")
}
SURPLUS = {"a/w/Adam": "of the optimizer", "global_step": "counter"}


class TestScopes:
    @pytest.mark.parametrize(
        ("options", "kept"),
        [
            ({}, ["n/a/w", "n/b/w"]),
            ({"exclude": ["b/*"]}, ["n/a/w"]),
            ({"include": ["b/*", "global_step"]}, ["n/b/w", "n/global_step"]),
        ],
    )
    def test_name_what_would_be_there_without_them(self, options: Any, kept: list[str]) -> None:
        found = select_names(TENSORS, tables=[{"/": "n/"}], surplus=SURPLUS, **options)
        assert sorted(found.entries) == kept

    def test_all_where_nothing_is_left_out(self) -> None:
        assert len(select_names(TENSORS, tables=[{"/": "n/"}]).entries) == 4

    def test_a_name_itself_asks_for_what_is_left_out(self) -> None:
        found = select_names(TENSORS, tables=[{"global_step": "step"}], surplus=SURPLUS)
        assert sorted(found.entries) == ["a/w", "b/w", "step"]

    def test_beside_rules_too(self, tmp_path: Path) -> None:
        (tmp_path / "t.json").write_text('{"rules": [{"from": "none", "to": "x", "optional": true}]}')
        table = read_map(tmp_path / "t.json")
        assert isinstance(table, Table)
        found = select_by_tables(TENSORS, [table, {"/": "n/"}], surplus=SURPLUS)
        assert sorted(found.entries) == ["n/a/w", "n/b/w"]


def test_a_key_that_stands_twice_in_json(tmp_path: Path) -> None:
    problem = "expected each name once on the left, got doubled: rules"
    assert refusal(tmp_path, "t.json", '{"rules": [{"from": "a", "to": "b"}], "rules": []}') == problem
