"""Rules of ops that look words and numbers up in tables."""

from __future__ import annotations

from collections.abc import Callable

from tensorferry.formats.tensor import Tensor

from ..ops import OpNode, OpTable
from .facts import Result
from .values import Value

RULES: OpTable[Callable[..., Result]] = OpTable("inference rule")


@RULES.op("LookupTableFind", "LookupTableFindV2")
def lookup_table_find(node: OpNode, table: Value, keys: Value, default: Value) -> Result:
    """keys [..., k...] -> values [..., v...] for a table of keys [k...] and values, and a default, [v...]."""
    contents = node.node.attrs.get("_keys")
    if not isinstance(contents, Tensor) or keys.dims is None or default.dims is None:
        return None
    return (*keys.dims[: len(keys.dims) - (contents.rank - 1)], *default.dims)


@RULES.op("LookupTableSize", "LookupTableSizeV2")
def lookup_table_size(node: OpNode, table: Value) -> Result:
    """A scalar."""
    return ()


@RULES.op("StringToHashBucketStrong", attrs={"num_buckets", "key"})
@RULES.op("StringToHashBucket", "StringToHashBucketFast", attrs={"num_buckets"})
def string_to_hash_bucket(node: OpNode, words: Value) -> Result:
    """A number for each word."""
    return words.dims
