"""The published schema says of a table what the reader says, as far as a schema can tell."""

import json
from importlib import resources

import jsonschema
import pytest

from tensorferry.converters.mapping.presets import read_map
from tensorferry.converters.mapping.recognition import preset_files
from tensorferry.converters.mapping.verbs import VERBS
from tensorferry.formats.errors import TensorferryError

from .tables import parsed_toml, write

SCHEMA = json.loads(resources.files("tensorferry.converters.mapping").joinpath("schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def verb(name, given, **more):
    rule = {"from": "a", "to": "b", "do": {name: given}}
    return {"rules": [rule | more]}


GOOD = [
    {"a": "b"},
    {"a/": "b/"},
    {"rename": {"a": "b"}},
    {"rename": "b", "rules": "c"},
    {"rules": []},
    {"title": "T", "description": "d", "variables": {"a": 1, "b": "x", "c": {"dim": 0, "of": "y"}}, "rules": []},
    {"variables": {"n": {"count": "y"}, "m": {"quotient": ["${n}", 2]}, "k": {"product": [2, 3]}}, "rules": []},
    {"rules": [{"from": ["a", "b"], "to": "c", "do": {"concat": 0}}]},
    {"rules": [{"regex": "a.*", "drop": True}, {"from": "b", "drop": "old", "optional": True}]},
    {"rules": [{"from": "a", "to": "b", "where": {"rank": 2, "dtype": "int8", "shape": [-1, 2]}}]},
    {"rules": [{"from": "a", "to": "b", "do": [{"flip": 0}, {"transpose": [1, 0]}]}]},
    {"rules": [{"from": "a", "to": ["b", "c"], "do": "tie"}, {"from": "l{n:6..8}", "to": "l.{n-6}"}]},
    verb("reshape", {"to": [1], "from": [2]}), verb("cast", "float16"), verb("cast", {"to": "int8", "from": "int4"}),
    verb("pad", {"axis": 0, "value": 1.5}), verb("slice", {"axis": 0, "stop": "3"}), verb("scale", 0.5),
    verb("split", {"axis": 0, "sizes": ["${n}", 2]}, to=["b", "c"]) | {"variables": {"n": {"count": "x"}}},
    {"recognise": {"has": ["a"], "lacks": ["b"], "says": "x"}, "config": {"a": [1]}, "rules": []},
    {"note": "n", "files": {"a.json": {}}, "beside": {"assumes": ["a.json"]}, "rules": []},
    verb("fill", 1.5, to=["b", "c"]), verb("unfill", 1, **{"from": ["a", "b"]}),
    {"include": [{"preset": "gpt2"}, {"preset": "shared/bert_layers", "variables": {"pt": "x"}}]},
    {"assumed": {"a": {"quotient": [4, 2]}}, "rules": []},
    {"beside": {"settings": ["a.json"], "needs": ["b"], "copies": {"c": "d"}, "means": {"e": {"f": "g"}}}, "rules": []},
]  # fmt: skip

BAD = [
    [],
    {"a": 1},
    {"rules": [], "extra": 1},
    {"rules": [3]},
    {"rules": [{"from": "a"}]},
    {"rules": [{"to": "a"}]},
    {"rules": [{"from": "a", "regex": "b", "to": "c"}]},
    {"rules": [{"from": "", "to": "c"}]},
    {"rules": [{"from": [], "to": "c"}]},
    {"rules": [{"from": "a", "to": "c", "optional": "yes"}]},
    {"rules": [{"from": "a", "drop": ""}]},
    {"rules": [{"from": "a", "to": "b", "where": {"size": 1}}]},
    {"rules": [{"from": "a", "to": "b", "do": "turn"}]},
    {"rules": [{"from": "a", "to": "b", "do": {"flip": 0, "transpose": [0]}}]},
    {"rules": [], "title": 3},
    {"rules": [], "beside": {"settings": ["../a.json"]}},
    {"rules": [], "beside": {"copies": {"a": ".."}}},
    {"rules": [], "beside": {"copies": {"a/b": "c"}}},
    {"rules": [], "beside": {"means": {"a": "b"}}},
    {"rules": [], "beside": {"called": {"a": 1}}},
    {"rules": [], "beside": {"more": 1}},
    {"rules": [], "assumed": 3},
    {"rules": [], "variables": {"a-b": 1}},
    {"rules": [], "variables": {"a": 1.5}},
    {"rules": [], "include": [3]},
    {"rules": [], "include": [{"file": "x", "vars": {}}]},
    {"rules": [], "include": [{"file": "x", "preset": "bert"}]},
    {"rules": [], "include": [{"preset": 3}]},
    {"rules": [], "config": []},
    verb("transpose", {"axes": [0]}), verb("split", {"axis": 0}, to=["b", "c"]), verb("squeeze", "x"),
    verb("chunk", {"axis": 0.5, "parts": 2}, to=["b", "c"]), verb("cast", 3),
]  # fmt: skip


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["$defs"]["verb"]["anyOf"][1]["properties"]) == set(VERBS)


@pytest.mark.parametrize("data", GOOD, ids=str)
def test_what_both_take(tmp_path, data):
    VALIDATOR.validate(data)
    read_map(write(tmp_path / "t.json", data))


@pytest.mark.parametrize("data", BAD, ids=str)
def test_what_both_refuse(tmp_path, data):
    assert not VALIDATOR.is_valid(data)
    with pytest.raises(TensorferryError, match="^"):
        read_map(write(tmp_path / "t.json", data))


@pytest.mark.parametrize("file", preset_files(), ids=lambda file: file.stem)
def test_presets(file):
    VALIDATOR.validate(parsed_toml(file.read_text("utf-8")))
