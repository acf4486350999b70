"""What a target has, for a draft: the tensors of anything readable, or a list of names and shapes as JSON.

{"a": [2, 3], "b": []}                                     shapes
{"a": {"shape": [2, 3], "dtype": "F32"}, ...}              the header of a safetensors file
{"weight_map": {"a": "model-00001.safetensors", ...}}      an index: names alone, where its files are not there
["a", "b"]                                                 names alone
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tensorferry.formats.errors import FormatError, TensorferryError
from tensorferry.formats.safetensors_file import DTYPES

from ..load import load_checkpoint
from ..mapping.document import read_document
from .link import Wanted


def read_wanted(path: str | os.PathLike[str]) -> dict[str, Wanted]:
    """Name -> what is known of it. FormatError."""
    if os.path.isfile(path) and os.fspath(path).endswith(".json"):
        data = read_document(path).data
        if isinstance(data, dict) and isinstance(data.get("weight_map"), dict):
            try:
                return _of_tensors(load_checkpoint(path))
            except TensorferryError:
                return {str(name): Wanted() for name in data["weight_map"]}
        if isinstance(data, list) and all(isinstance(name, str) for name in data):
            return {name: Wanted() for name in data}
        if isinstance(data, dict):
            return {name: _shape(path, name, item) for name, item in data.items() if name != "__metadata__"}
        raise FormatError(path, f"expected names with shapes, got a {type(data).__name__}")
    return _of_tensors(load_checkpoint(path))


def _of_tensors(tensors: Mapping[str, Any]) -> dict[str, Wanted]:
    return {name: Wanted(tensor.shape, tensor) for name, tensor in tensors.items()}


def _shape(path: object, name: str, item: Any) -> Wanted:
    shape = item.get("shape") if isinstance(item, dict) else item
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise FormatError(path, f"expected a shape of {name}, got {shape!r:.40}")
    dtype = item.get("dtype") if isinstance(item, dict) else None
    known = DTYPES.get(dtype) if isinstance(dtype, str) else None
    return Wanted(tuple(shape), None, None if known is None else known.name)
