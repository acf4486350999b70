"""Activations, bias, normalization and patches.

Floating types below 32 bits are computed in float32.
"""

from __future__ import annotations

import numpy as np

from tensorferry.formats.errors import GraphError

from ..ops import OpNode, OpTable
from .kernel import Array, Kernel, make_room, widened
from .math import unary
from .windows import Windows, as_given, channels_last, spatial, spatial_start

KERNELS: OpTable[Kernel] = OpTable("kernel")

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""The fixed point of self-normalizing networks (Klambauer et al., 2017)."""


def _elu(x: Array) -> Array:
    return np.where(x < 0, np.expm1(np.minimum(x, 0)), x)


def _selu(x: Array) -> Array:
    return np.where(x < 0, SELU_SCALE * SELU_ALPHA * np.expm1(np.minimum(x, 0)), SELU_SCALE * x)


for _op, _function in {
    "Relu": lambda x: np.maximum(x, 0),
    "Relu6": lambda x: np.clip(x, 0, 6),
    "Elu": _elu,
    "Selu": _selu,
    "Softplus": lambda x: np.logaddexp(x, np.zeros((), x.dtype)),
    "Softsign": lambda x: x / (1 + np.abs(x)),
}.items():
    KERNELS.add(_op, unary(_function))


@KERNELS.op("LeakyRelu", attrs={"alpha"})
def leaky_relu(node: OpNode, x: Array) -> Array:
    """x where it is positive, else alpha * x."""
    wide = widened(x)
    return np.where(wide > 0, wide, wide * np.asarray(node.real("alpha"), wide.dtype)).astype(x.dtype, copy=False)


@KERNELS.op("BiasAdd", attrs={"data_format"})
def bias_add(node: OpNode, x: Array, bias: Array) -> Array:
    """x [N, ..., C] or, in the data format NCHW, [N, C, ...], plus bias [C]."""
    axis = 1 if spatial_start(node) == 2 else x.ndim - 1
    if bias.ndim != 1 or x.ndim < 2 or x.shape[axis] != len(bias):
        raise GraphError(node.name, f"expected a bias for x {list(x.shape)}, got shape {list(bias.shape)}")
    shaped = bias.reshape(-1, *[1] * (x.ndim - 1 - axis))
    return (widened(x) + widened(shaped)).astype(x.dtype, copy=False)


@KERNELS.op("BiasAddV1")
def bias_add_v1(node: OpNode, x: Array, bias: Array) -> Array:
    """x [N, ..., C] plus bias [C]."""
    return (widened(x) + widened(bias)).astype(x.dtype, copy=False)


BATCH_NORM_ATTRS = {"epsilon", "data_format", "is_training", "exponential_avg_factor"}


@KERNELS.op("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", attrs=BATCH_NORM_ATTRS)
def fused_batch_norm(
    node: OpNode, x: Array, scale: Array, offset: Array, mean: Array, variance: Array
) -> tuple[Array, ...]:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, by channel of x [N, ..., C].

    In training, mean and variance are x's own; the outputs batch_mean and batch_variance are those (the variance
    with Bessel's correction, both blended with the given ones where exponential_avg_factor is not 1), and the reserve
    spaces hold mean and variance as they were used. In inference they repeat the given ones and zeros, as
    TensorFlow 2 does; version 1 leaves all four unsaid.
    """
    image = channels_last(node, x, x.ndim).astype(scale.dtype)
    zeros = np.zeros_like(scale)
    reserved = (np.zeros((), scale.dtype),) if node.op.endswith("V3") else ()
    used_mean, used_variance = mean, variance
    statistics = (mean, variance, zeros, zeros)
    if node.flag("is_training"):
        axes = tuple(range(image.ndim - 1))
        count = image.size // max(image.shape[-1], 1)
        used_mean, used_variance = image.mean(axis=axes), image.var(axis=axes)
        sampled = used_variance * scale.dtype.type(count / max(count - 1, 1))
        factor = scale.dtype.type(node.real("exponential_avg_factor"))
        running = (used_mean, sampled)
        if factor != 1:
            running = (mean + factor * (used_mean - mean), variance + factor * (sampled - variance))
        statistics = (*running, used_mean, used_variance)
    slope = scale / np.sqrt(used_variance + scale.dtype.type(node.real("epsilon")))
    y = (image - used_mean) * slope + offset
    return (as_given(node, y).astype(x.dtype, copy=False), *statistics, *reserved)


@KERNELS.op("LRN", attrs={"depth_radius", "bias", "alpha", "beta"})
def lrn(node: OpNode, x: Array) -> Array:
    """x over (bias + alpha * sum of squares of channels within the radius) ** beta, for x [N, H, W, C]."""
    wide = widened(x)
    radius = min(node.integer("depth_radius"), x.shape[-1])
    squares = np.pad(np.square(wide), [*[(0, 0)] * (x.ndim - 1), (radius, radius)])
    total = np.lib.stride_tricks.sliding_window_view(squares, 2 * radius + 1, axis=-1).sum(axis=-1)
    bias, alpha, beta = (wide.dtype.type(node.real(name)) for name in ("bias", "alpha", "beta"))
    return (wide / (bias + alpha * total) ** beta).astype(x.dtype, copy=False)


@KERNELS.op("ExtractImagePatches", attrs={"ksizes", "strides", "rates", "padding"})
def extract_image_patches(node: OpNode, images: Array) -> Array:
    """The windows of images [N, H, W, C] as vectors: [N, places..., h*w*C]."""
    image = channels_last(node, images, 4)
    size, strides, rates = (spatial(node, node.integers(name), 4, name) for name in ("ksizes", "strides", "rates"))
    windows = Windows.over(node, image.shape[1:-1], size, strides, rates)
    depth = size[0] * size[1] * image.shape[-1]
    make_room(node, (len(image), *windows.places, depth), image.dtype)
    if 0 in windows.places:
        return np.zeros((len(image), *windows.places, depth), image.dtype)
    return windows.view(windows.pad(node, image)).reshape(len(image), *windows.places, depth)
