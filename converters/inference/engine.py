"""Inference: what is known of every value of a TensorFlow graph before any data flow.

The nodes are visited in order. Element types come from the op registry; shapes and contents from the rules of the
families in this package; where all inputs are small constants, from the numpy kernels. Of an op without a rule only
the element types are known, unless the graph carries TensorFlow's own `_output_shapes`, which is used there as a hint.

A dimension that stays unknown becomes a symbol named after its value (`ids_dim0`), since it is one number whenever the
graph runs; so `tf.shape(ids)[0]` is known to be that dimension wherever it goes.

The bodies of conditionals and loops are inferred with what is known of their arguments (`control_flow`, `regions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TypeAlias

from tensorferry.formats.dtype import OPAQUE, DType
from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.tensor import ArrayTensor
from tensorferry.formats.tensor_proto import base_dtype

from ..functions import Body, body_of
from ..ir import AttrList, FuncRef, Function, Graph, Node, Shape, value_name
from ..kernels import run
from ..op_registry import input_dtypes, op_defs, output_dtypes
from ..ops import OpNode, OpTable
from . import (
    array,
    blocks,
    elementwise,
    image,
    linear,
    lookup,
    nn,
    recurrent,
    reduce,
    selection,
    shaping,
    sparse,
    tensor_list,
    text,
)  # fmt: skip
from .control_flow import CONTROL_FLOW
from .dims import Dim, Dims, product, symbol
from .facts import Fact, Result
from .regions import Region, Regions, needed_order
from .values import MAX_ENTRIES, Value

MAX_FOLDED = 1 << 16
"""Elements of the largest constant that is computed here."""

MAX_DEPTH = 40
MAX_BODIES = 20_000
"""Bodies within bodies, and bodies in all, that are inferred."""

Rule: TypeAlias = Callable[..., Result]
InputShapes: TypeAlias = Mapping[str, "Sequence[Dim] | None"]
"""Shapes by value name: sizes, symbols and None, or None for an unknown rank."""


@cache
def rules() -> OpTable[Rule]:
    """The inference rules of all families."""
    families = (
        array, blocks, elementwise, image, linear, lookup, nn, recurrent, reduce, selection, shaping, sparse,
        tensor_list, text,
    )  # fmt: skip
    return OpTable.merged("inference rule", [family.RULES for family in families])


def infer(graph: Graph, input_shapes: InputShapes | None = None) -> dict[str, Value]:
    """What is known of each value, by its full name (`conv:0`).

    `input_shapes` gives shapes of values that the graph itself leaves open, or other shapes than it says, as sizes,
    symbols (one symbol is one size, wherever it stands) and None, or None for an unknown rank. GraphError where the
    graph contradicts itself.
    """
    return analyse(graph, input_shapes).values


def analyse(graph: Graph, input_shapes: InputShapes | None = None) -> Inference:
    """The same, with what is known of the bodies of the graph's conditionals and loops."""
    inference = Inference(input_shapes, graph.functions)
    inference.run(graph.topological(), legacy=_is_legacy(graph))
    return inference


