"""Rules of ops that work element by element: same shape, or broadcast; integers are followed as contents."""

from __future__ import annotations

import math
from collections.abc import Callable

from tensorferry.formats.dtype import BOOL

from ..ops import OpNode, OpTable
from .dims import Dim, Dims, add, broadcast_dims, floor_divide, known, merge_dims, multiply, subtract, terms
from .facts import Fact, Result, same
from .values import MAX_ENTRIES, Value

RULES: OpTable[Callable[..., Result]] = OpTable("inference rule")

_SAME = """
    Abs Acos Acosh Asin Asinh Atan Atanh BesselI0 BesselI0e BesselI1 BesselI1e Ceil ComplexAbs Angle Conj Cos Cosh
    Digamma Erf Erfc Erfinv Ndtri Exp Expm1 Floor Imag Inv Invert IsFinite IsInf IsNan Lgamma Log Log1p LogicalNot
    OnesLike Real Reciprocal Relu Relu6 Rint Round Rsqrt Selu Elu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt
    Square Tan Tanh ZerosLike PopulationCount
    InvGrad ReciprocalGrad RsqrtGrad SigmoidGrad SqrtGrad TanhGrad ReluGrad Relu6Grad EluGrad SeluGrad SoftplusGrad
    SoftsignGrad
"""

for _op in _SAME.split():
    RULES.add(_op, same)
RULES.add("LeakyRelu", same, {"alpha"})
RULES.add("LeakyReluGrad", same, {"alpha"})
RULES.add("CheckNumerics", same, {"message"})
RULES.add("CheckNumericsV2", same, {"message"})
RULES.add("ClipByValue", same)
RULES.add("Bucketize", same, {"boundaries"})


def _broadcast(node: OpNode, *inputs: Value) -> Result:
    return broadcast_dims(value.dims for value in inputs)


_BROADCAST = """
    Atan2 BitwiseAnd BitwiseOr BitwiseXor Complex DivNoNan Greater GreaterEqual Igamma Igammac Betainc LeftShift Less
    LessEqual LogicalAnd LogicalOr MulNoNan NextAfter Polygamma Pow RealDiv RightShift SquaredDifference TruncateDiv
    TruncateMod Xdivy Xlog1py Xlogy Zeta
"""

for _op in _BROADCAST.split():
    RULES.add(_op, _broadcast)
RULES.add("ApproximateEqual", same, {"tolerance"})


@RULES.op("Equal", "NotEqual", attrs={"incompatible_shape_error"})
def equal(node: OpNode, x: Value, y: Value) -> Result:
    """Broadcast; but a scalar for shapes that can't, where that is allowed."""
    if not node.flag("incompatible_shape_error") and never_broadcast(x.dims, y.dims):
        return ()
    return broadcast_dims((x.dims, y.dims))


def never_broadcast(x: Dims, y: Dims) -> bool:
    """Whether two shapes are known not to broadcast."""
    if x is None or y is None:
        return False
    pairs = zip(reversed(x), reversed(y), strict=False)
    return any(isinstance(a, int) and isinstance(b, int) and a != b and 1 not in (a, b) for a, b in pairs)


def entrywise(function: Callable[..., Dim], dims: Dims, *inputs: Value) -> tuple[Dim, ...] | None:
    """The entries of a result of shape `dims`, each computed by `function` from the inputs' entries in its place."""
    shape = known(dims)
    if shape is None or math.prod(shape) > MAX_ENTRIES:
        return None
    columns = [value.known_entries() for value in inputs]
    if any(
        column is None or (value.dims != shape and len(column) != 1)
        for column, value in zip(columns, inputs, strict=True)
    ):
        return None
    count = math.prod(shape)
    spread = [column if len(column) == count else column * count for column in columns if column is not None]
    return tuple(function(*row) for row in zip(*spread, strict=True))


def _arithmetic(function: Callable[[Dim, Dim], Dim]) -> Callable[..., Result]:
    def rule(node: OpNode, x: Value, y: Value) -> Result:
        dims = broadcast_dims((x.dims, y.dims))
        return Fact(dims, entrywise(function, dims, x, y) if x.dtype.is_integer else None)

    return rule


def _quotient(a: Dim, b: Dim) -> Dim:
    """a / b rounded down."""
    if isinstance(b, int) and b > 0:
        return floor_divide(a, b)
    return a // b if isinstance(a, int) and isinstance(b, int) and b else None


