"""One kernel, run on arrays: what it gives, and the error in which it ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.ir import Node
from tensorferry.converters.kernels import run
from tensorferry.formats.errors import TensorferryError


def given(op: str, attrs: dict[str, Any], *inputs: Any) -> np.ndarray[Any, Any]:
    """The first output."""
    return run(Node("n", op, (), attrs), [np.asarray(value) for value in inputs])[0]


def refusal(op: str, attrs: dict[str, Any], *inputs: Any) -> str:
    """The message of the error."""
    with pytest.raises(TensorferryError) as caught:
        run(Node("n", op, (), attrs), [np.asarray(value) for value in inputs])
    return str(caught.value)


def words(*items: bytes) -> np.ndarray[Any, Any]:
    array = np.empty(len(items), object)
    array[:] = items
    return array


def word(item: bytes) -> np.ndarray[Any, Any]:
    return words(item).reshape(())


def floats(*values: Any) -> np.ndarray[Any, Any]:
    return np.array(values, np.float32)


def ints(*values: Any) -> np.ndarray[Any, Any]:
    return np.array(values, np.int32)


def longs(*values: Any) -> np.ndarray[Any, Any]:
    return np.array(values, np.int64)
