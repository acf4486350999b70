"""Evaluate: a graph's outputs, computed in numpy. The reference that conversions are verified against.

 1. Only the nodes that the outputs need run, in an order that has producers and control inputs first (`plan`). An op is
    a pure kernel (`kernels`), or an operation on the state of the run (`operations`).
 2. A variable (VariableV2, VarHandleOp, ...) starts with the value that `variables` gives under its node's name; one
    that the run itself assigns to needs none. Assignments last as long as the run.
 3. A table holds what `tables` gives under the name of its handle's node; else the initialisers that the graph has for
    it run before all else.
 4. Conditionals of TensorFlow 1 work with dead values: Switch gives its input to one output and leaves the other dead;
    a node with a dead input or a dead control input is dead, and so are all its outputs; Merge passes its first
    input that isn't dead, with its index. Loops of TensorFlow 1 run frame by frame (`steps`).
 5. Functions, and the conditionals and loops that TensorFlow 2 makes of them, are called (`calls`).
 6. An op without a kernel is reported before anything runs, with all others, unless a conditional may leave it out;
    then it is reported when its turn comes (`unsupported`).

Random ops give numbers of their own (`kernels.random`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorferry.formats.dtype import DType
from tensorferry.formats.errors import GraphError, UnsupportedError, listing
from tensorferry.formats.tensor import Tensor
from tensorferry.formats.tensor_proto import base_dtype

from ..ir import Graph, Node, Shape, node_name, split_value
from ..kernels.random import sequence
from ..op_registry import op_defs, output_dtypes
from ..ops import OpNode
from ..passes.freeze import VARIABLES
from ..passes.prune import present
from .feeds import check_fed, checked_feeds, fits
from .plan import Plan, plan
from .run import STEPS, Library, Run
from .tables import INITIALIZED, INITIALIZERS
from .unsupported import unsupported
from .variables import ASSIGNMENTS

Array = npt.NDArray[Any]


def evaluate(
    graph: Graph,
    outputs: Sequence[str],
    feeds: Mapping[str, np.ndarray[Any, Any]],
    variables: Mapping[str, Tensor] | None = None,
    tables: Mapping[str, tuple[Array, Array]] | None = None,
    *,
    steps: int = STEPS,
) -> dict[str, Array]:
    """The values of `outputs` (`node:0`, or `node` for its output 0), by the names given.

    `feeds` gives values from outside, by value; `variables` those of variables and `tables` the keys and values of
    tables, by node name. Loops and calls may take `steps` steps in all.

    Raises GraphError where outputs, feeds or variables are missing or wrong or the graph contradicts itself, and
    UnsupportedError that lists the ops without a kernel, or where a bound is reached.
    """
    fed = checked_feeds(graph, feeds)
    _check_outputs(graph, outputs)
    main = plan(graph, outputs, list(fed))
    before = plan(graph, [], list(fed), effects=_initializers(graph, main, tables or {}))
    order = [*before.order, *main.order]
    check_fed(graph, {node.name for node in order}, fed)
    values = _variables(order, variables or {})
    library = Library(graph.functions)
    refusal = unsupported([before, main], library)
    run = Run(library, values, tables or {}, refusal, steps)
    try:
        with np.errstate(all="ignore"), sequence():
            before.run(run, fed)
            return dict(zip(outputs, main.run(run, fed), strict=True))
    except RecursionError:
        raise UnsupportedError("evaluation", "expected functions and loops less deep in each other") from None


def _check_outputs(graph: Graph, outputs: Iterable[str]) -> None:
    present(graph, outputs)
    for output in outputs:
        node = graph.producer(output)
        count = len(output_dtypes(node)) if node.op in op_defs() and node.op not in graph.functions else 1
        if split_value(output)[1] >= count or output.startswith("^"):
            raise GraphError(output, f"expected an output of {node.op}, which has {count}")


def _initializers(graph: Graph, needed: Plan, tables: Mapping[str, object]) -> Iterator[str]:
    """The nodes that fill the tables among those needed, but for the tables whose contents are given."""
    handles = {node.name for node in needed.order if node.op in INITIALIZED and node.name not in tables}
    if handles:
        for node in graph:
            if node.op in INITIALIZERS and node.data_inputs and node_name(node.data_inputs[0]) in handles:
                yield node.name


def _variables(order: Iterable[Node], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The values of the variables among the nodes `order`. GraphError lists all that are missing or don't fit."""
    values: dict[str, Tensor] = {}
    missing, wrong = [], []
    nodes = {node.name: node for node in order}
    assigned = {node_name(n.data_inputs[0]) for n in nodes.values() if n.op in ASSIGNMENTS and n.data_inputs}
    for node in nodes.values():
        if node.op not in VARIABLES:
            continue
        value = given.get(node.name)
        dtype, shape = _declared(node)
        if value is None:
            if node.name not in assigned:
                missing.append(f"{node.name} {dtype} {shape}")
        elif dtype != value.dtype:
            wrong.append(f"{node.name}: expected {dtype}, got {value.dtype}")
        elif shape.dims is not None and not fits(value.shape, shape.dims):
            wrong.append(f"{node.name}: expected shape {shape}, got {list(value.shape)}")
        else:
            values[node.name] = value
    if missing:
        raise GraphError("the variables", f"expected values for all that are needed, got none for {listing(missing)}")
    if wrong:
        raise GraphError("the variables", listing(wrong))
    return values


def _declared(node: Node) -> tuple[DType, Shape]:
    """The element type and shape of a variable; in the old Variable, [] stands for any shape."""
    view = OpNode(node)
    shape = view.shape("shape")
    return base_dtype(view.dtype("dtype")), Shape() if node.op == "Variable" and not shape.dims else shape