class Inference:
    """One run over a graph, or over a body within: `values` and `regions` (by node) hold what has been found so far."""

    def __init__(
        self,
        input_shapes: InputShapes | None = None,
        functions: Mapping[str, Function] | None = None,
        outer: Inference | None = None,
    ) -> None:
        self.given: dict[str, Dims] = {
            value_name(name): None if dims is None else tuple(dims) for name, dims in (input_shapes or {}).items()
        }
        self.values: dict[str, Value] = {}
        self.regions: dict[str, Regions] = {}
        self.born: set[str] = set()
        """The symbols that were made here."""
        self._functions = functions or {}
        self._depth: int = 0 if outer is None else outer._depth + 1
        self._symbols = {dim for dims in self.given.values() for dim in dims or () if isinstance(dim, str)}
        self._bodies: dict[str, tuple[Body, list[Node]]] = {}
        self._entered = [0]
        if outer is not None:
            self._functions, self._symbols = outer._functions, outer._symbols
            self._bodies, self._entered = outer._bodies, outer._entered

    def run(self, nodes: Iterable[Node], *, legacy: bool = False) -> dict[str, Value]:
        for node in nodes:
            for index, value in enumerate(self._outputs(node, legacy)):
                if any(isinstance(dim, int) and not 0 <= dim < 1 << 63 for dim in value.dims or ()):
                    raise GraphError(
                        node.name, f"expected {node.op} to make a shape of sizes, got {list(value.dims or ())}"
                    )
                name = f"{node.name}:{index}"
                dims = self.given.get(name, value.dims)
                self.values[name] = value.with_(dims=self._named(node.name, index, dims))
        return self.values

    def enter(self, node: OpNode, called: FuncRef, arguments: Sequence[Value]) -> Region:
        """The body of a function as `node` runs it on `arguments`."""
        if self._depth >= MAX_DEPTH or self._entered[0] >= MAX_BODIES:
            raise UnsupportedError(
                node.name, f"expected at most {MAX_DEPTH} bodies within each other and {MAX_BODIES} in all, got more"
            )
        self._entered[0] += 1
        body, order = self._body(called)
        if len(body.arguments) != len(arguments):
            raise GraphError(
                node.name, f"expected {len(body.arguments)} arguments of {called.name}, got {len(arguments)}"
            )
        inner = Inference(outer=self)
        for (name, dtype), value in zip(body.arguments.items(), arguments, strict=True):
            if base_dtype(dtype) != base_dtype(value.dtype):
                raise GraphError(node.name, f"expected {dtype} for {called.name}'s {name}, got {value.dtype}")
            inner.values[f"{name}:0"] = value.with_(dims=inner._named(f"{node.name}.{name}", 0, value.dims))
        inner.run(order)
        results = tuple(map(value_name, body.results.values()))
        for result in results:
            if result not in inner.values:
                raise GraphError(node.name, f"expected a value of {called.name}, got none called {result}")
        return Region(
            called.name,
            tuple(f"{name}:0" for name in body.arguments),
            results,
            tuple(order),
            inner.values,
            inner.regions,
            frozenset(inner.born),
        )

    def _body(self, called: FuncRef) -> tuple[Body, list[Node]]:
        if called.attrs or called.name not in self._bodies:
            body = body_of(self._functions, called)
            found = body, needed_order(body.graph, list(body.results.values()))
            if called.attrs:
                return found
            self._bodies[called.name] = found
        return self._bodies[called.name]

    def _outputs(self, node: Node, legacy: bool) -> list[Value]:
        if node.op not in op_defs():
            return []
        dtypes = output_dtypes(node)
        if node.op in ("Placeholder", "PlaceholderV2"):
            return [Value(dtypes[0], self._placeholder(node, legacy))]
        flow = CONTROL_FLOW.get(node.op)
        if flow is not None:
            found, self.regions[node.name] = flow(self, OpNode(node), self._inputs(node))
            if [base_dtype(value.dtype) for value in found] != [base_dtype(dtype) for dtype in dtypes]:
                raise GraphError(node.name, f"expected results of {node.op} of the types that it says, got others")
            return found
        facts = self._facts(node, self._inputs(node), dtypes)
        if facts is None:
            hints = [] if self.given else _hints(node)
            return [Value(dtype, hints[i] if i < len(hints) else None) for i, dtype in enumerate(dtypes)]
        if len(facts) != len(dtypes):
            raise GraphError(node.name, f"expected {len(facts)} outputs of {node.op}, got {len(dtypes)}")
        return [_value(dtype, fact) for dtype, fact in zip(dtypes, facts, strict=True)]

    def _inputs(self, node: Node) -> list[Value]:
        names = node.data_inputs
        dtypes = input_dtypes(node)
        if len(names) != len(dtypes):
            raise GraphError(node.name, f"expected {len(dtypes)} inputs of {node.op}, got {len(names)}")
        found = [self.values.get(value_name(name)) or Value(dtype) for name, dtype in zip(names, dtypes, strict=True)]
        for index, (value, dtype) in enumerate(zip(found, dtypes, strict=True)):
            given, wanted = base_dtype(value.dtype), base_dtype(dtype)
            if given != wanted and OPAQUE not in (given.kind, wanted.kind):
                raise GraphError(node.name, f"expected input {index} of {node.op} to be {wanted}, got {given}")
        return found

    def _facts(self, node: Node, inputs: list[Value], dtypes: Sequence[DType]) -> list[Dims | Fact] | None:
        facts: list[Dims | Fact] | None = None
        if node.op in rules() and not rules().unknown_attrs(node):
            try:
                result = rules().find(node)(OpNode(node), *inputs)
            except (LookupError, ArithmeticError, ValueError) as error:
                raise misfit(node, error) from error
            facts = result if isinstance(result, list) else [result]
        return _evaluated(node, inputs, dtypes, facts) or facts

    def _placeholder(self, node: Node, legacy: bool) -> Dims:
        shape = node.attrs.get("shape")
        if not isinstance(shape, Shape) or shape.dims is None or (legacy and not shape.dims):
            return None
        names = shape.names or ("",) * len(shape.dims)
        self._symbols.update(symbol(name) for name in names if name)
        return tuple(
            dim if dim >= 0 else symbol(name) if name else None for dim, name in zip(shape.dims, names, strict=True)
        )

    def _named(self, node: str, index: int, dims: Dims) -> Dims:
        """`dims` with symbols for what is unknown."""
        if dims is None or None not in dims:
            return dims
        prefix = symbol(f"{node}.{index}" if index else node)
        return tuple(self._fresh(f"{prefix}_dim{axis}") if dim is None else dim for axis, dim in enumerate(dims))

    def _fresh(self, name: str) -> str:
        fresh, count = name, 1
        while fresh in self._symbols:
            count += 1
            fresh = f"{name}_{count}"
        self._symbols.add(fresh)
        self.born.add(fresh)
        return fresh


