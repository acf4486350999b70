"""Arithmetic, comparison, logic and bits, element by element, with TensorFlow's broadcasting.

Floating types below 32 bits are computed in float32 and rounded once. Integers wrap around. Where numpy and
TensorFlow differ: Div of integers, TruncateDiv and TruncateMod round towards zero, FloorDiv of floats is the floor of
the quotient, shifts are limited to the width of the type, and the integer division by zero is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, broadcast_room, make_room, widened

KERNELS: OpTable[Kernel] = OpTable("kernel")

Function = Callable[..., Array]


def unary(function: Function) -> Kernel:
    """A kernel that applies `function` and keeps the element type."""

    def kernel(node: OpNode, x: Array) -> Array:
        return np.asarray(function(widened(x))).astype(x.dtype, copy=False)

    return kernel


def binary(function: Function) -> Kernel:
    """A kernel that applies `function` to two arrays, broadcast to each other, and keeps their element type."""

    def kernel(node: OpNode, x: Array, y: Array) -> Array:
        broadcast_room(node, x, y)
        return np.asarray(function(widened(x), widened(y))).astype(x.dtype, copy=False)

    return kernel


def predicate(function: Function) -> Kernel:
    """A kernel that applies `function` to arrays, broadcast to each other, and gives bools."""

    def kernel(node: OpNode, *arrays: Array) -> Array:
        broadcast_room(node, *arrays)
        return np.asarray(function(*(widened(array) for array in arrays))).astype(np.bool_, copy=False)

    return kernel


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), with no overflow on either side."""
    power = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, power) / (1 + power)


def floor_division(x: Array, y: Array) -> Array:
    """floor(x / y) for floats, where numpy corrects for the rounding of the quotient."""
    return np.floor_divide(x, y) if x.dtype.kind in "iu" else np.floor(x / y)


def truncated_division(x: Array, y: Array) -> Array:
    """x / y, rounded towards zero for integers."""
    if x.dtype.kind not in "iu":
        return np.divide(x, y)
    quotient = np.floor_divide(x, y)
    return quotient + ((quotient < 0) & (quotient * y != x)).astype(x.dtype)


def _truncated_quotient(x: Array, y: Array) -> Array:
    """x / y, rounded towards zero, floats too."""
    quotient = truncated_division(x, y)
    return quotient if x.dtype.kind in "iu" else np.trunc(quotient)


def _integers_not_by_zero(function: Function) -> Kernel:
    def kernel(node: OpNode, x: Array, y: Array) -> Array | tuple[Array, ...]:
        if x.dtype.kind in "iu" and y.size and not y.all():
            raise GraphError(node.name, f"expected {node.op} by integers other than 0, got a 0")
        return apply(node, x, y)

    apply = binary(function)
    return kernel


def _or_zero(function: Function, index: int) -> Function:
    """`function`, but 0 wherever argument `index` is 0, whatever the other is."""

    def apply(*arguments: Array) -> Array:
        value = function(*arguments)
        return np.where(arguments[index] == 0, np.zeros((), value.dtype), value)

    return apply


def _shift(function: Function) -> Function:
    """`function` with a shift from 0 to the width of the type less 1."""

    def apply(x: Array, y: Array) -> Array:
        return function(x, np.clip(y, 0, x.dtype.itemsize * 8 - 1).astype(x.dtype))

    return apply


def _rounded(x: Array) -> Array:
    return x if x.dtype.kind in "iu" else np.rint(x)


_UNARY: dict[str, Function] = {
    "Abs": np.abs, "Neg": np.negative, "Sign": np.sign, "Square": np.square, "Sqrt": np.sqrt, "Exp": np.exp,
    "Expm1": np.expm1, "Log": np.log, "Log1p": np.log1p, "Sin": np.sin, "Cos": np.cos, "Tan": np.tan,
    "Asin": np.arcsin, "Acos": np.arccos, "Atan": np.arctan, "Sinh": np.sinh, "Cosh": np.cosh, "Tanh": np.tanh,
    "Asinh": np.arcsinh, "Acosh": np.arccosh, "Atanh": np.arctanh, "Floor": np.floor, "Ceil": np.ceil,
    "Rint": np.rint, "Round": _rounded, "Invert": np.invert, "Conj": np.conj, "Sigmoid": sigmoid,
    "Rsqrt": lambda x: np.reciprocal(np.sqrt(x)), "Reciprocal": np.reciprocal, "Inv": np.reciprocal,
}  # fmt: skip

_BINARY: dict[str, Function] = {
    "Add": np.add, "AddV2": np.add, "Sub": np.subtract, "Mul": np.multiply, "RealDiv": np.divide,
    "Maximum": np.maximum, "Minimum": np.minimum, "Pow": np.power, "Atan2": np.arctan2, "NextAfter": np.nextafter,
    "SquaredDifference": lambda x, y: np.square(x - y),
    "DivNoNan": _or_zero(np.divide, 1), "MulNoNan": _or_zero(np.multiply, 1),
    "Xdivy": _or_zero(np.divide, 0), "Xlogy": _or_zero(lambda x, y: x * np.log(y), 0),
    "Xlog1py": _or_zero(lambda x, y: x * np.log1p(y), 0),
    "BitwiseAnd": np.bitwise_and, "BitwiseOr": np.bitwise_or, "BitwiseXor": np.bitwise_xor,
    "LeftShift": _shift(np.left_shift), "RightShift": _shift(np.right_shift),
}  # fmt: skip

_DIVISIONS: dict[str, Function] = {
    "Div": truncated_division, "TruncateDiv": _truncated_quotient, "FloorDiv": floor_division,
    "FloorMod": np.mod, "TruncateMod": np.fmod, "Mod": np.fmod,
}  # fmt: skip

