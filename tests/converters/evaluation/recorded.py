"""The cases of fixtures/control_flow: small graphs, with what TensorFlow computed (make/control_flow.py)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import Graph
from tests.fixture import HOME, graph_def

Arrays = dict[str, np.ndarray[Any, Any]]

RECORDED = sorted((HOME / "control_flow").glob("tensorflow*.pb"))


class Run(NamedTuple):
    """One run of a case: feeds and answers by value (`counting/result_0:0`)."""

    path: Path
    case: str
    number: int

    @property
    def graph(self) -> Graph:
        return graph_of(self.path)

    @property
    def feeds(self) -> Arrays:
        return {f"{self.case}/{rest}:0": value for rest, value in self._constants("feed")}

    @property
    def answers(self) -> Arrays:
        return {f"{self.case}/result_{rest}:0": value for rest, value in self._constants("expected")}

    def _constants(self, kind: str) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
        prefix = f"{self.case}/{kind}_{self.number}/"
        for name, node in self.graph.nodes.items():
            if name.startswith(prefix):
                yield name.removeprefix(prefix), node.attrs["value"].numpy()  # type: ignore[union-attr]


@cache
def graph_of(path: Path) -> Graph:
    return from_graph_def(graph_def(path), str(path))


def runs() -> Iterator[Run]:
    """Every recorded run."""
    for path in RECORDED:
        found: dict[tuple[str, int], Run] = {}
        for name in graph_of(path).nodes:
            case, _, rest = name.partition("/expected_")
            if rest:
                key = case, int(rest.partition("/")[0])
                found.setdefault(key, Run(path, *key))
        yield from found.values()
