"""Ragged and sparse tensors: every error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.converters.ir import AttrList
from tensorferry.formats.dtype import FLOAT32, INT32, INT64

from .refusing import floats, ints, longs, refusal

F32 = {"T": FLOAT32}
RANGE = {"T": INT32, "Tsplits": INT64}
RAGGED = {"Tvalues": FLOAT32, "Tindices": INT32, "Tsplits": INT64, "PARAMS_RAGGED_RANK": 1, "OUTPUT_RAGGED_RANK": 1}
DENSE = {"T": FLOAT32, "Tindex": INT64, "Tshape": INT64, "num_row_partition_tensors": 1}
SPLITS, ROWIDS = AttrList("bytes", (b"ROW_SPLITS",)), AttrList("bytes", (b"VALUE_ROWIDS",))
PLACES, SHAPE = longs([0, 1], [1, 0]), longs(2, 2)
SPARSE = [PLACES, floats(1, 2), SHAPE]
OUT = longs([0, 1], [2, 0])


@pytest.mark.parametrize(
    ("op", "attrs", "inputs", "message"),
    [
        ("RaggedRange", RANGE, [ints(0), ints(5), ints(0)], "expected steps other than 0, got a 0"),
        ("RaggedRange", RANGE, [ints(0), ints(2**31 - 1), ints(1)], "expected RaggedRange to make at most"),
        ("RaggedGather", RAGGED, [longs(0, 3), floats(1, 2), ints(0)], "expected splits from 0 to 2 that don't"),
        ("RaggedGather", RAGGED, [longs(0, 2), floats(1, 2), ints(1)], "expected RaggedGather's indices in [0, 1)"),
        ("RaggedGather", RAGGED, [longs(0, 2, 1, 2), floats(1, 2), ints(1)], "expected splits from 0 to 2 that"),
        ("RaggedTensorToSparse", {"T": FLOAT32, "RAGGED_RANK": 1}, [longs(1, 2), floats(1, 2)], "expected splits"),
        ("RaggedTensorToTensor", DENSE | {"row_partition_types": AttrList("bytes", (b"ODD",))},
         [longs(-1, -1), floats(1), np.float32(0), longs(0, 1)], "expected row splits or row ids, got ODD"),
        ("RaggedTensorToTensor", DENSE | {"row_partition_types": SPLITS},
         [longs(-1, -1), floats(1), np.float32(0), longs(0, 2)], "expected 2 values, got 1"),
        ("RaggedTensorToTensor", DENSE | {"row_partition_types": SPLITS},
         [longs(-1, -1), floats(1), np.float32(0), longs(2, 0)], "expected 1 rows to be divided, got 1"),
        ("RaggedTensorToTensor", DENSE | {"row_partition_types": SPLITS},
         [longs(-1), floats(1), np.float32(0), longs(0, 1)], "expected a shape of 2 dimensions, got [-1]"),
        ("RaggedTensorToTensor", DENSE | {"row_partition_types": SPLITS},
         [longs(-1, -1, 2), floats([1]), np.float32(0), longs(0, 1)], "expected the inner shape [1], got [2]"),
        ("RaggedTensorToTensor", DENSE | {"row_partition_types": SPLITS},
         [longs(1 << 40, 9), floats(1), np.float32(0), longs(0, 1)], "expected RaggedTensorToTensor to make at"),
        ("RaggedTensorToTensor", DENSE | {"row_partition_types": ROWIDS},
         [longs(-1, -1), floats(1), np.float32(0), longs(3)], "expected RaggedTensorToTensor's indices in [0, 0)"),
        ("SparseReorder", F32, [PLACES, floats(1), SHAPE], "expected an index of each dimension for each value"),
        ("SparseReorder", F32, [OUT, floats(1, 2), SHAPE], "expected SparseReorder's indices in [0, 2)"),
        ("SparseReshape", {}, [PLACES, SHAPE, longs(3, -1)], "expected a shape of 4 elements, got [3, -1]"),
        ("SparseFillEmptyRows", F32, [np.zeros((1, 0), np.int64), floats(1), longs(), np.float32(0)],
         "expected at least one dimension, got none"),
        ("SparseFillEmptyRows", F32, [np.zeros((0, 1), np.int64), floats(), longs(1 << 50), np.float32(0)],
         "expected SparseFillEmptyRows to make at most"),
        ("SparseTensorDenseAdd", F32 | {"Tindices": INT64}, [*SPARSE, floats(1, 2)],
         "expected a dense tensor of shape [2, 2], got [2]"),
        ("SparseTensorDenseMatMul", F32 | {"Tindices": INT64},
         [PLACES, floats(1, 2), longs(1 << 40, 1 << 40), np.ones((2, 2), np.float32)],
         "expected SparseTensorDenseMatMul to make at most"),
        ("SparseDenseCwiseMul", F32, [*SPARSE, floats(1, 2, 3)], "SparseDenseCwiseMul of"),
        ("SparseDenseCwiseMul", F32, [*SPARSE, np.ones((3, 1, 2), np.float32)], "expected a dense tensor that"),
        ("SparseReduceSum", F32, [PLACES, floats(1, 2), longs(1 << 40, 2), ints(1)], "expected SparseReduceSum to"),
        ("SparseConcat", F32 | {"N": 2, "concat_dim": 0}, [PLACES] * 2 + [floats(1, 2)] * 2 + [SHAPE, longs(2, 3)],
         "expected shapes that differ along dimension 0 alone, got [[2, 2], [2, 3]]"),
    ],
)  # fmt: skip
def test_errors(op: str, attrs: dict[str, Any], inputs: list[Any], message: str) -> None:
    found = refusal(op, attrs, *inputs)
    assert found.startswith(f"n: {message}"), found
