"""What is computed twice is computed once."""

from __future__ import annotations

import numpy as np

from tensorferry.converters.onnx_passes.duplicates import merge_duplicates

from ..onnx_model import ops_of
from .onnx_graph import Onnx, assert_same


def test_duplicates_become_one_with_all_that_depends_on_them() -> None:
    onnx = Onnx()
    x = onnx.input("x", 2, 3, 4)
    for name in "ab":
        y = onnx.op(f"exp_{name}", "Exp", x)
        onnx.output(onnx.op(f"pool_{name}", "ReduceMax", y, keepdims=0), name, rank=0)
    found = merge_duplicates(onnx.graph)
    assert ops_of(found) == ["Exp", "ReduceMax"]
    assert found.outputs == {"a": "pool_a:0", "b": "pool_a:0"}
    assert_same(onnx, found, x=np.random.default_rng(2).standard_normal((2, 3, 4)).astype(np.float32))


def test_what_differs_stays() -> None:
    onnx = Onnx()
    x = onnx.input("x", 2, 3, 4)
    for name, attrs in (("a", {"alpha": 1.0}), ("b", {"alpha": 0.5}), ("c", {})):
        onnx.output(onnx.op(name, "LeakyRelu", x, **attrs), name, rank=3)
    for name, order in (("d", ("a:0", "b:0")), ("e", ("b:0", "a:0"))):
        onnx.output(onnx.op(name, "Sub", *order), name, rank=3)
    for name in "fg":
        onnx.output(onnx.op(name, "RandomUniformLike", x), name, rank=3)
    assert len(ops_of(merge_duplicates(onnx.graph))) == 7
