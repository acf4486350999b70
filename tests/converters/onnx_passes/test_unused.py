"""What no result needs goes."""

from __future__ import annotations

from tensorferry.converters.onnx_passes.unused import remove_unused

from .onnx_graph import Onnx


def test_unused_nodes_go_and_inputs_stay() -> None:
    onnx = Onnx()
    x = onnx.input("x", 2)
    onnx.input("other", 2)
    onnx.op("dead", "Exp", onnx.op("deader", "Abs", x))
    onnx.const("lost", 1.0)
    onnx.output(onnx.op("y", "Neg", x, dims=(2,)))
    assert list(remove_unused(onnx.graph).nodes) == ["x", "other", "y", "y/output"]
