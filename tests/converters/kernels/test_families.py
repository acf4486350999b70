"""Cells, boxes, colors, losses, equations: every error, and what the recorded answers don't show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.ir import AttrList
from tensorferry.formats.dtype import FLOAT32, INT32, INT64

from .refusing import floats, given, ints, refusal

F32 = {"T": FLOAT32}
BOXES, ONE = np.zeros((2, 4), np.float32), np.float32(1)
PAIR = np.ones((2, 2), np.float32)
SAMPLED = {"T": INT32}
COMBINED = [ints(1)[0], ints(3)[0], ONE, ONE]


@pytest.mark.parametrize(
    ("op", "attrs", "inputs", "message"),
    [
        ("NonMaxSuppression", {}, [BOXES, floats(1), ints(1)[0]], "expected boxes [N, 4] and scores [N], got [2, 4]"),
        ("NonMaxSuppressionV4", F32 | {"T_threshold": FLOAT32, "pad_to_max_output_size": True},
         [BOXES, floats(1, 2), ints(2**31 - 1)[0], ONE, np.float32(-1)], "expected NonMaxSuppressionV4 to make at"),
        ("CombinedNonMaxSuppression", {}, [BOXES, floats(1), *COMBINED], "expected boxes [B, N, C, 4] and scores [B,"),
        ("CombinedNonMaxSuppression", {},
         [np.zeros((1, 1, 1, 4), np.float32), np.ones((1, 1, 1), np.float32), ints(1)[0], ints(2**31 - 1)[0], ONE, ONE],
         "expected CombinedNonMaxSuppression to make at most"),
        ("RGBToHSV", F32, [floats(1, 2)], "expected a last dimension of 3 colors, got [2]"),
        ("AdjustContrastv2", F32, [PAIR, ONE], "expected images of height, width and channels, got [2, 2]"),
        ("SoftmaxCrossEntropyWithLogits", F32, [floats(1), floats(1)], "expected logits [N, C], got [1]"),
        ("SparseSoftmaxCrossEntropyWithLogits", F32 | {"Tlabels": INT32}, [PAIR, ints(0)],
         "expected logits [N, C] and classes [N], got [2, 2] and [1]"),
        ("SparseSoftmaxCrossEntropyWithLogits", F32 | {"Tlabels": INT32}, [PAIR, ints(0, 2)],
         "expected SparseSoftmaxCrossEntropyWithLogits's indices in [0, 2)"),
        ("CTCGreedyDecoder", F32, [PAIR, ints(1, 1)], "expected inputs [T, B, C] and lengths [B], got [2, 2], [2]"),
        ("CTCGreedyDecoder", F32, [np.ones((2, 1, 2), np.float32), ints(3)], "expected CTCGreedyDecoder's indices in"),
        ("ReluGrad", F32, [floats(1), PAIR], "expected a gradient of shape [1], got [2, 2]"),
        ("LeakyReluGrad", F32, [floats(1), PAIR], "expected a gradient of shape [1], got [2, 2]"),
        ("BiasAddGrad", F32, [floats(1)], "expected a gradient of rank 2 and more, got [1]"),
        ("Cross", F32, [PAIR, PAIR], "expected vectors of 3 numbers, got [2, 2] and [2, 2]"),
        ("DataFormatVecPermute", {"T": INT32}, [ints(1, 2, 3)], "expected a row for each of NHWC, got shape [3]"),
        ("DataFormatDimMap", {"T": INT32}, [ints(4)], "expected DataFormatDimMap's indices in [0, 8)"),
        ("DataFormatDimMap", {"T": INT32, "dst_format": b"NCHH"}, [ints(1)],
         "expected two orders of the same dimensions, got NHWC and NCHH"),
        ("MatrixSolve", F32, [floats(1), PAIR], "expected matrices, got [1] and [2, 2]"),
        ("MatrixSolve", F32, [np.zeros((2, 2), np.float32), PAIR], "MatrixSolve of float32 [2, 2], float32 [2, 2]"),
        ("Cholesky", F32, [-PAIR], "Cholesky of float32 [2, 2] failed: "),
        ("DenseToDenseSetOperation", {"T": INT32, "set_operation": b"xor"}, [ints(1), ints(2)],
         "expected an operation on as many sets, got 'xor' of [1] and [1]"),
        ("BlockLSTM", F32, [np.int64(1), *[PAIR] * 8], "expected x [time, batch, inputs], got [2, 2]"),
        ("SampleDistortedBoundingBox", SAMPLED, [ints(4, 4), np.zeros((1, 0, 4), np.float32)],
         "expected an image's 3 sizes and boxes [B, N, 4], got [4, 4] and [1, 0, 4]"),
        ("SampleDistortedBoundingBox", SAMPLED, [ints(4, 4, 3), np.zeros((1, 0, 4), np.float32)],
         "expected at least one box, got none"),
        ("SampleDistortedBoundingBox", SAMPLED, [ints(0, 4, 3), np.ones((1, 1, 4), np.float32)],
         "expected sizes and ranges above 0"),
    ],
)  # fmt: skip
def test_errors(op: str, attrs: dict[str, Any], inputs: list[Any], message: str) -> None:
    found = refusal(op, attrs, *inputs)
    assert found.startswith(f"n: {message}"), found


def test_a_sampled_box_covers_what_it_has_to() -> None:
    box = np.array([[[0.25, 0.25, 0.75, 0.75]]], np.float32)
    for seed in range(5):
        attrs = SAMPLED | {"seed": seed + 1, "area_range": AttrList("float", (0.3, 0.9))}
        from tensorferry.converters.ir import Node
        from tensorferry.converters.kernels import run

        node = Node("n", "SampleDistortedBoundingBoxV2", (), attrs)
        begin, size, found = run(node, [ints(40, 60, 3), box, np.float32(0.5)])
        (top, left, bottom, right) = found[0, 0]
        np.testing.assert_allclose(found[0, 0, :2] * [40, 60], begin[:2], rtol=1e-5)
        np.testing.assert_allclose((found[0, 0, 2:] - found[0, 0, :2]) * [40, 60], size[:2], rtol=1e-5)
        shared = max(0, min(bottom, 0.75) - max(top, 0.25)) * max(0, min(right, 0.75) - max(left, 0.25))
        assert shared >= 0.5 * 0.25
        assert 0.25 <= (bottom - top) * (right - left) <= 1


def test_narrow_types_are_computed_in_float32() -> None:
    half = {"T": FLOAT32}
    x = np.linspace(-2, 2, 12, dtype=np.float16).reshape(3, 4)
    loss = given("SparseSoftmaxCrossEntropyWithLogits", half | {"Tlabels": INT64}, x.astype(np.float32), np.arange(3))
    exact = np.log(np.exp(x.astype(float)).sum(1)) - x.astype(float)[np.arange(3), np.arange(3)]
    np.testing.assert_allclose(loss, exact, rtol=1e-5)
