"""Complex numbers as pairs of real ones, and Fourier transforms.

A complex value [...] is in ONNX a real one [..., 2]: `g.pair` takes it as such, `g.complex` says that one is such.
A graph may use them inside (`complex_values` says in which other ops); as an input or a result they are pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tensorferry.formats.dtype import INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .array import conjugate
from .builder import Builder, Part
from .complex_values import joined, part
from .math import atan2

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("Real")
def real(node: OpNode, g: Builder, x: Value) -> Value:
    """The real part."""
    return part(g, x, 0)


@LOWERINGS.op("Imag")
def imag(node: OpNode, g: Builder, x: Value) -> Value:
    """The imaginary part."""
    return part(g, x, 1)


@LOWERINGS.op("Angle")
def angle(node: OpNode, g: Builder, x: Value) -> Value:
    """The angle of the pair."""
    found: Value = atan2(node, g, part(g, x, 1), part(g, x, 0))
    return found


@LOWERINGS.op("ComplexAbs")
def complex_abs(node: OpNode, g: Builder, x: Value) -> Value:
    """The length of the pair."""
    return g.reduce("ReduceL2", g.pair(x), [-1], keep=False).with_(dims=x.dims)


@LOWERINGS.op("Complex")
def complex_(node: OpNode, g: Builder, re: Value, im: Value) -> Value:
    """A pair of its parts."""
    if re.dims is None or re.dims != im.dims:
        shape = g.op("Shape", g.op("Add", re, im), dims=(None,))
        re, im = g.expand(re, shape), g.expand(im, shape)
    dims = g.results[0].dims
    return joined(g, re.with_(dims=dims), im, node.dtype("Tout"))


@LOWERINGS.op("Conj")
def conj(node: OpNode, g: Builder, x: Value) -> Value:
    """The imaginary part turned."""
    return g.complex(conjugate(g, g.pair(x)), x.dtype)


def _transformed(g: Builder, pair: Value, axis: int, length: Part | None, **attrs: Any) -> Value:
    """DFT along an axis counted from the end of the pairs, [..., 1 or 2]."""
    if g.opset < 17:
        raise UnsupportedError("", "opset 16 and older have no DFT", hint="choose opset 18")
    count = None if length is None else g.reshape(g.vector([length]), [])
    dims = None
    if pair.dims is not None:
        sizes = list(pair.dims)
        sizes[axis] = sizes[axis] if length is None else None if isinstance(length, Value) else length
        sizes[axis] = None if attrs.get("onesided") else sizes[axis]
        dims = (*sizes[:-1], 2)
    if g.opset >= 20:
        return g.op("DFT", pair, count, g.scalar(axis, like=INT64), dims=dims, **attrs)
    return g.op("DFT", pair, count, dims=dims, axis=g.rank(pair) + axis, **attrs)


@LOWERINGS.op("FFT", "FFT2D", "FFT3D", "IFFT", "IFFT2D", "IFFT3D")
def fft(node: OpNode, g: Builder, x: Value) -> Value:
    """Over the last one, two or three dimensions."""
    pair = g.pair(x)
    for dimension in range(_count(node)):
        pair = _transformed(g, pair, -2 - dimension, None, inverse=int(node.op.startswith("I")))
    return g.complex(pair.with_(dims=g.pair(x).dims), x.dtype)


def _count(node: OpNode) -> int:
    return int(node.op[-2]) if node.op.endswith("D") else 1


@LOWERINGS.op("RFFT", "RFFT2D", "RFFT3D")
def rfft(node: OpNode, g: Builder, x: Value, length: Value) -> Value:
    """Of real values: the first half of the last dimension, the others whole; each cut or padded to its length."""
    count = _count(node)
    lengths = g.parts(length)
    pair = _transformed(g, g.unsqueeze(x, [-1]), -2, lengths[-1], onesided=1)
    for dimension in range(1, count):
        pair = _transformed(g, pair, -2 - dimension, lengths[-1 - dimension])
    dims = g.results[0].dims
    return g.complex(pair.with_(dims=dims and (*dims, 2)), node.dtype("Tcomplex"))


@LOWERINGS.op("IRFFT", "IRFFT2D", "IRFFT3D")
def irfft(node: OpNode, g: Builder, x: Value, length: Value) -> Value:
    """The inverse: the other half is the first one mirrored, its imaginary part turned."""
    count = _count(node)
    lengths = g.numbers(length, "lengths")
    pair = g.pair(x)
    for dimension in range(1, count):
        pair = _transformed(g, pair, -2 - dimension, lengths[-1 - dimension], inverse=1)
    last = lengths[-1]
    half = last // 2 + 1
    first = _cut_or_padded(g, pair, half)
    mirrored = g.slice(first, [math.ceil(last / 2) - 1], [0], [-2], [-1])
    whole = g.concat([first, conjugate(g, mirrored)], g.rank(pair) - 2)
    values = _transformed(g, whole, -2, None, inverse=1)
    return g.squeeze(g.slice(values, [0], [1], [-1]), [-1]).with_(dims=g.results[0].dims)


def _cut_or_padded(g: Builder, pair: Value, count: int) -> Value:
    """The first `count` values of the last dimension, zeros where there are fewer."""
    rank = g.rank(pair)
    here = g.size(pair, rank - 2)
    if here == count:
        return pair
    if not isinstance(here, int) or here < count:
        missing = (
            g.minus(count, here)
            if isinstance(here, int)
            else g.op("Max", g.vector([g.minus(count, here)]), g.ints([0]))
        )
        none: list[Part] = [0] * rank
        pair = g.pad(pair, none, [*none[: rank - 2], missing, 0])
    return g.slice(pair, [0], [count], [-2]).with_(dims=(*(pair.dims or ())[: rank - 2], count, 2))
