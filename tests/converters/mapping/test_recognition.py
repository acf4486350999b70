"""Which preset a source is made for."""

import subprocess
import sys

import pytest

from tensorferry.converters.mapping import recognition
from tensorferry.converters.mapping.presets import read_preset
from tensorferry.converters.mapping.recognition import Recognised, preset_files, recognise
from tensorferry.formats.tensor import ArrayTensor
from tests.test_layout import ROOT

from .bert import bert
from .tables import parsed_toml, tensors


def test_bert():
    source = {name: ArrayTensor(array) for name, array in bert(layers=3).items()}
    assert Recognised("bert", "BERT, 3 layers, 64 wide") in recognise(source)


def test_others_are_not():
    assert recognise(tensors(a=(1,))) == []
    assert recognise({}) == []


@pytest.mark.parametrize("file", preset_files(), ids=lambda file: file.stem)
def test_it_stands_before_the_rules(file):
    """So that the rules need not be read."""
    table = read_preset(file.stem)
    text = dict(recognition._heads()).get(file.stem, "")
    assert parsed_toml(text).get("recognise", {}) == table.recognise
    assert set(table.recognise) <= {"has", "lacks", "says"}
    plain = [name for name in table.recognise.get("has", []) if not set(name) & set("{}*?\\$")]
    assert recognition.plain_names(text) == plain


def test_nothing_is_loaded_for_others():
    """`inspect` of any other source pays for no table."""
    script = (
        "import sys; from tensorferry.converters.mapping.recognition import recognise\n"
        "assert recognise({'v': None}) == []\n"
        "assert not [name for name in sys.modules if name in ('tomllib', 'tomli') or name.endswith('mapping.pattern')]"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('title = "X"\n[recognise]\nhas = ["a", "l{n:int}"]\nsays = "nice"\n', ["X, nice"]),
        ('[recognise]\nhas = ["a"]\nlacks = ["b*"]\n', ["x"]),
        ('[recognise]\nhas = ["a"]\nlacks = ["l*"]\n', []),
        ('[recognise]\nhas = ["b*"]\n', []),
        ('[recognise]\nhas = ["a"]\nsays = "${n}"\n[variables]\nn = {dim = 0, of = "a"}\n', ["x, 5"]),
        ('[recognise]\nhas = ["a"]\n[variables]\nn = {dim = 0, of = "b"}\n', []),
        ('title = "X"\n', []),
    ],
)
def test_what_fits(tmp_path, monkeypatch, text, expected):
    (tmp_path / "x.toml").write_text(text + "[[rules]]\nnonsense")
    monkeypatch.setattr(recognition, "preset_files", lambda: [tmp_path / "x.toml"])
    assert [each.says for each in recognise(tensors(a=(5,), l0=(1,)))] == expected
