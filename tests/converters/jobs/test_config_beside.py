"""A config.json beside weights."""

import json
import shutil
from dataclasses import replace

import pytest

from tensorferry.converters.jobs import config_beside
from tensorferry.converters.jobs.config_beside import weights_in
from tensorferry.converters.jobs.convert import convert
from tensorferry.converters.jobs.convert_weights import WeightsJob
from tensorferry.converters.jobs.options import Options
from tensorferry.converters.jobs.report import Checked
from tensorferry.converters.mapping.table import Table
from tensorferry.formats.errors import DestinationError, FormatError, NameMapError, UsageError
from tests.converters.mapping.tables import rules
from tests.fixture import FIXTURES

SOURCE = FIXTURES["add"].prefix


def options(derived=None, assumed=None, beside=None, files=None, **more):
    table = Table(
        "t.toml", tuple(rules({"from": "**", "to": "**"})), derived=derived or {"n": {"dim": 0, "of": "v1"}},
        config={"size": "${n}", "text": "${n} wide", "list": ["${n}", 2]},
        assumed=assumed or {}, beside=beside or {}, files=files or {},
    )  # fmt: skip
    return Options(tables=[table], **more)


def test_where_weights_go(tmp_path):
    assert weights_in(str(tmp_path), options()) == str(tmp_path / "model.safetensors")
    assert weights_in(str(tmp_path / "x.npz"), options()) == str(tmp_path / "x.npz")
    assert weights_in(str(tmp_path), Options(tables=[{"a": "b"}])) == str(tmp_path)
    assert weights_in(str(tmp_path), options(to="npz")) == str(tmp_path)


@pytest.mark.parametrize("name", ["new", "new/", "new.v2/"])
def test_a_directory_that_is_not_there(tmp_path, name):
    report = convert(SOURCE, f"{tmp_path}/{name}", options(verify=True))
    directory = tmp_path / name
    assert report.destination == str(directory / "model.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == [directory.name]
    assert sorted(path.name for path in directory.iterdir()) == ["config.json", "model.safetensors"]
    with pytest.raises(
        DestinationError, match=r": has config\.json, model\.safetensors already \(--force replaces them\)$"
    ):
        convert(SOURCE, directory, options())
    (directory / "config.json").write_text("old")
    convert(SOURCE, directory, options(force=True))
    assert (directory / "config.json").read_text() != "old"


def test_a_directory_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    convert(SOURCE, tmp_path / "new", options(dry_run=True))
    with pytest.raises(NameMapError):
        convert(SOURCE, tmp_path / "new", options({"n": {"dim": 0, "of": "w"}}))
    monkeypatch.setattr(WeightsJob, "verify", lambda *given: [Checked("x", 1.0, equal=False)])
    assert convert(SOURCE, tmp_path / "new", options(verify=True)).verified is False
    monkeypatch.setattr(WeightsJob, "write", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        convert(SOURCE, tmp_path / "new", options())
    assert list(tmp_path.iterdir()) == []


def test_where_no_directory_can_be(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "file/", "link"):
        with pytest.raises(DestinationError, match="(file|link): expected a directory or nothing, got a file$"):
            convert(SOURCE, f"{tmp_path}/{name}", options(force=True))
    with pytest.raises(DestinationError, match="none: expected a directory to make new in, got none$"):
        convert(SOURCE, tmp_path / "none" / "new", options())
    with pytest.raises(UsageError, match=r"new\.v2: expected a name that tells the format"):
        convert(SOURCE, tmp_path / "new.v2", options())
    with pytest.raises(UsageError, match="expected a name that tells the format"):
        convert(SOURCE, "", options())
    convert(SOURCE, tmp_path / "new", options(to="safetensors"))
    assert (tmp_path / "new").is_file()


def test_a_new_directory_of_shards(tmp_path):
    assert convert(SOURCE, tmp_path / "new", options(max_shard_size=4, verify=True)).verified
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ]  # fmt: skip


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


def test_further_files(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    asked = options(
        beside={"copies": {"words.txt": "words.txt"}, "tells": {"small": {"uncased": "words.txt"}}},
        files={"words.json": {"lower": "${small}", "of": {"n": "${n}"}}, "more.json": {"size": [224, 224]}},
    )
    report = convert(with_files(source), tmp_path / "one", asked)
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "config.json",
        "model.safetensors",
        "more.json",
    ]
    assert json.loads((tmp_path / "one" / "more.json").read_text()) == {"size": [224, 224]}
    (source / "words.txt").write_text("The\n")
    report = convert(source / "model.ckpt", tmp_path / "two", replace(asked, verify=True))
    assert report.verified
    assert json.loads((tmp_path / "two" / "words.json").read_text()) == {"lower": False, "of": {"n": 1}}
    assert report.notes[-4:-1] == [
        "words.json beside it, of t.toml",
        "words.json: lower false from words.txt",
        "more.json beside it, of t.toml",
    ]


def test_what_is_copied_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(config_beside, "LARGEST", 3)
    source, result = tmp_path / "source", tmp_path / "result"
    source.mkdir()
    result.mkdir()
    prefix = with_files(source, words__txt="a\nb\n")
    with pytest.raises(FormatError, match=r"words\.txt: expected a vocabulary of at most 3 bytes, got 4$"):
        convert(prefix, result, options(beside={"copies": {"words.txt": "vocab.txt"}}))
    assert list(result.iterdir()) == []
