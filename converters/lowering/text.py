"""Strings: compared, changed in case, joined and split, as far as ONNX goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorferry.formats.dtype import BOOL, INT64, STRING_TYPE
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder
from .rows import longest_row, pushed_left, true_places, within_lengths

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


def numbered(g: Builder, *texts: Value) -> tuple[Value, list[Value]]:
    """All words in order, and for each input the places of its strings among them: equal strings have equal numbers."""
    flat = [g.reshape(text, [-1], (text.size,)) for text in texts]
    whole = g.op("Concat", *flat, axis=0, dims=(None,)) if len(flat) > 1 else flat[0]
    words, _, numbers, _ = g.ops("Unique", whole, outputs=4, dims=[(None,)] * 4, sorted=1)
    sizes = [g.op("Size", text, dims=()) for text in texts]
    parts = g.ops(
        "Split", numbers, g.op("Concat", *(g.unsqueeze(size, [0]) for size in sizes), axis=0, dims=(len(sizes),)),
        outputs=len(sizes), dims=[(None,)] * len(sizes), axis=0,
    )  # fmt: skip
    return words, [g.reshape(part, g.shape(text), text.dims) for part, text in zip(parts, texts, strict=True)]


def _recased(node: OpNode, g: Builder, x: Value, action: str) -> Value:
    """ONNX's StringNormalizer takes vectors that are not empty. Without an encoding only ASCII letters change."""
    encoding = node.text("encoding")
    if encoding not in ("", "utf-8"):
        raise UnsupportedError("", f"expected the encoding utf-8 or none, got {encoding}")
    flat = g.op("Reshape", x, g.ints([-1]), dims=(x.size,))
    filled = isinstance(x.size, int) and x.size > 0
    if not filled:
        flat = g.op("Concat", flat, g.constant_of(np.array([b""], object)), axis=0, dims=(None,))
    changed = g.op(
        "StringNormalizer", flat, case_change_action=action, is_case_sensitive=1,
        locale="C.UTF-8" if encoding else "C", dims=flat.dims,
    )  # fmt: skip
    if not filled:
        changed = g.slice(changed, [0], [-1], [0])
    return g.reshape(changed, g.shape(x), x.dims)


@LOWERINGS.op("StringLower", attrs={"encoding"})
def string_lower(node: OpNode, g: Builder, x: Value) -> Value:
    """Small letters."""
    return _recased(node, g, x, "LOWER")


@LOWERINGS.op("StringUpper", attrs={"encoding"})
def string_upper(node: OpNode, g: Builder, x: Value) -> Value:
    """Capitals."""
    return _recased(node, g, x, "UPPER")


@LOWERINGS.op("AsString", attrs={"precision", "scientific", "shortest", "width", "fill"})
def as_string(node: OpNode, g: Builder, x: Value) -> Value:
    """Whole numbers and truths as text. (ONNX leaves open how a fraction is written.)"""
    if node.integer("width") > 0 or node.text("fill"):
        raise UnsupportedError("", "expected texts of no particular width")
    if x.dtype == BOOL:
        texts = [g.constant_of(np.array(text, object)) for text in (b"true", b"false")]
        return g.select(x, *texts)
    if not x.dtype.is_integer:
        raise UnsupportedError("", f"ONNX does not say how {x.dtype} is written: expected whole numbers or truths")
    return g.cast(x, STRING_TYPE)


def _joined(g: Builder, texts: list[Value], separator: str) -> Value:
    between = g.constant_of(np.array(separator.encode(), object)) if separator else None
    whole = texts[0]
    for text in texts[1:]:
        if between is not None:
            whole = g.op("StringConcat", whole, between, dims=whole.dims)
        whole = g.op("StringConcat", whole, text)
    return whole


@LOWERINGS.op("StringJoin", attrs={"separator"})
def string_join(node: OpNode, g: Builder, *texts: Value) -> Value:
    """Element by element, with something between; scalars go with all."""
    return _joined(g, list(texts), node.text("separator")).with_(dims=g.results[0].dims)


