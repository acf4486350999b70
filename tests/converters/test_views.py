"""Tensors made from others when they are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.views import View, cast, reshaped, transposed
from tensorferry.formats.dtype import FLOAT16, FLOAT32
from tensorferry.formats.tensor import ArrayTensor, Tensor

ARRAY = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


class Counting(ArrayTensor):
    """Counts how often it is read."""

    __slots__ = ("reads",)

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        super().__init__(array)
        self.reads = 0

    def numpy(self) -> np.ndarray[Any, Any]:
        self.reads += 1
        return super().numpy()


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (transposed(ArrayTensor(ARRAY), [2, 0, 1]), ARRAY.transpose(2, 0, 1)),
        (transposed(transposed(ArrayTensor(ARRAY), [2, 0, 1]), [1, 0, 2]), ARRAY.transpose(0, 2, 1)),
        (reshaped(ArrayTensor(ARRAY), (4, 6)), ARRAY.reshape(4, 6)),
        (reshaped(transposed(ArrayTensor(ARRAY), [1, 0, 2]), (3, 8)), ARRAY.transpose(1, 0, 2).reshape(3, 8)),
        (cast(ArrayTensor(ARRAY), FLOAT16), ARRAY.astype(np.float16)),
        (View(FLOAT32, (2,), lambda x: x.sum((1, 2)), ArrayTensor(ARRAY)), ARRAY.sum((1, 2))),
    ],
)
def test_values(view: Tensor, expected: np.ndarray[Any, Any]) -> None:
    assert view.shape == expected.shape
    np.testing.assert_array_equal(view.numpy(), expected)
    assert view.tobytes() == np.ascontiguousarray(expected).tobytes()


def test_what_changes_nothing_is_the_tensor_itself() -> None:
    base = ArrayTensor(ARRAY)
    assert transposed(base, [0, 1, 2]) is base
    assert transposed(transposed(base, [2, 0, 1]), [1, 2, 0]) is base
    assert reshaped(base, base.shape) is base
    assert cast(base, FLOAT32) is base


def test_nothing_is_read_before_it_is_asked_for() -> None:
    base = Counting(ARRAY)
    view = cast(reshaped(transposed(base, [2, 1, 0]), (8, 3)), FLOAT16)
    assert (view.shape, view.nbytes, base.reads) == ((8, 3), 48, 0)
    view.numpy()
    assert base.reads == 1


def test_a_view_that_makes_another_shape_than_it_says() -> None:
    with pytest.raises(AssertionError, match=r"a view of \(3,\) made an array of \(2, 3, 4\)"):
        View(FLOAT32, (3,), lambda x: x, ArrayTensor(ARRAY)).numpy()
