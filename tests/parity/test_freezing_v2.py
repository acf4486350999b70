"""freeze against convert_variables_to_constants_v2, live: the same values bit for bit, under the same names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tensorferry.converters.ir import node_name

from ..cli import ferry
from ..fixture import HOME, graph_def
from .conftest import Oracle

pytestmark = pytest.mark.parity

SCRIPT = Path(__file__).with_name("freezing_v2.py")
MODELS = sorted(path.parent for path in HOME.glob("saved_model_v2*/signatures.json"))
CASES = {
    f"{model.name}-{name}{'-functions' * kept}": (model, name, kept)
    for model in MODELS
    for name in json.loads((model / "signatures.json").read_text())["signatures"]
    for kept in (False, True)
}
LOWERED = "saved_model_v2-branch"
"""Of its Case TensorFlow makes Switch and Merge, by names that it has never told anybody."""


@pytest.fixture(scope="module")
def answers(tf2: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Case -> TensorFlow's answer, and whether we froze it."""
    folder = tmp_path_factory.mktemp("frozen")
    questions, ours = [], {}
    for index, (case, (model, name, kept)) in enumerate(CASES.items()):
        frozen = folder / f"{index}.pb"
        words = ["--keep-functions"] if kept else []
        ours[case] = ferry("convert", model, frozen, "--signature", name, *words)
        found = json.loads(ferry("inspect", model, "--json").out)["graph"]["signatures"][name]
        values = {side: {key: info["name"] for key, info in found[side].items()} for side in ("inputs", "outputs")}
        questions.append({"model": str(model), "signature": name, "frozen": str(frozen), **values})
    asked, answered = folder / "questions.json", folder / "answers.json"
    asked.write_text(json.dumps(questions))
    tf2.run(SCRIPT, asked, answered)
    theirs = json.loads(answered.read_text())
    return {
        case: (ours[case], question, answer) for case, question, answer in zip(CASES, questions, theirs, strict=True)
    }


@pytest.mark.parametrize("case", CASES)
def test_equal_values(case: str, answers: dict[str, Any]) -> None:
    outcome, _, answer = answers[case]
    if "error" in answer:
        assert outcome.status == 2
        assert "to take variables" in outcome.err
        assert "was passed" in answer["error"]  # a constant where an op wants the variable
        return
    assert outcome.status == 0, outcome.err
    assert answer["differing"] == []


@pytest.mark.parametrize("case", [case for case in CASES if not case.endswith("-functions") and case != LOWERED])
def test_equal_names(case: str, answers: dict[str, Any]) -> None:
    """But for placeholders and constants, which TensorFlow names by its function's arguments, and its own plumbing."""
    outcome, question, answer = answers[case]
    if outcome.status:
        return
    call = node_name(next(iter(question["outputs"].values())))
    theirs = {f"{call}/{name}" for name in answer["nodes"] if not name.startswith("Func/")}
    theirs -= {f"{call}/{node_name(name)}" for name in answer["inputs"]}
    ours = {node.name for node in graph_def(Path(question["frozen"])).node}
    assert theirs <= ours
    extra = {name for name in ours - theirs if name.startswith(f"{call}/")}
    joins = {node.name for node in graph_def(Path(question["frozen"])).node if node.op == "NoOp"}
    assert extra <= joins


def test_there_are_models_of_every_kind() -> None:
    assert {model.name.removeprefix("saved_model_v2") for model in MODELS} >= {
        "",
        "_keras2",
        "_keras3",
        "_old",
        "_text",
    }
