"""provenance: what a safetensors file says of where its tensors are from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from tensorferry import __version__
from tensorferry.converters.jobs import provenance as module
from tensorferry.converters.jobs.provenance import metadata_notes, provenance
from tests.cli import ferried
from tests.fixture import FIXTURES, HOME

ADD, EMA = FIXTURES["add"].prefix, FIXTURES["ema"].prefix


def metadata_of(path: Path) -> dict[str, str]:
    """As the format's own library reads them."""
    with safe_open(path, framework="numpy") as file:
        return dict(file.metadata())


def index_sha256(prefix: Path) -> str:
    return hashlib.sha256(Path(f"{prefix}.index").read_bytes()).hexdigest()


def test_of_a_checkpoint(tmp_path: Path) -> None:
    ferried("convert", ADD, tmp_path / "a.safetensors")
    assert metadata_of(tmp_path / "a.safetensors") == {
        "format": "pt",
        "producer": f"tensorferry {__version__}",
        "source": "model.ckpt",
        "source_index_sha256": index_sha256(ADD),
    }
    ferried("convert", ADD, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_the_renames_are_a_table_for_map(tmp_path: Path) -> None:
    ferried("convert", EMA, tmp_path / "a.safetensors", "--ema", "--rename", "v=w")
    renamed = json.loads(metadata_of(tmp_path / "a.safetensors")["renamed"])
    assert renamed == {"v/ExponentialMovingAverage": "w"}
    (tmp_path / "table.json").write_text(json.dumps(renamed))
    ferried("convert", EMA, tmp_path / "b.safetensors", "--include", "*Average", "--map", tmp_path / "table.json")
    assert load_file(tmp_path / "b.safetensors")["w"] == load_file(tmp_path / "a.safetensors")["w"]


def test_names_of_objects_lead_back_to_their_keys(tmp_path: Path) -> None:
    source = HOME / "objects_keras"
    ferried("convert", source, tmp_path / "a.safetensors")
    renamed = json.loads(metadata_of(tmp_path / "a.safetensors")["renamed"])
    ferried("convert", source, tmp_path / "keys.safetensors", "--names", "key")
    assert "renamed" not in metadata_of(tmp_path / "keys.safetensors")
    keys = load_file(tmp_path / "keys.safetensors")
    found = load_file(tmp_path / "a.safetensors")
    assert set(renamed.values()) == set(found)
    assert all(keys[old].tobytes() == found[new].tobytes() for old, new in renamed.items())


def test_a_table_that_is_too_long_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENAMES_LIMIT", 10)
    outcome = ferried("convert", ADD, tmp_path / "a.safetensors", "--rename", "v1=w1", "--rename", "v2=w2")
    assert "2 renames are too long a table for the metadata: --json has them" in outcome.out
    found = metadata_of(tmp_path / "a.safetensors")
    assert found["renamed_count"] == "2"
    assert "renamed" not in found


def test_twenty_thousand_long_renames_stay_bounded() -> None:
    renamed = {f"{index:05d}/" + "deep/" * 200: f"{index:05d}" for index in range(20_000)}
    found = provenance("model.ckpt", {}, renamed)
    assert found["renamed_count"] == "20000"
    assert sum(map(len, found.values())) < 1000


def test_several_files_have_one_table(tmp_path: Path) -> None:
    words = ["--max-shard-size", "4", "--rename", "v1=w1", "--rename", "v2=w2"]
    ferried("convert", ADD, tmp_path / "m.safetensors", *words)
    first, second = (metadata_of(tmp_path / f"m-0000{number}-of-00002.safetensors") for number in (1, 2))
    assert json.loads(first.pop("renamed")) == {"v1": "w1", "v2": "w2"}
    assert first == second
    ferried("convert", tmp_path / "m.safetensors.index.json", tmp_path / "one.safetensors")
    assert json.loads(metadata_of(tmp_path / "one.safetensors")["source.renamed"]) == {"v1": "w1", "v2": "w2"}


def test_metadata_of_a_safetensors_source_are_kept(tmp_path: Path) -> None:
    own = {"format": "np", "title": "\u6c34", "license": "mit"}
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "own.safetensors", own)
    outcome = ferried("convert", tmp_path / "own.safetensors", tmp_path / "b.safetensors", "--rename", "a=b")
    assert "metadata of the source kept: license, title" in outcome.out
    ours = {"producer": f"tensorferry {__version__}", "source": "own.safetensors", "renamed": '{"a":"b"}'}
    assert metadata_of(tmp_path / "b.safetensors") == {**own, **ours}
    ferried("convert", tmp_path / "b.safetensors", tmp_path / "c.safetensors")
    assert metadata_of(tmp_path / "c.safetensors") == {
        **own,
        "producer": ours["producer"],
        "source": "b.safetensors",
        **{f"source.{key}": value for key, value in ours.items()},
    }
    ferried("convert", tmp_path / "c.safetensors", tmp_path / "d.safetensors")
    assert metadata_of(tmp_path / "d.safetensors")["source.source.source"] == "own.safetensors"


@pytest.mark.parametrize("ending", ["npz", "ckpt"])
def test_formats_without_metadata_say_so(ending: str, tmp_path: Path) -> None:
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "own.safetensors", {"title": "t", "a\nb": ""})
    outcome = ferried("convert", tmp_path / "own.safetensors", tmp_path / f"b.{ending}")
    assert "metadata of the source left out, for the format has none: a\\nb, title" in outcome.out


@pytest.mark.parametrize("source", [HOME / "add" / "frozen_raw.pb", FIXTURES["v1_saver"].prefix])
def test_a_source_without_an_index_has_no_digest(source: Path, tmp_path: Path) -> None:
    outcome = ferried("convert", source, tmp_path / "a.safetensors", "--unstorable", "drop")
    assert "metadata" not in outcome.out
    assert set(metadata_of(tmp_path / "a.safetensors")) == {"format", "producer", "source"}


def test_notes_of_sources_without_metadata() -> None:
    plain: dict[str, Any] = {}
    assert metadata_notes(plain, None) == []
    assert metadata_notes(plain, {"format": "pt"}) == []
