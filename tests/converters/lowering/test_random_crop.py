"""Random crops: they lie within the picture, have the asked ratio and area, and cover enough of an object."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from tensorferry.converters.ir import AttrList, Graph
from tensorferry.converters.lowering import lower

from ..graph_text import const, dtype, graph, op, placeholder
from ..onnx_model import model_of

OUTPUTS = ["y:0", "y:1", "y:2"]


def cropping(**attrs: Any) -> Graph:
    ranges = {"aspect_ratio_range": AttrList("float", (0.5, 2.0)), "area_range": AttrList("float", (0.1, 0.5))}
    given = {"T": dtype("int32"), "max_attempts": 200, **ranges, **attrs}
    return graph(
        placeholder("size", [3], "int32"), placeholder("boxes", [1, None, 4]), const("covered", 0.4),
        op("y", "SampleDistortedBoundingBoxV2", "size", "boxes", "covered", **given),
    )  # fmt: skip


def drawn(count: int, boxes: np.ndarray[Any, Any], **attrs: Any) -> list[list[np.ndarray[Any, Any]]]:
    model = model_of(lower(cropping(**attrs), None, OUTPUTS))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {"size:0": np.array([80, 120, 3], np.int32), "boxes:0": boxes}
    return [session.run(OUTPUTS, feeds) for _ in range(count)]


def test_crops_are_as_asked() -> None:
    box = np.array([[[0.25, 0.25, 0.75, 0.5]]], np.float32)
    starts = set()
    for begin, size, crop in drawn(20, box):
        (top, left, _), (height, width, channels) = begin.tolist(), size.tolist()
        assert channels == -1
        assert top >= 0 and left >= 0 and top + height <= 80 and left + width <= 120  # noqa: PT018
        assert 0.1 * 80 * 120 <= height * width <= 0.5 * 80 * 120
        assert 0.45 <= width / height <= 2.2
        np.testing.assert_allclose(
            crop.ravel(), [top / 80, left / 120, (top + height) / 80, (left + width) / 120], rtol=1e-6
        )
        shared = (min(top + height, 60) - max(top, 20)) * (min(left + width, 60) - max(left, 30))
        assert shared >= 0.4 * 40 * 30
        starts.add((top, left))
    assert len(starts) > 5


def test_what_fits_nowhere_is_the_whole_picture() -> None:
    box = np.array([[[0.0, 0.0, 1.0, 1.0]]], np.float32)
    ((begin, size, crop),) = drawn(1, box, area_range=AttrList("float", (0.05, 0.1)))
    assert begin.tolist() == [0, 0, 0]
    assert size.tolist() == [80, 120, -1]
    assert crop.ravel().tolist() == [0, 0, 1, 1]


def test_without_objects_the_picture_is_one() -> None:
    none = np.zeros((1, 0, 4), np.float32)
    attrs = {"use_image_if_no_bounding_boxes": True, "area_range": AttrList("float", (0.45, 0.6))}
    ((_, size, _),) = drawn(1, none, **attrs)
    assert 0.4 * 80 * 120 <= size[0] * size[1] <= 0.6 * 80 * 120