def misfit(node: Node, error: Exception) -> GraphError:
    """For a node whose attributes are of the right types, but whose numbers make no sense together."""
    return GraphError(
        node.name, f"expected attributes and inputs that {node.op} can work on, got ones that fail: {error}"
    )


def _value(dtype: DType, fact: Dims | Fact) -> Value:
    if not isinstance(fact, Fact):
        return Value(dtype, fact)
    if fact.items is not None:
        return Value(dtype, fact.dims, items=fact.items)
    entries = fact.entries
    if entries is not None:
        low, high = (
            (-(1 << (dtype.bits - 1)), 1 << (dtype.bits - 1)) if dtype.kind == "signed" else (0, 1 << dtype.bits)
        )
        entries = tuple(None if isinstance(e, int) and not low <= e < high else e for e in entries)
        if len(entries) > MAX_ENTRIES or not any(entry is not None for entry in entries):
            entries = entries if entries == () else None
    return Value(dtype, fact.dims, fact.tensor, entries)


def _evaluated(
    node: Node, inputs: list[Value], dtypes: Sequence[DType], facts: list[Dims | Fact] | None
) -> list[Dims | Fact] | None:
    """The outputs of a node whose inputs are all small constants, where there is a kernel; else None."""
    if not inputs or not all(value.is_constant for value in inputs) or op_defs()[node.op].is_stateful:
        return None
    if facts is not None and all(isinstance(f, Fact) and (f.tensor is not None or _complete(f)) for f in facts):
        return None
    if facts is None or "Random" in node.op or node.op.startswith("Stateless"):
        return None
    for fact in facts:
        size = product(fact.dims if isinstance(fact, Fact) else fact)
        if not isinstance(size, int) or size > MAX_FOLDED:
            return None
    arrays = [value.array() if value.size <= MAX_FOLDED else None for value in inputs]  # type: ignore[operator]
    if any(array is None for array in arrays):
        return None
    try:
        results = run(node, [array for array in arrays if array is not None])
    except UnsupportedError:
        return None
    tensors = [ArrayTensor(array, dtype) for array, dtype in zip(results, dtypes, strict=True)]
    return [Fact(tensor.shape, None, tensor) for tensor in tensors]


def _complete(fact: Fact) -> bool:
    return fact.entries is not None and all(isinstance(entry, int) for entry in fact.entries)


def _hints(node: Node) -> list[Dims]:
    """The shapes that TensorFlow itself noted down."""
    noted = node.attrs.get("_output_shapes")
    if not isinstance(noted, AttrList):
        return []
    shapes = [item for item in noted.items if isinstance(item, Shape)]
    return [None if shape.dims is None else tuple(dim if dim >= 0 else None for dim in shape.dims) for shape in shapes]


def _is_legacy(graph: Graph) -> bool:
    """Whether a Placeholder of shape [] means an unknown shape: in graphs of versions up to 21."""
    from tensorferry.formats import protos

    if graph.dialect != "tensorflow" or not graph.residue:
        return False
    producer: int = protos.parse("GraphDef", graph.residue, "").versions.producer
    return 0 < producer <= 21
