"""Simplify: the frozen graph without what does not depend on its inputs.

    defaults     PlaceholderWithDefault takes its default: `training` is False
    constants    nodes whose inputs are all constant are computed
    switches     conditionals whose condition is known keep the branch that runs

These uncover each other's work, so constants and switches take turns until nothing changes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..ir import Graph
from .fold_constants import fold_constants
from .fold_defaults import fold_defaults
from .fold_switches import fold_switches
from .prune import prune

_ROUNDS = 8


def simplify(graph: Graph, outputs: Sequence[str], *, keep: Collection[str] = ()) -> Graph:
    """The simplified graph, with the same `outputs`. The placeholders `keep` (nodes) stay inputs."""
    graph = prune(fold_defaults(graph, keep=keep), outputs, functions="used")
    for _ in range(_ROUNDS):
        before = _measure(graph)
        graph = fold_switches(fold_constants(graph, outputs=outputs), outputs=outputs)
        graph = prune(graph, outputs, functions="used")
        if _measure(graph) == before:
            break
    return graph


def _measure(graph: Graph) -> tuple[int, int]:
    return len(graph), sum(node.op == "Const" for node in graph)
