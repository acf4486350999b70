"""Raise control flow: TensorFlow 1's loops, conditionals and tensor arrays as TensorFlow 2's While, If and lists.

The dataflow ops that make them up say what sends a value where; an If or a While says what is computed. Whatever
follows (inference, lowering) has only the latter to deal with.

    raise_tensor_arrays    first, so that lists go round in loops like any other value
    raise_loops            the innermost first
    raise_conditionals     in the graph, and in each loop's body and condition
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from tensorferry.formats.errors import GraphError, UnsupportedError, listing

from ..functions import ARGUMENT
from ..ir import AttrList, Graph, Node, node_name, value_name
from ..op_registry import input_dtypes, output_dtypes
from .prune import needed
from .raise_conditionals import raise_conditionals
from .raise_loops import raise_loops
from .raise_tensor_arrays import raise_tensor_arrays

CONDITIONAL_OPS = frozenset(["Switch", "_SwitchN", "Merge"])
V1_OPS = CONDITIONAL_OPS | {"Enter", "Exit", "NextIteration", "LoopCond"}


def raise_control_flow(graph: Graph, outputs: Sequence[str], inputs: Sequence[str] = ()) -> Graph:
    """`graph`, in which no op of `V1_OPS` and no tensor array is needed for `outputs` of the values `inputs`.

    The values that others can ask for keep their names: what leaves a loop, what a Merge makes. UnsupportedError names
    what can't be raised, GraphError what has too few or too many inputs.
    """
    fed = {value_name(value) for value in inputs}
    names = needed(graph, outputs, fed)
    raising = [
        node for node in graph if node.name in names and (node.op in V1_OPS or node.op.startswith("TensorArray"))
    ]
    if not raising:
        return graph
    _check_inputs(raising)
    leaves = {node_name(value): _leaf(graph.producer(value)) for value in fed if node_name(value) not in names}
    piece = Graph.of(
        (leaves.get(node.name, node) for node in graph if node.name in names or node.name in leaves), graph
    )
    raised = raise_tensor_arrays(piece)
    raised = raise_loops(raised, lambda body, results: _finished(body, results, graph), graph.nodes)
    raised = _finished(raised, outputs, graph)
    others = {name: node for name, node in graph.nodes.items() if name not in names}
    raised.nodes = {name: node for name, node in raised.nodes.items() if name not in leaves} | others
    return raised


def _is_raised(op: str) -> bool:
    return op in V1_OPS or op.startswith("TensorArray")


def _check_inputs(nodes: Iterable[Node]) -> None:
    """GraphError where ops that say what goes where have another number of inputs than they take."""
    for node in nodes:
        found, expected = len(node.data_inputs), len(input_dtypes(node))
        if found != expected:
            raise GraphError(node.name, f"expected {expected} inputs of {node.op}, got {found}")


def _finished(graph: Graph, results: Sequence[str], whole: Graph) -> Graph:
    """A graph whose loops are raised, pruned to its results, its conditionals raised."""
    kept = needed(graph, results)
    piece = Graph.of((node for node in graph if node.name in kept or node.op == ARGUMENT), graph)
    _check(piece, kept, V1_OPS - CONDITIONAL_OPS)
    raised = raise_conditionals(piece, whole.nodes)
    kept = needed(raised, results, controls=False)
    _check(raised, kept, V1_OPS)
    bare = (node.with_(inputs=node.data_inputs) for node in raised if node.name in kept or node.op == ARGUMENT)
    return Graph.of(bare, raised)


def _check(graph: Graph, kept: Collection[str], ops: Collection[str]) -> None:
    """UnsupportedError where one of `ops` is left."""
    left = [f"{node.name} ({node.op})" for node in graph if node.name in kept and node.op in ops]
    if left:
        what = f"outputs that no loop and no branch keeps to itself, got {len(left)} of its nodes: {listing(left)}"
        raise UnsupportedError(left[0].partition(" ")[0], f"expected {what}")


def _leaf(node: Node) -> Node:
    """A node of as many outputs, without what it was made from."""
    return Node(node.name, "IdentityN", (), {"T": AttrList("dtype", output_dtypes(node))})
