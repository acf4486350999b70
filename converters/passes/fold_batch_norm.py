"""Fold batch normalization: what scales and shifts the channels of a convolution goes into its weights and a bias.

    y = conv(x, w)             Conv2D, Conv3D, DepthwiseConv2dNative or MatMul, with constant weights
    y -> y * f, y / f          by a constant for each channel, or for all
    y -> y + c, y - c          BiasAdd included
    y -> FusedBatchNorm(y)     of inference: f = scale / sqrt(variance + epsilon), c = offset - mean * f
    conv(x, w * f) + c         what any chain of these becomes, if it scales at all

So `tf.nn.batch_normalization`, which is y * f + c once its constants are folded, needs no rule of its own.

 1. The last node of the chain becomes a BiasAdd of the same name, behind the convolution with its new weights. These
    are the constants `NAME/weights` and `NAME/bias` (made unique by underscores).
 2. Nobody else may take what is between. Weights behind a FakeQuant are not constant: they stay as they are.
 3. The new weights are computed in float64, when they are written. Results differ from the source's by rounding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorferry.formats.tensor import ArrayTensor, Tensor

from ..ir import Attr, Graph, Node, node_name, value_name
from ..ops import OpNode
from ..views import View
from .fold_constants import FAKE_QUANT, PASSING, fold_constants
from .handles import constant

_FUSED = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_LINEAR = ("Conv2D", "Conv3D", "DepthwiseConv2dNative", "MatMul")
_RANKS = {"Conv2D": 4, "Conv3D": 5, "DepthwiseConv2dNative": 4, "MatMul": 2}
"""The rank of the weights."""
_MOST_CHANNELS = 1 << 20
_COMMUTING = ("Add", "AddV2", "Mul")
_ARITHMETIC = (*_COMMUTING, "Sub", "RealDiv", "BiasAdd")

Array = npt.NDArray[np.float64]
_ONE, _ZERO = np.ones(()), np.zeros(())


def fold_batch_norm(graph: Graph, *, outputs: Collection[str] = ()) -> Graph:
    """`graph` with batch normalization in the weights before it; what it leaves over is for pruning."""
    if not any(node.op in _LINEAR for node in graph):
        return graph
    return Graph.of(_Folding(graph, outputs).nodes(), like=graph)


@dataclass(frozen=True, slots=True)
class _Step:
    """y * factor + offset. `layout` is that of vectors by channel; without one, the constants broadcast as they are."""

    factor: Array
    offset: Array
    layout: str = ""


@dataclass(frozen=True, slots=True)
class _Chain:
    """From a convolution to the node `end`: what is done to its result, in order, by the nodes `links`."""

    convolution: Node
    end: Node
    links: list[Node]
    steps: list[_Step]


class _Folding:
    """One run over a graph."""

    def __init__(self, graph: Graph, outputs: Collection[str]) -> None:
        self.graph = graph
        self.known = fold_constants(graph, but=FAKE_QUANT)
        """The same graph, to tell what is constant."""
        self.uses = Counter(value_name(value) for node in graph for value in node.data_inputs)
        self.uses.update(map(value_name, outputs))
        self.names = set(graph.nodes)

    def nodes(self) -> Iterator[Node]:
        """The nodes of the result, with those that are needed no more."""
        made: dict[str, list[Node]] = {}
        inside: set[str] = set()
        for node in reversed(self.graph.topological()):
            chain = None if node.name in inside else self._chain(node)
            if chain is None:
                continue
            folded = self._folded(chain)
            if folded is not None:
                inside.update(link.name for link in chain.links)
                made[chain.convolution.name], made[node.name] = folded[:-1], folded[-1:]
        for node in self.graph:
            yield from made.get(node.name, [node])

    def _chain(self, end: Node) -> _Chain | None:
        """The chain that ends at a node, if there is one."""
        links: list[Node] = []
        steps: list[_Step] = []
        node = end
        while node.op not in _LINEAR:
            found = self._step(node)
            if found is None:
                return None
            value, step = found
            if self.uses[value] != 1 or not value.endswith(":0"):
                return None
            links.append(node)
            steps.insert(0, step)
            node = self.graph.producer(value)
        return _Chain(node, end, links, steps) if steps else None

    def _step(self, node: Node) -> tuple[str, _Step] | None:
        """The value that a node scales or shifts by constants, and by which."""
        inputs = [value_name(value) for value in node.data_inputs]
        if node.op in _FUSED and len(inputs) == 5:
            step = self._fused(node)
            return None if step is None else (inputs[0], step)
        if node.op == "Identity" and len(inputs) == 1:
            return inputs[0], _Step(_ONE, _ZERO)
        if node.op not in _ARITHMETIC or len(inputs) != 2:
            return None
        if node.op in _COMMUTING and self._array(inputs[0]) is not None:
            inputs.reverse()
        number = self._array(inputs[1])
        if number is None:
            return None
        if node.op == "Mul":
            return inputs[0], _Step(number, _ZERO)
        if node.op == "RealDiv":
            with np.errstate(divide="ignore"):
                return inputs[0], _Step(1 / number, _ZERO)
        if node.op == "BiasAdd":
            return inputs[0], _Step(_ONE, number, OpNode(node).text("data_format"))
        return inputs[0], _Step(_ONE, -number if node.op == "Sub" else number)

    def _fused(self, node: Node) -> _Step | None:
        view = OpNode(node)
        if view.flag("is_training") or any(self.uses[f"{node.name}:{index}"] for index in range(1, 6)):
            return None
        moments = [array for value in node.data_inputs[1:] if (array := self._array(value)) is not None]
        if len(moments) != 4:
            return None
        scale, offset, mean, variance = moments
        with np.errstate(all="ignore"):
            factor = scale / np.sqrt(variance + view.real("epsilon"))
        return _Step(factor, offset - mean * factor, view.text("data_format"))

    def _folded(self, chain: _Chain) -> list[Node] | None:
        """The new weights and bias, the convolution and what ends the chain; None where it does not fit."""
        convolution = chain.convolution
        weights = self._tensor(convolution.data_inputs[1]) if len(convolution.data_inputs) == 2 else None
        if weights is None or not weights.dtype.is_floating or weights.rank != _RANKS[convolution.op]:
            return None
        layout = "NHWC" if convolution.op == "MatMul" else OpNode(convolution).text("data_format")
        channels = _channels(convolution, weights)
        factor, offset = np.ones(channels), np.zeros(channels)
        for step in chain.steps:
            scale = _by_channel(step.factor, step.layout, layout, weights.rank, channels)
            shift = _by_channel(step.offset, step.layout, layout, weights.rank, channels)
            if scale is None or shift is None:
                return None
            with np.errstate(invalid="ignore"):
                factor, offset = factor * scale, offset * scale + shift
        if np.all(factor == 1) or not np.all(np.isfinite(factor)):
            return None
        end = chain.end
        bias = ArrayTensor(offset.astype(weights.dtype.numpy()), weights.dtype)
        names = [self._fresh(f"{end.name}/{part}") for part in ("weights", "bias")]
        attrs: dict[str, Attr] = {"T": weights.dtype, "data_format": b"NCHW" if layout.startswith("NC") else b"NHWC"}
        controls = dict.fromkeys(f"^{name}" for link in chain.links for name in link.control_inputs)
        before = [f"^{name}" for name in convolution.control_inputs]
        return [
            constant(names[0], _scaled(convolution, weights, factor)),
            constant(names[1], bias),
            convolution.with_(inputs=(convolution.data_inputs[0], names[0], *before)),
            Node(end.name, "BiasAdd", (convolution.name, names[1], *controls), attrs, end.device),
        ]

    def _array(self, value: str) -> Array | None:
        """A constant of floating-point numbers, small enough to be one for each channel."""
        tensor = self._tensor(value)
        if tensor is None or not tensor.dtype.is_floating or tensor.size > _MOST_CHANNELS:
            return None
        return tensor.numpy().astype(np.float64)

    def _tensor(self, value: str) -> Tensor | None:
        """The constant that a value is, behind identities."""
        for _ in range(len(self.known)):
            node = self.known.nodes.get(node_name(value))
            if node is None or value_name(value) != f"{node.name}:0":
                return None
            if node.op not in PASSING or not node.data_inputs:
                found = node.attrs.get("value")
                return found if node.op == "Const" and isinstance(found, Tensor) else None
            value = node.data_inputs[0]
        return None

    def _fresh(self, name: str) -> str:
        while name in self.names:
            name += "_"
        self.names.add(name)
        return name


def _channels(convolution: Node, weights: Tensor) -> int:
    """The channels of the result."""
    if convolution.op == "DepthwiseConv2dNative":
        return weights.shape[2] * weights.shape[3]
    return weights.shape[0 if _is_transposed(convolution) else -1]


def _scaled(convolution: Node, weights: Tensor, factor: Array) -> Tensor:
    """The weights [..., in, out], [out, in] or [height, width, in, multiplier], times a factor for each channel."""
    if convolution.op == "DepthwiseConv2dNative":
        factor = factor.reshape(weights.shape[2:])
    elif _is_transposed(convolution):
        factor = factor[:, np.newaxis]

    def scale(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return (array.astype(np.float64) * factor).astype(array.dtype)

    return View(weights.dtype, weights.shape, scale, weights)


def _is_transposed(convolution: Node) -> bool:
    return convolution.op == "MatMul" and OpNode(convolution).flag("transpose_b")


def _by_channel(array: Array, layout: str, wanted: str, rank: int, channels: int) -> Array | None:
    """A constant as a number, or one for each channel; None where it is neither.

    `layout` is its own, if it is a vector by channel; `wanted` that of the result, which has `rank` dimensions.
    """
    first = wanted.startswith("NC")
    if layout and array.ndim:
        return array if layout.startswith("NC") == first and array.shape == (channels,) else None
    if array.ndim > rank:
        return None
    if array.size == 1:
        return array.reshape(())
    shape = (channels, *[1] * (rank - 2 if first else 0))
    return array.reshape(-1) if array.size == channels and array.shape[-len(shape) :] == shape else None
