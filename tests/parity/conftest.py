"""The oracles: real TensorFlow, each in an environment of its own, which the first test that asks builds."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..fixture import HOME

QUIET = {
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONWARNINGS": "ignore",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}


@dataclass(frozen=True)
class Oracle:
    """The python of an environment with TensorFlow; `name` is tf1 (1.15) or tf2 (2.21)."""

    name: str
    python: str

    def run(self, script: Path, *words: object, path: str = "") -> str:
        """What a script prints; `path` is its PYTHONPATH. A test fails with what the script said if it failed."""
        environment = {**os.environ, **QUIET, "PYTHONPATH": path}
        command = [self.python, str(script), *map(str, words)]
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{self.name}: {done.stderr[-3000:]}"
        return done.stdout

    def ask(self, questions: Sequence[Sequence[object]], folder: Path) -> list[str | None]:
        """Puts many questions to fixtures/oracle/answer.py at once; None or the error of each. Works in `folder`."""
        asked, answered = folder / f"{self.name}_questions.json", folder / f"{self.name}_answers.json"
        asked.write_text(json.dumps([list(map(str, words)) for words in questions]))
        self.run(HOME / "oracle" / "answer.py", "batch", asked, answered)
        errors: list[str | None] = json.loads(answered.read_text())
        assert len(errors) == len(questions)
        return errors


def build(name: str) -> Oracle:
    command = ["sh", str(HOME / "oracle" / "venv.sh"), name]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"no environment for {name}: {done.stderr[-1000:]}", pytrace=False)
    return Oracle(name, done.stdout.strip())


@pytest.fixture(scope="session")
def tf1() -> Oracle:
    return build("tf1")


@pytest.fixture(scope="session")
def tf2() -> Oracle:
    return build("tf2")


@pytest.fixture(scope="module", params=["tf1", "tf2"])
def tensorflow(request: pytest.FixtureRequest) -> Oracle:
    """Each of both in turn."""
    found: Oracle = request.getfixturevalue(request.param)
    return found
