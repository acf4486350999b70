from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.converters.jobs.shards import parse_size, plan_shards, shard_index, shard_names
from tensorferry.formats.errors import UsageError
from tensorferry.formats.tensor import ArrayTensor
from tests.cli import ferried, refused
from tests.fixture import FIXTURES


@pytest.mark.parametrize(("text", "size"), [("5GB", 5 * 10**9), ("512MiB", 2**29), ("1 kb", 1000), ("1000000", 10**6)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "0GB", "-1GB", "5 pounds", "GB", "1.5GB", "9" * 40])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a size such as 5GB, 512MiB or 1000000$"):
        parse_size(text)


@given(st.lists(st.integers(0, 20), max_size=30), st.integers(1, 40))
def test_shards_keep_order_and_limit(sizes: list[int], limit: int) -> None:
    tensors = {f"t{number}": ArrayTensor(np.zeros(size, np.uint8)) for number, size in enumerate(sizes)}
    shards = plan_shards(tensors, limit)
    assert [name for shard in shards for name in shard] == list(tensors)
    for shard in shards:
        assert sum(tensor.nbytes for tensor in shard.values()) <= limit or len(shard) == 1


def test_names_and_index_are_as_hugging_face_has_them() -> None:
    assert shard_names("model", 2) == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    tensor = ArrayTensor(np.zeros(3, np.float32))
    assert shard_index({"model-1": {"b": tensor}, "model-2": {"a": tensor}}) == {
        "metadata": {"total_size": 24},
        "weight_map": {"b": "model-1", "a": "model-2"},
    }


OLDER = "takes the place of an older result: "


class TestOlderResults:
    """Of the same name in another number of files: readers would find these, or both."""

    source = FIXTURES["mnist"].prefix

    @pytest.mark.parametrize(
        ("name", "left", "several", "removed"),
        [
            (
                "m.safetensors",
                "m.safetensors",
                ["m-00001-of-00003.safetensors", "m-00002-of-00003.safetensors", "m-00003-of-00003.safetensors"],
                "m.safetensors.index.json",
            ),
            ("m.ckpt", "m.ckpt.data-00000-of-00001", [f"m.ckpt.data-0000{n}-of-00003" for n in range(3)], ""),
        ],
    )
    def test_they_are_removed(self, name: str, left: str, several: list[str], removed: str, tmp_path: Path) -> None:
        there = [*several, *filter(None, [removed])]
        ferried("convert", self.source, tmp_path / name, "--max-shard-size", "15kB")
        assert "already (--force replaces" in refused("convert", self.source, tmp_path / name)
        assert (tmp_path / several[0]).exists()
        notes = ferried("convert", self.source, tmp_path / name, "--force", "--json").json["notes"]
        assert f"{OLDER}{', '.join(there)}" in notes
        assert left in os.listdir(tmp_path)
        assert not set(there) & set(os.listdir(tmp_path))
        words = ["convert", self.source, tmp_path / name, "--max-shard-size", "15kB", "--force", "--json"]
        notes = ferried(*words).json["notes"]
        assert f"{OLDER}{left}" in notes
        assert left not in os.listdir(tmp_path)
        assert set(there) <= set(os.listdir(tmp_path))

    def test_none_without_force(self, tmp_path: Path) -> None:
        ferried("convert", self.source, tmp_path / "m.safetensors")
        before = (tmp_path / "m.safetensors").read_bytes()
        message = refused("convert", self.source, tmp_path / "m.safetensors", "--max-shard-size", "15kB")
        assert message == f"{tmp_path}: has m.safetensors already (--force replaces them)"
        assert os.listdir(tmp_path) == ["m.safetensors"]
        assert (tmp_path / "m.safetensors").read_bytes() == before

    def test_the_source_is_none(self, tmp_path: Path) -> None:
        ferried("convert", self.source, tmp_path / "m.safetensors", "--max-shard-size", "15kB")
        before = set(os.listdir(tmp_path))
        index = tmp_path / "m.safetensors.index.json"
        notes = ferried("convert", index, tmp_path / "m.safetensors", "--force", "--json").json["notes"]
        assert any(note.startswith("the source stays beside it: m-00001-of-00003.safetensors, ") for note in notes)
        assert set(os.listdir(tmp_path)) == before | {"m.safetensors"}

    def test_others_stay(self, tmp_path: Path) -> None:
        ferried("convert", self.source, tmp_path / "m.safetensors")
        for other in ("n.safetensors", "m-1.safetensors", "m.safetensors.bak", "xm.safetensors"):
            (tmp_path / other).write_text("mine")
        ferried("convert", self.source, tmp_path / "m.safetensors", "--max-shard-size", "15kB", "--force")
        assert {"n.safetensors", "m-1.safetensors", "m.safetensors.bak", "xm.safetensors"} < set(os.listdir(tmp_path))
        assert "m.safetensors" not in os.listdir(tmp_path)

    def test_a_dry_run_removes_nothing(self, tmp_path: Path) -> None:
        ferried("convert", self.source, tmp_path / "m.safetensors")
        ferried("convert", self.source, tmp_path / "m.safetensors", "--max-shard-size", "9kB", "--force", "--dry-run")
        assert os.listdir(tmp_path) == ["m.safetensors"]
