"""Lists of tensors. ONNX has sequences, which are copied whole with each change, so here a list is one tensor, its
elements along a new first dimension (`carried`), and they have to be of one shape.

What a loop writes in order never comes here: it becomes an output of the Loop (`loop_plan`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tensorferry.formats.dtype import INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Items, Value
from ..ops import OpNode, OpTable
from .builder import TO_END, Builder, Part
from .carried import as_tensor_type, elements, length, list_of, padded, zeros

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


def _known_items(g: Builder) -> Items:
    items = g.results[0].items
    if items is None:
        raise UnsupportedError("", "expected a list of tensors that is made in the graph")
    return items


def _blank(g: Builder, count: Part) -> Value:
    items = _known_items(g)
    known = items.length is not None and g.can_make((items.length,))
    name = "" if known else g.ref(g.vector([count]))
    return Value(g.results[0].dtype, (), name=name, items=replace(items, blank=True))


def _plain(item: Value) -> Value:
    """What is to go into a list."""
    if item.items is not None or not item.dtype.storage:
        raise UnsupportedError("", "expected a list of tensors, got a list of lists")
    return item


@LOWERINGS.op("TensorListReserve", attrs={"element_dtype"})
def reserve(node: OpNode, g: Builder, shape: Value, count: Value) -> Value:
    """So many places, and nothing yet in them."""
    return _blank(g, g.part(count))


@LOWERINGS.op("EmptyTensorList", attrs={"element_dtype"})
def empty(node: OpNode, g: Builder, shape: Value, most: Value) -> Value:
    """No place."""
    return _blank(g, 0)


@LOWERINGS.op("TensorListFromTensor")
def from_tensor(node: OpNode, g: Builder, tensor: Value, shape: Value) -> Value:
    """The tensor itself."""
    return list_of(g, g.results[0], tensor)


@LOWERINGS.op("TensorListSplit")
def split(node: OpNode, g: Builder, tensor: Value, shape: Value, lengths: Value) -> Value:
    """The tensor's first dimension in two, where all parts are of one length."""
    sizes = g.numbers(lengths, "lengths of the elements of a list")
    if len(set(sizes)) != 1:
        raise UnsupportedError("", f"expected elements of one shape in a list, got lengths {list(sizes[:8])}")
    rest = g.sizes_of(tensor)[1:]
    return list_of(g, g.results[0], g.reshape(tensor, [len(sizes), sizes[0], *rest], zeros=True))


@LOWERINGS.op("TensorListConcatLists", attrs={"element_dtype"})
def concat_lists(node: OpNode, g: Builder, first: Value, second: Value) -> Value:
    """The elements of one list and then of another."""
    pieces = [elements(g, first, _known_items(g)), elements(g, second, _known_items(g))]
    return list_of(g, g.results[0], g.op("Concat", *pieces, dims=_any(pieces[0]), axis=0))


@LOWERINGS.op("TensorListScatter", "TensorListScatterV2")
def scatter(node: OpNode, g: Builder, tensor: Value, indices: Value, shape: Value, *count: Value) -> Value:
    """The tensors along the first dimension in their places, zeros between."""
    number: Part = g.part(count[0]) if count else -1
    if number == -1 or isinstance(number, Value):
        last = g.reduce("ReduceMax", g.int64(indices), [0], keep=True)
        fewest = g.vector([g.plus(last.with_(dims=(1,)), 1)])
        given = g.vector([number])
        number = fewest if number == -1 else g.select(g.op("Less", given, g.ints([0])), fewest, given)
    blank = zeros(g, tensor.dtype, [number, *g.sizes_of(tensor)[1:]], _any(tensor))
    return list_of(g, g.results[0], _scattered(g, blank, indices, tensor))


@LOWERINGS.op("TensorListScatterIntoExistingList")
def scatter_into(node: OpNode, g: Builder, handle: Value, tensor: Value, indices: Value) -> Value:
    """Elements of a list replaced. Of a blank one, the first in order are the tensor, and zeros are behind it."""
    items = _known_items(g)
    if node.has("_in_order") and node.flag("_in_order") and handle.items is not None and handle.items.blank:
        count, new = length(g, handle), g.size(tensor, 0)
        if count in (0, new) and not isinstance(count, Value):
            return list_of(g, g.results[0], tensor)
        return list_of(g, g.results[0], _at_least(g, tensor, count))
    last = g.reduce("ReduceMax", g.int64(indices), [0], keep=True)
    held = _at_least(g, elements(g, handle, items), g.plus(last.with_(dims=(1,)), 1))
    return list_of(g, g.results[0], _scattered(g, held, indices, tensor))


