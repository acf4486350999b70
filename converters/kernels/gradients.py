"""Gradients of activations and of other functions, element by element, as graphs that derive something hold them.

Of some, TensorFlow takes the function's input x, of others its value y; dy is the gradient of the value.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, widened
from .math import sigmoid
from .nn import SELU_ALPHA, SELU_SCALE
from .windows import spatial_start

KERNELS: OpTable[Kernel] = OpTable("kernel")

Gradient = Callable[[Array, Array], Array]

_OF_VALUES: dict[str, Gradient] = {
    "SigmoidGrad": lambda y, dy: dy * y * (1 - y),
    "TanhGrad": lambda y, dy: dy * (1 - y * y),
    "ReciprocalGrad": lambda y, dy: -dy * y * y,
    "InvGrad": lambda y, dy: -dy * y * y,
    "RsqrtGrad": lambda y, dy: dy * y * y * y / -2,
    "SqrtGrad": lambda y, dy: dy / 2 / y,
}
"""By f(y, dy)."""

_OF_ACTIVATIONS: dict[str, Gradient] = {
    "ReluGrad": lambda dy, x: np.where(x > 0, dy, 0),
    "Relu6Grad": lambda dy, x: np.where((x > 0) & (x < 6), dy, 0),
    "SoftplusGrad": lambda dy, x: dy * sigmoid(x),
    "SoftsignGrad": lambda dy, x: dy / np.square(1 + np.abs(x)),
    "EluGrad": lambda dy, y: np.where(y < 0, (y + 1) * dy, dy),
    "SeluGrad": lambda dy, y: np.where(y < 0, dy * (y + SELU_SCALE * SELU_ALPHA), dy * SELU_SCALE),
}
"""By f(dy, x), or y of Elu and Selu."""


def _gradient(function: Gradient) -> Kernel:
    def kernel(node: OpNode, a: Array, b: Array) -> Array:
        _one_shape(node, a, b)
        return np.asarray(function(widened(a), widened(b))).astype(a.dtype, copy=False)

    return kernel


def _one_shape(node: OpNode, a: Array, b: Array) -> None:
    if a.shape != b.shape:
        raise GraphError(node.name, f"expected a gradient of shape {list(a.shape)}, got {list(b.shape)}")


for _op, _function in (_OF_VALUES | _OF_ACTIVATIONS).items():
    KERNELS.add(_op, _gradient(_function))


@KERNELS.op("LeakyReluGrad", attrs={"alpha"})
def leaky_relu_grad(node: OpNode, dy: Array, x: Array) -> Array:
    """dy where x is positive, else alpha * dy."""
    _one_shape(node, dy, x)
    wide = widened(dy)
    return np.where(widened(x) > 0, wide, wide * np.asarray(node.real("alpha"), wide.dtype)).astype(dy.dtype)


@KERNELS.op("BiasAddGrad", attrs={"data_format"})
def bias_add_grad(node: OpNode, dy: Array) -> Array:
    """The sum [C] of dy [N, ..., C] or, in the data format NCHW, [N, C, ...]."""
    if dy.ndim < 2:
        raise GraphError(node.name, f"expected a gradient of rank 2 and more, got {list(dy.shape)}")
    axis = 1 if spatial_start(node) == 2 else dy.ndim - 1
    return widened(dy).sum(axis=tuple(i for i in range(dy.ndim) if i != axis)).astype(dy.dtype)
