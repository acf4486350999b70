"""Which element types an ONNX op takes, by the standard at an opset and by onnxruntime's CPU kernels.

`plan` says, for the types that a lowering hands to an op, what has to be cast: a type that the standard or the runtime
refuses goes through the nearest wider one that both accept, and the result comes back. (Integers wrap around in the
same way after the cast back; a float64 op without a float64 kernel is computed in float32.) float16 is left alone
where the standard has it, since onnxruntime casts that by itself.

The standard's types come from the `onnx` package's schemas. `KERNELS` notes what onnxruntime 1.20 and newer lack; it
was read off `get_all_opkernel_def()` of its Python module.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from tensorferry.formats.dtype import COMPLEX, DTYPES, DType
from tensorferry.formats.errors import UnsupportedError

SPELLING = {"float32": "float", "float64": "double"}
"""Where ONNX names a type otherwise than we do (so does its prefix for complex: complex64, complex128)."""

_REALS = "float32 float64"
_PAIR = f"{_REALS} int32 int64"
_MANY = f"{_REALS} int32 int64 int8 uint8"
_WIDE = f"{_REALS} int32 int64 uint32 uint64"
_FLOAT_ONLY = """
    Acos Acosh AffineGrid Asin Asinh Atan Atanh AveragePool Celu Col2Im Conv ConvTranspose Cosh Det Elu Erf
    GlobalAveragePool GlobalMaxPool GridSample HardSigmoid Hardmax HardSwish InstanceNormalization LRN LeakyRelu LpPool
    Mish PRelu Selu Sinh Softplus Softsign Tan ThresholdedRelu
"""
_TABLE = [
    (_FLOAT_ONLY, "float32"),
    (
        """BatchNormalization Ceil Cos DFT Exp Floor Gelu Gemm GRU IsInf LSTM LayerNormalization Log LogSoftmax
        LpNormalization Reciprocal RoiAlign STFT Sigmoid Sin Softmax Sqrt Sum Tanh""",
        _REALS,
    ),
    ("IsNaN Round", f"{_REALS} float16"),
    (
        """CumSum Einsum Pow ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMean ReduceProd ReduceSum
        ReduceSumSquare""",
        _PAIR,
    ),
    ("Range", f"{_REALS} int16 int32 int64"),
    ("MatMul Add Sub Mul Div Greater GreaterOrEqual Less LessOrEqual", _WIDE),
    ("ArgMax ArgMin ReduceMax ReduceMin", _MANY),
    ("TopK", f"{_REALS} int32 int64"),
    ("MaxPool", f"{_REALS} int8 uint8"),
    ("DepthToSpace SpaceToDepth", f"{_REALS} uint8"),
    ("Equal", f"{_WIDE} bool string"),
    ("Abs Sign", f"{_WIDE} int8 int16 uint8 uint16"),
    ("Neg", f"{_PAIR} int8"),
    ("Max Min", f"{_WIDE} float16"),
    ("Clip", f"{_WIDE} float16 int8 uint8"),
    ("Mod", f"{_WIDE} float16 int8 int16 uint8 uint16"),
    ("Relu", f"{_REALS} int32 int8"),
    ("Pad", f"{_WIDE} bool int8 uint8"),
    ("Where", f"{_REALS} int32 int64 uint8 string"),
    ("Resize", "float32 int32 int8 uint8"),
    ("Tile", f"{_WIDE} bool float16 int8 int16 uint8 uint16 string"),
    ("Expand", f"{_WIDE} bool float16 int8 int16 uint8 uint16 string"),
    ("NonZero", "float32 int32 int64 uint8 bool"),
    ("Trilu", f"{_REALS} int64 bool"),
    ("Unique", f"{_REALS} int64 int8 string"),
    ("EyeLike", f"{_PAIR} uint64"),
    ("BitShift", "uint8 uint32 uint64"),
]

KERNELS: dict[str, frozenset[str]] = {op: frozenset(types.split()) for ops, types in _TABLE for op in ops.split()}
"""For each op with gaps, the types of its main input that onnxruntime has a kernel for."""

_WIDER = {
    "bool": ("uint8", "int32", "float32"),
    "int8": ("int16", "int32", "int64", "float32"),
    "uint8": ("int16", "int32", "int64", "float32"),
    "int16": ("int32", "int64", "float32"),
    "uint16": ("int32", "uint32", "int64", "float32"),
    "int32": ("int64", "float64", "float32"),
    "uint32": ("uint64", "int64", "float64", "float32"),
    "int64": ("float64", "float32", "int32"),
    "uint64": ("int64", "float64", "float32"),
    "float16": ("float32",),
    "bfloat16": ("float32",),
    "float64": ("float32",),
    "float32": ("float64",),
}
"""What to try instead of a type, best first."""


def onnx_spelling(dtype: DType) -> str:
    """The type as ONNX's schemas spell it, `tensor(float)`."""
    return f"tensor({SPELLING.get(dtype.name, dtype.name)})"


