"""Language models: transformers finds all that it looks for, nothing else, and computes what TensorFlow computed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.preset_fixture import PRESETS

from .verdict import require_clean

pytestmark = pytest.mark.hub

LANGUAGE = [name for name, fixture in PRESETS.items() if fixture.is_language]


@pytest.mark.parametrize("name", LANGUAGE)
def test_it_computes_the_same(name: str, judged: dict[str, Any]) -> None:
    verdict = judged[name]
    require_clean(verdict)
    assert verdict["differences"]
    assert max(verdict["differences"].values()) < 1e-4, verdict["differences"]
