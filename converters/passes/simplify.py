"""Simplify: the frozen graph without what does not depend on its inputs.

    defaults     PlaceholderWithDefault takes its default: `training` is False
    checks       nothing prints, or waits for an assertion
    constants    nodes whose inputs are all constant are computed
    switches     conditionals whose condition is known keep the branch that runs
    dropout      goes where it drops nothing: `keep_prob` is 1

Constants and switches uncover each other's work, so constants and switches take turns until nothing changes.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence

from ..ir import Graph
from .drop_checks import drop_checks
from .drop_dropout import drop_dropout
from .fold_constants import fold_constants
from .fold_defaults import fold_defaults
from .fold_switches import fold_switches
from .prune import prune

_ROUNDS = 8


def simplify(graph: Graph, outputs: Sequence[str], *, keep: Collection[str] = ()) -> Graph:
    """The simplified graph, with the same `outputs`. The placeholders `keep` (nodes) stay inputs."""
    graph = prune(drop_checks(fold_defaults(graph, keep=keep)), outputs, functions="used")
    graph = settle(graph, outputs)
    without = drop_dropout(graph)
    return graph if without is graph else settle(prune(without, outputs, functions="used"), outputs)


def settle(graph: Graph, outputs: Sequence[str], *, but: Container[str] = ()) -> Graph:
    """Constants and switches folded until nothing changes; ops in `but` are never computed."""
    for _ in range(_ROUNDS):
        before = _measure(graph)
        graph = fold_switches(fold_constants(graph, outputs=outputs, but=but), outputs=outputs)
        graph = prune(graph, outputs, functions="used")
        if _measure(graph) == before:
            break
    return graph


def _measure(graph: Graph) -> tuple[int, int]:
    return len(graph), sum(node.op == "Const" for node in graph)
