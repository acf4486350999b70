"""Raise tensor arrays: TensorFlow 1's TensorArray, a resource with an order of reads and writes, as a list of tensors.

    handle, flow = TensorArrayV3(size)        list = TensorListReserve(shape, size)
    flow' = Write(handle, i, x, flow)         list' = TensorListSetItem(list, i, x)
    x = Read(handle, i, flow)                 x = TensorListGetItem(list, i, shape)
    flow' = Scatter(handle, i, x, flow)       list' = TensorListScatterIntoExistingList(list, x, i)
    x = Gather(handle, i, flow)               x = TensorListGather(list, i, shape), or TensorListStack
    n = Size(handle, flow)                    n = TensorListLength(list)
    x, n = Concat(handle, flow)               x, n = TensorListConcatV2(list, shape, [])
    flow' = Split(handle, x, n, flow)         list' = TensorListSplit(x, shape, n)

1. The flow, a number that only says what comes after what, becomes the list itself; what passes flows on (Enter, Merge,
   Switch, ...) passes lists on, and has their type.
2. A list that was made to grow has writes that make it grow.
3. A gather of range(0, size) is a stack; a scatter to range(0, n) is marked `_in_order`.

UnsupportedError where a flow goes into any other op, or where the array of a write can't be told.
"""

from __future__ import annotations

from collections.abc import Iterator

from tensorferry.formats.dtype import INT32, VARIANT
from tensorferry.formats.errors import UnsupportedError
from tensorferry.formats.tensor import ArrayTensor, Tensor

from ..ir import Attr, Graph, Node, Shape, node_name, value_name
from ..op_registry import attr_value

MAX_INDICES = 1 << 20
"""Indices that are looked at, to see whether they are in order."""

PASSING = frozenset(["Enter", "Exit", "Identity", "Merge", "NextIteration", "Switch"])

_FLOWS = {
    "TensorArrayConcatV3": 1,
    "TensorArrayGatherV3": 2,
    "TensorArrayReadV3": 2,
    "TensorArrayScatterV3": 3,
    "TensorArraySizeV3": 1,
    "TensorArraySplitV3": 3,
    "TensorArrayWriteV3": 3,
}
"""Where among its inputs an op has the flow."""

_MAKERS = ("TensorArrayWriteV3", "TensorArrayScatterV3", "TensorArraySplitV3")
"""The ops that give a new flow."""


def raise_tensor_arrays(graph: Graph) -> Graph:
    """`graph` with lists in place of tensor arrays; the same graph if it has none."""
    if not any(node.op == "TensorArrayV3" for node in graph):
        return graph
    work = _Arrays(graph)
    return Graph.of(work.nodes(), like=graph)


