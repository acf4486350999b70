"""Convolutions, and how windows slide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorferry.formats.errors import UnsupportedError

from ..inference.dims import Dim, Dims, multiply
from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder, Part
from .layout import channels_first, channels_last, spatial

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")

_DEPTHWISE = {"strides", "padding", "explicit_paddings", "data_format", "dilations"}
_CONV = {*_DEPTHWISE, "use_cudnn_on_gpu"}


class Window:
    """How a window slides: strides and dilations of the spatial dimensions, and what is padded around them."""

    def __init__(self, node: OpNode, layout: str) -> None:
        self.axes = spatial(layout)
        strides = node.integers("strides")
        dilations = node.integers("dilations") if node.has("dilations") else (1,) * len(layout)
        self.require(layout, strides, "strides")
        self.require(layout, dilations, "dilations")
        self.strides = [strides[axis] for axis in self.axes]
        self.dilations = [dilations[axis] for axis in self.axes]
        self.padding = node.text("padding")
        explicit = node.integers("explicit_paddings") if node.has("explicit_paddings") else ()
        self.explicit = [explicit[2 * axis + side] for side in (0, 1) for axis in self.axes] if explicit else []
        if self.padding not in ("SAME", "VALID", "EXPLICIT") or (self.padding == "EXPLICIT" and not explicit):
            raise UnsupportedError("", f"expected padding SAME, VALID or EXPLICIT, got {self.padding}")

    def require(self, layout: str, numbers: Sequence[int], what: str) -> None:
        """UnsupportedError unless batch and channels are left alone, and all numbers are positive."""
        if any(number < 1 for number in numbers):
            raise UnsupportedError("", f"expected {what} of 1 and more, got {list(numbers)}")
        if len(numbers) != len(layout) or any(
            numbers[axis] != 1 for axis, letter in enumerate(layout) if letter in "NC"
        ):
            raise UnsupportedError("", f"expected {what} of 1 in batch and channels, got {list(numbers)} for {layout}")

    def pads(self, sizes: Sequence[Dim], kernel: Sequence[Dim]) -> dict[str, Any]:
        """ONNX's attributes for the padding. SAME becomes numbers where they follow from the known sizes."""
        if self.padding == "VALID":
            return {}
        if self.padding == "EXPLICIT":
            return {"pads": self.explicit}
        before: list[int] = []
        after: list[int] = []
        for size, width, stride, dilation in zip(sizes, kernel, self.strides, self.dilations, strict=True):
            total = same_padding(size, width, stride, dilation)
            if total is None:
                return {"auto_pad": "SAME_UPPER"}
            before.append(total // 2)
            after.append(total - total // 2)
        return {"pads": [*before, *after]} if any(before + after) else {}


def same_padding(size: Dim, width: Dim, stride: int, dilation: int) -> int | None:
    """How much SAME pads along a dimension, on both sides together; None where it depends on an unknown size."""
    if not isinstance(width, int):
        return None
    reach = (width - 1) * dilation + 1
    if stride == 1:
        return reach - 1
    if not isinstance(size, int):
        return None
    return max((-(-size // stride) - 1) * stride + reach - size, 0)


@LOWERINGS.op("Conv2D", "Conv3D", attrs=_CONV)
def conv(node: OpNode, g: Builder, x: Value, weights: Value) -> Value:
    """x [N, spatial..., C] or [N, C, spatial...], weights [spatial..., C / groups, M]."""
    layout = node.text("data_format")
    rank = len(layout)
    weights = g.ranked(weights, rank)
    kernel = weights.dims if weights.dims is not None else (None,) * rank
    groups = 1
    channels = x.dims[layout.index("C")] if x.dims is not None else None
    if isinstance(channels, int) and isinstance(kernel[-2], int) and kernel[-2]:
        groups = channels // kernel[-2]
    moved = g.transpose(weights, [rank - 1, rank - 2, *range(rank - 2)])
    return _convolved(node, g, x, moved, kernel[:-2], groups)


@LOWERINGS.op("DepthwiseConv2dNative", attrs=_DEPTHWISE)
def depthwise_conv(node: OpNode, g: Builder, x: Value, weights: Value) -> Value:
    """Weights [height, width, C, multiplier]: every channel is a group of its own."""
    layout = node.text("data_format")
    kernel = weights.dims if weights.dims is not None else (None,) * 4
    groups = kernel[2] if isinstance(kernel[2], int) else x.dims[layout.index("C")] if x.dims is not None else None
    if not isinstance(groups, int):
        raise UnsupportedError("", "expected a known number of channels")
    flat = g.reshape(weights, [g.size(weights, 0), g.size(weights, 1), 1, -1], (*kernel[:2], 1, multiply(*kernel[2:])))
    return _convolved(node, g, x, g.transpose(flat, [3, 2, 0, 1]), kernel[:2], groups)


def _convolved(
    node: OpNode, g: Builder, x: Value, weights: Value, kernel: Sequence[Dim], groups: int, bias: Value | None = None
) -> Value:
    """`weights` [M, C / groups, spatial...]."""
    layout = node.text("data_format")
    window = Window(node, layout)
    x, weights = g.ranked(x, len(layout)), g.ranked(weights, len(layout))
    sizes = [x.dims[axis] if x.dims is not None else None for axis in window.axes]
    pads = window.pads(sizes, kernel)
    if "auto_pad" in pads and any(dilation != 1 for dilation in window.dilations):
        # auto_pad takes no account of dilations: the padding is computed.
        x, pads = _same_padded(g, x, weights, window), {}
    y = g.op(
        "Conv", channels_first(g, x, layout), weights, bias,
        dims=first_dims(g.results[0].dims, layout), group=groups, strides=window.strides, dilations=window.dilations,
        kernel_shape=list(kernel) if all(isinstance(width, int) for width in kernel) else None,
        **pads,
    )  # fmt: skip
    return channels_last(g, y, layout)


def _same_padded(g: Builder, x: Value, weights: Value, window: Window) -> Value:
    """x with the zeros around that SAME asks for."""
    before: list[Part] = [0] * g.rank(x)
    after: list[Part] = [0] * g.rank(x)
    for at, (axis, stride, dilation) in enumerate(zip(window.axes, window.strides, window.dilations, strict=True)):
        width = g.size(weights, 2 + at)
        before[axis], after[axis] = same_pads(g, g.size(x, axis), width, stride, dilation)
    return g.pad(x, before, after)


def same_pads(g: Builder, size: Part, width: Part, stride: int, dilation: int) -> tuple[Part, Part]:
    """What SAME adds before and behind: max((ceil(n / stride) - 1) * stride + reach - n, 0) together, fewer before."""
    if not isinstance(size, Value) and not isinstance(width, Value):
        known = same_padding(size, width, stride, dilation)
        if known is not None:
            return known // 2, known - known // 2
    reach = g.plus(g.times(g.minus(width, 1), dilation), 1)
    covered = g.plus(g.times(g.minus(g.ceil_div(size, stride), 1), stride), reach)
    total = g.op("Max", g.vector([g.minus(covered, size)]), g.ints([0]))
    before = g.floor_div(total, 2)
    return before, g.minus(total, before)


def first_dims(dims: Dims, layout: str) -> Dims:
    """The shape of a result in `layout`, with the channels in front."""
    if dims is None or layout.startswith("NC"):
        return dims
    return (dims[0], dims[-1], *dims[1:-1])


@LOWERINGS.op("Conv2DBackpropInput", "Conv3DBackpropInputV2", attrs=_CONV)
def conv_backprop_input(node: OpNode, g: Builder, sizes: Value, weights: Value, y: Value) -> Value:
    """A transposed convolution to the shape `sizes`; weights [spatial..., out channels, in channels]."""
    rank = len(node.text("data_format"))
    moved = g.transpose(weights, [rank - 1, rank - 2, *range(rank - 2)])
    kernel = weights.dims[:-2] if weights.dims is not None else (None,) * (rank - 2)
    return _transposed(node, g, sizes, moved, kernel, y, 1)


@LOWERINGS.op("DepthwiseConv2dNativeBackpropInput", attrs=_DEPTHWISE)
def depthwise_backprop_input(node: OpNode, g: Builder, sizes: Value, weights: Value, y: Value) -> Value:
    """The same with a group for each channel; weights [height, width, C, multiplier]."""
    kernel = weights.dims if weights.dims is not None else (None,) * 4
    if not isinstance(kernel[2], int):
        raise UnsupportedError("", "expected a known number of channels")
    flat = g.reshape(weights, [g.size(weights, 0), g.size(weights, 1), 1, -1], (*kernel[:2], 1, multiply(*kernel[2:])))
    return _transposed(node, g, sizes, g.transpose(flat, [3, 2, 0, 1]), kernel[:2], y, kernel[2])


def _transposed(
    node: OpNode, g: Builder, sizes: Value, weights: Value, kernel: Sequence[Dim], y: Value, groups: int
) -> Value:
    layout = node.text("data_format")
    window = Window(node, layout)
    y = g.ranked(y, len(layout))
    if not all(isinstance(width, int) for width in kernel):
        raise UnsupportedError("", "expected a kernel of known size")
    wanted = g.parts(sizes)
    goal = wanted if len(wanted) == len(layout) - 2 else [wanted[axis] for axis in window.axes]
    given = [g.size(y, axis) for axis in window.axes]
    attrs: dict[str, Any] = {
        "group": groups, "strides": window.strides, "dilations": window.dilations, "kernel_shape": list(kernel),
    }  # fmt: skip
    fitted = _fitted(window, kernel, goal, given)
    first = channels_first(g, y, layout)
    if fitted is not None:
        before, after, extra = fitted
        attrs |= {"pads": [*before, *after], "output_padding": extra}
        made = g.op("ConvTranspose", first, weights, dims=first_dims(g.results[0].dims, layout), **attrs)
        return channels_last(g, made, layout)
    attrs["output_padding"] = [stride - 1 for stride in window.strides]
    whole = g.op("ConvTranspose", first, weights, dims=_all_unknown(len(layout)), **attrs)
    starts: list[Part] = []
    for at, width in enumerate(kernel):
        assert isinstance(width, int)
        starts.append(_start(g, window, at, width, goal[at], given[at]))
    ends = [g.plus(start, size) for start, size in zip(starts, goal, strict=True)]
    piece = g.slice(whole, starts, ends, range(2, len(layout)))
    return channels_last(g, piece.with_(dims=first_dims(g.results[0].dims, layout)), layout)


def _all_unknown(rank: int) -> Dims:
    return (None,) * rank


def _fitted(
    window: Window, kernel: Sequence[Dim], goal: Sequence[Part], given: Sequence[Part]
) -> tuple[list[int], list[int], list[int]] | None:
    """Pads before and after and extra elements behind, where the sizes fix them as numbers."""
    before, after, extra = [], [], []
    for at, width in enumerate(kernel):
        assert isinstance(width, int)
        stride, reach = window.strides[at], (width - 1) * window.dilations[at] + 1
        size, source = goal[at], given[at]
        if isinstance(size, int) and isinstance(source, int):
            excess = (source - 1) * stride + reach - size
        elif not isinstance(size, Value) and not isinstance(source, Value) and size == multiply(source, stride):
            excess = reach - stride
        else:
            return None
        if window.padding == "EXPLICIT":
            front, back = window.explicit[at], window.explicit[len(kernel) + at]
        else:
            total = max(excess, 0) if window.padding == "SAME" else 0
            front, back = total // 2, total - total // 2
        rest = front + back - excess
        if not 0 <= rest < max(stride, window.dilations[at]):
            return None
        before.append(front)
        after.append(back)
        extra.append(rest)
    return before, after, extra


def _start(g: Builder, window: Window, at: int, width: int, size: Part, source: Part) -> Part:
    """Where the wanted part begins in a transposed convolution without padding."""
    if window.padding == "VALID":
        return 0
    if window.padding == "EXPLICIT":
        return window.explicit[at]
    stride, reach = window.strides[at], (width - 1) * window.dilations[at] + 1
    full = g.plus(g.times(source, stride), reach - stride)
    excess = g.vector([g.minus(full, size)])
    return g.op("Div", g.op("Max", excess, g.ints([0])), g.ints([2]))
