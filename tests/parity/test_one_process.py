"""`import tensorflow` in the process where tensorferry is used: before, and after."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixture import HOME

from .conftest import Oracle

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("order", ["first", "last"])
def test_tensorflow_imported(order: str, tf2: Oracle) -> None:
    """Only 2.21: the Python of 1.15 is too old for us."""
    told = tf2.run(Path(__file__).with_name("one_process.py"), order, HOME, path=str(HOME.parent))
    assert told.split()[-1].startswith("2.21.")
