"""Clean: what a frozen graph is rid of on request, in an order in which each pass finds what the others left.

    clean          defaults    PlaceholderWithDefault gives its default (`fold_defaults`)
                   constants   what is always computed alike is a constant, known conditionals are decided (`simplify`)
                   checks      nothing prints or waits for an assertion (`drop_checks`)
                   dropout     which drops nothing is gone (`drop_dropout`)
                   identities  are bypassed (`drop_identities`)
    constants      constants alone
    batch norm     batch normalization goes into the weights before it (`fold_batch_norm`)

Without batch norm, the results are the source's bit for bit, where the kernels that fold constants agree with
TensorFlow's. Simulated quantization (FakeQuant) is never folded: it says how the weights are to be quantized.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ..ir import Graph
from .drop_checks import drop_checks
from .drop_dropout import drop_dropout
from .drop_identities import drop_identities
from .fold_batch_norm import fold_batch_norm
from .fold_constants import FAKE_QUANT
from .fold_defaults import fold_defaults
from .prune import prune
from .simplify import settle

Steps = dict[str, Callable[[Graph], Graph]]


def clean(
    graph: Graph,
    outputs: Sequence[str],
    *,
    everything: bool = False,
    constants: bool = False,
    batch_norm: bool = False,
    keep: Collection[str] = (),
) -> tuple[Graph, dict[str, tuple[int, int]]]:
    """The graph without what was asked to go, and what each pass did: the number of nodes before and after.

    The placeholders `keep` (nodes) stay inputs.
    """
    steps: Steps = {}
    if everything:
        steps["defaults"] = lambda graph: fold_defaults(graph, keep=keep)
    if everything or constants:
        steps["constants"] = lambda graph: settle(graph, outputs, but=FAKE_QUANT)
    if everything:
        steps["checks"] = drop_checks
        steps["dropout"] = drop_dropout
    if batch_norm:
        steps["batch norm"] = lambda graph: fold_batch_norm(graph, outputs=outputs)
    if everything:
        steps["identities"] = lambda graph: drop_identities(graph, outputs=outputs)
    counts: dict[str, tuple[int, int]] = {}
    for title, step in steps.items():
        before = len(graph)
        graph = prune(step(graph), outputs, colocated=True)
        counts[title] = before, len(graph)
    return graph, counts
