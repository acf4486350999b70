"""The variables of networks as they were published, names and shapes without values, which would take much room.

slim("resnet_v1_50")    as TensorFlow 1.15's own slim makes them (fixtures/presets/slim.json.xz)
efficient("b0")         as the paper's widths, depths and rounding give them, under the names of the official code
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from functools import cache

import numpy as np

from tensorferry.formats.dtype import DTYPES
from tensorferry.formats.tensor import SplatTensor, Tensor

from .fixture import HOME

Shapes = dict[str, tuple[int, ...]]

EFFICIENT = {
    "b0": (1.0, 1.0), "b1": (1.0, 1.1), "b2": (1.1, 1.2), "b3": (1.2, 1.4), "b4": (1.4, 1.8), "b5": (1.6, 2.2),
    "b6": (1.8, 2.6), "b7": (2.0, 3.1), "b8": (2.2, 3.6), "l2": (4.3, 5.3),
}  # fmt: skip
"""How many times as wide and as deep as B0."""

_STAGES = [
    (3, 1, 16, 1, 1), (3, 2, 24, 6, 2), (5, 2, 40, 6, 2), (3, 3, 80, 6, 2), (5, 3, 112, 6, 1), (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
]  # fmt: skip
"""B0's: size of kernels, blocks, channels, how often these are expanded, stride."""


@cache
def _all_of_slim() -> dict[str, dict[str, list[int]]]:
    text = lzma.decompress((HOME / "presets" / "slim.json.xz").read_bytes())
    found: dict[str, dict[str, list[int]]] = json.loads(text)
    return found


def slim(network: str) -> Shapes:
    return {name: tuple(shape) for name, shape in _all_of_slim()[network].items()}


def efficient(kind: str) -> Shapes:
    """For 1000 labels."""
    wider, deeper = EFFICIENT[kind]

    def width(channels: int) -> int:
        wanted = channels * wider
        nearest = max(8, int(wanted + 4) // 8 * 8)
        return nearest + 8 if nearest < 0.9 * wanted else nearest

    found: Shapes = {"stem/conv2d/kernel": (3, 3, 3, width(32))}
    norms = {"stem/tpu_batch_normalization": width(32), "head/tpu_batch_normalization": width(1280)}
    before, number = width(32), 0
    for size, repeats, channels, expansion, _ in _STAGES:
        for _ in range(int(np.ceil(repeats * deeper))):
            at, inner, after, few = f"blocks_{number}", before * expansion, width(channels), max(1, int(before * 0.25))
            kernels = [(1, 1, before, inner)] * (expansion > 1) + [(1, 1, inner, after)]
            for suffix, shape in zip(("", "_1"), kernels, strict=False):
                found[f"{at}/conv2d{suffix}/kernel"] = shape
            found[f"{at}/depthwise_conv2d/depthwise_kernel"] = (size, size, inner, 1)
            found |= {f"{at}/se/conv2d/kernel": (1, 1, inner, few), f"{at}/se/conv2d/bias": (few,)}
            found |= {f"{at}/se/conv2d_1/kernel": (1, 1, few, inner), f"{at}/se/conv2d_1/bias": (inner,)}
            sizes = [inner] * (expansion > 1) + [inner, after]
            for suffix, channels_there in zip(("", "_1", "_2"), sizes, strict=False):
                norms[f"{at}/tpu_batch_normalization{suffix}"] = channels_there
            before, number = after, number + 1
    for norm, channels in norms.items():
        found |= {f"{norm}/{part}": (channels,) for part in ("gamma", "beta", "moving_mean", "moving_variance")}
    found |= {"head/conv2d/kernel": (1, 1, before, width(1280)), "head/dense/kernel": (width(1280), 1000)}
    found |= {"head/dense/bias": (1000,)}
    return {f"efficientnet-{kind}/{name}": shape for name, shape in found.items()}


def zeros(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """A source with these variables, which takes no memory."""
    return {name: SplatTensor(np.zeros((), np.float32), shape, DTYPES["float32"]) for name, shape in shapes.items()}
