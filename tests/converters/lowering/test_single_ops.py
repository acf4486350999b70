"""Every single op that TensorFlow's answers were recorded for: lowered, checked, run, compared.

Four times over: fed with everything that is no integer, its shapes known, then its sizes unknown, then its ranks
unknown; and fed with all inputs, axes and shapes too, where the lowering can do without knowing them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.ir import Graph, Node, value_name
from tensorferry.converters.lowering import lower, lowerings
from tensorferry.formats.errors import UnsupportedError

from ..onnx_model import assert_same, needs_recent_runtime, run_graph
from ..test_kernels import CASES, expected_outputs, recorded

pytestmark = needs_recent_runtime

OURS = [case for case in CASES if recorded(case.values[0]).nodes[f"{case.values[1]}/op"].op in lowerings()]  # type: ignore[arg-type]

NO_FEED = {"bfloat16"}
"""Types that Python can't hand to onnxruntime."""

DIFFERENT = {
    "Mean_9": "onnxruntime's mean of nothing is 0",
    "Conv2D_0": "of groups nobody can know whose input has an unknown number of channels",
    "Equal_3": "shapes that can't be broadcast have to be known beforehand",
    "NotEqual_2": "shapes that can't be broadcast have to be known beforehand",
}

REFUSED = {
    "Add_6": "ONNX's Add takes no string",
    "Add_7": "ONNX's Add takes no complex64",
    "BatchMatMul_1": "takes no complex64: complex values are for transforms and their parts",
    "Bitcast_0": "expected integers of one width, got float32 to be read as int32",
    "Bitcast_1": "expected integers of one width",
    "Bitcast_2": "expected integers of one width",
    "Cast_7": "no cast of float32 to complex64",
    "Cast_12": "no cast of complex64 to float32",
    "Concat_0": "expected the axis to be a constant, got a computed one",
    "Equal_2": "takes no string at opset 18.*a newer opset takes it",
    "FusedBatchNorm_1": "expected a value that ONNX can express",
    "FusedBatchNormV2_1": "expected a value that ONNX can express",
    "tensorflow1-FusedBatchNormV3_1": "expected a value that ONNX can express",
    "tensorflow2-FusedBatchNormV3_0": "expected batch statistics alone, got a running average of them",
    "GatherNd_3": "expected indices of one number at least",
    "Reverse_0": "expected the dimensions to be constant",
    "Split_0": "expected the axis to be a constant, got a computed one",
}
"""What can't be lowered with all shapes known, and why."""


NEED_SIZES = """
    Bincount Conv2DBackpropInput Conv3DBackpropInputV2 DenseBincount DepthwiseConv2dNative ExtractImagePatches
    MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiagV2 MatrixDiagV3 MatrixSetDiagV3
"""
"""The ops that may be refused for want of sizes."""

NEED_RANKS = """
    BatchToSpace BatchToSpaceND BiasAdd ConjugateTranspose Cumprod Diag DiagPart DynamicStitch FFT FFT2D FFT3D GatherV2
    IFFT IFFT2D IFFT3D IRFFT IRFFT2D IRFFT3D MatrixDiag MatrixSetDiag MatrixSetDiagV2 OneHot Pack ParallelDynamicStitch
    QuantizeAndDequantizeV2 RFFT RFFT2D RFFT3D ReverseSequence Roll Select SpaceToBatch SpaceToBatchND SparseToDense
    SplitV UnravelIndex
"""
"""The ops that may be refused for want of ranks, besides."""

NEED_CONTENTS = """
    ArgMax ArgMin ConcatV2 ConjugateTranspose Cumprod GatherV2 IRFFT IRFFT2D IRFFT3D MatrixDiagPartV2 MatrixDiagPartV3
    MatrixDiagV2 MatrixDiagV3 MatrixSetDiagV2 MatrixSetDiagV3 MaxPoolV2 MirrorPad ReverseV2 Roll SplitV Transpose
    UnravelIndex
"""
"""The ops that may be refused because axes or shapes are computed."""


class Case:
    """One recorded op, cut off from the constants that it is fed with."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self.id = f"{path.stem}-{name}"
        self.graph: Graph = recorded(path)
        self.node: Node = self.graph.nodes[f"{name}/op"]
        self.outputs = expected_outputs(self.graph, name)
        self.inputs = {value_name(v): self._array(v) for v in self.node.data_inputs}

    def _array(self, value: str) -> np.ndarray[Any, Any]:
        array: np.ndarray[Any, Any] = self.graph.producer(value).attrs["value"].numpy()  # type: ignore[union-attr]
        return array

    @property
    def data(self) -> dict[str, np.ndarray[Any, Any]]:
        """The first input, and those that are no integers."""
        first = next(iter(self.inputs))
        return {name: array for name, array in self.inputs.items() if array.dtype.kind not in "iu" or name == first}

    def run(self, feeds: dict[str, np.ndarray[Any, Any]], shapes: dict[str, Any] | None = None) -> None:
        lowered = lower(self.graph, list(feeds), list(self.outputs), input_shapes=shapes)
        types = {array.dtype.name for array in (*feeds.values(), *self.outputs.values())}
        if types & NO_FEED:
            pytest.skip(f"onnxruntime takes no {types & NO_FEED} from Python")
        found = run_graph(lowered, {name: pairs(array) for name, array in feeds.items()})
        for name, expected in self.outputs.items():
            assert_same(found[name], pairs(expected), 2e-5)


def pairs(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Complex numbers as ONNX has them: real and imaginary part in a dimension of their own."""
    return np.stack([array.real, array.imag], -1) if array.dtype.kind == "c" else array


ALL = [Case(*case.values) for case in OURS]  # type: ignore[arg-type]


def refusal(case: Case) -> str | None:
    return REFUSED.get(case.name) or REFUSED.get(case.id)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.id)
def test_known_shapes(case: Case) -> None:
    refused = refusal(case)
    if refused is not None:
        with pytest.raises(UnsupportedError, match=refused):
            case.run(case.data)
    elif case.name != "Mean_9":
        case.run(case.data)


def refused_ops(feeds: str, shapes: Callable[..., dict[str, Any]]) -> set[object]:
    """The ops of which some case can't do without what is kept from it; all others agree with TensorFlow."""
    refused: set[object] = set()
    for case in ALL:
        if case.name in DIFFERENT or refusal(case) is not None:
            continue
        given = getattr(case, feeds)
        try:
            case.run(given, shapes(given))
        except UnsupportedError as error:
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
