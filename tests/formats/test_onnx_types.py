"""onnx_types: the numbers of TensorProto.DataType."""

from __future__ import annotations

import pytest
from onnx import TensorProto

from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.errors import UnsupportedError
from tensorferry.formats.onnx_types import NUMBERS, dtype_of_onnx, has_onnx_dtype, onnx_dtype

SPELLED = {"float32": "FLOAT", "float64": "DOUBLE", "float4_e2m1fn": "FLOAT4E2M1"}


@pytest.mark.parametrize("name", NUMBERS.values())
def test_as_in_onnx(name: str) -> None:
    number = TensorProto.DataType.Value(SPELLED.get(name, name.upper().replace("_", "")))
    assert onnx_dtype(DTYPES[name]) == number
    assert dtype_of_onnx(number) is DTYPES[name]
    assert has_onnx_dtype(DTYPES[name])


def test_a_type_that_only_onnx_has() -> None:
    dtype = dtype_of_onnx(TensorProto.FLOAT8E8M0)
    assert dtype.numpy().name == "float8_e8m0fnu"


@pytest.mark.parametrize("number", [0, -1, 27, 1000])
def test_a_number_of_tomorrow(number: int) -> None:
    assert str(dtype_of_onnx(number)) == f"onnx:{number}"
    assert not dtype_of_onnx(number).is_plain


@pytest.mark.parametrize("name", ["qint8", "quint16", "resource", "variant", "float8_e4m3b11fnuz"])
def test_a_type_that_onnx_lacks(name: str) -> None:
    assert not has_onnx_dtype(DTYPES[name])
    with pytest.raises(UnsupportedError, match=f"onnx: has no element type {name}"):
        onnx_dtype(DTYPES[name])
