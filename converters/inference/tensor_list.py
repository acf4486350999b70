"""Rules of lists of tensors: what their elements are, and how many there are.

A list's type says nothing of that, so it is noted beside it (`values.Items`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..ops import OpNode, OpTable
from .array import dims_of_entries
from .dims import Dim, Dims, add, merge_dims
from .facts import Fact, Result, dim_at, scalar
from .regions import join_items
from .values import Items, Value

RULES: OpTable[Callable[..., Result]] = OpTable("inference rule")


def _element(shape: Value) -> Dims:
    """An element's shape as an operand says it: a vector of sizes, or -1 alone for any rank."""
    return None if shape.dims == () else dims_of_entries(shape)


def _entry(value: Value) -> Dim:
    entries = value.known_entries()
    return entries[0] if entries is not None and len(entries) == 1 else None


def _rest(dims: Dims) -> Dims:
    return None if dims is None else dims[1:]


def _list(items: Items) -> Fact:
    return Fact((), items=items)


def _items(node: OpNode, handle: Value) -> Items:
    return handle.items or Items(node.dtype("element_dtype"))


@RULES.op("TensorListReserve", attrs={"element_dtype"})
def reserve(node: OpNode, shape: Value, count: Value) -> Result:
    """A list of so many places."""
    return _list(Items(node.dtype("element_dtype"), _element(shape), _entry(count), blank=True))


@RULES.op("EmptyTensorList", attrs={"element_dtype"})
def empty(node: OpNode, shape: Value, most: Value) -> Result:
    """A list of no element."""
    return _list(Items(node.dtype("element_dtype"), _element(shape), 0, blank=True))


@RULES.op("TensorListFromTensor")
def from_tensor(node: OpNode, tensor: Value, shape: Value) -> Result:
    """The tensors along the first dimension."""
    dims = merge_dims(_rest(tensor.dims), _element(shape))
    return _list(Items(tensor.dtype, dims, dim_at(tensor, 0)))


@RULES.op("TensorListSplit")
def split(node: OpNode, tensor: Value, shape: Value, lengths: Value) -> Result:
    """A list of parts of the tensor along the first dimension."""
    sizes = lengths.known_entries() or (None,)
    rest = _rest(tensor.dims)
    dims = None if rest is None else (sizes[0] if len(set(sizes)) == 1 else None, *rest)
    return _list(Items(tensor.dtype, merge_dims(dims, _element(shape)), dim_at(lengths, 0)))


@RULES.op("TensorListConcatLists", attrs={"element_dtype"})
def concat_lists(node: OpNode, first: Value, second: Value) -> Result:
    """The elements of both."""
    a, b = _items(node, first), _items(node, second)
    items = join_items(a, b)
    return _list(replace(items, length=add(a.length, b.length), blank=a.blank and b.blank))


@RULES.op("TensorListScatter", "TensorListScatterV2")
def scatter(node: OpNode, tensor: Value, indices: Value, shape: Value, *count: Value) -> Result:
    """A list with the tensors along the first dimension at `indices`."""
    number = _entry(count[0]) if count else None
    length = None if isinstance(number, int) and number < 0 else number
    return _list(Items(tensor.dtype, merge_dims(_rest(tensor.dims), _element(shape)), length))


@RULES.op("TensorListScatterIntoExistingList")
def scatter_into(node: OpNode, handle: Value, tensor: Value, indices: Value) -> Result:
    """The same into a list that is there, which grows if it has to."""
    items, count = _items(node, handle), dim_at(tensor, 0)
    in_order = node.has("_in_order") and node.flag("_in_order")
    length = count if in_order and items.length in (0, count) else None
    return _list(Items(tensor.dtype, _set(items, _rest(tensor.dims)), length))


@RULES.op("TensorListSetItem", attrs={"resize_if_index_out_of_bounds"})
def set_item(node: OpNode, handle: Value, index: Value, item: Value) -> Result:
    """The list with one element changed. One that may grow is of any length."""
    items = _items(node, handle)
    length = None if node.flag("resize_if_index_out_of_bounds") else items.length
    return _list(Items(item.dtype, _set(items, item.dims), length))


def _set(items: Items, dims: Dims) -> Dims:
    """An element's shape in a list that has got one of `dims`."""
    if items.blank or items.dims is None or dims is None:
        return merge_dims(dims, items.dims) if items.blank else None
    if len(items.dims) != len(dims):
        return None
    return tuple(a if a == b else None for a, b in zip(items.dims, dims, strict=True))


@RULES.op("TensorListPushBack")
def push_back(node: OpNode, handle: Value, item: Value) -> Result:
    """The list with one element more."""
    items = _items(node, handle)
    return _list(Items(item.dtype, _set(items, item.dims), add(items.length, 1)))


@RULES.op("TensorListPopBack")
def pop_back(node: OpNode, handle: Value, shape: Value) -> Result:
    """The list without its last element, and that."""
    items = _items(node, handle)
    return [_list(replace(items, length=add(items.length, -1))), merge_dims(items.dims, _element(shape))]


@RULES.op("TensorListResize")
def resize(node: OpNode, handle: Value, size: Value) -> Result:
    """The list with another number of elements."""
    items = handle.items
    return Fact(()) if items is None else _list(replace(items, length=_entry(size)))


@RULES.op("TensorListGetItem")
def get_item(node: OpNode, handle: Value, index: Value, shape: Value) -> Result:
    """One element."""
    return merge_dims(_items(node, handle).dims, _element(shape))


@RULES.op("TensorListGather")
def gather(node: OpNode, handle: Value, indices: Value, shape: Value) -> Result:
    """Some elements, along a new first dimension."""
    dims = merge_dims(_items(node, handle).dims, _element(shape))
    return None if dims is None else (dim_at(indices, 0), *dims)


@RULES.op("TensorListStack", attrs={"num_elements"})
def stack(node: OpNode, handle: Value, shape: Value) -> Result:
    """All elements, along a new first dimension; `num_elements`, where it isn't -1, is checked when it runs."""
    items = _items(node, handle)
    dims = merge_dims(items.dims, _element(shape))
    count = node.integer("num_elements")
    length = items.length if count < 0 or isinstance(items.length, int) else count
    return None if dims is None else (length, *dims)


@RULES.op("TensorListConcat", "TensorListConcatV2", attrs={"element_shape"})
def concat(node: OpNode, handle: Value, *shapes: Value) -> Result:
    """All elements joined along their first dimension, and their lengths there."""
    items = _items(node, handle)
    return [None if items.dims is None else (None, *items.dims[1:]), (items.length,)]


@RULES.op("TensorListLength")
def length(node: OpNode, handle: Value) -> Result:
    """The number of elements."""
    return scalar(handle.items.length if handle.items is not None else None)


@RULES.op("TensorListElementShape")
def element_shape(node: OpNode, handle: Value) -> Result:
    """An element's shape, as far as the list tells it."""
    dims = handle.items.dims if handle.items is not None else None
    return None if dims is None else (len(dims),)
