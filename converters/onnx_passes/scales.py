"""A resize to sizes that are computed, though they are known times those of its input, is a resize by scales.

    Resize(x [n, C, h, w], sizes [n, C, H, W]) = Resize(x, scales [1, 1, H / h, W / w])

where n is unknown, so that the sizes had to be put together. A runtime divides the sizes to get the scales anyway; but
these have to give the same sizes again, floor(h * scale), whether it multiplies in float32 or in float64. Where corners
are aligned the scales decide of nothing else, and may be a little larger for that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorferry.formats.dtype import FLOAT32
from tensorferry.formats.tensor import ArrayTensor

from ..ir import Node
from .editing import Editor, Fusion, Unfit

_COORDINATES = "coordinate_transformation_mode"


def use_scales(editor: Editor, resize: Node) -> None:
    """Anchored at the Resize."""
    if len(resize.inputs) < 4 or not resize.inputs[3] or resize.inputs[1]:
        raise Unfit("expected a resize of the whole to sizes")
    editor.made(resize.inputs[3], "Concat")
    before, after = editor.dims.get(resize.inputs[0]), editor.dims.get(f"{resize.name}:0")
    if before is None or after is None or len(before) != len(after):
        raise Unfit("expected known ranks")
    scales = []
    for old, new in zip(before, after, strict=True):
        if old is not None and old == new:
            scales.append(np.float32(1))
        elif isinstance(old, int) and isinstance(new, int) and old > 0:
            scales.append(_scale(old, new, freely=resize.attrs.get(_COORDINATES) == b"align_corners"))
        else:
            raise Unfit(f"expected sizes that are known or stay, got {old} to {new}")
    name = editor.add_constant(f"{resize.name}/scales", ArrayTensor(np.array(scales, np.float32), FLOAT32))
    editor.replace(resize, resize.with_(inputs=(resize.inputs[0], "", name)))


def _scale(old: int, new: int, *, freely: bool) -> Any:
    scale = np.float32(new) / np.float32(old)
    if freely and int(old * float(scale)) < new:
        scale = np.nextafter(scale, np.float32(np.inf))
    if int(old * float(scale)) != new or int(np.float32(old) * scale) != new:
        raise Unfit(f"expected a scale from {old} to {new}, got {scale}")
    return scale


SCALES = Fusion("scales", ("Resize",), use_scales)
