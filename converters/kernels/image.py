"""Resizing images, and cropping boxes from them.

Place i of `out` places along a side of `in` elements reads from the source's place

    i * (in - 1) / (out - 1)         align_corners (the first and the last places coincide)
    (i + 0.5) * in / out - 0.5       half_pixel_centers (nearest neighbour leaves out the last 0.5)
    i * in / out                     neither
"""

from __future__ import annotations

import math

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, check_indices, make_room, sizes

KERNELS: OpTable[Kernel] = OpTable("kernel")

RESIZE_ATTRS = {"align_corners", "half_pixel_centers"}


def _places(node: OpNode, count: int, extent: int, shift: float) -> Array:
    """Where along a side of `extent` each of `count` places reads."""
    index, scale = np.arange(count).astype(np.float32), _scale(node, count, extent)
    if node.flag("half_pixel_centers") and not (node.flag("align_corners") and count > 1):
        return (index + np.float32(0.5)) * scale - np.float32(shift)
    return index * scale


def _scale(node: OpNode, count: int, extent: int) -> np.float32:
    """How far apart two places are in the source."""
    if count < 1 or extent < 1:
        raise GraphError(node.name, f"expected sizes of 1 and more, got {extent} to {count}")
    if node.flag("align_corners") and count > 1:
        return np.float32((extent - 1) / (count - 1))
    return np.float32(extent) / np.float32(count)


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


@KERNELS.op("ResizeArea", attrs={"align_corners"})
def resize_area(node: OpNode, images: Array, size: Array) -> Array:
    """images [N, H, W, C] -> float32 [N, h, w, C], each place the mean of what it covers."""
    result = images.astype(np.float32)
    for axis, count in enumerate(_target(node, images, size), start=1):
        scale = _scale(node, count, images.shape[axis])
        shares = np.zeros(make_room(node, (count, images.shape[axis]), np.float32), np.float32)
        for place in range(count):
            start, stop = place * scale, (place + 1) * scale
            for source in range(int(start), math.ceil(stop)):
                share = min(source + 1, stop) - max(source, start)
                shares[place, min(source, images.shape[axis] - 1)] += share / scale
        result = _weighed(result, shares, axis)
    return result


@KERNELS.op("ResizeBicubic", attrs=RESIZE_ATTRS)
def resize_bicubic(node: OpNode, images: Array, size: Array) -> Array:
    """images [N, H, W, C] -> float32 [N, h, w, C], each place from its 16 neighbours.

    The cubic is Keys's with -0.5, which leaves out what lies beyond the edge; without half_pixel_centers, with -0.75,
    and the edge is repeated.
    """
    result = images.astype(np.float32)
    sharp = -0.5 if node.flag("half_pixel_centers") else -0.75
    for axis, count in enumerate(_target(node, images, size), start=1):
        extent = images.shape[axis]
        places = _places(node, count, extent, 0.5)
        low = np.floor(places)
        # TensorFlow looks weights up in a table of 1024 steps.
        share = np.rint((places - low) * 1024) / 1024
        shares = np.zeros(make_room(node, (count, extent), np.float32), np.float32)
        for step in range(-1, 3):
            weight = _cubic(np.abs(share - step), sharp)
            source = low.astype(np.int64) + step
            inside = (source >= 0) & (source < extent)
            weight = np.where(inside, weight, 0) if sharp == -0.5 else weight
            np.add.at(shares, (np.arange(count), np.clip(source, 0, extent - 1)), weight)
        if sharp == -0.5:
            shares /= shares.sum(axis=1, keepdims=True)
        result = _weighed(result, shares, axis)
    return result


def _cubic(distance: Array, sharp: float) -> Array:
    """The weight of a neighbour at a distance of up to 2."""
    near = ((sharp + 2) * distance - (sharp + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * sharp - 4 * sharp
    return np.where(distance <= 1, near, far)


def _weighed(image: Array, shares: Array, axis: int) -> Array:
    """Sums along a dimension, weighed by shares [places, extent]."""
    return np.moveaxis(np.tensordot(shares, image, (1, axis)), 0, axis)
