"""Values passed on, asked about and made: identities, shapes, fills, ranges; and other shapes for the same elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorferry.formats.dtype import COMPLEX, INT64, STRING_TYPE, UINT8
from tensorferry.formats.errors import UnsupportedError

from ..inference.dims import Dims
from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("Const", attrs={"value"})
def const(node: OpNode, g: Builder) -> Value:
    """A constant is known before any lowering; what comes here has a value that can't be read."""
    raise UnsupportedError("", "expected a constant with a value and a shape")


@LOWERINGS.op(
    "Identity",
    "StopGradient",
    "PreventGradient",
    "Snapshot",
    "GuaranteeConst",
    "Copy",
    "CopyHost",
    attrs={"message", "tensor_name", "debug_ops_spec"},
)
def identity(node: OpNode, g: Builder, x: Value) -> Value:
    """The value itself: no node."""
    return x


@LOWERINGS.op("IdentityN")
def identity_n(node: OpNode, g: Builder, *inputs: Value) -> list[Value]:
    """The values themselves."""
    return list(inputs)


@LOWERINGS.op("Print", attrs={"message", "first_n", "summarize"})
def print_(node: OpNode, g: Builder, x: Value, *told: Value) -> Value:
    """The first value; what would be printed goes unsaid."""
    return x


@LOWERINGS.op("EnsureShape", attrs={"shape"})
def ensure_shape(node: OpNode, g: Builder, x: Value) -> Value:
    """ONNX can't stop a run: the value passes, its shape taken for granted."""
    return x


@LOWERINGS.op("Shape")
def shape(node: OpNode, g: Builder, x: Value) -> Value:
    """The sizes of all dimensions, of a value of any rank."""
    return g.cast(g.shape(x), node.dtype("out_type"))


@LOWERINGS.op("ShapeN")
def shape_n(node: OpNode, g: Builder, *inputs: Value) -> list[Value]:
    """Shape of each."""
    return [shape(node, g, x) for x in inputs]


@LOWERINGS.op("Size")
def size(node: OpNode, g: Builder, x: Value) -> Value:
    """The number of elements."""
    return g.cast(g.op("Size", x, dims=()), node.dtype("out_type"))


@LOWERINGS.op("Rank")
def rank(node: OpNode, g: Builder, x: Value) -> Value:
    """The number of dimensions: the size of the shape."""
    return g.cast(g.op("Size", g.shape(x), dims=()), g.results[0].dtype)


def filled(g: Builder, number: complex, dtype: Value, shape: Value, dims: Dims) -> Value:
    """A constant number everywhere, of the type of the value `dtype`; strings are empty."""
    if dtype.dtype == STRING_TYPE:
        return g.op("Expand", g.constant_of(np.array(b"", object)), shape, dims=dims)
    element = g.reshape(g.scalar(number, like=dtype), [1])
    return g.op("ConstantOfShape", shape, dtype=dtype.dtype, dims=dims, value=element.tensor)


@LOWERINGS.op("ZerosLike")
def zeros_like(node: OpNode, g: Builder, x: Value) -> Value:
    """Zeros in the shape of x."""
    return filled(g, 0, x, g.shape(x), x.dims)


@LOWERINGS.op("OnesLike")
def ones_like(node: OpNode, g: Builder, x: Value) -> Value:
    """Ones in the shape of x."""
    return filled(g, 1, x, g.shape(x), x.dims)


@LOWERINGS.op("Fill")
def fill(node: OpNode, g: Builder, dims: Value, value: Value) -> Value:
    """A scalar everywhere."""
    if value.tensor is not None and value.dtype.is_plain and value.tensor.size == 1:
        element = g.reshape(value, [1])
        return g.op("ConstantOfShape", g.int64(dims), dtype=value.dtype, dims=g.results[0].dims, value=element.tensor)
    return g.op("Expand", value, g.int64(dims), dims=g.results[0].dims)


@LOWERINGS.op("Empty", attrs={"init"})
def empty(node: OpNode, g: Builder, dims: Value) -> Value:
    """Anything may be in it; here zeros."""
    return filled(g, 0, Value(node.dtype("dtype")), g.int64(dims), g.results[0].dims)


@LOWERINGS.op("Range")
def range_(node: OpNode, g: Builder, start: Value, limit: Value, delta: Value) -> Value:
    """start, start + delta, ... below limit."""
    return g.op("Range", start, limit, delta, dims=g.results[0].dims)


@LOWERINGS.op("LinSpace")
def lin_space(node: OpNode, g: Builder, start: Value, stop: Value, count: Value) -> Value:
    """`count` numbers from start to stop."""
    last = g.op("Sub", g.int64(count), g.scalar(1, like=INT64))
    steps = g.cast(g.op("Max", last, g.scalar(1, like=INT64)), start.dtype)
    places = g.op("Range", g.scalar(0, like=INT64), g.int64(count), g.scalar(1, like=INT64), dims=g.results[0].dims)
    step = g.op("Div", g.op("Sub", stop, start), steps)
    return g.op("Add", start, g.op("Mul", g.cast(places, start.dtype), step))


@LOWERINGS.op("Reshape")
def reshape(node: OpNode, g: Builder, x: Value, target: Value) -> Value:
    """The same elements; sizes that inference knows need no computing, one that is left may be -1."""
    dims = g.results[0].dims
    if dims is not None and g.can_make(dims):
        return g.reshape(x, list(dims), dims)  # type: ignore[arg-type]
    if dims is not None and sum(isinstance(dim, int) for dim in dims) == len(dims) - 1 and 0 not in dims:
        return g.reshape(x, [dim if isinstance(dim, int) else -1 for dim in dims], dims)
    return g.reshape(x, g.int64(target), dims, zeros=g.opset >= 14)


