"""A config.json beside weights."""

import json

import pytest

from tensorferry.converters.jobs.config_beside import weights_in
from tensorferry.converters.jobs.convert import convert
from tensorferry.converters.jobs.options import Options
from tensorferry.converters.mapping.table import Table
from tensorferry.formats.errors import DestinationError, NameMapError
from tests.converters.mapping.tables import rules
from tests.fixture import FIXTURES

SOURCE = FIXTURES["add"].prefix


def options(derived=None, **more):
    table = Table(
        "t.toml", tuple(rules({"from": "**", "to": "**"})), derived=derived or {"n": {"dim": 0, "of": "v1"}},
        config={"size": "${n}", "text": "${n} wide", "list": ["${n}", 2]},
    )  # fmt: skip
    return Options(tables=[table], **more)


def test_where_weights_go(tmp_path):
    assert weights_in(str(tmp_path), options()) == str(tmp_path / "model.safetensors")
    assert weights_in(str(tmp_path / "x.npz"), options()) == str(tmp_path / "x.npz")
    assert weights_in(str(tmp_path), Options(tables=[{"a": "b"}])) == str(tmp_path)
    assert weights_in(str(tmp_path), options(to="npz")) == str(tmp_path)


def test_its_values(tmp_path):
    convert(SOURCE, tmp_path, options())
    assert json.loads((tmp_path / "config.json").read_text()) == {"size": 1, "text": "1 wide", "list": [1, 2]}


def test_nothing_is_written_without_it(tmp_path):
    with pytest.raises(NameMapError, match=r"^t\.toml: variable n: expected a tensor w in the source, got none$"):
        convert(SOURCE, tmp_path, options({"n": {"dim": 0, "of": "w"}}))
    convert(SOURCE, tmp_path, options(dry_run=True))
    (tmp_path / "config.json").write_text("mine")
    with pytest.raises(DestinationError, match=r"config\.json: "):
        convert(SOURCE, tmp_path, options())
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    convert(SOURCE, tmp_path, options(force=True))
    assert (tmp_path / "config.json").read_text() != "mine"
