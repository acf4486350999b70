"""Words: AutoTokenizer finds what it needs in the directories, and takes texts apart as the published code did."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from tests.cli import ferry
from tests.fixture import HOME
from tests.parity.conftest import build
from tests.preset_fixture import PRESETS

pytestmark = pytest.mark.hub

VOCABULARIES = HOME / "vocabularies"
ANSWERS = json.loads((VOCABULARIES / "answers.json").read_text("utf-8"))

KINDS = {
    "albert": "albert", "albert_garden": "albert", "bert": "uncased", "bert_classifier": "cased",
    "bert_encoder": "cased", "bert_garden": "uncased", "bert_mlm": "cased", "bert_squad": "uncased",
    "electra": "uncased", "electra_generator": "cased", "funnel_medium": "funnel", "funnel_small_base": "funnel",
    "gpt2": "gpt2", "mobilebert": "uncased", "t5": "t5", "t5_v1_1": "t5", "tapas": "uncased", "xlnet": "xlnet",
}  # fmt: skip
"""Which vocabulary lies beside which checkpoint."""


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What transformers makes of the texts, by fixture."""
    home = tmp_path_factory.mktemp("words")
    words: list[object] = []
    for name, kind in KINDS.items():
        fixture = PRESETS[name]
        source = fixture.published(home / name)
        shutil.copytree(VOCABULARIES / kind, source.parent, dirs_exist_ok=True)
        outcome = ferry("convert", source, home / name / "result", "--map", fixture.about["preset"], *fixture.options)
        assert outcome.status == 0, outcome.err
        words += [home / name / "result", kind]
    return dict(zip(KINDS, json.loads(build("hub").run(HOME / "oracle" / "tokenizers_answer.py", *words)), strict=True))


@pytest.mark.parametrize("name", KINDS)
def test_texts(name: str, answered: dict[str, Any]) -> None:
    found, wanted = answered[name], ANSWERS[KINDS[name]]
    assert "error" not in found, found
    assert [text["ids"] for text in found["texts"]] == [text["ids"] for text in wanted]
    types = [text["types"] for text in found["texts"]]
    positions = ("max_position_embeddings", "n_positions")
    longest = [size for key, size in PRESETS[name].about["config"].items() if key in positions]
    assert not longest or found["longest"] == longest[0]
    # T5 and GPT-2 know no types, and TAPAS has those of tables.
    unknown = KINDS[name] in ("gpt2", "t5") or name == "tapas"
    assert types == ([None] * len(wanted) if unknown else [text["types"] for text in wanted])