class _Arrays:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.consumers = graph.consumers()
        self.passed = self._passed()
        self.names = set(graph.nodes)

    def _passed(self) -> set[str]:
        """The nodes that pass flows on."""
        found: set[str] = set()
        stack = [f"{node.name}:1" for node in self.graph if node.op == "TensorArrayV3"]
        stack += [f"{node.name}:0" for node in self.graph if node.op in _MAKERS]
        while stack:
            value = stack.pop()
            for user in self.consumers[node_name(value)]:
                taken = [value_name(each) for each in user.data_inputs]
                if value not in taken:
                    continue
                if user.op == "Merge" or (user.op in PASSING and taken[0] == value):
                    if user.name not in found:
                        found.add(user.name)
                        stack += [f"{user.name}:{index}" for index in range(2 if user.op == "Switch" else 1)]
                elif user.op not in _FLOWS or taken[_FLOWS[user.op]] != value:
                    raise UnsupportedError(
                        user.name, f"expected the flow of a TensorArray to go to its reads and writes, got {user.op}"
                    )
        return found

    def nodes(self) -> Iterator[Node]:
        for node in self.graph:
            if node.op == "TensorArrayV3":
                yield from self._reserve(node)
            elif node.op in _FLOWS:
                yield from self._operation(node)
            elif node.name in self.passed:
                yield node.with_(inputs=self._renamed(node.inputs), attrs={**node.attrs, "T": VARIANT})
            else:
                yield node

    def _renamed(self, inputs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(self._list, inputs))

    def _list(self, value: str) -> str:
        """The list that a flow has become."""
        name = node_name(value)
        is_new = self.graph.nodes[name].op == "TensorArrayV3" and value == f"{name}:1"
        return f"{name}:0" if is_new else value

    def _reserve(self, node: Node) -> Iterator[Node]:
        shape = attr_value(node, "element_shape")
        made = self._shape(node, shape if isinstance(shape, Shape) else Shape())
        yield made
        attrs: dict[str, Attr] = {"element_dtype": node.attrs["dtype"], "shape_type": INT32}
        inputs = (f"{made.name}:0", *node.inputs)
        yield Node(node.name, "TensorListReserve", inputs, attrs, node.device)

    def _operation(self, node: Node) -> Iterator[Node]:
        """The list's op in the place of an array's, after the constants that it takes."""
        flow = self._list(value_name(node.data_inputs[_FLOWS[node.op]]))
        given = node.data_inputs[1 : _FLOWS[node.op]]
        controls = tuple(f"^{name}" for name in node.control_inputs)
        attrs: dict[str, Attr] = {"element_dtype": node.attrs.get("dtype", node.attrs.get("T"))}
        constants: list[Node] = []
        if node.op == "TensorArrayWriteV3":
            op, inputs = "TensorListSetItem", (flow, *given)
            attrs["resize_if_index_out_of_bounds"] = self._may_grow(node)
        elif node.op == "TensorArrayScatterV3":
            op, inputs = "TensorListScatterIntoExistingList", (flow, given[1], given[0])
            attrs["_in_order"] = self._is_in_order(given[0])
        elif node.op == "TensorArraySizeV3":
            op, inputs, attrs = "TensorListLength", (flow,), {}
        else:
            stated = attr_value(node, "element_shape")
            constants.append(self._shape(node, stated if isinstance(stated, Shape) else Shape()))
            shape = f"{constants[0].name}:0"
            if node.op == "TensorArrayReadV3":
                op, inputs, attrs["Tshape"] = "TensorListGetItem", (flow, *given, shape), INT32
            elif node.op == "TensorArraySplitV3":
                op, inputs, attrs["shape_type"] = "TensorListSplit", (given[0], shape, given[1]), INT32
            elif node.op == "TensorArrayConcatV3":
                constants.append(self._constant(node, "leading_dims", [], "int64"))
                op, inputs, attrs["shape_type"] = "TensorListConcatV2", (flow, shape, f"{constants[1].name}:0"), INT32
            elif self._is_all_of(given[0], flow):
                op, inputs = "TensorListStack", (flow, shape)
            else:
                op, inputs = "TensorListGather", (flow, *given, shape)
        yield from constants
        yield Node(node.name, op, (*inputs, *controls), attrs, node.device)

    def _is_all_of(self, indices: str, flow: str) -> bool:
        """Whether `indices` are those of all elements of a list."""
        limit = self._range_limit(indices)
        size = None if limit is None else self.graph.producer(limit)
        if size is None or size.op != "TensorArraySizeV3":
            return False
        return self._list(value_name(size.data_inputs[1])) == flow

    def _is_in_order(self, value: str) -> bool:
        """Whether `value` is 0, 1, 2, ..."""
        tensor = self._maker(value).attrs.get("value")
        if isinstance(tensor, Tensor) and tensor.rank == 1 and tensor.dtype.is_integer and tensor.size <= MAX_INDICES:
            return list(tensor.numpy()) == list(range(tensor.size))
        return self._range_limit(value) is not None

    def _range_limit(self, value: str) -> str | None:
        """n, where `value` is range(0, n)."""
        node = self._maker(value)
        if node.op != "Range":
            return None
        start, limit, delta = node.data_inputs
        return self._maker(limit).name if self._number(start) == 0 and self._number(delta) == 1 else None

    def _number(self, value: str) -> int | None:
        tensor = self._maker(value).attrs.get("value")
        if not isinstance(tensor, Tensor) or tensor.size != 1 or not tensor.dtype.is_integer:
            return None
        return int(tensor.numpy().reshape(-1)[0])

    def _maker(self, value: str) -> Node:
        node = self.graph.producer(value)
        while node.op == "Identity":
            node = self.graph.producer(node.data_inputs[0])
        return node

    def _may_grow(self, node: Node) -> bool:
        """Whether the array that a node writes to was made to grow."""
        maker = self.graph.producer(node.data_inputs[0])
        while maker.op in ("Enter", "Identity", "Switch"):
            maker = self.graph.producer(maker.data_inputs[0])
        if maker.op != "TensorArrayV3":
            raise UnsupportedError(node.name, f"expected to write to one TensorArray, got the handle of {maker.op}")
        return attr_value(maker, "dynamic_size") is True

    def _shape(self, node: Node, shape: Shape) -> Node:
        return self._constant(node, "element_shape", -1 if shape.dims is None else list(shape.dims), "int32")

    def _constant(self, node: Node, title: str, value: int | list[int], dtype: str) -> Node:
        import numpy as np

        name = f"{node.name}/{title}"
        while name in self.names:
            name += "_"
        self.names.add(name)
        tensor = ArrayTensor(np.array(value, dtype))
        # Alive in the frame and branch that the node itself is in.
        alive = node.inputs if node.op == "TensorArrayV3" else node.inputs[1:]
        controls = tuple(dict.fromkeys(f"^{node_name(each)}" for each in alive))
        return Node(name, "Const", controls, {"dtype": tensor.dtype, "value": tensor}, node.device)
