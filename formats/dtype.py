"""Element types, named once for every format.

Each format maps its own numbers or words to these (`tensor_proto`, `safetensors_file`, `onnx_file`), and numpy's
types are looked up only when values are wanted, so that names, shapes and sizes cost no import of numpy.
A type narrower than a byte (int4, uint2, ...) takes one byte an element in memory, as in numpy and TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import numpy as np

FLOAT, SIGNED, UNSIGNED, BOOLEAN, COMPLEX, QUANTIZED, STRING, OPAQUE = (
    "float", "signed", "unsigned", "boolean", "complex", "quantized", "string", "opaque",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DType:
    """An element type: its name, kind, width in bits and bytes of memory an element (0: no fixed width)."""

    name: str
    kind: str
    bits: int
    itemsize: int
    storage: str = ""
    """numpy's (or ml_dtypes') name of the type that holds it in memory; empty where no array can."""

    def __str__(self) -> str:
        return self.name

    @property
    def is_plain(self) -> bool:
        """Whether elements have a fixed width, so that bytes and shape tell all."""
        return self.itemsize > 0

    @property
    def is_floating(self) -> bool:
        return self.kind == FLOAT

    @property
    def is_integer(self) -> bool:
        return self.kind in (SIGNED, UNSIGNED)

    def numpy(self) -> np.dtype[Any]:
        """The dtype of arrays that hold it (object for strings); ValueError where there is none."""
        import numpy as np

        if not self.storage:
            raise ValueError(f"no array holds {self.name}")
        if hasattr(np, self.storage):
            scalar: Any = getattr(np, self.storage)
        else:
            import ml_dtypes

            scalar = getattr(ml_dtypes, self.storage)
        return cast("np.dtype[Any]", np.dtype(scalar))


def _table() -> dict[str, DType]:
    rows: list[DType] = []
    for name, bits in ("float16", 16), ("float32", 32), ("float64", 64):
        rows.append(DType(name, FLOAT, bits, bits // 8, name))
    for name in "bfloat16", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz":
        bits = 16 if name == "bfloat16" else 8
        rows.append(DType(name, FLOAT, bits, bits // 8, name))
    rows.append(DType("float4_e2m1fn", FLOAT, 4, 1, "float4_e2m1fn"))
    for kind, prefix in (SIGNED, "int"), (UNSIGNED, "uint"):
        for bits in 2, 4, 8, 16, 32, 64:
            rows.append(DType(f"{prefix}{bits}", kind, bits, max(bits // 8, 1), f"{prefix}{bits}"))
    rows.append(DType("bool", BOOLEAN, 8, 1, "bool_"))
    for bits in 64, 128:
        rows.append(DType(f"complex{bits}", COMPLEX, bits, bits // 8, f"complex{bits}"))
    for stored in "int8", "uint8", "int16", "uint16", "int32":
        bits = int(stored.lstrip("uint"))
        rows.append(DType(f"q{stored}", QUANTIZED, bits, bits // 8, stored))
    rows.append(DType("string", STRING, 0, 0, "object_"))
    for name in "resource", "variant":
        rows.append(DType(name, OPAQUE, 0, 0))
    return {row.name: row for row in rows}


DTYPES = _table()
"""Every element type by name."""

FLOAT16, FLOAT32, FLOAT64, BFLOAT16 = (DTYPES[n] for n in ("float16", "float32", "float64", "bfloat16"))
INT8, INT16, INT32, INT64 = (DTYPES[n] for n in ("int8", "int16", "int32", "int64"))
UINT8, UINT16, UINT32, UINT64 = (DTYPES[n] for n in ("uint8", "uint16", "uint32", "uint64"))
BOOL, STRING_TYPE, RESOURCE, VARIANT = (DTYPES[n] for n in ("bool", "string", "resource", "variant"))
COMPLEX64, COMPLEX128 = DTYPES["complex64"], DTYPES["complex128"]


def of_numpy(dtype: np.dtype[Any]) -> DType:
    """The element type that an array of `dtype` holds; ValueError where there is none (dates, records, ...)."""
    if dtype.kind in "OSU":
        return STRING_TYPE
    name = "bool" if dtype.kind == "b" else dtype.name
    if name not in DTYPES or DTYPES[name].kind == OPAQUE:
        raise ValueError(f"numpy's {dtype} has no counterpart here")
    return DTYPES[name]
