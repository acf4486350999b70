"""Element by element: arithmetic and activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tensorferry.formats.dtype import BFLOAT16, FLOAT16, INT32, INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .builder import Builder

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")

UNARY = {
    "Abs": "Abs", "Acos": "Acos", "Acosh": "Acosh", "Asin": "Asin", "Asinh": "Asinh", "Atan": "Atan", "Atanh": "Atanh",
    "Ceil": "Ceil", "Cos": "Cos", "Cosh": "Cosh", "Elu": "Elu", "Erf": "Erf", "Exp": "Exp", "Floor": "Floor",
    "Inv": "Reciprocal", "Invert": "BitwiseNot", "IsNan": "IsNaN", "IsInf": "IsInf", "Log": "Log", "LogicalNot": "Not",
    "Neg": "Neg", "Reciprocal": "Reciprocal", "Relu": "Relu", "Rint": "Round", "Selu": "Selu", "Sigmoid": "Sigmoid",
    "Sign": "Sign", "Sin": "Sin", "Sinh": "Sinh", "Softplus": "Softplus", "Softsign": "Softsign", "Sqrt": "Sqrt",
    "Tan": "Tan", "Tanh": "Tanh",
}  # fmt: skip
"""Ops of one input that ONNX has under some name, with the same meaning."""

BINARY = {
    "Add": "Add", "AddV2": "Add", "BitwiseAnd": "BitwiseAnd", "BitwiseOr": "BitwiseOr", "BitwiseXor": "BitwiseXor",
    "Greater": "Greater", "GreaterEqual": "GreaterOrEqual", "Less": "Less", "LessEqual": "LessOrEqual",
    "LogicalAnd": "And", "LogicalOr": "Or", "Maximum": "Max", "Minimum": "Min", "Mul": "Mul", "RealDiv": "Div",
    "Sub": "Sub", "Div": "Div",
}  # fmt: skip
"""The same for ops of two inputs that broadcast. (ONNX divides integers towards zero.)"""


def _standard(op: str) -> Callable[..., Value]:
    def lowering(node: OpNode, g: Builder, *inputs: Value) -> Value:
        return g.op(op, *inputs)

    return lowering


for _op, _standard_op in {**UNARY, **BINARY}.items():
    LOWERINGS.add(_op, _standard(_standard_op))


@LOWERINGS.op("Round")
def round_(node: OpNode, g: Builder, x: Value) -> Value:
    """Half goes to even, in both."""
    return x if x.dtype.is_integer else g.op("Round", x)


@LOWERINGS.op("Relu6")
def relu6(node: OpNode, g: Builder, x: Value) -> Value:
    """min(max(x, 0), 6)."""
    return g.op("Clip", x, g.scalar(0, like=x), g.scalar(6, like=x))


@LOWERINGS.op("LeakyRelu", attrs={"alpha"})
def leaky_relu(node: OpNode, g: Builder, x: Value) -> Value:
    """x where it is positive, else alpha * x."""
    return g.op("LeakyRelu", x, alpha=node.real("alpha"))


@LOWERINGS.op("Rsqrt")
def rsqrt(node: OpNode, g: Builder, x: Value) -> Value:
    """1 / sqrt(x)."""
    return g.op("Reciprocal", g.op("Sqrt", x))


@LOWERINGS.op("Square")
def square(node: OpNode, g: Builder, x: Value) -> Value:
    """x * x."""
    return g.op("Mul", x, x)


@LOWERINGS.op("SquaredDifference")
def squared_difference(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """(x - y) ** 2."""
    difference = g.op("Sub", x, y)
    return g.op("Mul", difference, difference)


@LOWERINGS.op("Erfc")
def erfc(node: OpNode, g: Builder, x: Value) -> Value:
    """1 - erf(x)."""
    return g.op("Sub", g.scalar(1, like=x), g.op("Erf", x))


@LOWERINGS.op("Expm1")
def expm1(node: OpNode, g: Builder, x: Value) -> Value:
    """exp(x) - 1, as 2 * sinh(x / 2) * exp(x / 2), which keeps its digits near zero; far out exp alone is as good."""
    half = g.op("Mul", x, g.scalar(0.5, like=x))
    near = g.op("Mul", g.op("Mul", g.op("Sinh", half), g.op("Exp", half)), g.scalar(2, like=x))
    far = g.op("Sub", g.op("Exp", x), g.scalar(1, like=x))
    return g.select(g.op("Less", g.op("Abs", x), g.scalar(1, like=x)), near, far)


@LOWERINGS.op("Log1p")
def log1p(node: OpNode, g: Builder, x: Value) -> Value:
    """log(1 + x), as 2 * atanh(x / (2 + x)) near zero, where 1 + x would lose its digits."""
    return _log1p(g, x)


def _log1p(g: Builder, x: Value) -> Value:
    near = g.op("Atanh", g.op("Div", x, g.op("Add", x, g.scalar(2, like=x))))
    far = g.op("Log", g.op("Add", x, g.scalar(1, like=x)))
    small = g.op("Less", g.op("Abs", x), g.scalar(0.5, like=x))
    return g.select(small, g.op("Mul", near, g.scalar(2, like=x)), far)


@LOWERINGS.op("IsFinite")
def is_finite(node: OpNode, g: Builder, x: Value) -> Value:
    """|x| < infinity, which is false for NaN."""
    return g.op("Less", g.op("Abs", x), g.scalar(math.inf, like=x))


@LOWERINGS.op("Pow")
def pow_(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """x to the power y; ONNX casts base and exponent apart, and onnxruntime has no narrow integers for either."""
    if x.dtype.is_integer and x.dtype not in (INT32, INT64):
        return g.cast(g.op("Pow", g.cast(x, INT64), g.cast(y, INT64)), x.dtype)
    return g.op("Pow", x, y)


@LOWERINGS.op("TruncateDiv")
def truncate_div(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """x / y rounded towards zero, as ONNX divides integers."""
    quotient = g.op("Div", x, y)
    if x.dtype.is_integer:
        return quotient
    return g.op("Mul", g.op("Sign", quotient), g.op("Floor", g.op("Abs", quotient)))


@LOWERINGS.op("FloorDiv")
def floor_div(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """x / y rounded down; ONNX rounds integers to zero, so what Mod (with y's sign) leaves is taken off first."""
    if not x.dtype.is_integer:
        return g.op("Floor", g.op("Div", x, y))
    if x.dtype.kind == "unsigned":
        return g.op("Div", x, y)
    return g.op("Div", g.op("Sub", x, g.op("Mod", x, y)), y)


@LOWERINGS.op("FloorMod")
def floor_mod(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """The remainder with the divisor's sign; ONNX has that for integers only."""
    if x.dtype.is_integer:
        return g.op("Mod", x, y)
    remainder = g.op("Mod", x, y, fmod=1)
    wrong_sign = g.op("Less", g.op("Mul", remainder, y), g.scalar(0, like=x))
    return g.select(wrong_sign, g.op("Add", remainder, y), remainder)


@LOWERINGS.op("Mod", "TruncateMod")
def truncate_mod(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """The remainder with the dividend's sign."""
    return g.op("Mod", x, y, fmod=1)


@LOWERINGS.op("DivNoNan")
def div_no_nan(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """x / y, and 0 where y is 0."""
    return _unless_zero(g, y, g.op("Div", x, y))


@LOWERINGS.op("MulNoNan")
def mul_no_nan(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """x * y, and 0 where y is 0, even if x is infinite."""
    return _unless_zero(g, y, g.op("Mul", x, y))


@LOWERINGS.op("Xdivy")
def xdivy(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """x / y, and 0 where x is 0."""
    return _unless_zero(g, x, g.op("Div", x, y))


@LOWERINGS.op("Xlogy")
def xlogy(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """x * log(y), and 0 where x is 0."""
    return _unless_zero(g, x, g.op("Mul", x, g.op("Log", y)))


@LOWERINGS.op("Xlog1py")
def xlog1py(node: OpNode, g: Builder, x: Value, y: Value) -> Value:
    """x * log(1 + y), and 0 where x is 0."""
    return _unless_zero(g, x, g.op("Mul", x, _log1p(g, y)))


def _unless_zero(g: Builder, test: Value, value: Value) -> Value:
    zero = g.scalar(0, like=value)
    return g.select(g.op("Equal", test, g.scalar(0, like=test)), zero, value)


@LOWERINGS.op("Atan2")
def atan2(node: OpNode, g: Builder, y: Value, x: Value) -> Value:
    """The angle of (x, y): atan(y / x), half a turn further where x is negative, a quarter where it is 0."""
    zero = g.scalar(0, like=x)
    y_below = g.op("Less", y, zero)
    turn = g.select(y_below, g.scalar(-math.pi, like=x), g.scalar(math.pi, like=x))
    aside = g.op("Add", g.op("Atan", g.op("Div", y, x)), g.select(g.op("Less", x, zero), turn, zero))
    upright = g.op("Mul", g.op("Sign", y), g.scalar(math.pi / 2, like=x))
    return g.select(g.op("Equal", x, zero), upright, aside)


@LOWERINGS.op("AddN")
def add_n(node: OpNode, g: Builder, *inputs: Value) -> Value:
    """The sum of all inputs."""
    return _sum(g, inputs)


def _sum(g: Builder, inputs: Sequence[Value]) -> Value:
    if len(inputs) == 1:
        return inputs[0]
    if len(inputs) > 2 and inputs[0].dtype.is_floating:
        return g.op("Sum", *inputs)
    total = inputs[0]
    for value in inputs[1:]:
        total = g.op("Add", total, value)
    return total


@LOWERINGS.op("AccumulateNV2", attrs={"shape"})
def accumulate(node: OpNode, g: Builder, *inputs: Value) -> Value:
    """AddN; the shape attribute says what the inputs' shapes say."""
    return _sum(g, inputs)


@LOWERINGS.op("ClipByValue")
def clip_by_value(node: OpNode, g: Builder, x: Value, low: Value, high: Value) -> Value:
    """min(max(x, low), high)."""
    if low.rank == 0 and high.rank == 0:
        return g.op("Clip", x, low, high)
    return g.op("Min", g.op("Max", x, low), high)


@LOWERINGS.op("CheckNumerics", "CheckNumericsV2", attrs={"message"})
def check_numerics(node: OpNode, g: Builder, x: Value) -> Value:
    """ONNX can't stop a run: the value passes unchecked."""
    return x


@LOWERINGS.op("Cast", attrs={"Truncate"})
def cast(node: OpNode, g: Builder, x: Value) -> Value:
    """Conversion; floats become integers by cutting off, truths are whatever is not 0."""
    target = node.dtype("DstT")
    if node.flag("Truncate") and target in (FLOAT16, BFLOAT16):
        raise UnsupportedError("", f"ONNX rounds casts to {target}, got a cast that truncates")
    return g.cast(x, target)


@LOWERINGS.op("BiasAdd", attrs={"data_format"})
def bias_add(node: OpNode, g: Builder, x: Value, bias: Value) -> Value:
    """x [N, ..., C] (NHWC) or [N, C, ...] (NCHW), bias [C]."""
    if node.text("data_format").startswith("NC"):
        bias = g.unsqueeze(bias, range(1, g.rank(x) - 1))
    return g.op("Add", x, bias)


@LOWERINGS.op("BiasAddV1")
def bias_add_v1(node: OpNode, g: Builder, x: Value, bias: Value) -> Value:
    """x [..., C], bias [C]."""
    return g.op("Add", x, bias)
