"""Conversions with mapping tables, verb by verb, beside `cp` of the same data.

    mapping.py [--mib 512 1024] [--runs N] [--where DIR] [--case WORD ...]

Makes float32 checkpoints in DIR (default: a memory filesystem), then runs whole processes in turn, one of each kind a
round: `cp` of the data, and conversions to safetensors, each with a table of one rule, with every checksum verified.
Last comes a checkpoint of BERT large's shapes (1.3 GB), converted to a directory by the preset. Prints the median of
each, the median of its ratios to `cp` round by round, the seconds that all processors spent, and the peak of resident
memory, beside which stands the largest tensor. What comes before the first byte is written (Python, numpy, the table)
takes the same time for any size: `start` is a conversion of one number. So there are two sizes. `--case` runs those
whose titles hold one of the words.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from weights import ROOT, show

# Made in a process of its own: what this one had in memory would count as its children's peak.
MAKE = """
import json, sys
import numpy as np
from tensorferry.formats.bundle_writer import write_bundle
from tensorferry.formats.tensor import ArrayTensor
random, values, tensors = np.random.default_rng(0), {}, {}
for name, shape in json.loads(sys.argv[2]).items():
    values[str(shape)] = values.get(str(shape), ArrayTensor(random.standard_normal(shape, np.float32)))
    tensors[name] = values[str(shape)]