def _truncated(a: Dim, b: Dim) -> Dim:
    """a / b rounded to zero, which is down where neither is negative."""
    if isinstance(b, int) and b > 0 and _is_natural(a):
        return floor_divide(a, b)
    return int(a / b) if isinstance(a, int) and isinstance(b, int) and b and abs(a) < 1 << 50 else None


def _remainder(a: Dim, b: Dim) -> Dim:
    if isinstance(a, int) and isinstance(b, int):
        return a % b if b else None
    return subtract(a, multiply(floor_divide(a, b), b)) if isinstance(b, int) and b > 0 else None


def _is_natural(dim: Dim) -> bool:
    """Whether a size can't be negative: symbols stand for sizes of dimensions."""
    return dim is not None and all(coefficient >= 0 for _, coefficient in terms(dim))


def _maximum(a: Dim, b: Dim) -> Dim:
    if a == b or (isinstance(a, int) and isinstance(b, int)):
        return a if a == b else max(a, b)  # type: ignore[type-var]
    difference = subtract(a, b)
    if _is_natural(difference):
        return a
    return b if _is_natural(subtract(b, a)) else None


def _minimum(a: Dim, b: Dim) -> Dim:
    largest = _maximum(a, b)
    return None if largest is None else a if largest == b else b


RULES.add("Add", _arithmetic(add))
RULES.add("AddV2", _arithmetic(add))
RULES.add("Sub", _arithmetic(subtract))
RULES.add("Mul", _arithmetic(multiply))
RULES.add("FloorDiv", _arithmetic(_quotient))
RULES.add("Div", _arithmetic(_truncated))
RULES.add("FloorMod", _arithmetic(_remainder))
RULES.add("Mod", _broadcast)
RULES.add("Maximum", _arithmetic(_maximum))
RULES.add("Minimum", _arithmetic(_minimum))


@RULES.op("Neg")
def negative(node: OpNode, x: Value) -> Result:
    """The entries with their signs turned."""
    return Fact(x.dims, entrywise(lambda a: multiply(a, -1), x.dims, x) if x.dtype.is_integer else None)


@RULES.op("Cast", attrs={"Truncate"})
def cast(node: OpNode, x: Value) -> Result:
    """Integers stay what they are, as long as the type holds them."""
    target = node.dtype("DstT")
    if x.dtype == target:
        return Fact(x.dims, x.entries, x.tensor)
    if not (x.dtype.is_integer or x.dtype == BOOL) or not target.is_integer or target.bits < 32:
        return x.dims
    return Fact(x.dims, entrywise(lambda a: a, x.dims, x))


@RULES.op("AddN")
def add_n(node: OpNode, *inputs: Value) -> Result:
    """All inputs have one shape."""
    dims = inputs[0].dims if inputs else None
    for value in inputs[1:]:
        dims = merge_dims(dims, value.dims)
    entries = entrywise(lambda *row: add(*row), dims, *inputs) if inputs and inputs[0].dtype.is_integer else None
    return Fact(dims, entries)


@RULES.op("AccumulateNV2", attrs={"shape"})
def accumulate(node: OpNode, *inputs: Value) -> Result:
    """AddN under another name."""
    return add_n(node, *inputs)


@RULES.op("SelectV2")
def select_v2(node: OpNode, condition: Value, x: Value, y: Value) -> Result:
    """All three broadcast; of a known condition, the entries of the side that it chooses."""
    dims = broadcast_dims((condition.dims, x.dims, y.dims))
    if not x.dtype.is_integer:
        return dims
    return Fact(dims, entrywise(_chosen, dims, condition, x, y))


def _chosen(condition: Dim, x: Dim, y: Dim) -> Dim:
    if isinstance(condition, int):
        return x if condition else y
    return x if x == y else None


@RULES.op("Select")
def select(node: OpNode, condition: Value, x: Value, y: Value) -> Result:
    """x and y have one shape; the condition has it too, or is a scalar, or a vector over the first dimension."""
    dims = merge_dims(x.dims, y.dims)
    if not x.dtype.is_integer or condition.rank is None or dims is None or condition.rank not in (0, len(dims)):
        return dims
    return Fact(dims, entrywise(_chosen, dims, condition, x, y))
