"""The geometry of sliding windows: padding, strides, dilations and data formats of convolutions and pools.

Inside, arrays are channels-last: [N, S..., C] with one, two or three spatial dimensions. A window of `size` elements
with dilation d spans (size - 1) * d + 1. Padding is

    VALID      none
    SAME       so that the output has ceil(S / stride) places; an odd element goes to the end
    EXPLICIT   as the attribute says, a pair for each dimension in the order of data_format
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorferry.formats.errors import GraphError, UnsupportedError

from ..ops import OpNode
from .kernel import Array, make_room

LAYOUTS = {"NHWC": 1, "NDHWC": 1, "NWC": 1, "NCHW": 2, "NCDHW": 2, "NCW": 2}
"""Where the spatial dimensions begin in each data format."""

MOST = 1 << 20
"""Elements of a window: an attribute can ask for any number, and each costs a step."""


def channels_last(node: OpNode, x: Array, rank: int) -> Array:
    """x [N, S..., C] of an array in the node's data_format, with `rank` dimensions."""
    if x.ndim != rank:
        raise GraphError(node.name, f"expected {node.op}'s input to have rank {rank}, got shape {list(x.shape)}")
    return x if spatial_start(node) == 1 else np.moveaxis(x, 1, -1)


def as_given(node: OpNode, x: Array) -> Array:
    """An array [N, S..., C] in the node's data_format."""
    return x if spatial_start(node) == 1 else np.moveaxis(x, -1, 1)


def spatial_start(node: OpNode) -> int:
    """Where the spatial dimensions begin in the node's data_format (NHWC where the op has none)."""
    layout = node.text("data_format") if node.has("data_format") else "NHWC"
    if layout not in LAYOUTS:
        raise UnsupportedError(node.name, f"expected data_format {' or '.join(LAYOUTS)}, got {layout}")
    return LAYOUTS[layout]


def spatial(node: OpNode, values: tuple[int, ...], rank: int, what: str) -> tuple[int, ...]:
    """The spatial part of a list with a number for each dimension; those of batch and channels have to be 1."""
    start = spatial_start(node)
    inner = values[start : start + rank - 2]
    if len(values) != rank or any(value < 1 for value in inner):
        raise GraphError(node.name, f"expected {rank} {what} of 1 and more, got {list(values)}")
    if values[:start] + values[start + rank - 2 :] != (1, 1):
        raise UnsupportedError(node.name, f"expected {what} of 1 for batch and channels, got {list(values)}")
    return inner


@dataclass(frozen=True)
class Windows:
    """Windows over the spatial dimensions of an array: for each dimension, how they are laid and how many there are."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    places: tuple[int, ...]

    @classmethod
    def over(
        cls,
        node: OpNode,
        extent: tuple[int, ...],
        size: tuple[int, ...],
        strides: tuple[int, ...],
        dilations: tuple[int, ...],
    ) -> Windows:
        """The windows that the node's padding makes over spatial dimensions of `extent`."""
        if math.prod(size) > MOST:
            raise UnsupportedError(node.name, f"expected windows of at most {MOST} elements, got {list(size)}")
        spans = [(s - 1) * d + 1 for s, d in zip(size, dilations, strict=True)]
        padding = _padding(node, extent, spans, strides)
        places = tuple(
            (n + sum(pair) - span) // stride + 1
            for n, pair, span, stride in zip(extent, padding, spans, strides, strict=True)
        )
        # A window that doesn't fit at all leaves no place.
        return cls(size, strides, dilations, padding, tuple(max(count, 0) for count in places))

    def pad(self, node: OpNode, x: Array, value: Any = 0) -> Array:
        """x [N, S..., C] with the padding around."""
        if not any(map(any, self.padding)):
            return x
        pairs = [(0, 0), *self.padding, (0, 0)]
        make_room(node, [d + sum(pair) for d, pair in zip(x.shape, pairs, strict=True)], x.dtype)
        return np.pad(x, pairs, constant_values=value)

    def taps(self) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """For each place within a window, the index [:, S...] into padded arrays that gives it for all windows."""
        for tap in itertools.product(*map(range, self.size)):
            starts = [t * d for t, d in zip(tap, self.dilations, strict=True)]
            yield (
                tap,
                (
                    slice(None),
                    *(
                        slice(start, start + (count - 1) * stride + 1, stride) if count else slice(0, 0)
                        for start, count, stride in zip(starts, self.places, self.strides, strict=True)
                    ),
                ),
            )

    def view(self, padded: Array) -> Array:
        """All windows of padded [N, S..., C], as a view [N, places..., size..., C]."""
        count = len(self.size)
        axes = tuple(range(1, 1 + count))
        spans = tuple((s - 1) * d + 1 for s, d in zip(self.size, self.dilations, strict=True))
        windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=axes)
        every = (
            slice(None),
            *(slice(None, None, stride) for stride in self.strides),
            slice(None),
            *(slice(None, None, dilation) for dilation in self.dilations),
        )
        return np.moveaxis(windows[every], 1 + count, -1)


def _padding(
    node: OpNode, extent: tuple[int, ...], spans: list[int], strides: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    kind = node.text("padding")
    if kind == "VALID":
        return ((0, 0),) * len(extent)
    if kind == "SAME":
        totals = [
            max((-(-n // stride) - 1) * stride + span - n, 0)
            for n, span, stride in zip(extent, spans, strides, strict=True)
        ]
        return tuple((total // 2, total - total // 2) for total in totals)
    if kind != "EXPLICIT":
        raise GraphError(node.name, f"expected padding SAME, VALID or EXPLICIT, got {kind}")
    listed = node.integers("explicit_paddings")
    start = spatial_start(node)
    pairs = tuple(zip(listed[::2], listed[1::2], strict=False))
    inner = pairs[start : start + len(extent)]
    if len(listed) != 2 * (len(extent) + 2) or min(listed) < 0:
        raise GraphError(node.name, f"expected {len(extent) + 2} pairs of explicit paddings, got {list(listed)}")
    if any(map(any, pairs[:start] + pairs[start + len(extent) :])):
        raise UnsupportedError(node.name, f"expected no padding of batch and channels, got {list(listed)}")
    return inner
