"""docs/tables.md: what it shows can be read, and what it says of the verbs is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tensorferry.converters.mapping.presets import read_map
from tensorferry.converters.mapping.table import Table
from tensorferry.converters.mapping.verbs import VERBS

from .test_layout import ROOT

PAGE = (ROOT / "docs" / "tables.md").read_text("utf-8")
BLOCKS = re.findall(r"```(toml|json)\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("ending", "text"), BLOCKS, ids=[str(index) for index in range(len(BLOCKS))])
def test_every_table_can_be_read(ending: str, text: str, tmp_path: Path) -> None:
    block = "[variables]\nblock = 0\nfirst = 0\nlast = 0\n"
    for name, variables in (("layers.toml", '[variables]\nscope = "x"\n'), ("heads.toml", ""), ("block.toml", block)):
        (tmp_path / name).write_text(f'{variables}\n[[rules]]\nfrom = "a"\nto = "b"\n')
    (tmp_path / f"t.{ending}").write_text(text)
    table = read_map(tmp_path / f"t.{ending}")
    assert isinstance(table, Table) is (ending == "toml")


def test_blocks_are_found() -> None:
    assert len(BLOCKS) >= 8


def test_every_verb_is_told() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`\"?([a-z]+)\"?[` =]", row)}
    assert set(VERBS) <= told
