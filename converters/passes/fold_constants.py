"""Fold constants: what a graph always computes alike becomes a constant.

1. A node whose inputs are all constants, and whose op has a kernel, becomes a Const of the same name with the value
   that the kernel gives. Stateful ops (random numbers, variables, assertions) stay.
2. Identity and its like pass a constant on to the nodes behind them, and stay: a constant is never kept twice.
3. The Const keeps the node's control inputs and takes over those of the constants it was made from, so that in a
   conditional it is as dead as they were.
4. A node with several outputs becomes a Const for output 0, and further ones named `NODE_i` (made unique by
   underscores) for output i, to which its users change. It stays where one of those is among the `outputs` asked for.
5. A node stays where its value would take more than `growth` bytes beyond its inputs, where the inputs take more
   than `largest` bytes, and where the kernel refuses it: what is wrong with it shows when it is used.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tensorferry.formats.errors import TensorferryError
from tensorferry.formats.tensor import ArrayTensor, Tensor
from tensorferry.formats.tensor_proto import base_dtype

from ..ir import Attr, Graph, Node, split_value, value_name
from ..op_registry import op_defs, output_dtypes

if TYPE_CHECKING:
    from ..kernels.kernel import Array

GROWTH = 64 << 10
LARGEST = 256 << 20

_SIMULATED = """
    FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel QuantizeAndDequantize
    QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4
"""
FAKE_QUANT = frozenset(_SIMULATED.split())
"""Ops that simulate quantization."""

PASSING = ("Identity", "StopGradient", "PreventGradient", "Snapshot")


def fold_constants(
    graph: Graph,
    *,
    outputs: Collection[str] = (),
    growth: int = GROWTH,
    largest: int = LARGEST,
    but: Container[str] = (),
) -> Graph:
    """`graph` with constants in place of the nodes that only depend on constants, except for the ops in `but`.

    `growth`, `largest`: bytes.
    """
    fixed = {value_name(value) for value in (*outputs, *graph.outputs.values())}
    folding = _Folding(graph, fixed, growth, largest, but)
    for node in graph.topological():
        folding.visit(node)
    return Graph.of(folding.nodes(), like=graph)


@dataclass
class _Constant:
    """A value known beforehand, and the control inputs that it depends on."""

    tensor: Tensor
    controls: tuple[str, ...]

    @cached_property
    def array(self) -> Array:
        return self.tensor.numpy()

    @property
    def stored(self) -> int:
        """Bytes that the value takes: those of one element where it is the same everywhere."""
        return self.array.nbytes if any(self.array.strides) else min(self.array.nbytes, self.array.itemsize)


@dataclass
class _Folding:
    graph: Graph
    fixed: Collection[str]
    growth: int
    largest: int
    but: Container[str]
    constants: dict[str, _Constant] = field(default_factory=dict)
    """By value."""
    made: dict[str, list[Node]] = field(default_factory=dict)
    """The constants in place of a node."""
    renamed: dict[str, str] = field(default_factory=dict)
    """Values that have another name now."""
    fresh: set[str] = field(default_factory=set)
    """The names that the source doesn't have."""

    def visit(self, node: Node) -> None:
        value = node.attrs.get("value")
        if node.op == "Const" and isinstance(value, Tensor):
            self.constants[f"{node.name}:0"] = _Constant(value, node.control_inputs)
            return
        inputs = [self.constants.get(value_name(name)) for name in node.data_inputs]
        known = [constant for constant in inputs if constant is not None]
        if not inputs or len(known) < len(inputs):
            return
        controls = tuple(dict.fromkeys([*node.control_inputs, *(name for c in known for name in c.controls)]))
        if node.op in PASSING:
            # The same _Constant where nothing was added: its array is read only once.
            passed = known[0] if controls == known[0].controls else _Constant(known[0].tensor, controls)
            self.constants[f"{node.name}:0"] = passed
            return
        tensors = self._computed(node, known)
        if tensors:
            self._replace(node, tensors, controls)

    def _computed(self, node: Node, inputs: Sequence[_Constant]) -> list[Tensor]:
        """The outputs of a node, or none where it has to stay."""
        from ..kernels import kernels, run
        from ..kernels.kernel import bounded

        if node.op in self.but or node.op not in kernels() or op_defs()[node.op].is_stateful:
            return []
        if len(output_dtypes(node)) > 1 and any(self._is_fixed(node.name, value) for value in self.fixed):
            return []
        if sum(constant.tensor.nbytes for constant in inputs) > self.largest:
            return []
        limit = sum(constant.stored for constant in inputs) + self.growth
        try:
            with bounded(limit):
                arrays = run(node, [constant.array for constant in inputs])
        except TensorferryError:
            return []
        if sum(array.nbytes for array in arrays) > limit:
            return []
        return [ArrayTensor(array, base_dtype(dtype)) for array, dtype in zip(arrays, output_dtypes(node), strict=True)]

    @staticmethod
    def _is_fixed(name: str, value: str) -> bool:
        source, index = split_value(value)
        return source == name and index > 0

    def _replace(self, node: Node, tensors: Sequence[Tensor], controls: tuple[str, ...]) -> None:
        made = []
        for index, tensor in enumerate(tensors):
            name = self._fresh(f"{node.name}_{index}") if index else node.name
            attrs: dict[str, Attr] = {"dtype": tensor.dtype, "value": tensor}
            if "_class" in node.attrs:
                attrs["_class"] = node.attrs["_class"]
            made.append(Node(name, "Const", tuple(f"^{c}" for c in controls), attrs, node.device))
            self.constants[f"{node.name}:{index}"] = _Constant(tensor, controls)
            if index:
                self.renamed[f"{node.name}:{index}"] = f"{name}:0"
        self.made[node.name] = made

    def _fresh(self, name: str) -> str:
        while name in self.graph.nodes or name in self.fresh:
            name += "_"
        self.fresh.add(name)
        return name

    def nodes(self) -> Iterator[Node]:
        """The nodes of the result, in the order of the source."""
        for node in self.graph:
            if node.name in self.made:
                yield from self.made[node.name]
            elif self.renamed:
                yield node.with_(inputs=tuple(self.renamed.get(value_name(v), v) for v in node.inputs))
            else:
                yield node
