"""Functions of statistics that ONNX lacks, by approximations that are good to float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")

_NEAR = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
    0.246640727, 1.50140941,
)  # fmt: skip
_FAR = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
    1.00167406, 2.83297682,
)  # fmt: skip
"""erfinv(x) / x as polynomials of w - 2.5 and sqrt(w) - 3, where w = -log(1 - x ** 2) is below 5, or is not (M. Giles,
Approximating the erfinv function, 2010)."""


def _polynomial(g: Builder, x: Value, coefficients: Sequence[float]) -> Value:
    """Horner's scheme, the highest power first."""
    total = g.scalar(coefficients[0], like=x)
    for coefficient in coefficients[1:]:
        total = g.op("Add", g.op("Mul", total, x), g.scalar(coefficient, like=x))
    return total


def inverse_error_function(g: Builder, x: Value) -> Value:
    """The number with the erf x: infinite at -1 and 1, not a number beyond."""
    one = g.scalar(1, like=x)
    return _inverse(g, x, g.op("Mul", g.op("Sub", one, x), g.op("Add", one, x)))


def _inverse(g: Builder, x: Value, rest: Value) -> Value:
    """The same, with 1 - x ** 2 as it is known best."""
    one = g.scalar(1, like=x)
    w = g.op("Neg", g.op("Log", rest))
    near = _polynomial(g, g.op("Sub", w, g.scalar(2.5, like=x)), _NEAR)
    far = _polynomial(g, g.op("Sub", g.op("Sqrt", w), g.scalar(3, like=x)), _FAR)
    inside = g.op("Mul", x, g.select(g.op("Less", w, g.scalar(5, like=x)), near, far))
    edge = g.op("Equal", g.op("Abs", x), one)
    return g.select(edge, g.op("Mul", x, g.scalar(math.inf, like=x)), inside)


@LOWERINGS.op("Erfinv")
def erfinv(node: OpNode, g: Builder, x: Value) -> Value:
    """The inverse of erf."""
    return inverse_error_function(g, x)


@LOWERINGS.op("Ndtri")
def ndtri(node: OpNode, g: Builder, x: Value) -> Value:
    """The number that a standard normal one is below with probability x."""
    one = g.scalar(1, like=x)
    centred = g.op("Sub", g.op("Mul", x, g.scalar(2, like=x)), one)
    rest = g.op("Mul", g.op("Mul", x, g.op("Sub", one, x)), g.scalar(4, like=x))
    return g.op("Mul", _inverse(g, centred, rest), g.scalar(math.sqrt(2), like=x))
