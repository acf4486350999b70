"""What TensorFlow looked up in the SavedModels `tables_v1` and `tables_v2`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tests.fixture import HOME

Arrays = dict[str, np.ndarray[Any, Any]]

CASES = [("tables_v1", "serving_default"), ("tables_v2", "serving_default"), ("tables_v2", "name")]
"""Each SavedModel with its signatures."""


def recorded(fixture: str, signature: str) -> tuple[Arrays, Arrays]:
    """Inputs and outputs of a signature, by their public names."""
    answers = json.loads((HOME / fixture / "answers.json").read_text("utf-8"))[signature]
    return _arrays(answers["inputs"]), _arrays(answers["outputs"])


def as_text(arrays: Arrays) -> Arrays:
    """The same with strings as onnxruntime takes them."""
    return {name: _objects([item.decode() for item in a]) if a.dtype == object else a for name, a in arrays.items()}


def assert_same(found: Arrays, expected: Arrays) -> None:
    """Equal strings and integers; floats within rounding."""
    assert sorted(found) == sorted(expected)
    for name, array in expected.items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(found[name], array, rtol=1e-6)
        else:
            assert all(isinstance(item, (str, bytes)) for item in found[name].reshape(-1)) or array.dtype != object
            items = [item.encode() if isinstance(item, str) else item for item in found[name].reshape(-1).tolist()]
            assert items == array.reshape(-1).tolist(), name


def _arrays(values: dict[str, Any]) -> Arrays:
    found = {}
    for name, value in values.items():
        words = isinstance(value, list) and isinstance(value[0], str)
        found[name] = _objects([word.encode() for word in value]) if words else np.array(value)
    return found


def _objects(items: list[Any]) -> np.ndarray[Any, Any]:
    array = np.empty(len(items), object)
    array[:] = items
    return array
