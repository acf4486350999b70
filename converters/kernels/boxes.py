"""Choosing among overlapping boxes by their scores.

A box [4] is two opposite corners, (y, x, y, x), whichever. The one of highest score is chosen, then the next that does
not overlap a chosen one by more than a share of both together (intersection over union), and so on. In soft
suppression an overlap makes a score less, by exp(-0.5 * overlap**2 / sigma).
"""

from __future__ import annotations

import heapq

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, make_room, scalar, widened

KERNELS: OpTable[Kernel] = OpTable("kernel")


class _Boxes:
    """Boxes [N, 4], and how much each overlaps others."""

    def __init__(self, boxes: Array) -> None:
        # A corner may be any of the four; the area does not change by it.
        self.low = widened(np.minimum(boxes[:, :2], boxes[:, 2:]))
        self.high = widened(np.maximum(boxes[:, :2], boxes[:, 2:]))
        self.areas = np.prod(self.high - self.low, axis=1)

    def overlaps(self, one: int, others: list[int]) -> tuple[Array, Array]:
        """What a box has in common with others, and what it covers together with them."""
        sides = np.minimum(self.high[others], self.high[one]) - np.maximum(self.low[others], self.low[one])
        shared = np.prod(np.maximum(sides, 0), axis=1)
        union = self.areas[others] + self.areas[one] - shared
        return shared, np.where(union > 0, union, np.inf)


def _checked(node: OpNode, boxes: Array, scores: Array, most: Array) -> int:
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        problem = f"expected boxes [N, 4] and scores [N], got {list(boxes.shape)} and {list(scores.shape)}"
        raise GraphError(node.name, problem)
    return max(int(scalar(node, most, "max_output_size")), 0)


def _chosen(boxes: Array, scores: Array, most: int, iou: float, score: float) -> list[int]:
    """The boxes chosen among those whose score is above `score`, at most `most`."""
    held = _Boxes(boxes)
    chosen: list[int] = []
    for candidate in np.argsort(-widened(scores), kind="stable").tolist():
        if len(chosen) >= most or not scores[candidate] > score:
            break
        shared, union = held.overlaps(candidate, chosen)
        if not (shared > iou * union).any():
            chosen.append(candidate)
    return chosen


def _softly_chosen(
    boxes: Array, scores: Array, most: int, iou: float, score: float, sigma: float
) -> tuple[list[int], list[float]]:
    """The boxes chosen in soft suppression, and what became of their scores."""
    held = _Boxes(boxes)
    queue = [(-value, index, 0) for index, value in enumerate(widened(scores).tolist()) if value > score]
    heapq.heapify(queue)
    chosen: list[int] = []
    kept: list[float] = []
    while queue and len(chosen) < most:
        negative, index, compared = heapq.heappop(queue)
        value = -negative
        for other in reversed(chosen[compared:]):
            shared, union = held.overlaps(index, [other])
            overlap = float(shared[0] / union[0])
            value *= np.exp(-0.5 * overlap * overlap / sigma) if overlap <= iou else 0.0
            if value <= score:
                break
        if value == -negative:
            chosen.append(index)
            kept.append(value)
        elif value > score:
            heapq.heappush(queue, (-value, index, len(chosen)))
    return chosen, kept


@KERNELS.op("NonMaxSuppression", attrs={"iou_threshold"})
def non_max_suppression(node: OpNode, boxes: Array, scores: Array, max_output_size: Array) -> Array:
    """The indices of the chosen boxes."""
    most = _checked(node, boxes, scores, max_output_size)
    return np.array(_chosen(boxes, scores, most, node.real("iou_threshold"), -np.inf), np.int32)


@KERNELS.op("NonMaxSuppressionV2")
def non_max_suppression_v2(node: OpNode, boxes: Array, scores: Array, max_output_size: Array, iou: Array) -> Array:
    """The indices of the chosen boxes."""
    most = _checked(node, boxes, scores, max_output_size)
    return np.array(_chosen(boxes, scores, most, scalar(node, widened(iou), "iou_threshold"), -np.inf), np.int32)