@cache
def schema(op: str, opset: int) -> Any:
    """The schema of a standard op at an opset; UnsupportedError where the opset has no such op."""
    import onnx

    try:
        return onnx.defs.get_schema(op, opset, "")
    except onnx.defs.SchemaError:
        raise UnsupportedError("", f"opset {opset} has no op {op}", hint="choose a newer opset") from None


def has_op(op: str, opset: int) -> bool:
    """Whether the opset has the op."""
    try:
        return not schema(op, opset).deprecated
    except UnsupportedError:
        return False


@cache
def cast_types(opset: int) -> frozenset[str]:
    """The types that Cast takes."""
    return frozenset(schema("Cast", opset).type_constraints[0].allowed_type_strs)


@dataclass(frozen=True, slots=True)
class Plan:
    """Casts around one op.

    `inputs` has the type that each input is to be cast to (None: as it is), `computed` the type that each output comes
    out as (None where only the lowering can know) and `outputs` the type that it is to be.
    """

    inputs: tuple[DType | None, ...]
    computed: tuple[DType | None, ...]
    outputs: tuple[DType | None, ...]


@cache
def plan(op: str, opset: int, inputs: tuple[DType | None, ...], outputs: int) -> Plan:
    """The casts that `op` needs for inputs of these types (None: left out). UnsupportedError where none would help."""
    formal = schema(op, opset)
    for dtype in inputs:
        if dtype is not None and dtype.kind == COMPLEX:
            raise UnsupportedError(
                "", f"ONNX's {op} takes no {dtype}: complex values are for transforms and their parts"
            )
    allowed = {item.type_param_str: frozenset(item.allowed_type_strs) for item in formal.type_constraints}
    bound: dict[str, DType] = {}
    used: dict[str, DType] = {}
    casts: list[DType | None] = []
    for index, dtype in enumerate(inputs):
        parameter = formal.inputs[min(index, len(formal.inputs) - 1)]
        kind = parameter.type_str
        if dtype is None or kind not in allowed:
            casts.append(None)
            continue
        if kind not in bound:
            bound[kind] = dtype
            used[kind] = _nearest(op, opset, dtype, allowed[kind], main=index == _main_input(op))
        casts.append(used[kind] if used[kind] != dtype else None)
    results = [formal.outputs[min(index, len(formal.outputs) - 1)].type_str for index in range(outputs)]
    fixed = {onnx_spelling(dtype): dtype for dtype in DTYPES.values()}
    computed = tuple(used.get(kind) or fixed.get(kind) or _only(allowed.get(kind), fixed) for kind in results)
    wanted = tuple(bound.get(kind) or made for kind, made in zip(results, computed, strict=True))
    return Plan(tuple(casts), computed, wanted)


def _main_input(op: str) -> int:
    return 1 if op == "Where" else 0


def _only(types: frozenset[str] | None, fixed: dict[str, DType]) -> DType | None:
    """The one type of a constraint that leaves no choice."""
    return fixed.get(next(iter(types))) if types is not None and len(types) == 1 else None


def _nearest(op: str, opset: int, dtype: DType, standard: frozenset[str], *, main: bool) -> DType:
    kernels = KERNELS.get(op) if main else None
    for name in (dtype.name, *_WIDER.get(dtype.name, ())):
        if onnx_spelling(DTYPES[name]) not in standard if name in DTYPES else True:
            continue
        if kernels is None or name in kernels or name == "float16":
            return DTYPES[name]
    newer = onnx_spelling(dtype) in _newest_types(op)
    raise UnsupportedError(
        "",
        f"ONNX's {op} takes no {dtype} at opset {opset}, nor a type that could stand in for it",
        hint="a newer opset takes it" if newer else "",
    )


def _newest_types(op: str) -> frozenset[str]:
    import onnx

    constraints = onnx.defs.get_schema(op, "").type_constraints
    return frozenset(kind for constraint in constraints for kind in constraint.allowed_type_strs)
