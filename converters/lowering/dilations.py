"""Dilated convolutions as TensorFlow's Python wrote them for years, made one convolution again.

    BatchToSpaceND(Conv(SpaceToBatchND(x, block, paddings), w), block, crops)
    = Conv(x, w) with dilations = block, padded by paddings - crops

which holds for a convolution with strides of 1 and padding VALID. Of one dimension there are an ExpandDims before the
convolution and a Squeeze after it besides. The paddings may be computed from tf.shape, as long as what they differ by
from the crops is a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..inference.dims import subtract
from ..inference.values import Value
from ..ir import AttrList, Graph, Node, node_name, value_name
from ..op_registry import attr_value

CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")


def fuse_dilations(graph: Graph, values: Mapping[str, Value], outputs: Iterable[str]) -> Graph:
    """The graph with such convolutions made whole; the same graph if it has none."""
    ends = [node for node in graph if node.op == "BatchToSpaceND"]
    if not ends:
        return graph
    consumers = graph.consumers()
    kept = {node_name(value) for value in outputs}
    nodes = dict(graph.nodes)
    for end in ends:
        chain = _chain(graph, consumers, kept, end)
        fused = _fused(chain, values) if chain is not None else None
        for node in fused or ():
            nodes[node.name] = node
    return Graph.of(nodes.values(), like=graph) if nodes != graph.nodes else graph


def _chain(graph: Graph, consumers: Mapping[str, list[Node]], kept: set[str], end: Node) -> list[Node] | None:
    """SpaceToBatchND, (ExpandDims,) convolution, (Squeeze,) BatchToSpaceND, where nobody else takes what is between."""
    chain = [end]
    for expected in ("Squeeze", *CONVOLUTIONS), CONVOLUTIONS, ("ExpandDims", "SpaceToBatchND"), ("SpaceToBatchND",):
        if chain[0].op == "SpaceToBatchND" or (chain[0].op in CONVOLUTIONS and expected is CONVOLUTIONS):
            continue
        below = graph.nodes[node_name(chain[0].data_inputs[0])]
        if below.op not in expected or len(consumers[below.name]) != 1 or below.name in kept:
            return None
        chain.insert(0, below)
    return chain if len(chain) in (3, 5) else None


def _fused(chain: list[Node], values: Mapping[str, Value]) -> list[Node] | None:
    start, *middle, end = chain
    conv = next(node for node in middle if node.op in CONVOLUTIONS)
    block = _of(values, start, 1).integers()
    padding = _padding(_of(values, start, 2), _of(values, end, 2))
    if block is None or padding is None or _of(values, end, 1).integers() != block or not _is_plain(conv):
        return None
    if len(block) == 2 and len(chain) == 3:
        return [_dilated(conv, end.name, start.data_inputs[0], block, padding)]
    if len(block) == 1 and len(chain) == 5:
        wide, _, narrow = middle
        axes = attr_value(narrow, "squeeze_dims")
        if (
            _of(values, wide, 1).integer() not in (1, -3)
            or not isinstance(axes, AttrList)
            or axes.items not in ((1,), (-3,))
        ):
            return None
        return [
            wide.with_(inputs=(start.data_inputs[0], wide.data_inputs[1])),
            _dilated(conv, conv.name, wide.name, (1, *block), (0, 0, *padding)),
            narrow.with_(name=end.name, inputs=(conv.name,)),
        ]
    return None


def _of(values: Mapping[str, Value], node: Node, index: int) -> Value:
    return values[value_name(node.data_inputs[index])]


def _padding(paddings: Value, crops: Value) -> tuple[int, ...] | None:
    """What remains of the padding, before and after each dimension."""
    around, cropped = paddings.known_entries(), crops.known_entries()
    if around is None or cropped is None or len(around) != len(cropped):
        return None
    left = tuple(subtract(a, b) for a, b in zip(around, cropped, strict=True))
    numbers = tuple(number for number in left if isinstance(number, int) and number >= 0)
    return numbers if len(numbers) == len(left) else None


def _is_plain(conv: Node) -> bool:
    """Whether a convolution has no stride, dilation or padding of its own."""
    for key in "strides", "dilations":
        numbers = attr_value(conv, key)
        if not isinstance(numbers, AttrList) or set(numbers.items) != {1}:
            return False
    return attr_value(conv, "padding") == b"VALID" and attr_value(conv, "data_format") == b"NHWC"


def _dilated(conv: Node, name: str, x: str, block: tuple[int, ...], padding: tuple[int, ...]) -> Node:
    attrs = {
        **conv.attrs,
        "padding": b"EXPLICIT",
        "dilations": AttrList("int", (1, *block, 1)),
        "explicit_paddings": AttrList("int", (0, 0, *padding, 0, 0)),
    }
    return conv.with_(name=name, inputs=(x, conv.data_inputs[1]), attrs=attrs)
