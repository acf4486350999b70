"""Resizing images, cropping boxes from them, and choosing among overlapping boxes.

Place i of `out` places along a side of `in` elements reads from the source's place

    i * (in - 1) / (out - 1)         align_corners (the first and the last places coincide)
    (i + 0.5) * in / out - 0.5       half_pixel_centers (nearest neighbour leaves out the last 0.5)
    i * in / out                     neither
"""

from __future__ import annotations

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, check_indices, make_room, scalar, sizes, widened

KERNELS: OpTable[Kernel] = OpTable("kernel")

RESIZE_ATTRS = {"align_corners", "half_pixel_centers"}


def _places(node: OpNode, count: int, extent: int, shift: float) -> Array:
    """Where along a side of `extent` each of `count` places reads."""
    if count < 1 or extent < 1:
        raise GraphError(node.name, f"expected sizes of 1 and more, got {extent} to {count}")
    index = np.arange(count).astype(np.float32)
    if node.flag("align_corners") and count > 1:
        return index * np.float32((extent - 1) / (count - 1))
    scale = np.float32(extent) / np.float32(count)
    return (index + np.float32(0.5)) * scale - np.float32(shift) if node.flag("half_pixel_centers") else index * scale


def _target(node: OpNode, images: Array, size: Array) -> list[int]:
    """The height and width to resize to."""
    if images.ndim != 4 or size.size != 2:
        raise GraphError(
            node.name, f"expected images of rank 4 and two sizes, got {list(images.shape)} and {sizes(size)}"
        )
    make_room(node, (len(images), *sizes(size), images.shape[-1]), np.float32)
    return sizes(size)


@KERNELS.op("ResizeBilinear", attrs=RESIZE_ATTRS)
def resize_bilinear(node: OpNode, images: Array, size: Array) -> Array:
    """images [N, H, W, C] -> float32 [N, h, w, C], each place between its four neighbours."""
    result = images.astype(np.float32)
    # Along the rows first, as TensorFlow does: the rounding is the same.
    for axis, count in reversed(list(enumerate(_target(node, images, size), start=1))):
        places = _places(node, count, images.shape[axis], 0.5)
        result = _between(result, places, axis)
    return result


def _between(image: Array, places: Array, axis: int) -> Array:
    """The values at fractional places along a dimension."""
    last = image.shape[axis] - 1
    low, high = (np.clip(f(places), 0, last).astype(np.int64) for f in (np.floor, np.ceil))
    share = (places - np.floor(places)).reshape(-1, *[1] * (image.ndim - 1 - axis)).astype(image.dtype)
    near, far = np.take(image, low, axis=axis), np.take(image, high, axis=axis)
    return near + (far - near) * share


@KERNELS.op("ResizeNearestNeighbor", attrs=RESIZE_ATTRS)
def resize_nearest_neighbor(node: OpNode, images: Array, size: Array) -> Array:
    """images [N, H, W, C] -> [N, h, w, C], each place the element that it lies in."""
    result = images
    for axis, count in enumerate(_target(node, images, size), start=1):
        places = _places(node, count, images.shape[axis], 0.0)
        nearest = np.floor(places + np.float32(0.5)) if node.flag("align_corners") else np.floor(places)
        result = np.take(result, np.clip(nearest, 0, images.shape[axis] - 1).astype(np.int64), axis=axis)
    return result


@KERNELS.op("CropAndResize", attrs={"method", "extrapolation_value"})
def crop_and_resize(node: OpNode, image: Array, boxes: Array, box_ind: Array, crop_size: Array) -> Array:
    """Boxes [B, 4] (y1, x1, y2, x2, as shares of the image) out of image [N, H, W, C], resized to [B, h, w, C].

    What lies outside of the image becomes extrapolation_value.
    """
    height, width = _target(node, image, crop_size)
    check_indices(node, box_ind, len(image))
    shape = make_room(node, (len(boxes), height, width, image.shape[-1]), np.float32)
    result = np.full(shape, node.real("extrapolation_value"), np.float32)
    for box, which, target in zip(boxes.astype(np.float32), box_ind, result, strict=True):
        crop, inside = image[which].astype(np.float32), []
        for axis, count in enumerate((height, width)):
            last = image.shape[1 + axis] - 1
            places = _box_places(box[axis], box[axis + 2], last, count)
            inside.append((places >= 0) & (places <= last))
            if node.text("method") == "nearest":
                crop = np.take(crop, np.clip(np.floor(places + np.float32(0.5)), 0, last).astype(np.int64), axis=axis)
            else:
                crop = _between(crop, np.clip(places, 0, last), axis)
        kept = np.logical_and.outer(*inside)
        target[kept] = crop[kept]
    return result


def _box_places(start: np.float32, stop: np.float32, last: int, count: int) -> Array:
    if count == 1:
        return np.array([np.float32(0.5) * (start + stop) * last], np.float32)
    step = (stop - start) * np.float32(last) / np.float32(count - 1)
    return start * np.float32(last) + np.arange(count).astype(np.float32) * step


@KERNELS.op("NonMaxSuppressionV2")
def non_max_suppression_v2(node: OpNode, boxes: Array, scores: Array, max_output_size: Array, iou: Array) -> Array:
    """The boxes [N, 4] of highest score, without those that overlap a chosen one by more than `iou`."""
    return _chosen(node, boxes, scores, max_output_size, iou, -np.inf)


@KERNELS.op("NonMaxSuppressionV3")
def non_max_suppression_v3(
    node: OpNode, boxes: Array, scores: Array, max_output_size: Array, iou: Array, score: Array
) -> Array:
    """NonMaxSuppressionV2 among the boxes whose score is above `score`."""
    return _chosen(node, boxes, scores, max_output_size, iou, scalar(node, widened(score), "score_threshold"))


def _chosen(node: OpNode, boxes: Array, scores: Array, most: Array, iou: Array, score: float) -> Array:
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        raise GraphError(
            node.name, f"expected boxes [N, 4] and scores [N], got {list(boxes.shape)} and {list(scores.shape)}"
        )
    limit = scalar(node, widened(iou), "iou_threshold")
    # A corner may be any of the four; the area does not change by it.
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    low, high = widened(low), widened(high)
    areas = np.prod(high - low, axis=1)
    order = [int(i) for i in np.argsort(-widened(scores), kind="stable") if scores[i] > score]
    chosen: list[int] = []
    for candidate in order:
        if len(chosen) >= max(scalar(node, most, "max_output_size"), 0):
            break
        sides = np.minimum(high[chosen], high[candidate]) - np.maximum(low[chosen], low[candidate])
        shared = np.prod(np.maximum(sides, 0), axis=1)
        union = areas[chosen] + areas[candidate] - shared
        if not (shared > limit * np.where(union > 0, union, np.inf)).any():
            chosen.append(candidate)
    return np.array(chosen, np.int32)
