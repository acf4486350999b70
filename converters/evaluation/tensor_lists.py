"""Tensor lists: what the loops of TensorFlow 2 gather their results in, as values of type variant.

    list      elements of one type, a partly known shape of each, perhaps the most that it may hold
    element   a tensor, or none yet: then it is zeros when it is read

A list never changes: to set an element makes another list, which shares all others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorferry.formats.dtype import DType
from tensorferry.formats.errors import GraphError

from ..kernels.kernel import Kernel, check_indices, make_room, scalar, sizes
from ..ops import OpNode, OpTable
from .partial import Partial, from_vector, joined, merged, split, stacked, zeros
from .values import Array, boxed, unboxed

if TYPE_CHECKING:
    from .run import Run

OPERATIONS: OpTable[Kernel] = OpTable("kernel")

TYPED = {"element_dtype"}
SHAPED = {"element_dtype", "shape_type"}


ELEMENT = 128
"""Bytes that an array of its own takes at least: a graph may claim any number of rows that are all one."""


@dataclass(frozen=True, slots=True, eq=False)
class TensorList:
    """Tensors in order, None for those never set."""

    dtype: DType
    shape: Partial
    items: tuple[Array | None, ...] = ()
    most: int = -1
    """How many elements it may have; -1 for any number."""

    def element(self, node: OpNode, index: int, shape: Partial = None) -> Array:
        """An element of the shape of all, and of `shape` as far as known."""
        if not 0 <= index < len(self.items):
            raise GraphError(node.name, f"expected an index below {len(self.items)}, got {index}")
        item = self.items[index]
        if item is not None:
            merged(node, shape, item.shape)
            return item
        return zeros(node, self.element_shape(node, shape), self.dtype)

    def element_shape(self, node: OpNode, shape: Partial) -> Partial:
        """What is known of the shape of all elements: also that of an element that is set, if else too little is."""
        known = merged(node, self.shape, shape)
        if known is None or -1 in known:
            first = next((item for item in self.items if item is not None), None)
            known = known if first is None else merged(node, known, first.shape)
        return known

    def elements(self, node: OpNode, shape: Partial) -> list[Array]:
        """All elements, those never set as zeros."""
        return [self.element(node, index, shape) for index in range(len(self.items))]


@OPERATIONS.op("EmptyTensorList", attrs=SHAPED)
def empty_tensor_list(node: OpNode, run: Run, element_shape: Array, max_num_elements: Array) -> Array:
    """A list of no elements."""
    most = scalar(node, max_num_elements, "max_num_elements")
    return boxed(TensorList(node.dtype("element_dtype"), from_vector(node, element_shape), (), most))


@OPERATIONS.op("TensorListReserve", attrs=SHAPED)
def tensor_list_reserve(node: OpNode, run: Run, element_shape: Array, num_elements: Array) -> Array:
    """A list of elements never set."""
    items = _unset(node, scalar(node, num_elements, "num_elements"))
    return boxed(TensorList(node.dtype("element_dtype"), from_vector(node, element_shape), items))


@OPERATIONS.op("TensorListFromTensor", attrs=SHAPED)
def tensor_list_from_tensor(node: OpNode, run: Run, tensor: Array, element_shape: Array) -> Array:
    """The rows of a tensor."""
    return boxed(_of_rows(node, tensor, from_vector(node, element_shape)))


@OPERATIONS.op("TensorListStack", attrs=TYPED | {"num_elements"})
def tensor_list_stack(node: OpNode, run: Run, handle: Array, element_shape: Array) -> Array:
    """All elements as the rows of a tensor."""
    held, shape = _held(node, handle), from_vector(node, element_shape)
    wanted = node.integer("num_elements")
    if wanted not in (-1, len(held.items)):
        raise GraphError(node.name, f"expected {wanted} elements, got {len(held.items)}")
    return stacked(node, held.elements(node, shape), held.element_shape(node, shape), held.dtype)


@OPERATIONS.op("TensorListGetItem", attrs=TYPED)
def tensor_list_get_item(node: OpNode, run: Run, handle: Array, index: Array, element_shape: Array) -> Array:
    """One element."""
    return _held(node, handle).element(node, scalar(node, index, "index"), from_vector(node, element_shape))


@OPERATIONS.op("TensorListSetItem", attrs=TYPED | {"resize_if_index_out_of_bounds"})
def tensor_list_set_item(node: OpNode, run: Run, handle: Array, index: Array, item: Array) -> Array:
    """The list with another element."""
    held, place = _held(node, handle), scalar(node, index, "index")
    items = held.items
    if place >= len(items) and node.flag("resize_if_index_out_of_bounds"):
        items += _unset(node, place + 1 - len(items))
    if not 0 <= place < len(items):
        raise GraphError(node.name, f"expected an index below {len(items)}, got {place}")
    merged(node, held.shape, item.shape)
    return boxed(replace(held, items=(*items[:place], item, *items[place + 1 :])))


@OPERATIONS.op("TensorListPushBack", attrs=TYPED)
def tensor_list_push_back(node: OpNode, run: Run, handle: Array, tensor: Array) -> Array:
    """The list with an element more."""
    return boxed(_pushed(node, _held(node, handle), tensor))


@OPERATIONS.op("TensorListPushBackBatch", attrs=TYPED)
def tensor_list_push_back_batch(node: OpNode, run: Run, handles: Array, tensor: Array) -> Array:
    """Lists of any shape, each with a part of the tensor more, whose first dimensions are that shape."""
    if tensor.shape[: handles.ndim] != handles.shape:
        raise GraphError(node.name, f"expected an element for each of {list(handles.shape)}, got {list(tensor.shape)}")
    lists = np.empty(handles.shape, object)
    for place in np.ndindex(handles.shape):
        part: tuple[Any, ...] = (*place, ...)  # an array even where one element is left
        lists[place] = _pushed(node, _held(node, boxed(handles[place])), np.asarray(tensor[part]))
    return lists


@OPERATIONS.op("TensorListPopBack", attrs=TYPED)
def tensor_list_pop_back(node: OpNode, run: Run, handle: Array, element_shape: Array) -> tuple[Array, Array]:
    """The list without its last element, and that."""
    held = _held(node, handle)
    last = held.element(node, len(held.items) - 1, from_vector(node, element_shape))
    return boxed(replace(held, items=held.items[:-1])), last


@OPERATIONS.op("TensorListLength")
def tensor_list_length(node: OpNode, run: Run, handle: Array) -> Array:
    """The number of elements."""
    return np.array(len(_held(node, handle).items), np.int32)


@OPERATIONS.op("TensorListElementShape", attrs={"shape_type"})
def tensor_list_element_shape(node: OpNode, run: Run, handle: Array) -> Array:
    """What is known of the elements' shape: a vector with -1, or the scalar -1."""
    shape = _held(node, handle).shape
    return np.array(-1 if shape is None else shape, node.dtype("shape_type").numpy())


