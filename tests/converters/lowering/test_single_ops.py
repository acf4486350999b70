"""Every single op that TensorFlow's answers were recorded for: lowered, checked, run, compared.

Four times over: fed with everything that is no integer, its shapes known, then its sizes unknown, then its ranks
unknown; and fed with all inputs, axes and shapes too, where the lowering can do without knowing them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.ir import Graph, Node, value_name
from tensorferry.converters.lowering import lower, lowerings, newest_opset
from tensorferry.formats.errors import UnsupportedError

from ..onnx_model import assert_same, needs_recent_runtime, run_graph
from ..test_kernels import RECORDED, expected_outputs, recorded

pytestmark = needs_recent_runtime

NO_FEED = {"bfloat16"}
"""Types that Python can't hand to onnxruntime."""

REFUSED = {
    "Add": "takes no string",
    "AsString": "does not say how (float32|complex64) is written|of no particular width",
    "BatchMatMul": "takes no complex64: complex values are for transforms and their parts",
    "Bitcast": "expected integers of one width",
    "BlockLSTMV2": "expected a value that ONNX can express",
    "Concat": "expected the axis to be a constant, got a computed one",
    "FusedBatchNorm": "expected a value that ONNX can express",
    "FusedBatchNormV2": "expected a value that ONNX can express",
    "FusedBatchNormV3": "expected (a value that ONNX can express|batch statistics alone, got a running average)",
    "GatherNd": "expected indices of one number at least",
    "NonMaxSuppressionV5": "expected a soft_nms_sigma of 0, which is hard suppression",
    "Reverse": "expected the dimensions to be constant",
    "Split": "expected the axis to be a constant, got a computed one",
    "StringSplit": "expected to split at one character",
    "StringToHashBucketFast": "ONNX has no hash of strings",
    "StringToHashBucketStrong": "ONNX has no hash of strings",
}
"""What some cases of an op are refused for though all shapes are known."""

DIFFERENT = {
    "Conv2D_0": "of groups nobody can know whose input has an unknown number of channels",
    "Equal_3": "shapes that can't be broadcast have to be known beforehand",
    "NotEqual_2": "shapes that can't be broadcast have to be known beforehand",
    "ResizeBicubic": "TensorFlow rounds its weights, which is only done where sizes are known",
}
"""Cases, and ops, that don't agree unless all shapes are known."""

NOTHING = {"Mean_9": "onnxruntime's mean of nothing is 0"}


NEED_SIZES = """
    BlockLSTM Conv2DBackpropInput Conv3DBackpropInputV2 DataFormatVecPermute DepthwiseConv2dNative
    DepthwiseConv2dNativeBackpropInput ReduceJoin ResizeArea SparseFillEmptyRows
"""
"""The ops that may be refused for want of sizes."""

NEED_RANKS = """
    BatchToSpace BatchToSpaceND BiasAdd BiasAddGrad Cholesky ConjugateTranspose Cumprod CumulativeLogsumexp
    DenseBincount DenseToDenseSetOperation Diag DiagPart DynamicStitch FFT FFT2D FFT3D GatherV2 IFFT IFFT2D IFFT3D
    IRFFT IRFFT2D IRFFT3D MatrixDiag MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiagV2 MatrixDiagV3
    MatrixInverse MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 MatrixSolve MatrixTriangularSolve OneHot Pack
    ParallelDynamicStitch
    QuantizeAndDequantizeV2 RFFT RFFT2D RFFT3D RaggedGather RaggedTensorToSparse RaggedTensorToTensor ReverseSequence
    Roll Select SpaceToBatch SpaceToBatchND SparseToDense SplitV UnravelIndex
"""
"""The ops that may be refused for want of ranks, besides."""

NEED_CONTENTS = """
    ArgMax ArgMin ConcatV2 ConjugateTranspose Cumprod CumulativeLogsumexp GatherV2 IRFFT IRFFT2D IRFFT3D MaxPoolV2
    MirrorPad ReduceJoin RegexFullMatch ResizeArea ReverseV2 Roll SparseReduceSum SplitV StringSplit StringSplitV2
    Transpose UniqueV2 UniqueWithCountsV2 UnravelIndex
"""
"""The ops that may be refused because axes or shapes are computed."""


