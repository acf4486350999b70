"""The judge: transformers loads and runs what presets give, all in one process, which is slow to start."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fixture import HOME
from tests.parity.conftest import build
from tests.preset_fixture import PRESETS


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What it says of each fixture, by name; {"error": ...} where that could not be converted or loaded."""
    home = tmp_path_factory.mktemp("judged")
    verdicts: dict[str, Any] = {}
    asked: dict[str, list[object]] = {}
    for name, fixture in PRESETS.items():
        result, outcome = fixture.converted(home / name)
        if outcome.status:
            verdicts[name] = {"error": outcome.err}
        else:
            asked[name] = [result, fixture.about["class"], fixture.path / "answers.npz"]
    words = [word for question in asked.values() for word in question]
    answers = json.loads(build("hub").run(HOME / "oracle" / "transformers_answer.py", *words))
    return verdicts | dict(zip(asked, answers, strict=True))
