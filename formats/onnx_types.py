"""ONNX's numbers for element types (TensorProto.DataType), in one table.

ONNX has no quantised types (an integer with a scale beside it stands for them) and no float8_e4m3b11fnuz.
Reference: the comments in onnx.proto.
"""

from __future__ import annotations

from functools import cache

from .dtype import DTYPES, FLOAT, OPAQUE, DType
from .errors import UnsupportedError

NUMBERS = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
    17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4",
    23: "float4_e2m1fn", 25: "uint2", 26: "int2",
}  # fmt: skip
"""The element types by their TensorProto.DataType."""


@cache
def _numbers_by_name() -> dict[str, int]:
    return {name: number for number, name in NUMBERS.items()}


def onnx_dtype(dtype: DType) -> int:
    """The TensorProto.DataType of an element type; UnsupportedError where ONNX has none."""
    number = _numbers_by_name().get(dtype.name)
    if number is None:
        raise UnsupportedError("onnx", f"has no element type {dtype}")
    return number


@cache
def dtype_of_onnx(number: int) -> DType:
    """The element type of a TensorProto.DataType. Unknown numbers become opaque types."""
    if number == 24:
        return DType("float8_e8m0fnu", FLOAT, 8, 1, "float8_e8m0fnu")
    return DTYPES.get(NUMBERS.get(number, "")) or DType(f"onnx:{number}", OPAQUE, 0, 0)


def has_onnx_dtype(dtype: DType) -> bool:
    """Whether ONNX has the element type."""
    return dtype.name in _numbers_by_name()
