"""Hash tables: from keys to values, by handle.

    HashTableV2             filled once, by an initialiser; asked before, it is an error
    MutableHashTableV2      filled and emptied at any time; a value may be a tensor (OfTensors)
    MutableDenseHashTable   the same, where a key may be a vector

What is not in the table is the default given when it is asked. `Run.tables` gives contents by the name of the handle's
node, so that a vocabulary file need not be read here. Tables of one shared name are the same table.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np

from tensorferry.formats.dtype import DType
from tensorferry.formats.errors import GraphError

from ..kernels.kernel import Kernel, make_room
from ..kernels.strings import ELEMENT
from ..ops import OpNode, OpTable
from .feeds import converted
from .partial import zeros
from .values import Array, boxed, unboxed

if TYPE_CHECKING:
    from .run import Run

OPERATIONS: OpTable[Kernel] = OpTable("kernel")

_FIXED = ("HashTable", "HashTableV2", "AnonymousHashTable")
_MUTABLE = tuple(
    op.format(kind)
    for kind in ("HashTable", "HashTableOfTensors")
    for op in ("Mutable{}", "Mutable{}V2", "AnonymousMutable{}")
)
_DENSE = ("MutableDenseHashTable", "MutableDenseHashTableV2", "AnonymousMutableDenseHashTable")
INITIALIZED = frozenset(_FIXED)
"""The ops that make a table that is filled once."""

INITIALIZERS = frozenset(
    f"{op}{version}"
    for op in ("InitializeTable", "InitializeTableFromTextFile", "LookupTableImport")
    for version in ("", "V2")
)
"""The ops that fill such a table, and run before all that takes it."""

PLACE = {"container", "shared_name", "use_node_name_sharing", "key_dtype", "value_dtype"}


class Table:
    """Values by key. `key_shape` and `value_shape` are those of one key and one value."""

    def __init__(self, node: OpNode, key_shape: tuple[int, ...] = ()) -> None:
        self.name = node.name
        self.key_dtype, self.value_dtype = node.dtype("key_dtype"), node.dtype("value_dtype")
        self.key_shape = key_shape
        shape = node.shape("value_shape").dims if node.has("value_shape") else ()
        self.value_shape = shape or ()
        self.is_fixed = node.op in _FIXED
        self.is_filled = not self.is_fixed
        self.forbidden: set[Hashable] = set()
        """Keys that stand for none."""
        self.items: dict[Hashable, tuple[Array, Array]] = {}

    def keys(self, node: OpNode, keys: Array) -> list[Hashable]:
        """The keys in an array, as they are looked up."""
        rank = len(self.key_shape)
        if keys.dtype != self.key_dtype.numpy() or keys.shape[keys.ndim - rank :] != self.key_shape:
            wanted = f"{self.key_dtype} [..., {', '.join(map(str, self.key_shape))}]" if rank else f"{self.key_dtype}"
            raise GraphError(node.name, f"expected keys {wanted} of {self.name}, got {keys.dtype} {list(keys.shape)}")
        make_room(node, (keys.size, ELEMENT), np.uint8)
        if not rank:
            return list(keys.reshape(-1).tolist())
        return [tuple(row.tolist()) for row in keys.reshape(-1, *self.key_shape)]

    def insert(self, node: OpNode, keys: Array, values: Array) -> None:
        found = self.keys(node, keys)
        batch = keys.shape[: keys.ndim - len(self.key_shape)]
        if values.dtype != self.value_dtype.numpy() or values.shape != (*batch, *self.value_shape):
            wanted = f"{self.value_dtype} {[*batch, *self.value_shape]}"
            raise GraphError(
                node.name, f"expected values {wanted} for {self.name}, got {values.dtype} {list(values.shape)}"
            )
        rows = zip(found, keys.reshape(-1, *self.key_shape), values.reshape(-1, *self.value_shape), strict=True)
        for key, key_row, value in rows:
            if key in self.forbidden:
                problem = f"expected keys other than the empty and the deleted one of {self.name}, got {key!r}"
                raise GraphError(node.name, problem)
            if self.is_fixed and key in self.items and not np.array_equal(self.items[key][1], value):
                raise GraphError(node.name, f"expected one value for each key of {self.name}, got two for {key!r}")
            self.items[key] = np.asarray(key_row, keys.dtype), np.asarray(value, values.dtype)
        self.is_filled = True

    def find(self, node: OpNode, keys: Array, default: Array) -> Array:
        found = self.keys(node, keys)
        if not self.is_filled:
            raise GraphError(node.name, f"expected {self.name} to be initialised before it is asked, got no contents")
        shape = (*keys.shape[: keys.ndim - len(self.key_shape)], *self.value_shape)
        values = np.empty(make_room(node, shape, self.value_dtype.numpy()), self.value_dtype.numpy())
        values[...] = default
        rows = values.reshape(-1, *self.value_shape)
        for place, key in enumerate(found):
            if key in self.items:
                rows[place] = self.items[key][1][()]  # of an array of no dimensions, the element
        return values

    def contents(self, node: OpNode) -> tuple[Array, Array]:
        """All keys, and their values."""
        return (
            _stacked(node, [key for key, _ in self.items.values()], self.key_shape, self.key_dtype),
            _stacked(node, [value for _, value in self.items.values()], self.value_shape, self.value_dtype),
        )


def _stacked(node: OpNode, rows: list[Array], shape: tuple[int, ...], dtype: DType) -> Array:
    whole = zeros(node, (len(rows), *shape), dtype)
    for place, row in enumerate(rows):
        whole[place] = row[()]
    return whole


@OPERATIONS.op(*_FIXED, *_MUTABLE, attrs=PLACE | {"value_shape"})
def table(node: OpNode, run: Run) -> Array:
    """A handle of the table."""
    return boxed(_made(node, run))


@OPERATIONS.op(*_DENSE, attrs=PLACE | {"value_shape", "initial_num_buckets", "max_load_factor"})
def dense_table(node: OpNode, run: Run, empty_key: Array, deleted_key: Array | None = None) -> Array:
    """A handle of a table whose keys are of the empty key's shape, and never that or the deleted one."""
    made = _made(node, run, empty_key.shape)
    for key in (empty_key, deleted_key):
        if key is not None:
            made.forbidden.update(made.keys(node, key))
    return boxed(made)


