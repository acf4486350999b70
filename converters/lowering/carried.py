"""Values as ONNX carries them: over the border of a model or a body, a value is one tensor.

complex value    its real and imaginary parts, in a dimension of their own
list of tensors  its elements along a new first dimension, all of one shape
                 one that is blank is, as long as nobody asks, just the number of its places, as a vector of one
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tensorferry.formats.dtype import COMPLEX, COMPLEX64, FLOAT32, FLOAT64, INT64, STRING_TYPE, DType
from tensorferry.formats.errors import UnsupportedError

from ..inference.dims import Dims
from ..inference.values import Items, Value
from ..ir import Attr, Shape
from .builder import Builder, Part


def as_tensor_type(value: Value) -> Value:
    """The tensor that carries a value: its type, shape and name."""
    if value.items is not None:
        dims = None if value.items.dims is None else (value.items.length, *value.items.dims)
        return Value(value.items.dtype, dims, name=value.name)
    if value.dtype.kind != COMPLEX:
        return value
    real = FLOAT32 if value.dtype == COMPLEX64 else FLOAT64
    return Value(real, None if value.dims is None else (*value.dims, 2), name=value.name)


def as_tensor(g: Builder, value: Value, items: Items | None = None) -> Value:
    """The tensor that carries a value; `items` tells what the elements of a blank list are going to be."""
    if value.items is not None:
        return elements(g, value, items)
    return g.pair(value) if value.dtype.kind == COMPLEX else value


def carried_by(tensor: Value, like: Value) -> Value:
    """The value of the kind of `like` that a tensor carries."""
    if like.items is not None:
        return Value(like.dtype, (), name=tensor.name, items=replace(like.items, blank=False))
    return Value(like.dtype, like.dims, name=tensor.name) if like.dtype.kind == COMPLEX else tensor


def list_of(g: Builder, handle: Value, tensor: Value) -> Value:
    """A list, of the type of `handle`, of the elements of a tensor along its first dimension."""
    dims = tensor.dims
    items = Items(tensor.dtype, None if dims is None else dims[1:], None if dims is None else dims[0])
    return Value(handle.dtype, (), name=g.ref(tensor), items=items)


def length(g: Builder, handle: Value) -> Part:
    """The number of a list's elements."""
    items = handle.items
    if items is None:
        raise UnsupportedError("", "expected a list of tensors that is made in the graph")
    if items.length is not None and g.can_make((items.length,)):
        return items.length
    if items.blank:
        return Value(INT64, (1,), name=handle.name)
    return g.size(as_tensor_type(handle).with_(dims=_one_dimension(items)), 0)


def _one_dimension(items: Items) -> Dims:
    return (None,) if items.dims is None else (None, *items.dims)


def elements(g: Builder, handle: Value, items: Items | None = None) -> Value:
    """A list's elements along a new first dimension; those that nobody has set are zeros."""
    own = handle.items
    if own is None:
        raise UnsupportedError("", "expected a list of tensors that is made in the graph")
    if not own.blank:
        return as_tensor_type(handle)
    dims = items.dims if items is not None else own.dims
    if dims is None or not g.can_make(dims):
        raise UnsupportedError("", "expected a list whose elements have a shape that is known before they are set")
    count = length(g, handle)
    number = own.length if isinstance(count, Value) else count
    return zeros(g, own.dtype, [count, *(dim for dim in dims if dim is not None)], (number, *dims))


def zeros(g: Builder, dtype: DType, shape: Sequence[Part], dims: Dims) -> Value:
    """Zeros, or empty texts."""
    if dtype == STRING_TYPE:
        return g.op("Expand", g.constant_of(np.array(b"", object), dtype), g.vector(shape), dims=dims)
    zero = g.reshape(g.scalar(0, like=dtype), [1])
    return g.op("ConstantOfShape", g.vector(shape), dtype=dtype, dims=dims, value=zero.tensor)


def padded(g: Builder, x: Value, before: Part, behind: Part) -> Value:
    """x with zeros before and behind it along the first dimension."""
    rank = g.rank(x, "list whose elements are")
    if x.dtype != STRING_TYPE:
        return g.pad(x, [before, *[0] * (rank - 1)], [behind, *[0] * (rank - 1)])
    sizes = g.sizes_of(x)[1:]
    unknown = None if x.dims is None else (None, *x.dims[1:])
    pieces = [zeros(g, x.dtype, [count, *sizes], unknown) for count in (before, behind)]
    return g.op("Concat", pieces[0], x, pieces[1], dims=unknown, axis=0)


def add_input(g: Builder, title: str, like: Value) -> Value:
    """An input of a body, for a value of the kind of `like`."""
    tensor = as_tensor_type(like)
    name = g.unique(g.under(title))
    attrs: dict[str, Attr] = {"name": f"{name}:0".encode(), "dtype": tensor.dtype, "shape": spelled(tensor.dims)}
    (made,) = g.emit("Input", [], attrs, [(tensor.dtype, tensor.dims)], name=name)
    g.provide(made)
    return carried_by(made, like)


def add_output(g: Builder, title: str, tensor: Value) -> None:
    """A tensor as the next output of a body."""
    value = g.ref(tensor)
    name = g.unique(g.under(title))
    shape = spelled(tensor.dims)
    numbers = None if shape.dims is None else Shape(shape.dims)
    attrs: dict[str, Attr] = {"name": f"{name}:0".encode(), "dtype": tensor.dtype, "shape": numbers or Shape()}
    g.emit("Output", [value], attrs, [], name=name)


def spelled(dims: Dims) -> Shape:
    """Symbols become names."""
    if dims is None:
        return Shape()
    names = tuple(dim if isinstance(dim, str) else "" for dim in dims)
    return Shape(tuple(dim if isinstance(dim, int) else -1 for dim in dims), names if any(names) else ())
