"""Which preset a source is made for."""

import subprocess
import sys

import pytest

from tensorferry.converters.mapping import recognition
from tensorferry.converters.mapping.presets import read_preset
from tensorferry.converters.mapping.recognition import Recognised, preset_files, recognise
from tensorferry.converters.names.named import named_tensors
from tensorferry.formats.detect import detect
from tensorferry.formats.tensor import ArrayTensor
from tests.fixture import HOME
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
    parts = recognition.plain_parts(text)
    names = table.recognise.get("has", [])
    assert len(parts) == len(names)
    assert all(
        part and part in name and not set(part) & set("{}*?\\$") for part, name in zip(parts, names, strict=True)
    )


def test_nothing_is_loaded_for_others():
    """`inspect` of any other source pays for no table."""
    script = (
        "import sys; from tensorferry.converters.mapping.recognition import recognise\n"
        "assert recognise({'v': None}) == []\n"
        "assert not [name for name in sys.modules if name in ('tomllib', 'tomli') or '.mapping.patterns' in name]"
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
        ('[recognise]\nhas = ["a"]\nsays = "${n}"\n[variables]\nm = "a"\nn = {dim = 0, of = "${m}"}\n', ["x, 5"]),
        ('[recognise]\nhas = ["a"]\n[variables]\nn = {dim = 0, of = "b"}\n', []),
        ('title = "X"\n', []),
    ],
)
def test_what_fits(tmp_path, monkeypatch, text, expected):
    (tmp_path / "x.toml").write_text(text + "[[rules]]\nnonsense")
    monkeypatch.setattr(recognition, "preset_files", lambda: [tmp_path / "x.toml"])
    assert [each.says for each in recognise(tensors(a=(5,), l0=(1,)))] == expected


def test_a_model_that_keras_numbered(tmp_path, monkeypatch):
    """What is told is the whole word for --map."""
    text = 'title = "X"\n[variables]\nmodel = "tf_x"\nn = {dim = 0, of = "${model}/a"}\n\n'
    text += '[recognise]\nhas = ["tf_x/a"]\nsays = "${n}"\n\n[[rules]]\nfrom = "${model}/a"\nto = "a"\n'
    (tmp_path / "x.toml").write_text(text)
    monkeypatch.setattr(recognition, "preset_files", lambda: [tmp_path / "x.toml"])
    names = {"tf_x_2/a": (5,), "dense_1/b": (1,)}
    assert recognise(tensors(**names)) == [Recognised("x:model=tf_x_2", "X, 5")]
    assert recognise(tensors(**names, **{"tf_x/a": (7,)})) == [Recognised("x", "X, 7")]
    for other in ("tf_x_02/a", "tf_x_/a", "tf_y_1/a", "tf_x_1/b", "b/tf_x_1/a", "tf_x_1"):
        assert recognise(tensors(**{other: (5,)})) == []


OTHERS = [
    path.with_suffix("") for path in sorted(HOME.rglob("*.index")) if "presets" not in path.relative_to(HOME).parts
]


@pytest.mark.parametrize("prefix", OTHERS, ids=lambda prefix: str(prefix.relative_to(HOME)))
def test_no_other_checkpoint_looks_like_one(prefix):
    named = named_tensors(detect(prefix))
    assert recognise(named.tensors) == []
    assert recognise(named.origin) == []
