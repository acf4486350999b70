"""Every tensor of every checkpoint: the same bits as TensorFlow reads, live."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.load import load_checkpoint
from tensorferry.formats.errors import TensorferryError
from tests.fixture import FIXTURES, unpack

from .conftest import Oracle

pytestmark = pytest.mark.parity

BUNDLES = sorted(name for name, fixture in FIXTURES.items() if "checkpoint" in fixture.about)

TENSORFLOW_CANNOT = {
    "words": "slices of strings",
    "far": "a slice of a variable too large to be read whole",
    "partial": "slices that leave a part of the variable out",
    "grid": "the same",
    "rows": "the same",
    "list": "a variant",
}
"""Tensors that its reader refuses."""

ONLY_NEW = "bundle2_dtypes"
"""Has types that TensorFlow 1.15 doesn't know: it refuses the whole checkpoint."""


@pytest.fixture(scope="module")
def prefixes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The checkpoints by fixture; bundle_many keeps its index compressed."""
    found = {name: FIXTURES[name].prefix for name in BUNDLES}
    many = FIXTURES["bundle_many"].prefix
    folder = tmp_path_factory.mktemp("many")
    (folder / "model.ckpt.index").write_bytes(zlib.decompress(Path(f"{many}.index.z").read_bytes()))
    (folder / "model.ckpt.data-00000-of-00001").write_bytes(Path(f"{many}.data-00000-of-00001").read_bytes())
    return {**found, "bundle_many": folder / "model.ckpt"}


@pytest.fixture(scope="module")
def read(
    tensorflow: Oracle, prefixes: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """What TensorFlow reads: fixture -> name -> (dtype, array), or its error."""
    folder = tmp_path_factory.mktemp(tensorflow.name)
    asked = {name: prefix for name, prefix in prefixes.items() if (tensorflow.name, name) != ("tf1", ONLY_NEW)}
    questions = [["read", prefix, folder / f"{name}.npz", "--each"] for name, prefix in asked.items()]
    assert tensorflow.ask(questions, folder) == [None] * len(questions)
    found: dict[str, dict[str, Any]] = {}
    for name in asked:
        arrays = np.load(folder / f"{name}.npz")
        items = json.loads((folder / f"{name}.json").read_text())
        found[name] = {
            item["name"]: item["error"] if "error" in item else (item["dtype"], unpack(arrays, item)) for item in items
        }
    return found


@pytest.mark.parametrize("name", BUNDLES)
def test_the_same_bits(name: str, read: dict[str, dict[str, Any]], prefixes: dict[str, Path]) -> None:
    if name == ONLY_NEW and name not in read:
        pytest.skip("types that TensorFlow 1.15 doesn't know")
    ours = load_checkpoint(prefixes[name])
    assert set(ours) == set(read[name])
    refused = {key for key, told in read[name].items() if isinstance(told, str)}
    assert refused <= set(TENSORFLOW_CANNOT)
    for key in set(ours) - refused:
        dtype, theirs = read[name][key]
        assert ours[key].dtype.name == dtype, key
        assert ours[key].shape == theirs.shape, key
        value = ours[key].numpy()
        if theirs.dtype == object:
            assert np.array_equal(value, theirs), key
        else:
            assert value.tobytes() == theirs.tobytes(), key
            assert ours[key].tobytes() == theirs.tobytes(), key


@pytest.mark.parametrize("name", ["far", "partial", "list"])
def test_what_neither_can_read(name: str, read: dict[str, dict[str, Any]]) -> None:
    assert isinstance(read["bundle_odd"][name], str)
    with pytest.raises(TensorferryError):
        load_checkpoint(FIXTURES["bundle_odd"].prefix)[name].numpy()


def test_all_checkpoints_are_here() -> None:
    assert {"add", "mnist", "bundle_dtypes", "bundle_partitioned", "bundle_sharded"} <= set(BUNDLES)