@KERNELS.op("NonMaxSuppressionV3")
def non_max_suppression_v3(
    node: OpNode, boxes: Array, scores: Array, max_output_size: Array, iou: Array, score: Array
) -> Array:
    """The same among the boxes whose score is above `score`."""
    return _above(node, boxes, scores, max_output_size, iou, score)


def _above(node: OpNode, boxes: Array, scores: Array, max_output_size: Array, iou: Array, score: Array) -> Array:
    most = _checked(node, boxes, scores, max_output_size)
    limits = scalar(node, widened(iou), "iou_threshold"), scalar(node, widened(score), "score_threshold")
    return np.array(_chosen(boxes, scores, most, *limits), np.int32)


@KERNELS.op("NonMaxSuppressionV4", attrs={"pad_to_max_output_size"})
def non_max_suppression_v4(
    node: OpNode, boxes: Array, scores: Array, max_output_size: Array, iou: Array, score: Array
) -> tuple[Array, Array]:
    """The same, perhaps filled up with 0, and how many there are."""
    found = _above(node, boxes, scores, max_output_size, iou, score)
    return _padded(node, found, max_output_size), np.array(len(found), np.int32)


@KERNELS.op("NonMaxSuppressionV5", attrs={"pad_to_max_output_size"})
def non_max_suppression_v5(
    node: OpNode, boxes: Array, scores: Array, max_output_size: Array, iou: Array, score: Array, sigma: Array
) -> tuple[Array, Array, Array]:
    """The same, softly where sigma is not 0, with the scores."""
    most = _checked(node, boxes, scores, max_output_size)
    limits = scalar(node, widened(iou), "iou_threshold"), scalar(node, widened(score), "score_threshold")
    soft = float(scalar(node, widened(sigma), "soft_nms_sigma"))
    if soft:
        chosen, kept = _softly_chosen(boxes, scores, most, *limits, soft)
        values = np.array(kept, scores.dtype)
    else:
        chosen = _chosen(boxes, scores, most, *limits)
        values = scores[chosen]
    found = np.array(chosen, np.int32)
    count = np.array(len(found), np.int32)
    return _padded(node, found, max_output_size), _padded(node, values, max_output_size), count


def _padded(node: OpNode, found: Array, max_output_size: Array) -> Array:
    if not node.flag("pad_to_max_output_size"):
        return found
    whole = np.zeros(make_room(node, (scalar(node, max_output_size, "max_output_size"),), found.dtype), found.dtype)
    whole[: len(found)] = found
    return whole


@KERNELS.op("CombinedNonMaxSuppression", attrs={"pad_per_class", "clip_boxes"})
def combined_non_max_suppression(
    node: OpNode, boxes: Array, scores: Array, per_class: Array, total: Array, iou: Array, score: Array
) -> tuple[Array, ...]:
    """The best boxes of all classes, by image: boxes [B, n, 4], scores and classes [B, n], how many count [B].

    boxes [B, N, 1 or C, 4] and scores [B, N, C]; the rest up to n is 0.
    """
    if boxes.ndim != 4 or scores.ndim != 3 or boxes.shape[2] not in (1, scores.shape[2]):
        problem = f"expected boxes [B, N, C, 4] and scores [B, N, C], got {list(boxes.shape)} and {list(scores.shape)}"
        raise GraphError(node.name, problem)
    most, size = scalar(node, per_class, "max_output_size_per_class"), scalar(node, total, "max_total_size")
    limits = scalar(node, iou, "iou_threshold"), scalar(node, score, "score_threshold")
    classes = scores.shape[2]
    if node.flag("pad_per_class"):
        size = min(size, most * classes)
    result = np.zeros(make_room(node, (len(boxes), size, 6), np.float32), np.float32)
    counts = np.zeros(len(boxes), np.int32)
    for image in range(len(boxes)):
        found = []
        for place in range(classes):
            own = boxes[image, :, place if boxes.shape[2] > 1 else 0]
            for index in _chosen(own, scores[image, :, place], most, *limits):
                found.append((scores[image, index, place], place, own[index]))
        found.sort(key=lambda item: -item[0])
        counts[image] = min(len(found), size)
        for row, (value, place, box) in enumerate(found[:size]):
            result[image, row] = [*(np.clip(box, 0, 1) if node.flag("clip_boxes") else box), value, place]
    return result[..., :4], result[..., 4], result[..., 5], counts
