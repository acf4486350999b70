"""The lowering of a TensorFlow graph to a graph of ONNX ops.

    1  cut: the nodes between the inputs and the outputs, with a placeholder for every input
    2  infer: element types, shapes and contents of all their values
    3  pre-flight: every op that has no lowering is reported, all at once, before any work
    4  lower: node by node in order; what inference knows to be constant, or to be sizes, needs no lowering at all
    5  passes: layout, fusions, what nobody uses

The result's nodes are ONNX's, and these three:

    Input      name, dtype, shape           a graph input; its one value is `node:0`
    Constant   value                        a weight, lazy
    Output     name, dtype, shape (value)   a result

`Graph.outputs` says the same of the results: public name -> value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from tensorferry.formats.dtype import COMPLEX, COMPLEX64, FLOAT32, FLOAT64
from tensorferry.formats.errors import GraphError, UnsupportedError, UsageError, listing

from ..inference import InputShapes, infer, misfit
from ..inference.dims import Dims, merge_dims
from ..inference.values import Value
from ..ir import Attr, Graph, Node, Shape, node_name, value_name
from ..onnx_passes import run_passes
from ..op_registry import op_defs
from ..ops import OpNode, OpTable
from . import (
    array,
    blocks,
    boxes,
    conv,
    diagonal,
    image,
    joining,
    linear,
    logic,
    math,
    nn,
    quantize,
    random,
    reduce,
    scatter,
    search,
    segment,
    selection,
    spectral,
)  # fmt: skip
from .builder import Builder
from .cut import PLACEHOLDERS, cut
from .dilations import fuse_dilations

Lowering = Callable[..., Any]

OLDEST_OPSET = 13

ENTRY_POINTS = "tensorferry.lowerings"
"""The group of entry points that name an OpTable of more lowerings."""


@cache
def lowerings() -> OpTable[Lowering]:
    """The lowerings of all families, and those that installed packages add: tables named by entry points."""
    added = [entry.load() for entry in entry_points(group=ENTRY_POINTS)]
    return OpTable.merged("lowering", [*(family.LOWERINGS for family in FAMILIES), *added])


FAMILIES = (
    array, blocks, boxes, conv, diagonal, image, joining, linear, logic, math, nn, quantize, random, reduce, scatter,
    search, segment, selection, spectral,
)  # fmt: skip


@cache
def newest_opset() -> int:
    """The newest opset that the `onnx` package knows."""
    import onnx

    return int(onnx.defs.onnx_opset_version())


def lower(
    graph: Graph,
    inputs: Sequence[str] | Mapping[str, str] | None,
    outputs: Sequence[str] | Mapping[str, str],
    *,
    opset: int = 18,
    input_shapes: InputShapes | None = None,
    without: Collection[str] = (),
) -> Graph:
    """The ONNX-dialect graph that computes `outputs` of a frozen graph from `inputs`.

    Both are values (`x:0`), or a mapping of public names to them; `inputs` None means all placeholders that are needed.
    `input_shapes` gives shapes to inputs, as numbers, symbols and None, or None for an unknown rank. UnsupportedError
    lists all that ONNX can't express, GraphError says what the graph lacks. `without` names passes to be left out
    (`onnx_passes.PASSES`, and "dilations").
    """
    if not OLDEST_OPSET <= opset <= newest_opset():
        raise UsageError(f"opset {opset}", f"expected one of {OLDEST_OPSET} to {newest_opset()}")
    asked = _named(outputs)
    piece, given = cut(graph, None if inputs is None else _named(inputs), list(asked.values()))
    shapes = {given.get(value_name(name), value_name(name)): dims for name, dims in (input_shapes or {}).items()}
    values = infer(piece, shapes)
    fused = piece if "dilations" in without else fuse_dilations(piece, values, asked.values())
    if fused is not piece:
        piece, _ = cut(fused, given, list(asked.values()))
        values = infer(piece, shapes)
    order = piece.topological()
    preflight(order, values)
    return run_passes(*_Run(order, values, opset).lower(given, asked), opset, without=without)


def _named(names: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    pairs = names.items() if isinstance(names, Mapping) else ((value_name(name), name) for name in names)
    return {public: value_name(value) for public, value in pairs}


def preflight(order: Sequence[Node], values: Mapping[str, Value]) -> None:
    """UnsupportedError that lists every op without a lowering, and every attribute that its lowering doesn't know."""
    table = lowerings()
    missing: dict[str, list[str]] = {}
    for node in order:
        if node.op in PLACEHOLDERS or _is_known(node, values):
            continue
        if node.op not in table:
            missing.setdefault(node.op, []).append(node.name)
            continue
        unknown = table.unknown_attrs(node)
        if unknown:
            missing.setdefault(f"{node.op} with {listing(unknown)}", []).append(node.name)
    if missing:
        ops = [f"{op} ({len(names)} {_plural(names)}: {listing(names, 3)})" for op, names in sorted(missing.items())]
        raise UnsupportedError(
            "the graph", f"expected ops that ONNX can express, got {len(ops)} others: {listing(ops, 50)}"
        )


def _plural(names: Sequence[str]) -> str:
    return "node" if len(names) == 1 else "nodes"


