"""The piece of a graph between its inputs and its outputs, ready to be lowered.

A value that is named as an input need not be a placeholder (`passes.cut`); its shape is what inference knows of it.
Control inputs go, since a frozen graph has no effects to order, and a placeholder that nobody feeds is its default.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from tensorferry.formats.errors import GraphError, listing

from ..inference import infer
from ..ir import Graph, Shape, split_value, value_name
from ..op_registry import op_defs, output_dtypes
from ..passes.cut import PLACEHOLDERS, cut_names
from ..passes.cut import cut as cut_at
from ..passes.fold_defaults import fold_defaults
from ..passes.prune import present, prune


def cut(graph: Graph, inputs: Mapping[str, str] | None, outputs: Sequence[str]) -> tuple[Graph, dict[str, str]]:
    """The piece, all of its inputs placeholders, and public name -> value of its inputs.

    `inputs` None means all placeholders that the outputs need. GraphError where the outputs need placeholders that are
    not among the inputs.
    """
    _check(graph, outputs)
    if inputs is None:
        bare = prune(graph, outputs, controls=False)
        inputs = {f"{node.name}:0": f"{node.name}:0" for node in bare if node.op in PLACEHOLDERS}
    asked = [value_name(value) for value in inputs.values()]
    names = cut_names(graph, asked)
    # Values that are cut at may be outputs too, or not be needed at all: what stands for them is part of the piece.
    piece = cut_at(graph, asked, outputs, shape_of=_shapes(graph, asked))
    piece = fold_defaults(prune(piece, [*outputs, *names.values()], controls=False))
    lost = [node.name for node in piece if node.op in PLACEHOLDERS and f"{node.name}:0" not in names.values()]
    if lost:
        raise GraphError(
            "the graph",
            f"expected all placeholders that the outputs need among the inputs, got none of: {listing(lost)}",
        )
    return piece, {public: names[value_name(value)] for public, value in inputs.items()}


def _check(graph: Graph, outputs: Sequence[str]) -> None:
    present(graph, outputs)
    for value in outputs:
        node = graph.producer(value)
        # How many outputs an op of somebody's own has, its lowering knows.
        if node.op in op_defs() and split_value(value)[1] >= (count := len(output_dtypes(node))):
            raise GraphError(value, f"expected an output of {node.op}, which has {count}")


def _shapes(graph: Graph, values: Collection[str]) -> Callable[[str], Shape]:
    """The shape of each of `values`, as inference knows it."""
    inner = [value for value in values if graph.producer(value).op not in PLACEHOLDERS]
    known = infer(prune(graph, inner, controls=False)) if inner else {}

    def shape_of(value: str) -> Shape:
        dims = known[value].dims if value in known else None
        return Shape(None if dims is None else tuple(dim if isinstance(dim, int) else -1 for dim in dims))

    return shape_of
