"""Rules of strings."""

from __future__ import annotations

from collections.abc import Callable

from ..ops import OpNode, OpTable
from .dims import broadcast_dims, merge_dims
from .facts import Result, same
from .values import Value

RULES: OpTable[Callable[..., Result]] = OpTable("inference rule")

RULES.add("AsString", same, {"precision", "scientific", "shortest", "width", "fill"})
RULES.add("StringLower", same, {"encoding"})
RULES.add("StringUpper", same, {"encoding"})
RULES.add("StringToNumber", same)
RULES.add("StaticRegexFullMatch", same, {"pattern"})
RULES.add("RegexFullMatch", same)


@RULES.op("StringJoin", attrs={"separator"})
def string_join(node: OpNode, *texts: Value) -> Result:
    """All of one shape, but for scalars."""
    joined: Result = ()
    for text in texts:
        if text.dims != ():
            joined = text.dims if joined == () else merge_dims(joined, text.dims)  # type: ignore[arg-type]
    return joined


@RULES.op("ReduceJoin", attrs={"separator", "keep_dims"})
def reduce_join(node: OpNode, x: Value, axes: Value) -> Result:
    """Without the dimensions that are joined, or with ones in their place."""
    numbers = axes.integers()
    if x.dims is None or numbers is None:
        return None
    gone = {axis % len(x.dims) for axis in numbers}
    if node.flag("keep_dims"):
        return tuple(1 if axis in gone else dim for axis, dim in enumerate(x.dims))
    return tuple(dim for axis, dim in enumerate(x.dims) if axis not in gone)


@RULES.op("StringSplit", attrs={"skip_empty"})
def string_split(node: OpNode, x: Value, separator: Value) -> Result:
    """Indices, pieces and shape of a sparse tensor."""
    return [(None, 2), (None,), (2,)]


RULES.add("StringSplitV2", string_split, {"maxsplit"})

RULES.add("StringStrip", same)
RULES.add("StringLength", same, {"unit"})
RULES.add("EncodeBase64", same, {"pad"})
RULES.add("DecodeBase64", same)
RULES.add("StaticRegexReplace", same, {"pattern", "rewrite", "replace_global"})
RULES.add("RegexReplace", same, {"replace_global"})


@RULES.op("Substr", attrs={"unit"})
def substr(node: OpNode, x: Value, place: Value, length: Value) -> Result:
    """Strings and places broadcast."""
    return broadcast_dims((x.dims, place.dims))


@RULES.op("DecodeRaw", attrs={"out_type", "little_endian"})
def decode_raw(node: OpNode, x: Value) -> Result:
    """As many numbers of each string as there is room for."""
    return None if x.dims is None else (*x.dims, None)
