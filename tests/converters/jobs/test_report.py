import json

import numpy as np
import pytest

from tensorferry.converters.ir import Shape, ValueInfo
from tensorferry.converters.jobs.report import Checked, Report, info_text, plural, saver_renames, size_text
from tensorferry.converters.names.selection import EMA_SUFFIX, select_names
from tensorferry.formats.dtype import FLOAT32
from tensorferry.formats.tensor import ArrayTensor

SHADOW = EMA_SUFFIX


def tensors(*names):
    return {name: ArrayTensor(np.zeros((2, 3), np.float32)) for name in names}


def report_of(*names, **options):
    """The account of a conversion of weights."""
    selection = select_names(tensors(*names), **options)
    report = Report("a.ckpt", "b.npz", "npz")
    report.take(selection)
    report.keep(selection.entries.values())
    return report


def test_a_plain_conversion():
    report = report_of("v1", "v2")
    assert report.text() == "a.ckpt -> b.npz (npz)\n  kept      2 tensors, 48 B: v1, v2"
    assert report.to_dict() == {
        "source": "a.ckpt",
        "destination": "b.npz",
        "format": "npz",
        "dry_run": False,
        "tensors": [
            {"name": n, "source": n, "dtype": "float32", "shape": [2, 3], "bytes": 24, "averaged": False}
            for n in ("v1", "v2")
        ],
        "dropped": {},
        "dropped_bytes": 0,
        "renamed": {},
        "without_average": [],
        "inputs": {},
        "outputs": {},
        "tables": {},
        "cleaned": {},
        "transposes": 0,
        "nodes": None,
        "notes": [],
        "verified": None,
        "checks": [],
    }


def test_everything_at_once():
    report = report_of(
        "v", f"v/{SHADOW}", "w", f"w/{SHADOW}", "step", "x", ema=SHADOW, exclude=["x"], rename={"v": "V"}
    )
    report.inputs["x:0"] = "float32 [?, 784]"
    report.outputs["y:0"] = "float32 [?]"
    report.tables["words"] = "3 of string to int64"
    report.nodes = (12, 3)
    report.cleaned = {"checks": (5, 5), "identities": (5, 3)}
    report.notes.append("something odd")
    report.checks += [Checked("y:0", 0.0, True), Checked("z:0", 1.25e-7, True), Checked("q:0", 0.5, False)]
    report.dry_run = True
    assert report.text().splitlines() == [
        "a.ckpt -> b.npz (npz) (dry run: nothing written)",
        "  kept      3 tensors, 72 B: V, w, step",
        "  averaged  2 variables by the shadow's value: V, w",
        "            1 without a shadow: step",
        "  renamed   1: v -> V",
        "  dropped   2 tensors, replaced by the average: v, w",
        "  dropped   1 tensor, --exclude x: x",
        "  inputs    x:0 float32 [?, 784]",
        "  outputs   y:0 float32 [?]",
        "  table     words: 3 of string to int64",
        "  nodes     12 -> 3",
        "  cleaned   identities: 5 -> 3",
        "  note      something odd",
        "  verified  y:0: equal",
        "  verified  z:0: largest difference 1.2e-07",
        "  DIFFERS   q:0: largest difference 0.5",
        "",
        "source                      target  dtype    shape",
        "v/ExponentialMovingAverage  V       float32  [2, 3]",
        "w/ExponentialMovingAverage  w       float32  [2, 3]",
        "step                        step    float32  [2, 3]",
    ]
    assert report.to_dict()["cleaned"]["checks"] == {"before": 5, "after": 5}
    told = report.to_dict()
    assert told["tensors"][0] | {"bytes": 0} == {
        "name": "V",
        "source": f"v/{SHADOW}",
        "dtype": "float32",
        "shape": [2, 3],
        "bytes": 0,
        "averaged": True,
    }
    assert told["nodes"] == {"source": 12, "result": 3}
    assert told["verified"] is False
    assert told["checks"][2] == {"name": "q:0", "difference": 0.5, "equal": False}
    json.dumps(told)


def test_what_was_left_out_is_weighed():
    report = report_of("v", "w", exclude=["w"])
    report.dropped_bytes = 24_000
    assert report.text().splitlines()[2:] == ["  dropped   1 tensor, --exclude w: w", "            24.0 kB left out"]
    assert report.to_dict()["dropped_bytes"] == 24_000


def test_many_names_are_cut_short():
    text = report_of(*(f"v{i}" for i in range(9))).text()
    assert text.endswith("v0, v1, v2, v3, v4, v5, ... and 3 more")


def test_many_equal_checks_are_told_in_one_line():
    report = Report(
        "a", "b", "npz", checks=[Checked(f"v{i}", 0.0, True) for i in range(9)] + [Checked("w", 1.0, False)]
    )
    assert report.text().splitlines()[-2:] == [
        "  verified  9 equal: v0, v1, v2, v3, v4, v5, ... and 3 more",
        "  DIFFERS   w: largest difference 1",
    ]


def test_nothing_kept():
    assert Report("a", "b", "npz").text() == "a -> b (npz)\n  kept      0 tensors, 0 B"


def test_names_stay_on_their_line():
    report = report_of("a\nb\x1b[31m", rename={"a\nb\x1b[31m": "c\rd"})
    report.source = "x\ny"
    report.inputs["p\nq"] = "float32 []"
    assert report.text().splitlines() == [
        "x\\ny -> b.npz (npz)",
        "  kept      1 tensor, 24 B: c\\rd",
        "  renamed   1: a\\nb\\x1b[31m -> c\\rd",
        "  inputs    p\\nq float32 []",
    ]


@pytest.mark.parametrize(("equal", "verified"), [([], None), ([True], True), ([True, False], False)])
def test_verified(equal, verified):
    assert Report("a", "b", "npz", checks=[Checked("x", 0.0, e) for e in equal]).verified is verified


def test_saver_renames():
    """Those that the graph's Saver made; those that were asked for stand elsewhere."""
    selection = select_names(tensors("x", "y", "z", f"z/{SHADOW}"), ema=SHADOW, rename={"y": "b"})
    bound = {"a": selection.entries["x"], "b": selection.entries["b"], "c": selection.entries["z"]}
    assert saver_renames(bound, selection) == {"x": "a", "z": "c"}


def test_info_text():
    assert info_text(ValueInfo("x:0", FLOAT32, Shape((-1, 784)))) == "float32 [?, 784]"
    assert info_text(ValueInfo("x:0")) == "? ?"


@pytest.mark.parametrize(("count", "text"), [(0, "0 nodes"), (1, "1 node"), (2, "2 nodes")])
def test_plural(count, text):
    assert plural(count, "node") == text


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (8, "8 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1536, "1.5 kB"),
        (123_456, "123 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (2_100_000, "2.1 MB"),
        (5 * 10**9, "5.0 GB"),
        (4 * 10**12, "4.0 TB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_size_text(nbytes, text):
    assert size_text(nbytes) == text
