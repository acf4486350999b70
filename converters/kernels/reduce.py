"""Sums, products, extremes, softmax and running sums along dimensions.

Sums in floating types below 32 bits run in float32. Sums of integers wrap around in their own type; a mean of integers
is that of the exact sum, rounded towards zero, and 0 of nothing. The maximum of nothing is the type's lowest value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, axis_of, front_axis, sizes, widened

KERNELS: OpTable[Kernel] = OpTable("kernel")

Reduction = Callable[[Array, tuple[int, ...]], Array]
"""An array and its dimensions to reduce, which stay with size 1."""


def lowest(dtype: np.dtype[Any]) -> Any:
    """The value that any other of the type is at least."""
    return -np.inf if dtype.kind == "f" else np.False_ if dtype.kind == "b" else np.iinfo(dtype).min


def highest(dtype: np.dtype[Any]) -> Any:
    """The value that any other of the type is at most."""
    return np.inf if dtype.kind == "f" else np.True_ if dtype.kind == "b" else np.iinfo(dtype).max


def reduction(function: Reduction) -> Kernel:
    """A kernel that reduces the dimensions its second input lists, and keeps the element type."""

    def kernel(node: OpNode, x: Array, axes: Array) -> Array:
        dims = tuple(front_axis(node, axis, x.ndim) for axis in sizes(axes))
        if len(set(dims)) < len(dims):
            raise GraphError(node.name, f"expected each of {node.op}'s axes once, got {sizes(axes)}")
        value = function(widened(x), dims).astype(x.dtype, copy=False)
        return value if node.flag("keep_dims") else value.squeeze(axis=dims)

    return kernel


def _mean(x: Array, axes: tuple[int, ...]) -> Array:
    count = np.prod([x.shape[axis] for axis in axes], dtype=np.int64)
    if x.dtype.kind not in "iu":
        return np.sum(x, axis=axes, keepdims=True, dtype=x.dtype) / count.astype(x.dtype)
    total = np.sum(x, axis=axes, keepdims=True, dtype=np.int64)
    return np.sign(total) * (np.abs(total) // max(count, 1))


_REDUCTIONS: dict[str, Reduction] = {
    "Sum": lambda x, axes: np.sum(x, axis=axes, keepdims=True, dtype=x.dtype),
    "Prod": lambda x, axes: np.prod(x, axis=axes, keepdims=True, dtype=x.dtype),
    "Max": lambda x, axes: np.max(x, axis=axes, keepdims=True, initial=lowest(x.dtype)),
    "Min": lambda x, axes: np.min(x, axis=axes, keepdims=True, initial=highest(x.dtype)),
    "All": lambda x, axes: np.all(x, axis=axes, keepdims=True),
    "Any": lambda x, axes: np.any(x, axis=axes, keepdims=True),
    "EuclideanNorm": lambda x, axes: np.sqrt(np.sum(np.abs(x) ** 2, axis=axes, keepdims=True)),
    "Mean": _mean,
}

for _op, _function in _REDUCTIONS.items():
    KERNELS.add(_op, reduction(_function), attrs={"keep_dims"})


@KERNELS.op("ArgMax", "ArgMin")
def arg_max(node: OpNode, x: Array, dimension: Array) -> Array:
    """The index of the largest (smallest) element along a dimension, the first of equals."""
    find = np.argmax if node.op == "ArgMax" else np.argmin
    return find(widened(x), axis=axis_of(node, dimension, x.ndim)).astype(node.dtype("output_type").numpy())


@KERNELS.op("L2Loss")
def l2_loss(node: OpNode, x: Array) -> Array:
    """Half the sum of squares."""
    return np.asarray(np.sum(np.square(widened(x))) / 2).astype(x.dtype)


@KERNELS.op("Softmax")
def softmax(node: OpNode, logits: Array) -> Array:
    """exp(x) over its sum along the last dimension."""
    wide = widened(logits)
    power = np.exp(wide - np.max(wide, axis=-1, keepdims=True, initial=-np.inf))
    return (power / np.sum(power, axis=-1, keepdims=True)).astype(logits.dtype, copy=False)


@KERNELS.op("LogSoftmax")
def log_softmax(node: OpNode, logits: Array) -> Array:
    """The logarithm of softmax along the last dimension."""
    wide = widened(logits)
    shifted = wide - np.max(wide, axis=-1, keepdims=True, initial=-np.inf)
    total = np.sum(np.exp(shifted), axis=-1, keepdims=True)
    return (shifted - np.log(total)).astype(logits.dtype, copy=False)


_RUNNING: dict[str, tuple[Callable[..., Array], float]] = {
    "Cumsum": (np.add.accumulate, 0),
    "Cumprod": (np.multiply.accumulate, 1),
    "CumulativeLogsumexp": (np.logaddexp.accumulate, -np.inf),
}
"""Each op's function and what it gives for no elements."""


@KERNELS.op("Cumsum", "Cumprod", "CumulativeLogsumexp", attrs={"exclusive", "reverse"})
def cumulate(node: OpNode, x: Array, axis: Array) -> Array:
    """Running sums or products along `axis`; exclusive: of the elements before; reverse: from the end."""
    accumulate, neutral = _RUNNING[node.op]
    along = np.moveaxis(widened(x), axis_of(node, axis, x.ndim), 0)
    along = along[::-1] if node.flag("reverse") else along
    value = accumulate(along, axis=0, dtype=along.dtype)
    if node.flag("exclusive") and len(value):
        value = np.concatenate([np.full_like(value[:1], neutral), value[:-1]])
    value = value[::-1] if node.flag("reverse") else value
    return np.moveaxis(value, 0, axis_of(node, axis, x.ndim)).astype(x.dtype, copy=False)