def _outputs(node: Node, values: Mapping[str, Value]) -> list[Value]:
    found: list[Value] = []
    while (value := values.get(f"{node.name}:{len(found)}")) is not None:
        found.append(value)
    return found


def _is_known(node: Node, values: Mapping[str, Value]) -> bool:
    outputs = _outputs(node, values)
    return bool(outputs) and all(value.is_known for value in outputs)


class _Run:
    """The lowering of one graph: `values` is what is known of TensorFlow's values, `env` what became of them."""

    def __init__(self, order: Sequence[Node], values: Mapping[str, Value], opset: int) -> None:
        self.order = order
        self.values = values
        self.builder = Builder(opset, {node.name for node in order})
        self.env: dict[str, Value] = {}
        self.refused: list[UnsupportedError] = []

    def lower(self, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> tuple[Graph, dict[str, Dims]]:
        """`inputs` and `outputs` by public name; the graph, and the shapes of its values as far as they are known."""
        placeholders = {node_name(value): public for public, value in inputs.items()}
        by_name = {node.name: node for node in self.order}
        for name, public in placeholders.items():
            self._input(by_name[name], public)
        for node in self.order:
            if node.name not in placeholders:
                self._node(node)
        if self.refused:
            if len(self.refused) == 1:
                raise self.refused[0]
            raise UnsupportedError("the graph", listing(self.refused, 50))
        named = {public: self._output(public, value) for public, value in outputs.items()}
        return self.builder.graph(named), self.builder.dims

    def _input(self, node: Node, public: str) -> None:
        value = _as_pairs(self.values[f"{node.name}:0"])
        attrs: dict[str, Attr] = {"name": public.encode(), "dtype": value.dtype, "shape": _shape(value.dims)}
        made = self.builder.emit("Input", [], attrs, [(value.dtype, value.dims)], name=node.name)[0]
        self.builder.provide(made)
        self.env[made.name] = made.with_(dtype=self.values[made.name].dtype, dims=self.values[made.name].dims)

    def _output(self, public: str, value: str) -> str:
        if value not in self.env:
            raise UnsupportedError(value, "expected a value that ONNX can express")
        result = self.env[value]
        if result.dtype.kind == COMPLEX:
            result = self.builder.pair(result)
        name = self.builder.ref(result)
        attrs: dict[str, Attr] = {"name": public.encode(), "dtype": result.dtype, "shape": _shape(result.dims)}
        title = self.builder.unique(f"{public}/output")
        self.builder.emit("Output", [name], attrs, [], name=title)
        return name

    def _node(self, node: Node) -> None:
        results = _outputs(node, self.values)
        if results and all(self._can_wait(value) for value in results):
            for index, value in enumerate(results):
                self.env[f"{node.name}:{index}"] = value
                if value.tensor is not None:
                    self.builder.title(value.tensor, node.name)
            return
        try:
            made: Sequence[Value | None] = self._lowered(node, results)
        except UnsupportedError as error:
            self.refused.append(error if error.where else UnsupportedError(node.name, error.problem, hint=error.hint))
            made = [value.with_(name=f"{node.name}:{index}") for index, value in enumerate(results)]
        for index, result in enumerate(made):
            if result is not None:
                self.env[f"{node.name}:{index}"] = result

    def _can_wait(self, value: Value) -> bool:
        """Whether a value is a constant, or sizes that can be read off a shape whenever somebody wants them."""
        return value.tensor is not None or (value.entries is not None and self.builder.can_make(value.entries))

    def _lowered(self, node: Node, results: Sequence[Value]) -> list[Value | None]:
        operands = [self._operand(name) for name in node.data_inputs]
        handler = lowerings().find(node)
        self.builder.begin(node.name, results)
        try:
            answer = handler(OpNode(node), self.builder, *operands)
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

    def _operand(self, name: str) -> Value:
        full = value_name(name)
        if full not in self.env:
            raise UnsupportedError("", f"its input {full} has no counterpart in ONNX")
        return self.env[full]

    def _bound(self, node: Node, value: Value, result: Value) -> Value:
        """A lowered value with all that inference knows of it."""
        if value.dtype != result.dtype:
            raise GraphError(node.name, f"expected {result.dtype} of {node.op}, got {value.dtype}")
        if not value.name:
            return value
        bound = value.with_(
            dims=merge_dims(result.dims, value.dims),
            tensor=value.tensor or result.tensor,
            entries=value.entries or result.entries,
        )
        self.builder.dims[bound.name] = _as_pairs(bound).dims
        self.builder.provide(bound)
        return bound


def _as_pairs(value: Value) -> Value:
    """A complex value as ONNX has it: real and imaginary part in a dimension of their own."""
    if value.dtype.kind != COMPLEX:
        return value
    real = FLOAT32 if value.dtype == COMPLEX64 else FLOAT64
    return Value(real, None if value.dims is None else (*value.dims, 2), name=value.name)


def _shape(dims: Dims) -> Shape:
    """Symbols become names."""
    if dims is None:
        return Shape()
    names = tuple(dim if isinstance(dim, str) else "" for dim in dims)
    return Shape(tuple(dim if isinstance(dim, int) else -1 for dim in dims), names if any(names) else ())