@LOWERINGS.op("ExpandDims")
def expand_dims(node: OpNode, g: Builder, x: Value, axis: Value) -> Value:
    """A dimension of 1."""
    place = axis.integer()
    if place is None:
        return g.op("Unsqueeze", x, g.reshape(g.int64(axis), [1]), dims=g.results[0].dims)
    return g.unsqueeze(x, [place])


@LOWERINGS.op("Squeeze", attrs={"squeeze_dims"})
def squeeze(node: OpNode, g: Builder, x: Value) -> Value:
    """Without the given dimensions, or all of 1."""
    axes = node.integers("squeeze_dims")
    if axes:
        return g.squeeze(x, axes)
    if x.dims is not None and all(isinstance(dim, int) for dim in x.dims):
        ones = [axis for axis, dim in enumerate(x.dims) if dim == 1]
        return g.squeeze(x, ones) if ones else x
    return g.squeeze(x, None)


@LOWERINGS.op("Transpose")
def transpose(node: OpNode, g: Builder, x: Value, perm: Value) -> Value:
    """Dimension i is x's dimension perm[i]."""
    return g.transpose(x, g.numbers(perm, "order of dimensions"))


@LOWERINGS.op("ConjugateTranspose")
def conjugate_transpose(node: OpNode, g: Builder, x: Value, perm: Value) -> Value:
    """Of real values a Transpose, of complex ones their pairs' imaginary parts turned besides."""
    order = g.numbers(perm, "order of dimensions")
    if x.dtype.kind != COMPLEX:
        return g.transpose(x, order)
    return g.complex(g.transpose(conjugate(g, g.pair(x)), [*order, len(order)]), x.dtype)


def conjugate(g: Builder, pair: Value) -> Value:
    """Pairs [..., 2] with their second parts turned."""
    signs = g.constant_of(np.array([1, -1]).astype(pair.dtype.numpy()), pair.dtype)
    return g.op("Mul", pair, signs).with_(dims=pair.dims)


@LOWERINGS.op("BroadcastTo")
def broadcast_to(node: OpNode, g: Builder, x: Value, target: Value) -> Value:
    """x repeated to a shape."""
    return g.op("Expand", x, g.int64(target), dims=g.results[0].dims)


@LOWERINGS.op("BroadcastArgs")
def broadcast_args(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """The shape that two shapes broadcast to: the longer with the larger of each two sizes, 0 where there is one."""
    whole = g.op("Add", *(g.op("Expand", g.scalar(0, like=UINT8), g.int64(shape), dims=None) for shape in (x, y)))
    return g.cast(g.op("Shape", whole, dims=g.results[0].dims), g.results[0].dtype)


@LOWERINGS.op("DataFormatVecPermute", attrs={"src_format", "dst_format"})
def data_format_vec_permute(node: OpNode, g: Builder, x: Value) -> Value:
    """x [n] or [n, 2] by letters of one layout in the order of another; of two sizes, those of height and width."""
    source, target = node.text("src_format"), node.text("dst_format")
    if isinstance(x.dims and x.dims[0], int) and x.dims and x.dims[0] == len(source) - 2:
        source, target = (text.replace("N", "").replace("C", "") for text in (source, target))
    elif x.dims is None or x.dims[0] != len(source):
        raise UnsupportedError("", f"expected a size for each letter of {source}")
    return g.gather(x, g.ints([source.index(letter) for letter in target]), 0)


@LOWERINGS.op("DataFormatDimMap", attrs={"src_format", "dst_format"})
def data_format_dim_map(node: OpNode, g: Builder, x: Value) -> Value:
    """Axes of one layout as those of another; negative ones count from the end."""
    source, target = node.text("src_format"), node.text("dst_format")
    table = g.cast(g.ints([target.index(letter) for letter in source]), x.dtype)
    return g.gather(table, x, 0)


@LOWERINGS.op("Tile")
def tile(node: OpNode, g: Builder, x: Value, multiples: Value) -> Value:
    """x again and again along each dimension."""
    times = multiples.integers()
    if times is not None and all(count == 1 for count in times):
        return x
    return g.op("Tile", x, g.int64(multiples), dims=g.results[0].dims)


@LOWERINGS.op("InvertPermutation")
def invert_permutation(node: OpNode, g: Builder, x: Value) -> Value:
    """y[x[i]] = i: the places in order of x."""
    places = g.int64(x)
    count = g.shape(x)
    _, order = g.ops("TopK", places, count, outputs=2, dims=[x.dims, x.dims], axis=0, largest=0, sorted=1)
    return g.cast(order, x.dtype)


@LOWERINGS.op("Where")
def where(node: OpNode, g: Builder, x: Value) -> Value:
    """The indices of all true elements, a row each."""
    found = g.op("NonZero", x, dims=(x.rank, None))
    return g.transpose(found, [1, 0])


@LOWERINGS.op("Bitcast", attrs={"type"})
def bitcast(node: OpNode, g: Builder, x: Value) -> Value:
    """Signed and unsigned integers of one width change by a cast; other types have no bits in ONNX."""
    target = node.dtype("type")
    if target != x.dtype and not (target.is_integer and x.dtype.is_integer and target.bits == x.dtype.bits):
        raise UnsupportedError("", f"expected integers of one width, got {x.dtype} to be read as {target}")
    return g.cast(x, target)
