"""Tables: what a graph's lookup tables hold once the model has been set up.

A table is a node that makes an empty table (HashTableV2, MutableHashTableV2, ...) and others that fill it before the
first lookup: from constants, from a vocabulary file, from the checkpoint. Those are no part of what an output needs,
so TensorFlow's own freezing loses them. `find_tables` looks for them wherever the graph has them, in the graph itself
(TensorFlow 1) or in functions that are called once a model is loaded (TensorFlow 2), and computes the contents.

 1. Nodes with the same container and shared name are one table.
 2. Entries of the checkpoint come first, as restoring comes after initializing; then what the initializers give,
    which have to agree. A mutable table that nothing fills is empty; another one without an initializer is left out.
 3. A vocabulary is the asset that the SavedModel lists for the path, or a file of the path's base name in `assets/`
    or beside the graph. No other path of a graph is ever opened.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tensorferry.formats.assets import ASSETS, asset_file
from tensorferry.formats.errors import FormatError, GraphError, TensorferryError, listing
from tensorferry.formats.tensor import ArrayTensor, Tensor

from .functions import ARGUMENT, body_of, called_function
from .ir import Function, Graph, Model, Node, Shape, node_name, split_value, value_name
from .ops import OpNode
from .passes.prune import references

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.generic]

FIXED = ("HashTable", "HashTableV2", "AnonymousHashTable")
MUTABLE = (
    "MutableHashTable", "MutableHashTableV2", "MutableHashTableOfTensors", "MutableHashTableOfTensorsV2",
    "MutableDenseHashTable", "MutableDenseHashTableV2", "AnonymousMutableHashTable",
    "AnonymousMutableHashTableOfTensors", "AnonymousMutableDenseHashTable",
)  # fmt: skip
TABLES = (*FIXED, *MUTABLE)
"""The ops that make a table."""
_PAIRS = ("InitializeTable", "InitializeTableV2", "LookupTableImport", "LookupTableImportV2")
_FILES = ("InitializeTableFromTextFile", "InitializeTableFromTextFileV2")
_DEEPEST = 32
"""Calls within calls that are followed."""


@dataclass(frozen=True, slots=True)
class Table:
    """The contents of a table: keys [n, ...] and values [n, ...]."""

    keys: Tensor
    values: Tensor
    sources: tuple[str, ...] = ()
    """The names of both in the checkpoint, where they come from there."""

    def __len__(self) -> int:
        return self.keys.shape[0] if self.keys.shape else 1

    def arrays(self) -> tuple[Array, Array]:
        """Keys and values as arrays."""
        return self.keys.numpy(), self.values.numpy()


def tables_of(graph: Graph) -> list[str]:
    """The nodes of a graph that make a table."""
    return [node.name for node in graph if node.op in TABLES]


def find_tables(model: Model, names: Collection[str]) -> dict[str, Table]:
    """The contents of the tables `names` (nodes of the model's graph), without those that the graph never fills.

    GraphError where initializers contradict each other or can't be computed, FormatError where a vocabulary file is
    missing or wrong.
    """
    wanted = [name for name in names if name in model.graph.nodes]
    if not wanted:
        return {}
    identities = {node.name: _identity(node) for node in model.graph if node.op in TABLES}
    asked = {identities[name] for name in wanted if name in identities}
    search = _Search(model)
    found: dict[tuple[str, ...], list[tuple[str, Table]]] = {identity: [] for identity in asked}
    restored: dict[tuple[str, ...], Table] = {}
    for scope, node in search.initializers():
        handle = search.source(scope, node.data_inputs[0] if node.data_inputs else "")
        identity = identities.get(handle.node.name) if handle.scope.outer is None else None
        if identity not in asked or identity is None:
            continue
        try:
            if search.restores(scope, node):
                restored.setdefault(identity, search.contents(scope, node))
            elif identity not in restored:
                found[identity].append((node.name, search.contents(scope, node)))
        except FormatError:
            raise
        except TensorferryError as error:
            raise GraphError(handle.node.name, f"expected an initializer that can be computed: {error}") from None
    tables: dict[str, Table] = {}
    for name in wanted:
        identity = identities[name]
        if identity in restored:
            tables[name] = restored[identity]
        elif found[identity]:
            tables[name] = _agreed(name, found[identity])
        elif model.graph.nodes[name].op in MUTABLE:
            tables[name] = _empty(model.graph.nodes[name])
    return {name: _distinct(model.graph.nodes[name], table) for name, table in tables.items()}


def _identity(node: Node) -> tuple[str, ...]:
    view = OpNode(node)
    shared = view.text("shared_name") if view.has("shared_name") else ""
    container = view.text("container") if view.has("container") else ""
    return (node.op, container, shared) if shared else (node.op, container, "", node.name)


def _agreed(name: str, found: list[tuple[str, Table]]) -> Table:
    """The one content that all initializers give."""
    import numpy as np

    first = found[0][1]
    for initializer, other in found[1:]:
        pairs = zip(first.arrays(), other.arrays(), strict=True)
        if not all(a.shape == b.shape and np.array_equal(a, b) for a, b in pairs):
            problem = f"expected one content of the table, got two: {found[0][0]} and {initializer} differ"
            raise GraphError(name, problem)
    return first


def _distinct(node: Node, table: Table) -> Table:
    """The table with each key once. A mutable one keeps the last value of a key; of others, all have to be equal."""
    keys, values = table.arrays()
    places = {key if keys.ndim == 1 else bytes(key): place for place, key in enumerate(keys)}
    if len(places) == len(keys):
        return table
    kept = list(places.values())
    if node.op in FIXED:
        for key, value in zip(keys.tolist(), values.tolist(), strict=True):
            if value != values[places[key]]:
                raise GraphError(node.name, f"expected one value of each key, got {value!r} and others for {key!r}")
    return Table(
        ArrayTensor(keys[kept], table.keys.dtype), ArrayTensor(values[kept], table.values.dtype), table.sources
    )


def _empty(node: Node) -> Table:
    import numpy as np

    view = OpNode(node)
    shape = view.shape("value_shape") if view.has("value_shape") else Shape(())
    sizes = [max(size, 0) for size in shape.dims or ()]
    keys, values = view.dtype("key_dtype"), view.dtype("value_dtype")
    return Table(
        ArrayTensor(np.zeros(0, keys.numpy()), keys), ArrayTensor(np.zeros((0, *sizes), values.numpy()), values)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scope:
    """A graph, or the body of a function with the place from where it is called."""

    graph: Graph
    outer: _Scope | None = None
    given: Mapping[str, str] | None = None
    """Argument -> value outside."""


@dataclass(frozen=True, slots=True)
class _Source:
    """What makes a value, behind identities and arguments."""

    scope: _Scope
    node: Node
    index: int

    @property
    def value(self) -> str:
        return f"{self.node.name}:{self.index}"


class _Search:
    """Looks for initializers in a model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.functions = model.graph.functions
        self.filling = _filling(self.functions)

    def initializers(self) -> Iterator[tuple[_Scope, Node]]:
        """Every node that fills a table, where it runs."""
        stack = [(_Scope(self.model.graph), 0)]
        while stack:
            scope, depth = stack.pop()
            for node in scope.graph:
                if node.op in _PAIRS or node.op in _FILES:
                    yield scope, node
                    continue
                called = called_function(self.functions, node)
                if called is None or called.name not in self.filling:
                    continue
                if depth == _DEEPEST:
                    raise GraphError(
                        node.name, f"expected calls of at most {_DEEPEST} levels to fill a table, got more"
                    )
                body = body_of(self.functions, called)
                given = dict(zip(body.arguments, node.data_inputs, strict=False))
                stack.append((_Scope(body.graph, scope, given), depth + 1))

    def source(self, scope: _Scope, value: str) -> _Source:
        """What makes a value."""
        for _ in range(len(self.model.graph) + _DEEPEST):
            name, index = split_value(value)
            node = scope.graph.producer(name)
            if node.op == ARGUMENT and scope.outer is not None and name in (scope.given or {}):
                scope, value = scope.outer, (scope.given or {})[name]
            elif node.op == "Identity" and node.data_inputs:
                value = node.data_inputs[0]
            elif node.op == "ReadVariableOp" and (stored := self._stored(scope, node)):
                value = stored
            else:
                return _Source(scope, node, index)
        raise GraphError(node_name(value), "expected a value that comes from somewhere, got a ring of identities")

    def _stored(self, scope: _Scope, reader: Node) -> str:
        """What is assigned to a variable before it is read: so TensorFlow 2 hands on the path of an asset."""
        handle = reader.data_inputs[:1]
        for name in reader.control_inputs:
            node = scope.graph.nodes.get(name)
            if node is not None and node.op == "AssignVariableOp" and node.data_inputs[:1] == handle:
                return node.data_inputs[1] if len(node.data_inputs) > 1 else ""
        return ""

    def restores(self, scope: _Scope, node: Node) -> bool:
        """Whether a node fills a table from a checkpoint that has what it asks for."""
        if node.op in _FILES or self.model.tensors is None or len(node.data_inputs) < 3:
            return False
        keys = self.source(scope, node.data_inputs[1])
        return keys.node.op == "RestoreV2" and self._key(keys) in self.model.tensors

    def contents(self, scope: _Scope, node: Node) -> Table:
        """What a node fills a table with."""
        inputs = node.data_inputs
        if node.op in _FILES and len(inputs) == 2:
            return self._vocabulary(scope, node, inputs[1])
        if node.op in _FILES or len(inputs) != 3:
            raise GraphError(node.name, f"expected {node.op} to have other inputs than {listing(inputs)}")
        sources = [self.source(scope, value) for value in inputs[1:]]
        keys, values = map(self._value, sources)
        if not keys.shape or not values.shape or keys.shape[0] != values.shape[0]:
            raise GraphError(
                node.name, f"expected as many values as keys, got {list(values.shape)} for {list(keys.shape)}"
            )
        restored = [source for source in sources if source.node.op == "RestoreV2"]
        return Table(keys, values, tuple(self._key(source) for source in restored))

    def _value(self, source: _Source) -> Tensor:
        value = source.node.attrs.get("value")
        if source.node.op == "Const" and isinstance(value, Tensor):
            return value
        if source.node.op == "RestoreV2":
            key = self._key(source)
            if self.model.tensors is None or key not in self.model.tensors:
                raise GraphError(source.node.name, f"expected {key!r} in the checkpoint, got none of this name")
            return self.model.tensors[key]
        from .evaluation.evaluate import evaluate

        name = value_name(source.value)
        return ArrayTensor(evaluate(source.scope.graph, [name], {})[name])

    def _key(self, source: _Source) -> str:
        """The name in the checkpoint of what an output of RestoreV2 restores."""
        names = self.source(source.scope, source.node.data_inputs[1]) if len(source.node.data_inputs) > 1 else None
        value = names.node.attrs.get("value") if names is not None else None
        if not isinstance(value, Tensor) or source.index >= value.size:
            raise GraphError(source.node.name, "expected RestoreV2 to have constant names, got others")
        return bytes(value.numpy().reshape(-1)[source.index]).decode("utf-8", "replace")

    def _vocabulary(self, scope: _Scope, node: Node, path: str) -> Table:
        from tensorferry.formats.vocabulary import Columns, read_vocabulary

        view = OpNode(node)
        table = OpNode(self.source(scope, node.data_inputs[0]).node)
        keys, values = table.dtype("key_dtype"), table.dtype("value_dtype")
        delimiter = view.text("delimiter").encode()
        offset = view.integer("offset") if view.has("offset") else 0
        columns = Columns(
            view.integer("key_index"), keys, view.integer("value_index"), values,
            view.integer("vocab_size"), delimiter, offset,
        )  # fmt: skip
        found = read_vocabulary(self._file(self.source(scope, path)), columns)
        return Table(ArrayTensor(found[0], keys), ArrayTensor(found[1], values))

    def _file(self, path: _Source) -> str:
        home = os.path.dirname(self.model.path)
        if path.value in self.model.assets and path.scope.outer is None:
            return asset_file(os.path.join(home, ASSETS), self.model.assets[path.value])
        value = path.node.attrs.get("value")
        if path.node.op != "Const" or not isinstance(value, Tensor) or value.size != 1:
            raise GraphError(path.node.name, f"expected the constant path of a vocabulary file, got {path.node.op}")
        name = bytes(value.numpy().reshape(-1)[0]).decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
        beside = os.path.join(home, ASSETS)
        return asset_file(beside if os.path.isfile(os.path.join(beside, name)) else home or ".", name)


def _filling(functions: Mapping[str, Function]) -> set[str]:
    """The functions that fill a table, or call one that does."""
    filling = {
        name
        for name, function in functions.items()
        if any(node.op in _PAIRS or node.op in _FILES for node in function.nodes.values())
    }
    callers: dict[str, set[str]] = {}
    for name, function in functions.items():
        for node in function.nodes.values():
            for called in references(node):
                callers.setdefault(called, set()).add(name)
    stack: list[Iterable[str]] = [filling.copy()]
    while stack:
        for name in stack.pop():
            new = callers.get(name, set()) - filling
            filling |= new
            stack.append(new)
    return filling