@OPERATIONS.op("TensorListResize")
def tensor_list_resize(node: OpNode, run: Run, handle: Array, size: Array) -> Array:
    """The list, cut at the end or made longer by elements never set."""
    held, count = _held(node, handle), scalar(node, size, "size")
    more = _unset(node, max(count - len(held.items), 0))
    return boxed(replace(held, items=(*held.items[: make_room(node, (count,), object)[0]], *more)))


@OPERATIONS.op("TensorListGather", attrs=TYPED)
def tensor_list_gather(node: OpNode, run: Run, handle: Array, indices: Array, element_shape: Array) -> Array:
    """Some elements as the rows of a tensor."""
    held, shape = _held(node, handle), from_vector(node, element_shape)
    items = [held.element(node, index, shape) for index in sizes(indices)]
    return stacked(node, items, held.element_shape(node, shape), held.dtype)


@OPERATIONS.op("TensorListScatter", attrs=SHAPED)
def tensor_list_scatter(node: OpNode, run: Run, tensor: Array, indices: Array, element_shape: Array) -> Array:
    """A list with the rows of a tensor at indices, as long as those need."""
    rows = _of_rows(node, tensor, from_vector(node, element_shape))
    return boxed(_scattered(node, replace(rows, items=()), rows, indices))


@OPERATIONS.op("TensorListScatterV2", attrs=SHAPED)
def tensor_list_scatter_v2(
    node: OpNode, run: Run, tensor: Array, indices: Array, element_shape: Array, num_elements: Array
) -> Array:
    """The same, of num_elements unless that is -1."""
    rows = _of_rows(node, tensor, from_vector(node, element_shape))
    count = scalar(node, num_elements, "num_elements")
    found = _scattered(node, replace(rows, items=_unset(node, max(count, 0))), rows, indices)
    if count >= 0 and len(found.items) > count:
        raise GraphError(node.name, f"expected indices below {count}, got {len(found.items) - 1}")
    return boxed(found)


@OPERATIONS.op("TensorListScatterIntoExistingList", attrs=TYPED)
def tensor_list_scatter_into(node: OpNode, run: Run, handle: Array, tensor: Array, indices: Array) -> Array:
    """The list with the rows of a tensor at indices, longer if those need it."""
    held = _held(node, handle)
    return boxed(_scattered(node, held, _of_rows(node, tensor, held.shape), indices))