write_bundle(sys.argv[1], tensors)
"""

MATRIX, KERNEL = [2048, 4096], [3, 3, 256, 256]

Shapes = dict[str, list[int]]

ONE = "layer_{n:int}/kernel"
PARTS = [f"layer_{{n}}.{part}" for part in "qkvo"]
BOTH = ["layer_{n:int}/kernel", "layer_{n:int}/more"]
STACKED = [{"reshape": [8, 256, 4096]}, {"unstack": 0}]

EACH = {
    "rename": {"to": "layer_{n}.weight"},
    "transpose [1, 0]": {"to": "layer_{n}.weight", "do": {"transpose": [1, 0]}},
    "reshape, transpose [0, 2, 1]": {
        "to": "layer_{n}.weight", "do": [{"reshape": [2048, 64, 64]}, {"transpose": [0, 2, 1]}],
    },
    "chunk along axis 0": {"to": PARTS, "do": {"chunk": {"axis": 0, "parts": 4}}},
    "chunk along axis 1": {"to": PARTS, "do": {"chunk": {"axis": 1, "parts": 4}}},
    "chunk along axis 1, far apart": {
        "to": [f"{part}.{{n}}" for part in "qkvo"], "do": {"chunk": {"axis": 1, "parts": 4}},
    },
    "transpose, chunk along axis 0": {"to": PARTS, "do": [{"transpose": [1, 0]}, {"chunk": {"axis": 0, "parts": 4}}]},
    "split along axis 0": {"to": PARTS[:2], "do": {"split": {"axis": 0, "sizes": [512, 1536]}}},
    "split along axis 1": {"to": PARTS[:2], "do": {"split": {"axis": 1, "sizes": [1024, 3072]}}},
    "slice axis 0": {"to": "layer_{n}.weight", "do": {"slice": {"axis": 0, "start": 8}}},
    "slice axis 1": {"to": "layer_{n}.weight", "do": {"slice": {"axis": 1, "start": 8}}},
    "unstack": {"to": [f"layer_{{n}}.{part}" for part in range(8)], "do": STACKED},
    "flip": {"to": "layer_{n}.weight", "do": {"flip": [0, 1]}},
    "pad": {"to": "layer_{n}.weight", "do": {"pad": {"axis": 1, "after": 8}}},
    "scale": {"to": "layer_{n}.weight", "do": {"scale": 0.125}},
    "cast to bfloat16": {"to": "layer_{n}.weight", "do": {"cast": "bfloat16"}},
    "cast to float16": {"to": "layer_{n}.weight", "do": {"cast": "float16"}},
}  # fmt: skip
"""Titles of cases -> what their rule does with each matrix."""

JOINS = {
    "concat axis 0": {"to": "layer_{n}.weight", "do": {"concat": 0}},
    "concat axis 1": {"to": "layer_{n}.weight", "do": {"concat": 1}},
    "stack": {"to": "layer_{n}.weight", "do": {"stack": 0}},
    "sum": {"to": "layer_{n}.weight", "do": "sum"},
}
"""The same with two matrices."""

KERNELS = {"transpose [3, 2, 0, 1] of kernels": {"to": "layer_{n}.weight", "do": {"transpose": [3, 2, 0, 1]}}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--where", default="/dev/shm" if os.path.isdir("/dev/shm") else None)
    parser.add_argument("--case", nargs="+", default=[""])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.where) as name:
        folder = Path(name)
        for mib in options.mib:
            count = max(1, mib // 64)
            pairs = [f"layer_{n}/{part}" for n in range(count) for part in ("kernel", "more")]
            groups = [
                ("32 MiB", [f"layer_{n}/kernel" for n in range(2 * count)], MATRIX, ONE, EACH),
                ("32 MiB", pairs, MATRIX, BOTH, JOINS),
                ("2.25 MiB", [f"layer_{n}/kernel" for n in range(mib * 4 // 9)], KERNEL, ONE, KERNELS),
            ]
            for size, names, shape, source, rules in groups:
                wanted = {t: {"from": source, **rule} for t, rule in rules.items() if any(w in t for w in options.case)}
                run(folder, size, dict.fromkeys(names, shape), wanted, options.runs)
        if any(word in "--map bert" for word in options.case):
            bert(folder, options.runs)


def run(folder: Path, largest: str, shapes: Shapes, rules: dict[str, dict[str, object]], runs: int) -> None:
    """Converts a checkpoint of tensors of `shapes`, of which each has the size `largest`, by each of the rules."""
    if not rules:
        return
    start = make(folder, {"layer_0/kernel": [1, 1]}, "start.ckpt")
    table = folder / "start.json"
    table.write_text(json.dumps({"rules": [{"from": "layer_0/kernel", "to": "a", "do": {"scale": 2}}]}))
    prefix = make(folder, shapes)
    commands = {"cp": ["cp", data(prefix), "{out}"], "start": ferry(start, "{out}.safetensors", str(table))}
    for number, (title, rule) in enumerate(rules.items()):
        table = folder / f"{number}.json"
        table.write_text(json.dumps({"rules": [rule]}))
        commands[title] = ferry(prefix, "{out}.safetensors", str(table))
    show(f"{len(shapes)} tensors of {largest}", commands, folder, runs, "cp")


def bert(folder: Path, runs: int) -> None:
    """A checkpoint with the shapes of BERT large, to a directory."""
    wide, inner = 1024, 4096
    shapes: Shapes = {
        "bert/embeddings/word_embeddings": [30522, wide],
        "bert/embeddings/position_embeddings": [512, wide],
        "bert/embeddings/token_type_embeddings": [2, wide],
        "cls/predictions/output_bias": [30522],
        "cls/seq_relationship/output_weights": [2, wide],
        "cls/seq_relationship/output_bias": [2],
    }
    dense = {"bert/pooler/dense": (wide, wide), "cls/predictions/transform/dense": (wide, wide)}
    norms = ["bert/embeddings/LayerNorm", "cls/predictions/transform/LayerNorm"]
    for n in range(24):
        layer = f"bert/encoder/layer_{n}"
        dense |= {f"{layer}/attention/self/{part}": (wide, wide) for part in ("query", "key", "value")}
        dense[f"{layer}/attention/output/dense"] = wide, wide
        dense[f"{layer}/intermediate/dense"] = wide, inner
        dense[f"{layer}/output/dense"] = inner, wide
        norms += [f"{layer}/attention/output/LayerNorm", f"{layer}/output/LayerNorm"]
    for name, (inputs, outputs) in dense.items():
        shapes |= {f"{name}/kernel": [inputs, outputs], f"{name}/bias": [outputs]}
    for name in norms:
        shapes |= {f"{name}/gamma": [wide], f"{name}/beta": [wide]}
    prefix = make(folder, shapes)
    commands = {
        "cp": ["cp", data(prefix), "{out}"],
        "--map bert": ["sh", "-c", f"mkdir {{out}} && exec {' '.join(ferry(prefix, '{out}', 'bert'))}"],
    }
    show("BERT large, largest tensor 119 MiB", commands, folder, runs, "cp")


def make(folder: Path, shapes: Shapes, name: str = "model.ckpt") -> Path:
    """A checkpoint of float32 tensors."""
    for file in folder.glob(f"{name}.*"):
        file.unlink()
    prefix = folder / name
    subprocess.run([sys.executable, "-c", MAKE, str(prefix), json.dumps(shapes)], check=True, cwd=ROOT)
    return prefix


def data(prefix: Path) -> str:
    return f"{prefix}.data-00000-of-00001"


def ferry(prefix: Path, destination: str, table: str) -> list[str]:
    return [sys.executable, "-m", "tensorferry", "convert", str(prefix), destination, "--map", table]


if __name__ == "__main__":
    main()
