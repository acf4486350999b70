"""Checkpoints of objects that we wrote: TensorFlow 2 restores its objects from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tensorferry

from .conftest import Oracle

pytestmark = pytest.mark.parity

SCRIPT = Path(__file__).with_name("restore_objects.py")
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


@pytest.fixture(scope="module")
def saved(tf2: Oracle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A checkpoint, and the values that were saved."""
    prefix = tmp_path_factory.mktemp("objects") / "a.ckpt"
    return prefix, json.loads(tf2.run(SCRIPT, "save", prefix))


def restored(tf2: Oracle, what: str, prefix: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tf2.run(SCRIPT, what, prefix))
    return found


def test_everything(tf2: Oracle, saved: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    source, values = saved
    renames = {
        f"module/bias{VALUE}": f"renamed{VALUE}",
        f"optimizer/_iterations{VALUE}": f"steps{VALUE}",
        "module/table/.ATTRIBUTES/table-keys": "t/.ATTRIBUTES/table-keys",
        "module/table/.ATTRIBUTES/table-values": "t/.ATTRIBUTES/table-values",
    }
    tensorferry.convert(source, tmp_path / "b.ckpt", rename=renames, keep_optimizer=True)
    assert set(renames.values()) <= set(tensorferry.load_checkpoint(tmp_path / "b.ckpt"))
    assert restored(tf2, "all", tmp_path / "b.ckpt") == values


def test_the_model_alone(tf2: Oracle, saved: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """A training that goes on from it begins with a fresh optimizer."""
    source, values = saved
    tensorferry.convert(source, tmp_path / "b.ckpt", max_shard_size=20)
    model = {name: value for name, value in values.items() if name != "optimizer"}
    assert restored(tf2, "model", tmp_path / "b.ckpt") == model
    found = restored(tf2, "all", tmp_path / "b.ckpt")
    assert found["kernel"] == values["kernel"]
    assert found["optimizer"][0] == 0 != values["optimizer"][0]