@OPERATIONS.op("TensorListSplit", attrs=SHAPED)
def tensor_list_split(node: OpNode, run: Run, tensor: Array, element_shape: Array, lengths: Array) -> Array:
    """Parts of a tensor, of different lengths, along its first dimension."""
    shape = from_vector(node, element_shape)
    parts = split(node, tensor, lengths)
    for part in parts:
        merged(node, shape, part.shape)
    return boxed(TensorList(node.dtype("element_dtype"), shape, tuple(parts)))


@OPERATIONS.op("TensorListConcat", attrs=TYPED | {"element_shape"})
def tensor_list_concat(node: OpNode, run: Run, handle: Array) -> tuple[Array, Array]:
    """All elements one after another, and the length of each."""
    held, shape = _held(node, handle), node.shape("element_shape").dims
    known = merged(node, held.shape, shape)
    return joined(node, held.elements(node, shape), known and known[1:], held.dtype)


@OPERATIONS.op("TensorListConcatV2", attrs=SHAPED)
def tensor_list_concat_v2(
    node: OpNode, run: Run, handle: Array, element_shape: Array, leading_dims: Array
) -> tuple[Array, Array]:
    """The same, where elements never set have the first sizes in leading_dims."""
    held, shape = _held(node, handle), from_vector(node, element_shape)
    first = [*sizes(leading_dims), *[-1] * (len(held.items) - leading_dims.size)]
    known = merged(node, held.shape, shape)
    items = []
    for index, item in enumerate(held.items):
        unset = item is None and known is not None and first[index] >= 0
        items.append(held.element(node, index, (first[index], *known[1:]) if unset and known else shape))
    return joined(node, items, known and known[1:], held.dtype)


@OPERATIONS.op("TensorListConcatLists", attrs=TYPED)
def tensor_list_concat_lists(node: OpNode, run: Run, a: Array, b: Array) -> Array:
    """The elements of one list, then those of the other; of arrays of lists, one by one."""
    if a.shape != b.shape:
        raise GraphError(node.name, f"expected as many lists as {list(a.shape)}, got {list(b.shape)}")
    lists = np.empty(a.shape, object)
    for place in np.ndindex(a.shape):
        left, right = (_held(node, boxed(lists_[place])) for lists_ in (a, b))
        make_room(node, (len(left.items) + len(right.items),), object)
        lists[place] = replace(left, shape=merged(node, left.shape, right.shape), items=left.items + right.items)
    return lists


def _held(node: OpNode, handle: Array) -> TensorList:
    """The list in a handle. GraphError where there is none, or one of other elements than the node says."""
    held = unboxed(node, handle, TensorList, "tensor list")
    if node.has("element_dtype") and held.dtype != node.dtype("element_dtype"):
        raise GraphError(node.name, f"expected a list of {node.dtype('element_dtype')}, got one of {held.dtype}")
    return held


def _unset(node: OpNode, count: int) -> tuple[None, ...]:
    return (None,) * make_room(node, (count,), object)[0]


def _of_rows(node: OpNode, tensor: Array, shape: Partial) -> TensorList:
    if not tensor.ndim:
        raise GraphError(node.name, "expected a tensor with rows, got a scalar")
    merged(node, shape, tensor.shape[1:])
    make_room(node, (len(tensor), ELEMENT), np.uint8)
    # Indexing a vector of objects would give bare elements, not arrays.
    return TensorList(node.dtype("element_dtype"), shape, tuple(np.asarray(tensor[i, ...]) for i in range(len(tensor))))


def _pushed(node: OpNode, held: TensorList, tensor: Array) -> TensorList:
    if 0 <= held.most <= len(held.items):
        raise GraphError(node.name, f"expected at most {held.most} elements in the list, got one more")
    merged(node, held.shape, tensor.shape)
    return replace(held, items=(*held.items, tensor))


def _scattered(node: OpNode, held: TensorList, rows: TensorList, indices: Array) -> TensorList:
    if len(rows.items) != indices.size:
        raise GraphError(node.name, f"expected {len(rows.items)} indices, got {indices.size}")
    longest = max(sizes(indices), default=-1) + 1
    check_indices(node, indices, longest)
    items = [*held.items, *_unset(node, max(longest - len(held.items), 0))]
    for index, row in zip(sizes(indices), rows.items, strict=True):
        items[index] = row
    return replace(held, items=tuple(items))
