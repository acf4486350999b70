"""Lookup tables of known contents (`passes.fold_tables`), as ONNX has them.

    keys 0 ... n-1       a Gather from the values, whose last row is the default
    other keys           ai.onnx.ml's LabelEncoder, which knows strings, int64 and float32 on either side
    other values         a LabelEncoder that gives the row, and a Gather from the values

Whoever changes the contents of a table (LookupTableInsert) has no counterpart, nor has a hash of strings; with one
bucket, though, all words are in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorferry.formats.dtype import FLOAT32, INT32, INT64, STRING_TYPE, DType
from tensorferry.formats.errors import UnsupportedError
from tensorferry.formats.tensor import ArrayTensor, Tensor

from ..inference.values import Value
from ..ir import Attr, AttrList
from ..ops import OpNode, OpTable
from ..passes.fold_tables import KEYS, VALUES
from ..tables import TABLES
from .builder import Builder

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")

_ENCODED = {STRING_TYPE: ("strings", "string"), INT64: ("int64s", "int64"), FLOAT32: ("floats", "float")}
"""The types that a LabelEncoder knows: the endings of its lists, and of its default."""


def table(node: OpNode, g: Builder, *keys: Value) -> Value:
    """A table itself is nothing in ONNX: its contents are with those who look into it."""
    return Value(g.results[0].dtype, ())


for _op in TABLES:
    _about = {"key_dtype", "value_dtype"}
    _about |= set() if _op.startswith("Anonymous") else {"container", "shared_name", "use_node_name_sharing"}
    _about |= {"value_shape"} if "OfTensors" in _op or "Dense" in _op else set()
    _about |= {"initial_num_buckets", "max_load_factor"} if "Dense" in _op else set()
    LOWERINGS.add(_op, table, _about)


@LOWERINGS.op("LookupTableFind", "LookupTableFindV2")
def lookup_table_find(node: OpNode, g: Builder, table: Value, keys: Value, default: Value) -> Value:
    """keys [...] -> values [..., v...], default [v...] for keys that the table lacks."""
    known, values = node.node.attrs.get(KEYS), node.node.attrs.get(VALUES)
    if not isinstance(known, Tensor) or not isinstance(values, Tensor):
        raise UnsupportedError("", "expected a table whose contents are known, got one that nothing fills")
    if known.rank != 1:
        raise UnsupportedError("", f"expected a table of single keys, got keys {list(known.shape[1:])}")
    dims = g.results[0].dims
    if not known.shape[0]:
        shape = g.concat([g.shape(keys), g.shape(default)], 0) if default.rank != 0 else g.shape(keys)
        return g.expand(default, shape).with_(dims=dims)
    order = _dense_order(known)
    target = _encoded(values.dtype)
    if order is None and values.rank == 1 and target is not None and default.tensor is not None:
        found = _label(g, keys, known, target, _as(values, target), _as(default.tensor, target).reshape(-1)[0])
        return g.cast(found, values.dtype).with_(dims=dims)
    rows = _rows(g, keys, known) if order is None else _within(g, keys, len(order))
    contents = values.numpy() if order is None else values.numpy()[order]
    return g.gather(_with_default(g, contents, values.dtype, default), rows).with_(dims=dims)


@LOWERINGS.op("StringToHashBucketStrong", attrs={"num_buckets", "key"})
@LOWERINGS.op("StringToHashBucket", "StringToHashBucketFast", attrs={"num_buckets"})
def string_to_hash_bucket(node: OpNode, g: Builder, words: Value) -> Value:
    """words [...] -> buckets [...], where there is only one."""
    count = node.integer("num_buckets")
    if count != 1:
        raise UnsupportedError("", f"expected one bucket, as ONNX has no hash of strings, got {count}")
    return g.expand(g.scalar(0, like=INT64), g.shape(words)).with_(dims=words.dims)


def _dense_order(keys: Tensor) -> np.ndarray[Any, Any] | None:
    """Where each of the keys 0 ... n-1 stands; None where these are not the keys."""
    if not keys.dtype.is_integer:
        return None
    array = keys.numpy()
    order = np.argsort(array)
    return order if np.array_equal(array[order], np.arange(len(array))) else None


def _within(g: Builder, keys: Value, count: int) -> Value:
    """The keys as rows, with row `count` for what is none of 0 ... count-1."""
    rows, end = g.cast(keys, INT64), g.scalar(count, like=INT64)
    inside = g.op("And", g.op("GreaterOrEqual", rows, g.scalar(0, like=INT64)), g.op("Less", rows, end))
    return g.select(inside, rows, end)


def _rows(g: Builder, keys: Value, known: Tensor) -> Value:
    """The place of each key among the known ones, or behind them."""
    count = known.shape[0]
    return _label(g, keys, known, INT64, np.arange(count), count)


def _label(
    g: Builder, keys: Value, known: Tensor, target: DType, values: np.ndarray[Any, Any], default: object
) -> Value:
    source = _encoded(known.dtype)
    if source is None:
        raise UnsupportedError("", f"expected keys that are strings, integers or float32, got {known.dtype}")
    from_list, to_list, to_one = _ENCODED[source][0], _ENCODED[target][0], _ENCODED[target][1]
    attrs: dict[str, Attr] = {
        f"keys_{from_list}": _list(_as(known, source)),
        f"values_{to_list}": _list(values),
        f"default_{to_one}": _plain(default),
    }
    operand = g.ref(g.cast(keys, source))
    return g.emit("ai.onnx.ml::LabelEncoder", [operand], attrs, [(target, keys.dims)])[0]


def _encoded(dtype: DType) -> DType | None:
    """The type of a LabelEncoder that holds all of `dtype`."""
    if dtype == INT32:
        return INT64
    return dtype if dtype in _ENCODED else None


def _as(tensor: Tensor, dtype: DType) -> np.ndarray[Any, Any]:
    return tensor.numpy() if dtype == STRING_TYPE else tensor.numpy().astype(dtype.numpy())


def _with_default(g: Builder, contents: np.ndarray[Any, Any], dtype: DType, default: Value) -> Value:
    """The rows of a table, and the default behind them."""
    if default.tensor is not None:
        rows = np.concatenate([contents, default.tensor.numpy().reshape(1, *contents.shape[1:])])
        return g.constant_of(rows, dtype)
    return g.concat([Value.of_tensor(ArrayTensor(contents, dtype)), g.unsqueeze(default, [0])], 0)


def _list(array: np.ndarray[Any, Any]) -> AttrList:
    items = tuple(_plain(item) for item in array.tolist())
    return AttrList({bytes: "bytes", int: "int", float: "float"}[type(items[0])], items)


def _plain(item: Any) -> Any:
    """An element as an attribute."""
    return item.item() if isinstance(item, np.generic) else item
