"""Rules of image ops: resizing, crops, colours, boxes."""

from __future__ import annotations

from collections.abc import Callable

from ..ops import OpNode, OpTable
from .facts import Result, dim_at, same, with_rank
from .values import Value

RULES: OpTable[Callable[..., Result]] = OpTable("inference rule")


@RULES.op(
    "ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea",
    attrs={"align_corners", "half_pixel_centers"},
)  # fmt: skip
def resize(node: OpNode, x: Value, size: Value) -> Result:
    """x [N, H, W, C] -> [N, size, C]."""
    n, _, _, channels = with_rank(node, x, 4)
    height, width = size.known_entries() or (None, None)
    return (n, height, width, channels)


@RULES.op("CropAndResize", attrs={"method", "extrapolation_value"})
def crop_and_resize(node: OpNode, x: Value, boxes: Value, indices: Value, size: Value) -> Result:
    """One crop of a fixed size for each box."""
    height, width = size.known_entries() or (None, None)
    return (dim_at(boxes, 0), height, width, dim_at(x, 3))


for _op in "AdjustHue", "AdjustSaturation", "AdjustContrastv2", "RGBToHSV", "HSVToRGB":
    RULES.add(_op, same)


@RULES.op("NonMaxSuppression", attrs={"iou_threshold"})
def non_max_suppression(node: OpNode, boxes: Value, scores: Value, count: Value) -> Result:
    """The chosen boxes' indices, as many as there are."""
    return (None,)


@RULES.op("NonMaxSuppressionV2", "NonMaxSuppressionV3")
def non_max_suppression_v3(node: OpNode, boxes: Value, scores: Value, *limits: Value) -> Result:
    """The chosen boxes' indices, as many as there are."""
    return (None,)


@RULES.op("NonMaxSuppressionV4", attrs={"pad_to_max_output_size"})
def non_max_suppression_v4(node: OpNode, boxes: Value, scores: Value, count: Value, *limits: Value) -> Result:
    """Indices, padded if asked for, and how many of them count."""
    return [(count.integer() if node.flag("pad_to_max_output_size") else None,), ()]


@RULES.op("NonMaxSuppressionV5", attrs={"pad_to_max_output_size"})
def non_max_suppression_v5(node: OpNode, boxes: Value, scores: Value, count: Value, *limits: Value) -> Result:
    """Indices and scores, padded if asked for, and how many of them count."""
    chosen = (count.integer() if node.flag("pad_to_max_output_size") else None,)
    return [chosen, chosen, ()]


@RULES.op("CombinedNonMaxSuppression", attrs={"pad_per_class", "clip_boxes"})
def combined_non_max_suppression(
    node: OpNode, boxes: Value, scores: Value, each: Value, total: Value, *limits: Value
) -> Result:
    """Boxes, scores, classes and how many count, of each picture."""
    pictures, classes, most, count = dim_at(boxes, 0), dim_at(scores, 2), each.integer(), total.integer()
    if node.flag("pad_per_class") and count is not None:
        count = min(count, most * classes) if isinstance(classes, int) and most is not None else None
    return [(pictures, count, 4), (pictures, count), (pictures, count), (pictures,)]


@RULES.op(
    "SampleDistortedBoundingBox", "SampleDistortedBoundingBoxV2",
    attrs={
        "seed", "seed2", "min_object_covered", "aspect_ratio_range", "area_range", "max_attempts",
        "use_image_if_no_bounding_boxes",
    },
)  # fmt: skip
def sample_distorted_bounding_box(node: OpNode, size: Value, boxes: Value, *covered: Value) -> Result:
    """Begin and size of a crop, and its box."""
    return [(3,), (3,), (1, 1, 4)]


@RULES.op(
    "DecodeJpeg", "DecodePng", "DecodeBmp", "DecodeWebP", "DecodeAndCropJpeg",
    attrs={"channels", "ratio", "fancy_upscaling", "try_recover_truncated", "acceptable_fraction", "dct_method"},
)  # fmt: skip
def decode_picture(node: OpNode, contents: Value, *window: Value) -> Result:
    """Height, width and as many channels as are asked for, where a number is."""
    return (None, None, node.integer("channels") or None)


@RULES.op("DecodeImage", attrs={"channels", "expand_animations"})
def decode_image(node: OpNode, contents: Value) -> Result:
    """The same; of an animation there may be a dimension more."""
    if not node.has("expand_animations") or node.flag("expand_animations"):
        return None
    return (None, None, node.integer("channels") or None)
