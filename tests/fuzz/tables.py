"""Tables of rules from end to end: what is written for any table, over a small checkpoint with settings beside it.

An input is JSON: {"table": ..., "inner": ..., "settings": ..., "to": "json", "out": "w.safetensors"}. The table is
written as JSON, TOML or YAML; `inner` is a file that it can include. Mutations keep to the grammar: verbs get absurd
parameters, names become hostile ones, parts of one table come to stand in another.
"""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tensorferry import convert
from tensorferry.converters.load import load_checkpoint
from tensorferry.converters.mapping.verbs import VERBS
from tensorferry.formats.safetensors_file import write_safetensors
from tensorferry.formats.tensor import ArrayTensor, Tensor

LARGEST = 16 << 20
"""Bytes of a file that is written: what would be larger fails for want of room, and has to leave nothing behind."""

OUTPUTS = ("w.safetensors", "c.ckpt", "n.npz", "model")
"""What is written; the last is a directory."""

NUMBERS = (0, 1, -1, 2, 3, 31, 33, 255, 10**5, 10**9, 2**31, 2**62, -(2**63), 10**30, 0.5, 1e300, float("inf"))
NAMES = (
    "", "/", ".", "..", "../../x", "/etc/passwd", "a\nb", "a\0b", "\ud800", "\x1b[31mred", "n" * 10_000, "\u212b",
    "A\u030a", "**", "*", "?", "{n}", "{n:int}", "{n+1}", "{n:0..9}", "{n:0..999999999}", "{p:a|b}", "{x:path}",
    "layer_{n:int}/kernel", "{x}/{y}", "layer_0/bias", "${n}", "${a}${a}", "config.json", "model.safetensors",
    "names.toml", "layers.json", "(a*)*b", "(?:(?:){1000}){1000}", "x{1000}x{1000}", "(.*)(.*)(.*)(.*)(.*)x",
    "layer_(\\d+)/(.*)", "float32", "int4",
)  # fmt: skip
SMALL: dict[str, Tensor] = {
    f"layer_{n}/{name}": ArrayTensor(np.arange(24, dtype=dtype).reshape(shape))
    for n in range(2)
    for name, shape, dtype in (
        ("kernel", (4, 6), np.float32), ("bias", (24,), np.float16), ("conv", (1, 2, 3, 4), np.float32),
        ("steps", (24,), np.uint8),
    )
}  # fmt: skip
Path_ = tuple["str | int", ...]


def mapping(data: bytes, directory: Path) -> None:
    """One conversion. What fails leaves nothing, what does not can be read."""
    from .targets import read_all

    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return
    given = given if isinstance(given, dict) else {}
    source = directory / "source" / "small.safetensors"
    if not source.exists():
        source.parent.mkdir(exist_ok=True)
        write_safetensors(source, SMALL)
    for name in ("names.json", "names.toml", "names.yaml"):
        (directory / name).unlink(missing_ok=True)
    (directory / "layers.json").write_text(json.dumps(given.get("inner", {})))
    settings = json.dumps(given.get("settings", {}))
    odd = "Infinity" in settings or "NaN" in settings  # what stands in the settings is taken as it stands there
    (source.parent / "settings.json").write_text(settings)
    table = _written(directory, given.get("table", {}), given.get("to"))
    out = directory / "out"
    out.mkdir(exist_ok=True)
    there = {path.name for path in directory.iterdir()}
    destination = out / (given["out"] if given.get("out") in OUTPUTS else OUTPUTS[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, hard))
    done = False
    try:
        convert(source, destination, map=table, allow_unused=True, allow_unmatched=True, verify=True)
        done = True
        weights = destination / "model.safetensors" if destination.name == "model" else destination
        read_all(load_checkpoint(weights))
        for file in destination.glob("*.json"):
            json.loads(file.read_text(), parse_constant=float if odd else _refuse)
    except MemoryError:  # a result that is too large for one tensor at a time
        pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        left = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
        for path in sorted(out.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    assert done or not left, left
    assert {path.name for path in directory.iterdir()} == there
    assert sorted(path.name for path in source.parent.iterdir()) == ["settings.json", "small.safetensors"]


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} in JSON")


def _written(directory: Path, table: Any, to: Any) -> Path:
    """The table's file; as JSON where another form can't hold it."""
    if to == "toml" and isinstance(table, dict):
        with suppress(TypeError, ValueError, RecursionError):
            path = directory / "names.toml"
            path.write_text("".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in table.items()))
            return path
    if to == "yaml":
        import yaml

        with suppress(ValueError, RecursionError, yaml.YAMLError):
            path = directory / "names.yaml"
            path.write_text(yaml.safe_dump(table))
            return path
    path = directory / "names.json"
    path.write_text(json.dumps(table))
    return path


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value).replace("Infinity", "inf").replace("NaN", "nan").replace("null", "1979-05-27")


