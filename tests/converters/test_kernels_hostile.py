"""Kernels on inputs and attributes that make no sense: an answer or one of our errors, never much memory or time."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import Attr, AttrList
from tensorferry.converters.kernels import run
from tensorferry.converters.kernels.kernel import bounded
from tensorferry.formats.errors import TensorferryError

from ..fixture import HOME, graph_def

GRAPHS = [from_graph_def(graph_def(path)) for path in sorted((HOME / "kernels").glob("tensorflow*.pb"))]
OPS = [(graph, node) for graph in GRAPHS for node in graph if node.name.endswith("/op")]
NUMBERS = [-1, -2, 0, 1, 7, 100, 2**31 - 1, -(2**31)]


def odd_array(chance: random.Random, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """`array` with another shape or another number in it; its element type stays."""
    kind = chance.randrange(6)
    if kind == 0 and array.ndim:
        return array[: chance.randrange(array.shape[0] + 1)]
    if kind == 1:
        return array[None]
    if kind == 2 and array.ndim and len(array):
        return np.asarray(array[0], array.dtype)
    if kind == 3:
        return np.zeros((0,) * array.ndim, array.dtype)
    if kind == 4 and array.ndim:
        return np.concatenate([array, array])
    if array.dtype.kind in "i" and array.dtype.itemsize >= 4 and array.size:
        array = np.array(array)
        array.flat[chance.randrange(array.size)] = chance.choice(NUMBERS)
    return array


def odd_attr(chance: random.Random, attr: Attr) -> Attr:
    if isinstance(attr, bool):
        return not attr
    if isinstance(attr, int):
        return chance.choice([*NUMBERS, 2**40, -(2**63)])
    if isinstance(attr, float):
        return chance.choice([0.0, -1.0, 1e30, float("nan")])
    if isinstance(attr, bytes):
        return chance.choice([b"", b"SAME", b"NCHW", b"...->", b"a->aa", b"\xff"])
    if isinstance(attr, AttrList) and attr.kind == "int" and attr.items:
        items = list(attr.items)
        items[chance.randrange(len(items))] = chance.choice([*NUMBERS, 2**40])
        return AttrList("int", tuple(items))
    return attr


@pytest.mark.parametrize("seed", range(4))
def test_odd_inputs_and_attributes_give_an_answer_or_an_error_of_ours(seed: int) -> None:
    chance = random.Random(seed)
    refused = []
    for _ in range(1500):
        graph, node = chance.choice(OPS)
        inputs = [graph.producer(value).attrs["value"].numpy() for value in node.data_inputs]  # type: ignore[union-attr]
        if inputs and chance.random() < 0.75:
            place = chance.randrange(len(inputs))
            inputs[place] = odd_array(chance, inputs[place])
        elif node.attrs:
            name = chance.choice(sorted(node.attrs))
            node = node.with_(attrs={**node.attrs, name: odd_attr(chance, node.attrs[name])})
        try:
            with bounded(1 << 24):
                outputs = run(node, inputs)
        except TensorferryError as error:
            refused.append((node.name, str(error)))
        else:
            # Views of one element take no memory.
            assert all(value.nbytes <= 1 << 24 or not any(value.strides) for value in outputs)
    assert len(refused) > 200
    assert all(message.startswith(f"{name}: ") and "\n" not in message for name, message in refused)
