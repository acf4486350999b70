"""Models of pictures: transformers finds all that it looks for, nothing else, and computes what TensorFlow computed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.preset_fixture import PRESETS

pytestmark = pytest.mark.hub

VISION = [name for name, fixture in PRESETS.items() if not fixture.is_language]


@pytest.mark.parametrize("name", VISION)
def test_it_computes_the_same(name: str, judged: dict[str, Any]) -> None:
    """Counters of batches, which only PyTorch has, among what it finds."""
    verdict = judged[name]
    assert "error" not in verdict, verdict
    assert verdict["missing_keys"] == []
    assert verdict["unexpected_keys"] == []
    assert verdict["mismatched_keys"] == []
    assert list(verdict["differences"]) == ["logits"]
    assert verdict["differences"]["logits"] < 1e-4