def _any(tensor: Value) -> Any:
    return None if tensor.dims is None else (None, *tensor.dims[1:])


def _scattered(g: Builder, x: Value, indices: Value, updates: Value) -> Value:
    """x with the tensors of `updates` in the places `indices` along the first dimension."""
    return g.op("ScatterND", x, g.unsqueeze(g.int64(indices), [1]), updates, dims=x.dims)


@LOWERINGS.op("TensorListSetItem", attrs={"resize_if_index_out_of_bounds"})
def set_item(node: OpNode, g: Builder, handle: Value, index: Value, item: Value) -> Value:
    """One element replaced. A list that may grow gets as many places as it takes."""
    new = g.unsqueeze(_plain(item), [0])
    held = elements(g, handle, _known_items(g))
    place = g.part(index)
    if node.flag("resize_if_index_out_of_bounds"):
        held = _at_least(g, held, g.plus(place, 1))
    return list_of(g, g.results[0], _scattered(g, held, g.vector([place]), new))


def _at_least(g: Builder, x: Value, count: Part) -> Value:
    """x with zeros behind it, until there are so many."""
    lacking = g.op("Max", g.vector([g.minus(count, g.size(x, 0))]), g.ints([0]), dims=(1,))
    return padded(g, x, 0, lacking).with_(dims=_any(x))


@LOWERINGS.op("TensorListGetItem")
def get_item(node: OpNode, g: Builder, handle: Value, index: Value, shape: Value) -> Value:
    """One element."""
    dims = g.results[0].dims
    held = elements(g, handle, Items(g.results[0].dtype, dims))
    return g.gather(held, index, 0).with_(dims=dims)


@LOWERINGS.op("TensorListGather")
def gather(node: OpNode, g: Builder, handle: Value, indices: Value, shape: Value) -> Value:
    """Some elements."""
    dims = g.results[0].dims
    held = elements(g, handle, Items(g.results[0].dtype, None if dims is None else dims[1:]))
    return g.gather(held, indices, 0).with_(dims=dims)


@LOWERINGS.op("TensorListStack", attrs={"num_elements"})
def stack(node: OpNode, g: Builder, handle: Value, shape: Value) -> Value:
    """All elements."""
    dims = g.results[0].dims
    return elements(g, handle, Items(g.results[0].dtype, None if dims is None else dims[1:]))


@LOWERINGS.op("TensorListConcat", "TensorListConcatV2", attrs={"element_shape"})
def concat(node: OpNode, g: Builder, handle: Value, *shapes: Value) -> list[Value]:
    """All elements, the first two dimensions made one, and the length of each, which is the same."""
    held = elements(g, handle)
    count, each, *rest = g.sizes_of(held)
    joined = g.reshape(held, [-1, *rest], (None, *(held.dims or ())[2:]))
    return [joined, g.op("Expand", g.vector([each]), g.vector([count]), dims=g.results[1].dims)]


@LOWERINGS.op("TensorListPushBack")
def push_back(node: OpNode, g: Builder, handle: Value, item: Value) -> Value:
    """One element more."""
    new = g.unsqueeze(_plain(item), [0])
    if handle.items is not None and handle.items.blank and length(g, handle) == 0:
        return list_of(g, g.results[0], new)
    held = elements(g, handle, _known_items(g))
    return list_of(g, g.results[0], g.op("Concat", held, new, dims=_any(held), axis=0))


@LOWERINGS.op("TensorListPopBack")
def pop_back(node: OpNode, g: Builder, handle: Value, shape: Value) -> list[Value]:
    """The last element taken off."""
    held = elements(g, handle)
    last = g.gather(held, g.scalar(-1, like=INT64), 0)
    return [list_of(g, g.results[0], g.slice(held, [0], [-1], [0])), last]


@LOWERINGS.op("TensorListResize")
def resize(node: OpNode, g: Builder, handle: Value, size: Value) -> Value:
    """More places, or fewer."""
    count = g.part(size)
    if handle.items is not None and handle.items.blank:
        return _blank(g, count)
    held = as_tensor_type(handle)
    return list_of(g, g.results[0], _at_least(g, g.slice(held, [0], [count], [0]), count))


@LOWERINGS.op("TensorListLength")
def length_(node: OpNode, g: Builder, handle: Value) -> Value:
    """How many there are."""
    return g.cast(g.reshape(g.vector([length(g, handle)]), []), g.results[0].dtype)


@LOWERINGS.op("TensorListElementShape")
def element_shape(node: OpNode, g: Builder, handle: Value) -> Value:
    """The shape that all have."""
    held = elements(g, handle)
    shape = g.slice(g.shape(held), [1], [TO_END], [0])
    return g.cast(shape, g.results[0].dtype)