@LOWERINGS.op("ReduceJoin", attrs={"separator", "keep_dims"})
def reduce_join(node: OpNode, g: Builder, x: Value, axes: Value) -> Value:
    """All strings along dimensions as one, those along the first of `axes` first. Their sizes have to be known."""
    rank = g.rank(x)
    order = [g.axis(axis, rank) for axis in g.numbers(axes, "dimensions")]
    separator = node.text("separator")
    for axis in order:
        size = g.size(x, axis)
        if not isinstance(size, int) or size == 0:
            raise UnsupportedError("", "expected to join a known number of strings")
        pieces = list(g.split(x, [1] * size, axis))
        x = _joined(g, pieces, separator).with_(dims=pieces[0].dims)
    return x if node.flag("keep_dims") or not order else g.squeeze(x, order)


@LOWERINGS.op("StringSplitV2", attrs={"maxsplit"})
def string_split_v2(node: OpNode, g: Builder, x: Value, separator: Value) -> list[Value]:
    """x [n] at every separator (an empty one: at white space) -> indices [m, 2], the pieces [m], shape [2]."""
    most, between = node.integer("maxsplit"), _text_of(separator)
    return _split(g, x, between, maxsplit=most if most > 0 else None, one_of_none=bool(between))


@LOWERINGS.op("StringSplit", attrs={"skip_empty"})
def string_split(node: OpNode, g: Builder, x: Value, separator: Value) -> list[Value]:
    """The same at each of some characters, of which ONNX knows but one; empty pieces may be left out."""
    characters = _text_of(separator)
    if len(characters) != 1:
        raise UnsupportedError("", f"expected to split at one character, got {characters!r}")
    return _split(g, x, characters, skip_empty=node.flag("skip_empty"))


def _text_of(separator: Value) -> str:
    array = separator.tensor.numpy() if separator.tensor is not None else None
    if array is None or array.size != 1:
        raise UnsupportedError("", "expected a constant separator, got a computed one")
    item = array.reshape(-1)[0]
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)


def _split(
    g: Builder, x: Value, separator: str, *, maxsplit: int | None = None, skip_empty: bool = False,
    one_of_none: bool = False,
) -> list[Value]:  # fmt: skip
    """`one_of_none`: an empty string has one piece, which is empty, where ONNX finds none."""
    pieces, counts = g.ops(
        "StringSplit", g.ranked(x, 1), outputs=2, dtypes=[STRING_TYPE, INT64], dims=[(None, None), (None,)],
        delimiter=separator or None, maxsplit=maxsplit,
    )  # fmt: skip
    if one_of_none:
        column = g.op("Expand", g.constant_of(np.array([[b""]], object)), g.op("Shape", g.unsqueeze(counts, [1])))
        pieces = g.op("Concat", pieces, column, axis=1, dims=(None, None))
        counts = g.op("Max", counts, g.ints([1])).with_(dims=(None,))
    kept = within_lengths(g, counts, g.size(pieces, 1)).with_(dims=(None, None))
    if skip_empty:
        empty = g.constant_of(np.array(b"", object))
        kept = g.op("And", kept, g.op("Not", g.op("Equal", pieces, empty)))
    places = true_places(g, kept)
    values = g.op("GatherND", pieces, places, dims=(None,))
    shape = g.op("Concat", g.shape(counts), longest_row(g, kept), axis=0, dims=(2,))
    return [pushed_left(g, kept, places), values, shape]


@LOWERINGS.op("StaticRegexFullMatch", attrs={"pattern"})
def static_regex_full_match(node: OpNode, g: Builder, x: Value) -> Value:
    """Whether a string as a whole fits a pattern of RE2."""
    return g.op("RegexFullMatch", x, pattern=node.text("pattern"), dims=x.dims)


@LOWERINGS.op("RegexFullMatch")
def regex_full_match(node: OpNode, g: Builder, x: Value, pattern: Value) -> Value:
    """The same with the pattern as an input."""
    return g.op("RegexFullMatch", x, pattern=_text_of(pattern), dims=x.dims)


@LOWERINGS.op("StringToNumber", attrs={"out_type"})
def string_to_number(node: OpNode, g: Builder, x: Value) -> Value:
    """Decimal text to a number."""
    return g.cast(x, node.dtype("out_type"))