@OPERATIONS.op("InitializeTable", "InitializeTableV2")
def initialize_table(node: OpNode, run: Run, handle: Array, keys: Array, values: Array) -> tuple[Array, ...]:
    """Fills a table, unless that is done."""
    held = _held(node, handle)
    if held.name not in run.tables:
        held.insert(node, keys, values)
    return ()


@OPERATIONS.op(
    "InitializeTableFromTextFile",
    "InitializeTableFromTextFileV2",
    attrs={"key_index", "value_index", "vocab_size", "delimiter", "offset"},
)
def initialize_table_from_text_file(node: OpNode, run: Run, handle: Array, filename: Array) -> tuple[Array, ...]:
    """Nothing, if the contents are given: no file that a graph names is read."""
    held = _held(node, handle)
    if held.name not in run.tables:
        file = b"".join(filename.reshape(-1)[:1].tolist()).decode("utf-8", "replace")
        raise GraphError(
            node.name, f"expected the contents of table {held.name}, which come from {file!r}, to be given"
        )
    return ()


@OPERATIONS.op("LookupTableInsert", "LookupTableInsertV2")
def lookup_table_insert(node: OpNode, run: Run, handle: Array, keys: Array, values: Array) -> tuple[Array, ...]:
    """Puts values under keys."""
    held = _held(node, handle)
    if held.is_fixed:
        raise GraphError(node.name, f"expected a table that can change, got {held.name}")
    held.insert(node, keys, values)
    return ()


@OPERATIONS.op("LookupTableImport", "LookupTableImportV2")
def lookup_table_import(node: OpNode, run: Run, handle: Array, keys: Array, values: Array) -> tuple[Array, ...]:
    """Puts values under keys, and forgets all others."""
    held = _held(node, handle)
    if held.name not in run.tables or not held.is_fixed:
        held.items.clear()
        held.insert(node, keys, values)
    return ()


@OPERATIONS.op("LookupTableRemoveV2")
def lookup_table_remove(node: OpNode, run: Run, handle: Array, keys: Array) -> tuple[Array, ...]:
    """Forgets keys."""
    held = _held(node, handle)
    for key in held.keys(node, keys):
        held.items.pop(key, None)
    return ()


@OPERATIONS.op("LookupTableFind", "LookupTableFindV2")
def lookup_table_find(node: OpNode, run: Run, handle: Array, keys: Array, default: Array) -> Array:
    """The value for each key, or the default."""
    return _held(node, handle).find(node, keys, default)


@OPERATIONS.op("LookupTableSize", "LookupTableSizeV2")
def lookup_table_size(node: OpNode, run: Run, handle: Array) -> Array:
    """The number of keys."""
    return np.array(len(_held(node, handle).items), np.int64)


@OPERATIONS.op("LookupTableExport", "LookupTableExportV2")
def lookup_table_export(node: OpNode, run: Run, handle: Array) -> tuple[Array, Array]:
    """All keys, and their values, in the order in which they came."""
    return _held(node, handle).contents(node)


def _made(node: OpNode, run: Run, key_shape: tuple[int, ...] = ()) -> Table:
    def make() -> Table:
        made = Table(node, key_shape)
        if node.name in run.tables:
            keys, values = (np.asarray(part) for part in run.tables[node.name])
            fitting = converted(keys, made.key_dtype), converted(values, made.value_dtype)
            if fitting[0] is None or fitting[1] is None:
                wanted, got = f"{made.key_dtype} and {made.value_dtype}", f"{keys.dtype} and {values.dtype}"
                raise GraphError(node.name, f"expected contents of {wanted}, got {got}")
            made.insert(node, fitting[0], fitting[1])
        return made

    if node.op.startswith("Anonymous"):
        return make()
    name = node.name if node.name in run.tables else (node.has("shared_name") and node.text("shared_name")) or node.name
    return run.resource(Table, name, make)


def _held(node: OpNode, handle: Array) -> Table:
    return unboxed(node, handle, Table, "table")