_PREDICATES: dict[str, Function] = {
    "Less": np.less, "LessEqual": np.less_equal, "Greater": np.greater, "GreaterEqual": np.greater_equal,
    "LogicalAnd": np.logical_and, "LogicalOr": np.logical_or, "LogicalNot": np.logical_not,
    "IsNan": np.isnan, "IsInf": np.isinf, "IsFinite": np.isfinite,
}  # fmt: skip

_FORMS: list[tuple[Callable[[Function], Kernel], dict[str, Function]]] = [
    (unary, _UNARY),
    (binary, _BINARY),
    (_integers_not_by_zero, _DIVISIONS),
    (predicate, _PREDICATES),
]
for _form, _functions in _FORMS:
    for _op, _function in _functions.items():
        KERNELS.add(_op, _form(_function))


@KERNELS.op("Cross")
def cross(node: OpNode, a: Array, b: Array) -> Array:
    """The cross product of vectors [..., 3]."""
    if a.shape != b.shape or a.shape[-1:] != (3,):
        raise GraphError(node.name, f"expected vectors of 3 numbers, got {list(a.shape)} and {list(b.shape)}")
    return np.cross(widened(a), widened(b)).astype(a.dtype, copy=False)


@KERNELS.op("Equal", "NotEqual", attrs={"incompatible_shape_error"})
def equal(node: OpNode, x: Array, y: Array) -> Array:
    """x == y or x != y; with incompatible_shape_error false, shapes that don't broadcast are simply unequal."""
    negative = node.op == "NotEqual"
    if not node.flag("incompatible_shape_error"):
        try:
            np.broadcast_shapes(x.shape, y.shape)
        except ValueError:
            return np.array(negative)
    broadcast_room(node, x, y)
    return np.asarray((np.not_equal if negative else np.equal)(x, y)).astype(np.bool_, copy=False)


@KERNELS.op("ApproximateEqual", attrs={"tolerance"})
def approximate_equal(node: OpNode, x: Array, y: Array) -> Array:
    """|x - y| < tolerance; x and y have one shape."""
    return np.asarray(np.abs(x - y) < np.asarray(node.real("tolerance"), widened(x).dtype))


@KERNELS.op("AddN", "AccumulateNV2", attrs={"shape"})
def add_n(node: OpNode, *inputs: Array) -> Array:
    """The sum of arrays of one shape."""
    if any(array.shape != inputs[0].shape for array in inputs):
        raise GraphError(node.name, f"expected inputs of one shape, got {[list(array.shape) for array in inputs]}")
    return np.asarray(reduce(np.add, [widened(array) for array in inputs])).astype(inputs[0].dtype, copy=False)


@KERNELS.op("ClipByValue")
def clip_by_value(node: OpNode, x: Array, low: Array, high: Array) -> Array:
    """x between `low` and `high`, each of x's shape or a scalar."""
    return np.minimum(np.maximum(x, low), high)


@KERNELS.op("Select")
def select(node: OpNode, condition: Array, x: Array, y: Array) -> Array:
    """x where `condition`, else y, of one shape; a vector chooses rows, a scalar one of the two."""
    if x.shape != y.shape or (condition.ndim > 1 and condition.shape != x.shape):
        raise ValueError("shapes differ")
    if condition.ndim == 1 and x.ndim > 1:
        if len(condition) != len(x):
            raise ValueError("shapes differ")
        condition = condition.reshape(-1, *[1] * (x.ndim - 1))
    return np.where(condition, x, y)


@KERNELS.op("SelectV2")
def select_v2(node: OpNode, condition: Array, x: Array, y: Array) -> Array:
    """x where `condition`, else y, all broadcast to each other."""
    make_room(node, np.broadcast_shapes(condition.shape, x.shape, y.shape), x.dtype)
    return np.where(condition, x, y)


@KERNELS.op("Cast")
def cast(node: OpNode, x: Array) -> Array:
    """x in another element type: floats are cut to integers towards zero, complex numbers to their real part.

    What doesn't fit an integer type gives what C gives: unspecified, here as in TensorFlow.
    """
    dtype = node.dtype("DstT").numpy()
    make_room(node, x.shape, dtype)
    if x.dtype.kind == "c" and dtype.kind not in "cb":
        x = x.real
    return x.astype(dtype, copy=False)


@KERNELS.op("Bitcast")
def bitcast(node: OpNode, x: Array) -> Array:
    """The same bytes as another type; a last dimension is added or taken where the widths differ."""
    dtype = node.dtype("type").numpy()
    if dtype.itemsize > x.dtype.itemsize:
        return np.ascontiguousarray(x).view(dtype)[..., 0]
    if dtype.itemsize < x.dtype.itemsize:
        return np.ascontiguousarray(x)[..., None].view(dtype)
    return np.ascontiguousarray(x).view(dtype).reshape(x.shape)


@KERNELS.op("Real", "Imag", "Angle", "ComplexAbs")
def part(node: OpNode, x: Array) -> Array:
    """A real number of each complex one."""
    functions: dict[str, Function] = {"Real": np.real, "Imag": np.imag, "Angle": np.angle, "ComplexAbs": np.abs}
    return np.asarray(functions[node.op](x)).astype(node.dtype("Tout").numpy(), copy=False)


@KERNELS.op("Complex")
def complex_(node: OpNode, real: Array, imag: Array) -> Array:
    """real + 1j * imag."""
    dtype = node.dtype("Tout").numpy()
    value = np.empty(make_room(node, np.broadcast_shapes(real.shape, imag.shape), dtype), dtype)
    value.real, value.imag = real, imag
    return value
