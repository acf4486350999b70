"""TensorFlow graphs in a few lines of Python."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tensorferry.converters.ir import Attr, AttrList, Graph, Node, Shape
from tensorferry.formats.dtype import DTYPES, FLOAT32, DType
from tensorferry.formats.tensor import ArrayTensor


def placeholder(name: str, shape: Iterable[int | None] | None = None, dtype: str = "float32") -> Node:
    """A placeholder; None is an unknown size, or an unknown rank."""
    dims = None if shape is None else tuple(-1 if dim is None else dim for dim in shape)
    return Node(name, "Placeholder", (), {"dtype": DTYPES[dtype], "shape": Shape(dims)})


def const(name: str, value: Any, dtype: str = "float32") -> Node:
    """A constant."""
    tensor = ArrayTensor(np.array(value, DTYPES[dtype].numpy()))
    return Node(name, "Const", (), {"dtype": DTYPES[dtype], "value": tensor})


def op(name: str, kind: str, *inputs: str, **attrs: Any) -> Node:
    """A node; T is float32 unless it is given, texts are bytes, lists are lists of integers."""
    given: dict[str, Attr] = {"T": FLOAT32}
    for key, value in attrs.items():
        if isinstance(value, str):
            given[key] = value.encode()
        elif isinstance(value, list):
            given[key] = AttrList("int", tuple(value)) if value else AttrList()
        else:
            given[key] = value
    return Node(name, kind, inputs, given)


def graph(*nodes: Node) -> Graph:
    """A graph of nodes."""
    return Graph.of(nodes)


def dtype(name: str) -> DType:
    """An element type by name."""
    return DTYPES[name]
