"""A config.json beside weights."""

import json
import shutil
from dataclasses import replace

import pytest

from tensorferry.converters.jobs import config_beside
from tensorferry.converters.jobs.config_beside import weights_in
from tensorferry.converters.jobs.convert import convert
from tensorferry.converters.jobs.options import Options
from tensorferry.converters.mapping.table import Table
from tensorferry.formats.errors import DestinationError, FormatError, NameMapError
from tests.converters.mapping.tables import rules
from tests.fixture import FIXTURES

SOURCE = FIXTURES["add"].prefix


def options(derived=None, assumed=None, beside=None, **more):
    table = Table(
        "t.toml", tuple(rules({"from": "**", "to": "**"})), derived=derived or {"n": {"dim": 0, "of": "v1"}},
        config={"size": "${n}", "text": "${n} wide", "list": ["${n}", 2]},
        assumed=assumed or {}, beside=beside or {},
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


def with_files(folder, **files):
    """A copy of the source with files beside it: its prefix."""
    for file in SOURCE.parent.glob("model.ckpt*"):
        shutil.copy(file, folder)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder / "model.ckpt"


def test_what_lies_beside_the_source(tmp_path):
    source, result = tmp_path / "source", tmp_path / "result"
    source.mkdir()
    result.mkdir()
    prefix = with_files(source, c__json='{"heads": 3, "size": 1}', words__txt="a\nb\n")
    asked = options(
        assumed={"heads": 1, "act": "gelu"},
        beside={"settings": ["c.json"], "copies": {"words.txt": "vocab.txt", "none.txt": "none.txt"}},
    )
    report = convert(prefix, result, asked)
    assert json.loads((result / "config.json").read_text())["heads"] == 3
    assert (result / "vocab.txt").read_text() == "a\nb\n"
    assert sorted(path.name for path in result.iterdir()) == ["config.json", "model.safetensors", "vocab.txt"]
    assert report.notes[-4:] == [
        "config.json beside it, of t.toml",
        "config.json: heads from c.json",
        'config.json: shapes do not tell, assumed: act "gelu"',
        f"vocab.txt beside it, a copy of {source / 'words.txt'}",
    ]
    (result / "config.json").unlink()
    (result / "model.safetensors").unlink()
    with pytest.raises(DestinationError, match=r"vocab\.txt: "):
        convert(prefix, result, asked)
    assert convert(prefix, result, replace(asked, force=True, verify=True)).verified


def test_what_is_copied_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(config_beside, "_LARGEST_COPY", 3)
    source, result = tmp_path / "source", tmp_path / "result"
    source.mkdir()
    result.mkdir()
    prefix = with_files(source, words__txt="a\nb\n")
    with pytest.raises(FormatError, match=r"words\.txt: expected a vocabulary of at most 3 bytes, got 4$"):
        convert(prefix, result, options(beside={"copies": {"words.txt": "vocab.txt"}}))
    assert list(result.iterdir()) == []
