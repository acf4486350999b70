from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tensorferry.converters.cast import TYPES, Cast, cast_floats, overflows
from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.errors import UsageError
from tensorferry.formats.tensor import ArrayTensor

NUMPY = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


@given(
    arrays(np.float32, array_shapes(max_side=5), elements=st.floats(width=32)),
    st.sampled_from(TYPES),
)
def test_values_are_numpys(array: np.ndarray, name: str) -> None:
    cast = Cast(ArrayTensor(array), DTYPES[name])
    with np.errstate(over="ignore"):
        wanted = array.astype(NUMPY[name])
    assert cast.tobytes() == wanted.tobytes()
    assert cast.numpy().tobytes() == wanted.tobytes()
    assert cast.overflowed == np.count_nonzero(np.isinf(wanted) & ~np.isinf(array))


def test_overflow_is_counted_and_told() -> None:
    tensors = cast_floats({"w": ArrayTensor(np.array([1e30, 65504, 70000, np.inf], np.float32))}, "float16")
    assert overflows(tensors) == []
    tensors["w"].tobytes()
    assert overflows(tensors) == ["w: 2 of 4 values are too large for float16, and infinite now"]


def test_only_floating_point_tensors_are_cast() -> None:
    tensors = {"ids": ArrayTensor(np.zeros(3, np.int64)), "half": ArrayTensor(np.zeros(3, np.float16))}
    assert cast_floats(tensors, "float16") == tensors
    assert cast_floats(tensors, "bfloat16")["ids"] is tensors["ids"]


def test_other_types_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^--dtype int8: expected one of float64, float32, float16, bfloat16$"):
        cast_floats({}, "int8")
