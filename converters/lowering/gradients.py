"""Gradients of single ops, which graphs hold that follow their own slopes: style transfer, adversarial pictures.

Each is dy times the derivative, written with what its op was given or with what it made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")

_ALPHA, _SCALE = 1.6732632423543772, 1.0507009873554805
"""Selu's two constants."""


def _where_positive(g: Builder, x: Value, yes: Value, no: Value) -> Value:
    return g.select(g.op("Greater", x, g.scalar(0, like=x)), yes, no)


@LOWERINGS.op("ReluGrad")
def relu_grad(node: OpNode, g: Builder, dy: Value, x: Value) -> Value:
    """1 above 0."""
    return _where_positive(g, x, dy, g.scalar(0, like=dy))


@LOWERINGS.op("Relu6Grad")
def relu6_grad(node: OpNode, g: Builder, dy: Value, x: Value) -> Value:
    """1 between 0 and 6."""
    inside = g.op("And", g.op("Greater", x, g.scalar(0, like=x)), g.op("Less", x, g.scalar(6, like=x)))
    return g.select(inside, dy, g.scalar(0, like=dy))


@LOWERINGS.op("LeakyReluGrad", attrs={"alpha"})
def leaky_relu_grad(node: OpNode, g: Builder, dy: Value, x: Value) -> Value:
    """1 above 0, alpha below."""
    return _where_positive(g, x, dy, g.op("Mul", dy, g.scalar(node.real("alpha"), like=dy)))


@LOWERINGS.op("EluGrad")
def elu_grad(node: OpNode, g: Builder, dy: Value, y: Value) -> Value:
    """1 above 0, y + 1 below."""
    below = g.op("Mul", dy, g.op("Add", y, g.scalar(1, like=y)))
    return g.select(g.op("Less", y, g.scalar(0, like=y)), below, dy)


@LOWERINGS.op("SeluGrad")
def selu_grad(node: OpNode, g: Builder, dy: Value, y: Value) -> Value:
    """scale above 0, y + scale * alpha below."""
    below = g.op("Mul", dy, g.op("Add", y, g.scalar(_SCALE * _ALPHA, like=y)))
    return g.select(g.op("Less", y, g.scalar(0, like=y)), below, g.op("Mul", dy, g.scalar(_SCALE, like=dy)))


@LOWERINGS.op("SoftplusGrad")
def softplus_grad(node: OpNode, g: Builder, dy: Value, x: Value) -> Value:
    """The sigmoid."""
    return g.op("Mul", dy, g.op("Sigmoid", x))


@LOWERINGS.op("SoftsignGrad")
def softsign_grad(node: OpNode, g: Builder, dy: Value, x: Value) -> Value:
    """1 / (1 + |x|) ** 2."""
    root = g.op("Add", g.op("Abs", x), g.scalar(1, like=x))
    return g.op("Div", dy, g.op("Mul", root, root))


@LOWERINGS.op("SigmoidGrad")
def sigmoid_grad(node: OpNode, g: Builder, y: Value, dy: Value) -> Value:
    """y * (1 - y)."""
    return g.op("Mul", g.op("Mul", dy, y), g.op("Sub", g.scalar(1, like=y), y))


@LOWERINGS.op("TanhGrad")
def tanh_grad(node: OpNode, g: Builder, y: Value, dy: Value) -> Value:
    """1 - y ** 2."""
    return g.op("Mul", dy, g.op("Sub", g.scalar(1, like=y), g.op("Mul", y, y)))


@LOWERINGS.op("ReciprocalGrad", "InvGrad")
def reciprocal_grad(node: OpNode, g: Builder, y: Value, dy: Value) -> Value:
    """-y ** 2."""
    return g.op("Neg", g.op("Mul", dy, g.op("Mul", y, y)))


@LOWERINGS.op("SqrtGrad")
def sqrt_grad(node: OpNode, g: Builder, y: Value, dy: Value) -> Value:
    """1 / (2 * y)."""
    return g.op("Div", g.op("Mul", dy, g.scalar(0.5, like=dy)), y)


@LOWERINGS.op("RsqrtGrad")
def rsqrt_grad(node: OpNode, g: Builder, y: Value, dy: Value) -> Value:
    """-y ** 3 / 2."""
    cube = g.op("Mul", g.op("Mul", y, y), y)
    return g.op("Mul", g.op("Mul", dy, g.scalar(-0.5, like=dy)), cube)


@LOWERINGS.op("BiasAddGrad", attrs={"data_format"})
def bias_add_grad(node: OpNode, g: Builder, dy: Value) -> Value:
    """The sum over all dimensions but the channels'."""
    rank = g.rank(dy)
    channel = 1 if node.text("data_format").startswith("NC") else rank - 1
    return g.reduce("ReduceSum", dy, [axis for axis in range(rank) if axis != channel], keep=False)
