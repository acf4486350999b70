"""The lowering of one graph, or of one body in it, node by node: what TensorFlow's values become.

A node that runs bodies (`FlowNode`) is lowered with these at hand: a `Subgraph` can be lowered into any builder, with
any values for its arguments, as often as it has to be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tensorferry.formats.errors import GraphError, UnsupportedError

from ..inference import misfit
from ..inference.dims import merge_dims
from ..inference.regions import Region, Regions
from ..inference.values import Value
from ..ir import Node, node_name, value_name
from ..op_registry import op_defs
from ..ops import OpNode, OpTable
from .builder import Builder
from .carried import as_tensor_type
from .complex_values import lowering_for

Lowering = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Subgraph:
    """A body that a node runs, ready to be lowered."""

    region: Region
    table: OpTable[Lowering]
    refused: list[UnsupportedError]
    node: str
    """The node that runs it."""

    def lower(
        self, g: Builder, arguments: Sequence[Value | None], results: Collection[str] | None = None
    ) -> list[Value]:
        """Adds what the results need to `g`; `arguments` may lack (None) what they don't depend on.

        `results` are values of the body, by default its own.
        """
        region = self.region
        wanted = list(region.results if results is None else results)
        nodes = region.needed(wanted)
        scope = Scope(nodes, region.values, region.regions, g, self.table, wanted, self.refused, self.node)
        for name, value in zip(region.arguments, arguments, strict=True):
            if value is not None:
                scope.take(name, value)
        with g.aside():
            scope.run()
        return [scope.result(value) for value in wanted]


class FlowNode(OpNode):
    """A node that runs bodies: `subgraphs` by attribute (of a loop `body`, `first` and `next`, see `control_flow`).

    `used` says which of its outputs anybody takes.
    """

    __slots__ = ("subgraphs", "used")

    def __init__(self, node: Node, subgraphs: Mapping[str, Subgraph], used: Sequence[bool]) -> None:
        super().__init__(node)
        self.subgraphs = subgraphs
        self.used = used


class Scope:
    """`values` is what is known of TensorFlow's values, `env` what became of them.

    What can't be lowered is noted in `refused`, and the rest goes on, so that all of it is found.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        values: Mapping[str, Value],
        regions: Mapping[str, Regions],
        builder: Builder,
        table: OpTable[Lowering],
        results: Iterable[str] = (),
        refused: list[UnsupportedError] | None = None,
        within: str = "",
    ) -> None:
        self.nodes = nodes
        self.values = values
        self.regions = regions
        self.builder = builder
        self.table = table
        self.env: dict[str, Value] = {}
        self.refused = [] if refused is None else refused
        self._within = within
        self._results = [value_name(value) for value in results]
        self._used: set[str] = set()

    def take(self, name: str, value: Value) -> None:
        """Makes the argument `name` be `value`."""
        known = self.values[name]
        bound = value.with_(dims=merge_dims(known.dims, value.dims))
        if bound.name and bound.items is None:
            self.builder.provide(as_tensor_type(bound))
        self.env[name] = bound

    def run(self) -> None:
        """Lowers the nodes that `env` has no values for yet."""
        self._used = {value_name(value) for node in self.nodes for value in node.data_inputs} | set(self._results)
        for node in self.nodes:
            if f"{node.name}:0" not in self.env:
                self._node(node)

    def result(self, value: str) -> Value:
        """What became of a value."""
        if value_name(value) not in self.env:
            op = next((node.op for node in self.nodes if node.name == node_name(value)), "nothing here")
            raise UnsupportedError(value, f"expected a value that ONNX can express, got one of {op}")
        return self.env[value_name(value)]

    def _node(self, node: Node) -> None:
        results = outputs_of(node, self.values)
        if results and all(self._can_wait(value) for value in results):
            for index, value in enumerate(results):
                self.env[f"{node.name}:{index}"] = value
                if value.tensor is not None:
                    self.builder.title(value.tensor, self._title(node))
            return
        try:
            made: Sequence[Value | None] = self._lowered(node, results)
        except UnsupportedError as error:
            refusal = error if error.where else UnsupportedError(node.name, error.problem, hint=error.hint)
            # A loop's condition is lowered twice.
            if str(refusal) not in map(str, self.refused):
                self.refused.append(refusal)
            made = [value.with_(name=f"{node.name}:{index}") for index, value in enumerate(results)]
        for index, result in enumerate(made):
            if result is not None:
                self.env[f"{node.name}:{index}"] = result

    def _title(self, node: Node) -> str:
        """What the node is called in the whole model."""
        within = self._within
        return node.name if not within or node.name.startswith(f"{within}/") else f"{within}/{node.name}"

    def _can_wait(self, value: Value) -> bool:
        """Whether a value is a constant, or sizes that can be read off a shape whenever somebody wants them."""
        return value.tensor is not None or (value.entries is not None and self.builder.can_make(value.entries))

    def _lowered(self, node: Node, results: Sequence[Value]) -> list[Value | None]:
        operands = [self._operand(name) for name in node.data_inputs]
        handler = lowering_for(node, [*operands, *results], self.table)
        self.builder.begin(self._title(node), results)
        try:
            answer = handler(self._view(node, len(results)), self.builder, *operands)
        except (LookupError, ArithmeticError, ValueError) as error:
            raise misfit(node, error) from error
        made: list[Value | None] = list(answer) if isinstance(answer, (tuple, list)) else [answer]
        finished = iter(self.builder.finish([value for value in made if value is not None]))
        if node.op not in op_defs():
            # An op of somebody's own, whose lowering alone knows what it makes.
            return [None if value is None else next(finished) for value in made]
        bound: list[Value | None] = []
        for value, result in zip(made, results, strict=False):
            bound.append(None if value is None else self._bound(node, next(finished), result))
        return bound

    def _view(self, node: Node, outputs: int) -> OpNode:
        if node.name not in self.regions:
            return OpNode(node)
        title = self._title(node)
        subgraphs = {
            name: Subgraph(region, self.table, self.refused, title) for name, region in self.regions[node.name].items()
        }
        return FlowNode(node, subgraphs, [f"{node.name}:{index}" in self._used for index in range(outputs)])

    def _operand(self, name: str) -> Value:
        full = value_name(name)
        if full not in self.env:
            raise UnsupportedError("", f"its input {full} has no counterpart in ONNX")
        return self.env[full]

    def _bound(self, node: Node, value: Value, result: Value) -> Value:
        """A lowered value with all that inference knows of it."""
        if value.dtype != result.dtype:
            raise GraphError(node.name, f"expected {result.dtype} of {node.op}, got {value.dtype}")
        if value.items is not None and result.items is not None:
            return value.with_(dims=(), items=replace(result.items, blank=value.items.blank))
        if not value.name:
            return value
        bound = value.with_(
            dims=merge_dims(result.dims, value.dims),
            tensor=value.tensor or result.tensor,
            entries=value.entries or result.entries,
        )
        tensor = as_tensor_type(bound)
        self.builder.dims[bound.name] = tensor.dims
        self.builder.provide(bound)
        return bound


def outputs_of(node: Node, values: Mapping[str, Value]) -> list[Value]:
    """What is known of each output of a node."""
    return list(_outputs(node, values))


def _outputs(node: Node, values: Mapping[str, Value]) -> Iterator[Value]:
    index = 0
    while (value := values.get(f"{node.name}:{index}")) is not None:
        yield value
        index += 1