NEED_OPSET_20 = {"ReduceJoin", "RegexFullMatch", "StaticRegexFullMatch", "StringJoin", "StringSplit", "StringSplitV2"}


class Case:
    """One recorded op, cut off from the constants that it is fed with."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name if path.parent.name == "kernels" else f"{path.parent.name}-{name}"
        self.id = f"{path.stem}-{self.name}"
        self.graph: Graph = recorded(path)
        self.node: Node = self.graph.nodes[f"{name}/op"]
        self.outputs = expected_outputs(self.graph, name)
        self.inputs = {value_name(v): self._array(v) for v in self.node.data_inputs}

    def _array(self, value: str) -> np.ndarray[Any, Any]:
        array: np.ndarray[Any, Any] = self.graph.producer(value).attrs["value"].numpy()  # type: ignore[union-attr]
        return array

    @property
    def data(self) -> dict[str, np.ndarray[Any, Any]]:
        """The first input, and those that are neither integers nor texts."""
        first = next(iter(self.inputs))
        return {name: array for name, array in self.inputs.items() if array.dtype.kind not in "iuO" or name == first}

    def run(self, feeds: dict[str, np.ndarray[Any, Any]], shapes: dict[str, Any] | None = None) -> None:
        opset = newest_opset() if self.node.op in NEED_OPSET_20 else 18
        lowered = lower(self.graph, list(feeds), list(self.outputs), input_shapes=shapes, opset=opset)
        types = {array.dtype.name for array in (*feeds.values(), *self.outputs.values())}
        if types & NO_FEED:
            pytest.skip(f"onnxruntime takes no {types & NO_FEED} from Python")
        found = run_graph(lowered, {name: pairs(array) for name, array in feeds.items()}, opset)
        for name, expected in self.outputs.items():
            assert_same(found[name], pairs(expected), 2e-5)


def pairs(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Complex numbers as ONNX has them: real and imaginary part in a dimension of their own."""
    return np.stack([array.real, array.imag], -1) if array.dtype.kind == "c" else array


ALL = [
    Case(path, name.removesuffix("/op"))
    for path in RECORDED
    for name, node in recorded(path).nodes.items()
    if name.endswith("/op") and node.op in lowerings()
]


@pytest.mark.parametrize("case", [case for case in ALL if case.name not in NOTHING], ids=lambda case: case.id)
def test_known_shapes(case: Case) -> None:
    message = ""
    try:
        case.run(case.data)
    except UnsupportedError as error:
        message = str(error)
    assert not message or re.search(REFUSED.get(case.node.op, "not refused"), message)


def test_what_is_said_to_be_refused_is() -> None:
    found = set()
    for case in ALL:
        if case.node.op in REFUSED:
            try:
                lower(case.graph, list(case.data), list(case.outputs))
            except UnsupportedError:
                found.add(case.node.op)
    assert found == REFUSED.keys()


def refused_ops(feeds: str, shapes: Callable[..., dict[str, Any]]) -> set[object]:
    """The ops of which some case can't do without what is kept from it; all others agree with TensorFlow."""
    refused: set[object] = set()
    for case in ALL:
        if {case.name, case.node.op} & {*DIFFERENT, *NOTHING}:
            continue
        given = getattr(case, feeds)
        try:
            case.run(given, shapes(given))
        except UnsupportedError as error:
            if case.node.op not in REFUSED:
                refused.add(case.node.op if case.node.name in error.where else error)
        except pytest.skip.Exception:
            pass
        except Exception as error:
            raise AssertionError(f"{case.id}: {error}") from error
    return refused


def test_unknown_sizes() -> None:
    found = refused_ops("data", lambda feeds: {name: [None] * array.ndim for name, array in feeds.items()})
    assert found <= set(NEED_SIZES.split())


def test_unknown_ranks() -> None:
    assert refused_ops("data", dict.fromkeys) <= set(NEED_SIZES.split()) | set(NEED_RANKS.split())


def test_unknown_contents() -> None:
    assert refused_ops("inputs", lambda feeds: {}) <= set(NEED_CONTENTS.split())
