"""Normalisations, softmax, losses, local response."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorferry.formats.dtype import INT64
from tensorferry.formats.errors import UnsupportedError

from ..inference.values import Value
from ..ops import OpNode, OpTable
from .array import filled
from .builder import Builder
from .layout import channels_first, channels_last
from .linear import counted

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")


@LOWERINGS.op("Softmax")
def softmax(node: OpNode, g: Builder, logits: Value) -> Value:
    """Along the last dimension."""
    return g.op("Softmax", logits, axis=-1)


@LOWERINGS.op("LogSoftmax")
def log_softmax(node: OpNode, g: Builder, logits: Value) -> Value:
    """Along the last dimension."""
    return g.op("LogSoftmax", logits, axis=-1)


@LOWERINGS.op("SoftmaxCrossEntropyWithLogits")
def softmax_cross_entropy(node: OpNode, g: Builder, logits: Value, labels: Value) -> tuple[Value, Value]:
    """Losses -sum(labels * log_softmax) [N], and their gradients softmax - labels [N, C]."""
    terms = g.op("Mul", labels, g.op("LogSoftmax", logits, axis=-1))
    loss = g.op("Neg", g.reduce("ReduceSum", terms, [-1], keep=False))
    return loss, g.op("Sub", g.op("Softmax", logits, axis=-1), labels)


@LOWERINGS.op("SparseSoftmaxCrossEntropyWithLogits")
def sparse_softmax_cross_entropy(node: OpNode, g: Builder, logits: Value, labels: Value) -> tuple[Value, Value]:
    """The same for labels [N] that are numbers of classes."""
    places = g.unsqueeze(g.cast(labels, INT64), [-1])
    chosen = g.op("GatherElements", g.op("LogSoftmax", logits, axis=-1), places, axis=-1)
    loss = g.op("Neg", g.squeeze(chosen, [-1]))
    probabilities = g.op("Softmax", logits, axis=-1)
    classes = counted(g, g.size(g.ranked(logits, 2), 1))
    one_hot = g.cast(g.op("Equal", places, g.unsqueeze(classes, [0])), logits.dtype)
    return loss, g.op("Sub", probabilities, one_hot)


@LOWERINGS.op(
    "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3",
    attrs={"epsilon", "exponential_avg_factor", "data_format", "is_training"},
)  # fmt: skip
def fused_batch_norm(
    node: OpNode, g: Builder, x: Value, scale: Value, offset: Value, mean: Value, variance: Value
) -> list[Value]:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, by channel; statistics of the batch while training."""
    layout = node.text("data_format")
    x = channels_first(g, x, layout)
    outputs = []
    if node.flag("is_training"):
        if node.real("exponential_avg_factor") != 1:
            raise UnsupportedError("", "expected batch statistics alone, got a running average of them")
        mean, variance, unbiased = _statistics(g, x, scale)
        outputs = [mean, unbiased]
    else:
        outputs = [mean, variance]
    # Before opset 15 all have to be of one type: the wider one of the statistics.
    same = g.cast(x, scale.dtype) if g.opset < 15 else x
    y = g.op("BatchNormalization", same, scale, offset, mean, variance, epsilon=node.real("epsilon"))
    return [channels_last(g, g.cast(y, x.dtype), layout), *outputs]


@LOWERINGS.op("BatchNormWithGlobalNormalization", attrs={"variance_epsilon", "scale_after_normalization"})
def batch_norm_with_global_normalization(
    node: OpNode, g: Builder, x: Value, mean: Value, variance: Value, beta: Value, gamma: Value
) -> Value:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, x [N, H, W, C]; gamma may be left out."""
    scale = gamma if node.flag("scale_after_normalization") else filled(g, 1, gamma, g.shape(gamma), gamma.dims)
    y = g.op(
        "BatchNormalization", channels_first(g, x, "NHWC"), scale, beta, mean, variance,
        epsilon=node.real("variance_epsilon"),
    )  # fmt: skip
    return channels_last(g, y, "NHWC")


def _statistics(g: Builder, x: Value, like: Value) -> tuple[Value, Value, Value]:
    """Mean, variance, and variance over one less than the count, of x [N, C, ...] by channel."""
    axes = [axis for axis in range(g.rank(x)) if axis != 1]
    x = g.cast(x, like.dtype)
    mean = g.reduce("ReduceMean", x, axes, keep=True)
    centred = g.op("Sub", x, mean)
    variance = g.reduce("ReduceMean", g.op("Mul", centred, centred), axes, keep=False)
    count = g.reshape(g.cast(g.vector([g.times(*(g.size(x, axis) for axis in axes))]), like.dtype), [])
    one = g.scalar(1, like=like)
    fewer = g.op("Max", g.op("Sub", count, one), one)
    return g.squeeze(mean, axes), variance, g.op("Mul", variance, g.op("Div", count, fewer))


@LOWERINGS.op("LRN", attrs={"depth_radius", "bias", "alpha", "beta"})
def lrn(node: OpNode, g: Builder, x: Value) -> Value:
    """x / (bias + alpha * sum of squares of the channels around) ** beta; ONNX divides alpha by their number."""
    size = 2 * node.integer("depth_radius") + 1
    y = g.op(
        "LRN", channels_first(g, x, "NHWC"),
        size=size, alpha=node.real("alpha") * size, beta=node.real("beta"), bias=node.real("bias"),
    )  # fmt: skip
    return channels_last(g, y, "NHWC")
