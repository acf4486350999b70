"""The directories of fixtures/: real files, and what real TensorFlow said of them.

    FIXTURES["mnist"].prefix                      the checkpoint
    FIXTURES["mnist"].tensors()["fc1/kernel"]     what TensorFlow read from it
    FIXTURES["mnist"].answers("ema")              feeds, and what TensorFlow computed from them

fixtures/README.md says what is in which.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tensorferry.formats.dtype import DTYPES

HOME = Path(__file__).resolve().parent.parent / "fixtures"


@dataclass(frozen=True)
class Answer:
    """One run of a graph in TensorFlow: values by tensor name (`add:0`). `variables` is "raw" or "ema"."""

    variables: str
    feeds: dict[str, np.ndarray[Any, Any]]
    fetches: dict[str, np.ndarray[Any, Any]]


class Fixture:
    """One directory of fixtures/."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = HOME / name

    def __repr__(self) -> str:
        return f"<fixture {self.name}>"

    @cached_property
    def about(self) -> dict[str, Any]:
        """fixture.json."""
        found: dict[str, Any] = json.loads((self.path / "fixture.json").read_text("utf-8"))
        return found

    def file(self, name: str) -> Path:
        """A file of the directory; `name` may lead into a neighbour's (`../add/model.ckpt`)."""
        return Path(os.path.normpath(self.path / name))

    @property
    def prefix(self) -> Path:
        """The prefix of the checkpoint."""
        return self.file(self.about["checkpoint"])

    @property
    def graph(self) -> Path:
        """The .meta or .pb file."""
        return self.path / str(self.about["graph"])

    @property
    def outputs(self) -> list[str]:
        """Tensor names."""
        return [item["name"] for item in self.about["outputs"]]

    @property
    def inputs(self) -> list[str]:
        """Tensor names."""
        return [item["name"] for item in self.about["inputs"]]

    @property
    def frozen(self) -> dict[str, Path]:
        """The frozen graphs by kind: "raw", "ema", "evaluation", ..."""
        return {kind: self.path / name for kind, name in self.about.get("frozen", {}).items()}

    def tensors(self) -> dict[str, np.ndarray[Any, Any]]:
        """Every tensor that TensorFlow read from the checkpoint, by name."""
        arrays = np.load(self.path / "tensors.npz")
        return {item["name"]: unpack(arrays, item) for item in self.about["tensors"]}

    def dtypes(self) -> dict[str, str]:
        """The element type that TensorFlow gave each tensor, by name."""
        return {item["name"]: item["dtype"] for item in self.about["tensors"]}

    def answers(self, variables: str | None = None) -> list[Answer]:
        """What TensorFlow computed; `variables` chooses the raw ones or the averages."""
        arrays = np.load(self.path / "answers.npz")
        dtypes = {item["name"]: item["dtype"] for item in self.about["inputs"] + self.about["outputs"]}

        def named(keys: dict[str, str]) -> dict[str, np.ndarray[Any, Any]]:
            return {n: unpack(arrays, {"key": k, "dtype": dtypes.get(n), "shape": None}) for n, k in keys.items()}

        return [
            Answer(item["variables"], named(item["feeds"]), named(item["fetches"]))
            for item in self.about["answers"]
            if variables in (None, item["variables"])
        ]

    def variables_to_restore(self) -> dict[str, str] | None:
        """What the method of that name gave, in order; None where there are no averages."""
        path = self.path / "variables_to_restore.json"
        found: dict[str, str] | None = json.loads(path.read_text("utf-8")) if path.exists() else None
        return found


def unpack(arrays: Any, item: dict[str, Any]) -> np.ndarray[Any, Any]:
    """An array that oracle/answer.py packed: strings from their bytes and lengths, odd types from their bits."""
    key, array = item["key"], arrays[item["key"]]
    if f"{key}_lengths" in arrays:
        lengths = arrays[f"{key}_lengths"]
        ends, data = np.cumsum(lengths), array.tobytes()
        strings = np.empty(len(lengths), object)
        strings[:] = [data[end - length : end] for end, length in zip(ends, lengths, strict=True)]
        return strings if item["shape"] is None else strings.reshape(item["shape"])
    dtype = DTYPES.get(item["dtype"] or "")
    if dtype is None or not dtype.is_plain or array.dtype == dtype.numpy():
        return np.asarray(array)
    return np.asarray(array.view(dtype.numpy()))


FIXTURES = {path.parent.name: Fixture(path.parent.name) for path in sorted(HOME.glob("*/fixture.json"))}
"""All of them by name."""

WITH_GRAPH = {name: fixture for name, fixture in FIXTURES.items() if "graph" in fixture.about}
"""Those with a graph and answers."""

GRAPH_FILES = sorted(
    path
    for fixture in WITH_GRAPH.values()
    for path in fixture.path.iterdir()
    if path.suffix in (".meta", ".pb", ".pbtxt")
)
"""Every graph that TensorFlow wrote."""


def graph_def(path: Path) -> Any:
    """The GraphDef message in a .meta, .pb or .pbtxt file."""
    from tensorferry.formats import protos

    if path.suffix == ".meta":
        return protos.parse("MetaGraphDef", path.read_bytes(), path).graph_def
    if path.suffix == ".pbtxt":
        return protos.parse_text("GraphDef", path.read_text("utf-8"), path)
    return protos.parse("GraphDef", path.read_bytes(), path)
