"""Frozen models that look words up, live: TensorFlow fills the tables and looks up what it looked up before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tensorferry import api
from tests.fixture import HOME, unpack
from tests.table_answers import CASES, Arrays, assert_same, recorded

from .conftest import Oracle

pytestmark = pytest.mark.parity


@pytest.mark.parametrize(("fixture", "signature"), CASES)
def test_frozen_tables(tmp_path: Path, tensorflow: Oracle, fixture: str, signature: str) -> None:
    api.convert(HOME / fixture, tmp_path / "model.pb", signature=signature)
    declared = api.load_model(HOME / fixture).signatures[signature]
    inputs, outputs = recorded(fixture, signature)
    feeds = {declared.inputs[name].value: array for name, array in inputs.items()}
    values = {name: info.value for name, info in declared.outputs.items()}
    write_feeds(tmp_path / "feeds", feeds)
    words = ["--outputs", ",".join(values.values()), "--feeds", tmp_path / "feeds.npz", "--first", "init_all_tables"]
    errors = tensorflow.ask([["run", tmp_path / "model.pb", tmp_path / "out.npz", *words]], tmp_path)
    assert errors == [None]
    items = json.loads((tmp_path / "out.json").read_text())
    arrays = np.load(tmp_path / "out.npz")
    found = {item["name"]: unpack(arrays, item) for item in items}
    assert_same({name: found[value] for name, value in values.items()}, outputs)


def write_feeds(stem: Path, feeds: Arrays) -> None:
    """A pair of files, as fixtures/oracle/answer.py reads them."""
    entries, items = {}, []
    for index, (name, array) in enumerate(feeds.items()):
        item = {"key": f"t{index}", "name": name, "shape": list(array.shape)}
        if array.dtype == object:
            entries[item["key"]] = np.frombuffer(b"".join(array), np.uint8)
            entries[f"{item['key']}_lengths"] = np.array([len(word) for word in array], np.int64)
            items.append(item | {"dtype": "string"})
        else:
            entries[item["key"]] = array
            items.append(item | {"dtype": array.dtype.name})
    np.savez(f"{stem}.npz", **entries)
    Path(f"{stem}.json").write_text(json.dumps(items))