def mutate(rng: Random, data: bytes) -> bytes:
    """One to four parts of the table changed into others of the grammar."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        given = json.loads(rng.choice(seeds()))
    given = given if isinstance(given, dict) else {}
    for _ in range(rng.choice((1, 1, 2, 4))):
        places = [place for place in _places(given) if place]
        if not places:
            return rng.choice(seeds())
        place = rng.choice(places)
        match rng.randrange(8):
            case 0:
                _put(given, place, rng.choice(NUMBERS))
            case 1:
                _put(given, place, rng.choice(NAMES))
            case 2:
                _put(given, place, _verb(rng))
            case 3:
                other = json.loads(rng.choice(seeds()))
                _put(given, place, _at(other, rng.choice(list(_places(other)))))
            case 4:
                _put(given, place, [json.loads(json.dumps(_at(given, place)))] * rng.choice((0, 1, 2, 40)))
            case 5:
                _put(given, place, rng.choice((None, True, [], {}, [[]], {"a": {}})))
            case 6:
                rules = [place for place in places if place[:2] == ("table", "rules") and len(place) == 3]
                if rules:
                    _put(given, (*rng.choice(rules), "do"), [_verb(rng) for _ in range(rng.randrange(4))])
            case 7:
                given["to"], given["out"] = rng.choice(("json", "toml", "yaml")), rng.choice(OUTPUTS)
    return json.dumps(given).encode()


def _verb(rng: Random) -> Any:
    """A verb with parameters, most of them fitting in kind and absurd in size."""
    name = rng.choice(list(VERBS))
    small = rng.choice(((0, 1, -1, 2, 3, 4, 6, 24), NUMBERS))

    def parameter() -> Any:
        kind = rng.randrange(6)
        if kind == 0:
            return [rng.choice(small) for _ in range(rng.choice((0, 1, 2, 2, 4, 40)))]
        return rng.choice(("float16", "int64", "float8_e4m3fn", "${n}", "${w}")) if kind == 1 else rng.choice(small)

    from dataclasses import fields

    known = [field.name.removesuffix("_") for field in fields(VERBS[name])]
    if not known or rng.random() < 0.3:
        return name if rng.random() < 0.5 else {name: parameter()}
    return {name: {key: parameter() for key in known if rng.random() < 0.8}}


def _places(data: Any, above: Path_ = ()) -> Iterator[Path_]:
    """The path to each part of the data, from the top; not all that is deep."""
    yield above
    if len(above) < 12:
        items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
        for key, item in list(items)[:50]:
            yield from _places(item, (*above, key))


def _at(data: Any, place: Path_) -> Any:
    for key in place:
        data = data[key]
    return data


def _put(data: Any, place: Path_, value: Any) -> None:
    """Changes a part, where it is still there: what was put before may have taken its place."""
    with suppress(KeyError, IndexError, TypeError):
        _at(data, place[:-1])[place[-1]] = value


@cache
def seeds() -> list[bytes]:
    """Tables that use all of the language."""
    rules = [
        {"from": "layer_{n:int}/kernel", "to": "l.{n+1}.w", "do": {"transpose": [1, 0]}, "where": {"rank": 2}},
        {"regex": "(?P<l>.*)/bias", "to": ["{l}.a", "{l}.b"], "do": {"split": {"axis": 0, "sizes": [10, "${n}"]}}},
        {"from": "layer_{n:0..1}/conv", "to": "conv", "do": [{"stack": 0}, {"reshape": [2, -1]}, {"flip": 0}]},
        {"from": "**/steps", "drop": "counters", "optional": True},
    ]
    variables = {"n": {"quotient": [28, 2]}, "w": {"dim": 1, "of": "layer_0/kernel"}, "k": {"count": "**/bias"}}
    beside = {
        "settings": ["settings.json"],
        "takes": ["id2label"],
        "called": {"act": "activation"},
        "means": {"act": {"gelu": "gelu_new"}},
        "copies": {"small.safetensors": "copy.bin"},
        "assumes": ["words.json"],
    }
    every = {
        "title": "T", "description": "D", "note": "N", "variables": {**variables, "name": "a${n}", "s": "layer"},
        "include": [{"file": "layers.json", "variables": {"scope": "${s}"}}], "rules": rules,
        "config": {"kind": "t", "width": "${w}", "list": [1, 2.5, "${k}", {"a": None}]},
        "assumed": {"heads": {"quotient": ["${w}", 3]}, "act": "relu", "sum": {"sum": ["${w}", 1]}},
        "beside": beside, "files": {"words.json": {"k": "${k}"}},
    }  # fmt: skip
    inner: dict[str, Any] = {
        "variables": {"scope": "x"},
        "rules": [{"from": "${scope}_9/**", "to": "**", "optional": True}],
        "files": {"more.json": {"a": 1}},
    }
    settings = {"activation": "gelu", "id2label": {"0": "a"}, "width": 6}
    verbs = [
        {
            "from": ["layer_0/bias", "layer_1/bias"],
            "to": "b",
            "do": [{"concat": 0}, {"slice": {"axis": 0, "start": 3}}],
        },
        {"from": "layer_0/{p:kernel|conv}", "to": ["{p}", "{p:a|b}"], "do": ["tie", {"scale": 2}, {"cast": "float16"}]},
        {"from": "layer_1/kernel", "to": "u{i:int}", "do": [{"unstack": 0}, {"pad": {"axis": 0, "before": 2}}]},
        {"from": "layer_{n:int}/steps", "to": ["s{n}", "z{n}"], "do": {"with": {"dtype": "int64", "value": 0}}},
        {"from": "layer_1/conv", "to": ["c", "o"], "do": [{"squeeze": 0}, {"expand": -1}, {"fill": 1.0}]},
    ]
    inputs = [
        {"table": every, "inner": inner, "settings": settings, "to": "toml", "out": "model"},
        {"table": every, "inner": inner, "settings": settings, "to": "yaml", "out": "model"},
        {"table": {"rules": verbs}, "to": "json", "out": "w.safetensors"},
        {"table": {"rules": [*verbs[:2], {"from": "**", "to": "**"}]}, "to": "toml", "out": "c.ckpt"},
        {"table": {"rules": [{"from": "**", "to": "**"}]}, "to": "yaml", "out": "n.npz"},
        {"table": {"layer_0/": "a/", "layer_1/bias": "b"}, "to": "json", "out": "w.safetensors"},
    ]
    return [json.dumps(each).encode() for each in inputs]
