"""Models of pictures: transformers finds all that it looks for, nothing else, and computes what TensorFlow computed.

Those that have to be edited are edited by the code of docs/presets.md, read from that page.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tensorferry.converters.mapping.config import config_of
from tensorferry.converters.mapping.plan import make_plan
from tensorferry.converters.mapping.presets import read_preset
from tests.fixture import HOME
from tests.parity.conftest import build
from tests.preset_fixture import EDITED, PRESETS, PresetFixture
from tests.published import EFFICIENT, Shapes, efficient, slim, zeros

from .pages import PAGE, code_of
from .verdict import require_clean

pytestmark = pytest.mark.hub

VISION = [name for name, fixture in PRESETS.items() if not fixture.is_language]


@pytest.mark.parametrize("name", VISION)
def test_it_computes_the_same(name: str, judged: dict[str, Any]) -> None:
    """Counters of batches, which only PyTorch has, among what it finds."""
    verdict = judged[name]
    require_clean(verdict)
    assert list(verdict["differences"]) == ["logits"]
    assert verdict["differences"]["logits"] < 1e-4


HEADINGS = {"resnet_v1_50": "ResNet V1", "resnet_v2_50": "ResNet V2", "inception_v3": "Inception V3"}
PUBLISHED: dict[str, Shapes] = {f"efficientnet-{kind}": efficient(kind) for kind in EFFICIENT}
SLIM = ["inception_v3", *(f"resnet_v{version}_{depth}" for version in (1, 2) for depth in (50, 101, 152))]
PUBLISHED |= {network: slim(network) for network in SLIM}


PICTURE = [300, 400]
"""Of one colour: 0, 100, 200."""

SIGNED = [-1.0, 100 / 127.5 - 1, 200 / 127.5 - 1]
PROCESSED = {
    "mobilenet_v1": ("MobileNetV1ImageProcessor", [224, 224], SIGNED),
    "mobilenet_v2": ("MobileNetV2ImageProcessor", [224, 224], SIGNED),
    "bit": ("BitImageProcessor", [480, 480], SIGNED),
    "efficientnet_b0": (
        "EfficientNetImageProcessor", [224, 224],
        [-0.485 / 0.229, (100 / 255 - 0.456) / 0.224, (200 / 255 - 0.406) / 0.225],
    ),
    "resnet_v1_50": ("BitImageProcessor", [224, 224], [-123.68, 100 - 116.78, 200 - 103.94]),
}  # fmt: skip
"""Class, and what becomes of that picture."""


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the libraries say, by question: "edited NAME", "published PRESET", "processed NAME", ..."""
    home = tmp_path_factory.mktemp("answered")
    questions: dict[str, dict[str, Any]] = {}
    for name, heading in HEADINGS.items():
        fixture = (PRESETS | EDITED)[name]
        answers = "answers_even.npz" if name == "resnet_v1_50" else "answers*.npz"
        paths = sorted(map(str, fixture.path.glob(answers)))
        asked = {"folder": str(converted(fixture, home / name)), "answers": paths}
        questions[f"edited {name}"] = {"code": code_of(heading), **asked}
        if name == "resnet_v1_50":
            line = "model.resnet.embedder.pooler = "
            plain = "".join(each for each in code_of(heading).splitlines(keepends=True) if line not in each)
            questions[f"plain {name}"] = {"code": plain, **asked}
    narrow, labels = questions["edited inception_v3"], EDITED["inception_v3"].about["config"]["num_classes"]
    questions["torchvision"] = {**narrow, "code": of_torchvision(narrow["code"], labels)}
    for preset, shapes in PUBLISHED.items():
        config = config_of(read_preset(preset), zeros(shapes)).entries
        if "architecture" in config:
            model = home / preset / "full" / "model"
            model.mkdir(parents=True)
            (model / "config.json").write_text(json.dumps(config))
            code = code_of(HEADINGS[preset.replace("101", "50").replace("152", "50")])
            questions[f"published {preset}"] = {"code": code, "folder": str(model.parent), "shapes": result_of(preset)}
        else:
            questions[f"published {preset}"] = {"class": config["architectures"][0], "config": config}
    for name in PROCESSED:
        folder = home / f"processed_{name}"
        folder.mkdir()
        questions[f"processed {name}"] = {
            "processor": str(converted(PRESETS[name], folder / "it") / "model"),
            "picture": PICTURE,
        }
    (home / "questions.json").write_text(json.dumps(list(questions.values())))
    answers = json.loads(build("hub").run(HOME / "oracle" / "edited_answer.py", home / "questions.json"))
    return dict(zip(questions, answers, strict=True))


def of_torchvision(code: str, labels: int) -> str:
    """The page's code for Inception, with torchvision's model as the page says that it is made."""
    (made,) = re.findall(r"torchvision's\s+`(inception_v3\(.*?\))`", PAGE.read_text("utf-8"), re.DOTALL)
    call = made.replace("...", str(labels))
    return "import torchvision\n" + code.replace('timm.create_model("local-dir:model")', f"torchvision.models.{call}")


def converted(fixture: PresetFixture, folder: Path) -> Path:
    """The folder that holds `model`, which the page tells to convert to."""
    result, outcome = fixture.converted(folder)
    assert outcome.status == 0, outcome.err
    result.rename(folder / "model")
    return folder


def result_of(preset: str) -> dict[str, list[int]]:
    """Names and shapes that the preset makes of the published network."""
    source = zeros(PUBLISHED[preset])
    plan = make_plan(read_preset(preset).rules, source)
    assert plan.all_problems(source, allow_unmatched=False, allow_unused=False) == []
    return {name: list(tensor.shape or ()) for move in plan.moves for name, tensor in move.targets.items()}


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("resnet_v1_50", ["answers_even.npz logits"]),
        ("resnet_v2_50", ["answers.npz logits", "answers_even.npz logits"]),
        ("inception_v3", ["answers.npz logits", "answers.npz aux_logits"]),
    ],
)
def test_edited_by_the_page_it_computes_the_same(name: str, outputs: list[str], answered: dict[str, Any]) -> None:
    verdict = answered[f"edited {name}"]
    assert "error" not in verdict, verdict
    assert list(verdict["differences"]) == outputs
    assert max(verdict["differences"].values()) < 1e-4, verdict


def test_torchvision_has_the_same_inception(answered: dict[str, Any]) -> None:
    verdict = answered["torchvision"]
    assert "error" not in verdict, verdict
    assert list(verdict["differences"]) == ["answers.npz logits"]
    assert verdict["differences"]["answers.npz logits"] < 1e-4


def test_without_the_edit_it_does_not(answered: dict[str, Any]) -> None:
    """Or the note would not be true."""
    (difference,) = answered["plain resnet_v1_50"]["differences"].values()
    assert difference > 0.01


@pytest.mark.parametrize("preset", PUBLISHED)
def test_at_its_full_width_it_fits(preset: str, answered: dict[str, Any]) -> None:
    """Names and shapes, all of them, against the model that config.json makes; timm's as the page edits it."""
    verdict = answered[f"published {preset}"]
    assert "error" not in verdict, verdict
    if verdict:
        assert verdict["shapes"] == result_of(preset)


@pytest.mark.parametrize("name", PROCESSED)
def test_pictures_are_prepared_as_they_were(name: str, answered: dict[str, Any]) -> None:
    kind, size, values = PROCESSED[name]
    verdict = answered[f"processed {name}"]
    assert "error" not in verdict, verdict
    assert (verdict["kind"], verdict["size"]) == (kind, size)
    assert verdict["values"] == pytest.approx(values, abs=1e-5)
