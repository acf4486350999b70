"""Evaluate: a graph's outputs, computed by the numpy kernels. The reference that conversions are verified against.

 1. Only the nodes that the outputs need run, each once, in an order that has producers and control inputs first. A
    value is forgotten when the last node that takes it has run.
 2. A variable (VariableV2, VarHandleOp, ...) has the value that `variables` gives under its node's name. Nothing
    changes it: Assign and its like are unsupported. A PlaceholderWithDefault that isn't fed has its default.
 3. Conditionals of TensorFlow 1 work with dead values: Switch gives its input to one output and leaves the other dead;
    a node with a dead input or a dead control input is dead, and so are all its outputs; Merge passes its first
    input that isn't dead, with its index, whatever its control inputs are.
 4. An op without a kernel is reported before anything runs, with all others, unless a conditional may leave it dead;
    then it is reported when its turn comes.
 5. Loops of TensorFlow 1 (Enter, Exit, NextIteration) and calls of functions are not supported.

Random ops give numbers of their own (`kernels.random`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorferry.formats.dtype import DType
from tensorferry.formats.errors import GraphError, UnsupportedError, listing
from tensorferry.formats.tensor import Tensor
from tensorferry.formats.tensor_proto import base_dtype

from ..ir import Graph, Node, Shape, node_name, split_value, value_name
from ..kernels import kernels, run
from ..op_registry import op_defs, output_dtypes
from ..ops import OpNode
from ..passes.freeze import VARIABLES
from ..passes.prune import needed, present
from .feeds import PLACEHOLDERS, check_fed, checked_feeds, fits

Array = npt.NDArray[Any]

SWITCHES = ("Switch", "RefSwitch")
MERGES = ("Merge", "RefMerge")
DEFAULTED = "PlaceholderWithDefault"


class _Dead:
    """The value that an output has in a branch that was not taken."""


_DEAD = _Dead()


def evaluate(
    graph: Graph,
    outputs: Sequence[str],
    feeds: Mapping[str, np.ndarray[Any, Any]],
    variables: Mapping[str, Tensor] | None = None,
) -> dict[str, Array]:
    """The values of `outputs` (`node:0`, or `node` for its output 0), by the names given.

    `feeds` gives values from outside, by value; `variables` those of variables, by node name. Raises GraphError where
    outputs, feeds or variables are missing or wrong or the graph contradicts itself, and UnsupportedError that lists
    the ops without a kernel.
    """
    fed = checked_feeds(graph, feeds)
    _check_outputs(graph, outputs)
    names = needed(graph, outputs, fed)
    check_fed(graph, names, fed)
    values = _variables(graph, names, variables or {})
    order = _ordered(graph, names, fed)
    refusal = _unsupported(order)
    return _Evaluation(order, outputs, fed, values, refusal).results()


class _Evaluation:
    """One run. `fed` holds values from outside, `made` those of nodes that have run and are still needed."""

    def __init__(
        self,
        order: list[Node],
        outputs: Sequence[str],
        fed: Mapping[str, Array],
        variables: Mapping[str, Tensor],
        refusal: UnsupportedError | None,
    ) -> None:
        self.order = order
        self.outputs = outputs
        self.fed = fed
        self.variables = variables
        self.refusal = refusal
        self.made: dict[str, tuple[Array | _Dead, ...]] = {}
        self.dead: set[str] = set()
        """Nodes all of whose outputs are dead."""
        self.uses = Counter(node_name(value) for node in order for value in node.data_inputs)
        self.uses.update(node_name(value) for value in outputs)

    def results(self) -> dict[str, Array]:
        for node in self.order:
            made = self._outputs(node)
            if self.uses[node.name]:
                self.made[node.name] = made
            for name in map(node_name, node.data_inputs):
                self._release(name)
        results: dict[str, Array] = {}
        for output in self.outputs:
            value = self._value(output, output)
            if isinstance(value, _Dead):
                raise GraphError(output, "expected a value, got none: it is in a branch that was not taken")
            results[output] = value
        return results

    def _release(self, name: str) -> None:
        self.uses[name] -= 1
        if not self.uses[name]:
            self.made.pop(name, None)

    def _value(self, value: str, where: str) -> Array | _Dead:
        full = value_name(value)
        if full in self.fed:
            return self.fed[full]
        name, index = split_value(value)
        if name in self.dead:
            return _DEAD
        made = self.made[name]
        if index >= len(made):
            raise GraphError(where, f"expected {full} to be an output, but {name} has {len(made)}")
        return made[index]

    def _outputs(self, node: Node) -> tuple[Array | _Dead, ...]:
        inputs = [self._value(value, node.name) for value in node.data_inputs]
        if node.op in MERGES:
            return self._merged(node, inputs)
        alive = [value for value in inputs if not isinstance(value, _Dead)]
        if len(alive) < len(inputs) or any(name in self.dead for name in node.control_inputs):
            self.dead.add(node.name)
            return ()
        if node.op in SWITCHES:
            return _switched(node, alive)
        if node.op in PLACEHOLDERS:  # fed, and needed only for its order
            return ()
        if node.op in VARIABLES:
            return (self.variables[node.name].numpy(),)
        if node.op == DEFAULTED:
            return tuple(alive)
        if self.refusal is not None and not _is_handled(node):
            raise self.refusal
        return run(node, alive)

    def _merged(self, node: Node, inputs: list[Array | _Dead]) -> tuple[Array | _Dead, ...]:
        for index, value in enumerate(inputs):
            if not isinstance(value, _Dead):
                return value, np.array(index, np.int32)
        self.dead.add(node.name)
        return ()


def _switched(node: Node, inputs: list[Array]) -> tuple[Array | _Dead, ...]:
    if len(inputs) != 2 or inputs[1].dtype != np.bool_ or inputs[1].size != 1:
        raise GraphError(node.name, f"expected {node.op} of a value and a bool, got {len(inputs)} inputs that are not")
    return (_DEAD, inputs[0]) if inputs[1].reshape(-1)[0] else (inputs[0], _DEAD)


def _check_outputs(graph: Graph, outputs: Iterable[str]) -> None:
    present(graph, outputs)
    for output in outputs:
        node = graph.producer(output)
        count = len(output_dtypes(node)) if node.op in op_defs() else 1
        if split_value(output)[1] >= count or output.startswith("^"):
            raise GraphError(output, f"expected an output of {node.op}, which has {count}")


def _ordered(graph: Graph, names: set[str], fed: Mapping[str, Array]) -> list[Node]:
    """The nodes `names`, producers before consumers."""
    nodes = (node for node in graph if node.name in names)
    if fed:
        # What is fed has no producer.
        nodes = (node.with_(inputs=tuple(v for v in node.inputs if value_name(v) not in fed)) for node in nodes)
    return [graph.nodes[node.name] for node in Graph.of(nodes).topological()]


def _is_handled(node: Node) -> bool:
    if node.op in (*SWITCHES, *MERGES, *VARIABLES, *PLACEHOLDERS, DEFAULTED):
        return True
    return node.op in kernels() and not kernels().unknown_attrs(node)


def _unsupported(order: Iterable[Node]) -> UnsupportedError | None:
    """The error about all nodes that have no kernel: raised if one surely runs, else returned for when one does."""
    nodes: dict[str, list[Node]] = {}
    conditional: set[str] = set()
    sure = False
    for node in order:
        if node.op in SWITCHES or any(node_name(value) in conditional for value in node.inputs):
            conditional.add(node.name)
        if not _is_handled(node):
            unknown = kernels().unknown_attrs(node) if node.op in kernels() else []
            nodes.setdefault(f"{node.op} with {listing(unknown)}" if unknown else node.op, []).append(node)
            sure = sure or node.name not in conditional
    if not nodes:
        return None
    found = [f"{op} ({len(users)}: {listing((user.name for user in users), 3)})" for op, users in nodes.items()]
    error = UnsupportedError("evaluation", f"no kernel for {listing(found)}")
    if sure:
        raise error
    return error


def _variables(graph: Graph, names: set[str], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The values of the variables among the nodes `names`. GraphError lists all that are missing or don't fit."""
    values: dict[str, Tensor] = {}
    missing, wrong = [], []
    for node in graph:
        if node.name not in names or node.op not in VARIABLES:
            continue
        value = given.get(node.name)
        dtype, shape = _declared(node)
        if value is None:
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
