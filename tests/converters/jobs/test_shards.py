from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.converters.jobs.shards import parse_size, plan_shards, shard_index, shard_names
from tensorferry.formats.errors import UsageError
from tensorferry.formats.tensor import ArrayTensor
from tests.cli import ferried
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


def test_what_an_older_result_has_left_is_told(tmp_path: Path) -> None:
    source = FIXTURES["mnist"].prefix
    ferried("convert", source, tmp_path / "m.safetensors", "--max-shard-size", "15kB")
    ferried("convert", source, tmp_path / "m.ckpt", "--max-shard-size", "15kB")
    assert ferried("convert", source, tmp_path / "m.npz", "--json").json["notes"] == []
    notes = ferried("convert", source, tmp_path / "m.safetensors", "--json").json["notes"]
    files = ", ".join([*(f"m-0000{number}-of-00003.safetensors" for number in (1, 2, 3)), "m.safetensors.index.json"])
    assert notes == [f"files of an older result are still there: {files}"]
    notes = ferried("convert", source, tmp_path / "m.ckpt", "--force", "--json").json["notes"]
    files = ", ".join(f"m.ckpt.data-0000{number}-of-00003" for number in range(3))
    assert notes == [f"files of an older result are still there: {files}"]
    assert ferried("convert", source, tmp_path / "other.ckpt", "--force", "--json").json["notes"] == []
