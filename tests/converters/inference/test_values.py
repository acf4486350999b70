"""What is known of a value, and how it is asked."""

from __future__ import annotations

import numpy as np

from tensorferry.converters.inference.values import MAX_ELEMENTS, MAX_ENTRIES, Value
from tensorferry.formats.dtype import BOOL, FLOAT32, INT32, INT64
from tensorferry.formats.tensor import ArrayTensor, SplatTensor


def test_constants() -> None:
    value = Value.of_tensor(ArrayTensor(np.array([[1, 2], [3, 4]], np.int32)))
    assert (value.dtype, value.dims, value.rank, value.size) == (INT32, (2, 2), 2, 4)
    assert value.is_constant
    assert value.is_known
    assert value.integers() == (1, 2, 3, 4)
    assert value.integer() is None
    grid = value.grid()
    assert grid is not None
    assert grid.tolist() == [[1, 2], [3, 4]]


def test_sizes() -> None:
    value = Value.of_entries(INT64, ("batch", 7))
    assert value.dims == (2,)
    assert value.is_known
    assert not value.is_constant
    assert value.integers() is None
    assert value.array() is None
    assert value.known_entries() == ("batch", 7)
    assert not Value.of_entries(INT64, ("batch", None)).is_known
    numbers = Value.of_entries(INT64, (3,), scalar=True)
    assert numbers.integer() == 3
    array = numbers.array()
    assert array is not None
    assert (array.shape, array.dtype) == ((), np.int64)


def test_of_an_unknown_vector_the_number_of_entries_is_known() -> None:
    assert Value(INT32, (3,)).known_entries() == (None, None, None)
    assert Value(INT32, ("n",)).known_entries() is None
    assert Value(INT32).known_entries() is None
    assert Value(FLOAT32, (3,)).known_entries() is None
    assert Value(BOOL, ()).known_entries() == (None,)


def test_large_constants_are_not_read() -> None:
    splat = Value.of_tensor(SplatTensor(np.array(1.0, np.float32), (10**6, 10**6), FLOAT32))
    assert splat.array() is None
    assert splat.is_constant
    whole = Value.of_tensor(SplatTensor(np.array(1), (MAX_ENTRIES + 1,), INT64))
    assert whole.known_entries() is None
    assert whole.array() is not None
    assert Value.of_tensor(SplatTensor(np.array(1), (MAX_ELEMENTS + 1,), INT64)).array() is None
    assert Value(INT32, (10**12,)).known_entries() is None
