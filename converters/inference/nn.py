"""Rules of neural network ops: convolutions, pooling, normalisations, losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..ops import OpNode, OpTable
from .array import dims_of_entries
from .dims import Dim, Dims, add, ceil_divide, floor_divide, merge, merge_dims, multiply, subtract
from .facts import Fact, Result, dim_at, same, unknown, with_rank
from .values import Value

RULES: OpTable[Callable[..., Result]] = OpTable("inference rule")

for _op in "BiasAddV1", "Softmax", "LogSoftmax":
    RULES.add(_op, same)
RULES.add("BiasAdd", same, {"data_format"})
RULES.add("LRN", same, {"depth_radius", "bias", "alpha", "beta"})


def window(size: Dim, kernel: Dim, stride: int, padding: str, dilation: int = 1, explicit: Sequence[int] = ()) -> Dim:
    """The output size of a window that slides over `size` places."""
    if padding == "SAME":
        return ceil_divide(size, stride)
    reach = add(multiply(subtract(kernel, 1), dilation), 1)
    return floor_divide(add(subtract(size, reach), *explicit, stride), stride)


def spatial_axes(layout: str) -> list[int]:
    """The axes of `NHWC`, `NCDHW`, ... that are neither batch nor channel."""
    return [axis for axis, letter in enumerate(layout) if letter not in "NC"]


def _convolved(node: OpNode, x: Value, kernel: Sequence[Dim], channels: Dim) -> Dims:
    layout = node.text("data_format")
    dims = list(with_rank(node, x, len(layout)))
    strides, dilations = node.integers("strides"), node.integers("dilations")
    explicit = node.integers("explicit_paddings") if node.has("explicit_paddings") else ()
    for at, axis in enumerate(spatial_axes(layout)):
        around = explicit[2 * axis : 2 * axis + 2]
        dims[axis] = window(dims[axis], kernel[at], strides[axis], node.text("padding"), dilations[axis], around)
    dims[layout.index("C")] = channels
    return tuple(dims)


_DEPTHWISE = {"strides", "padding", "explicit_paddings", "data_format", "dilations"}
_CONV = {*_DEPTHWISE, "use_cudnn_on_gpu"}


@RULES.op("Conv2D", "Conv3D", attrs=_CONV)
def conv(node: OpNode, x: Value, weights: Value) -> Result:
    """x [N, spatial..., C] and weights [spatial..., C / groups, M] -> [N, spatial..., M]."""
    kernel = with_rank(node, weights, len(node.text("data_format")))
    return _convolved(node, x, kernel[:-2], kernel[-1])


@RULES.op("DepthwiseConv2dNative", attrs=_DEPTHWISE)
def depthwise_conv(node: OpNode, x: Value, weights: Value) -> Result:
    """Weights [height, width, C, multiplier] -> C * multiplier channels."""
    kernel = with_rank(node, weights, 4)
    return _convolved(node, x, kernel[:2], multiply(kernel[2], kernel[3]))


@RULES.op("Conv2DBackpropInput", "DepthwiseConv2dNativeBackpropInput", "Conv3DBackpropInputV2", attrs=_CONV)
def conv_backprop_input(node: OpNode, sizes: Value, weights: Value, gradient: Value) -> Result:
    """A transposed convolution: its shape is the first input's contents, the batch is the gradient's."""
    layout = node.text("data_format")
    dims = list(dims_of_entries(sizes) or unknown(len(layout)))
    channel = layout.index("C")
    if len(dims) == len(layout) - 2:
        # Height and width alone.
        dims = [None, None, *dims] if channel == 1 else [None, *dims, None]
    if len(dims) == len(layout):
        dims[0] = merge(dims[0], dim_at(gradient, 0))
        dims[channel] = merge(dims[channel], dim_at(weights, -2))
    return tuple(dims)


@RULES.op("Conv2DBackpropFilter", "DepthwiseConv2dNativeBackpropFilter", "Conv3DBackpropFilterV2", attrs=_CONV)
def conv_backprop_filter(node: OpNode, x: Value, sizes: Value, gradient: Value) -> Result:
    """The shape is the second input's contents."""
    return dims_of_entries(sizes)


@RULES.op(
    "MaxPool", "AvgPool", "MaxPool3D", "AvgPool3D",
    attrs={"ksize", "strides", "padding", "explicit_paddings", "data_format"},
)  # fmt: skip
def pool(node: OpNode, x: Value) -> Result:
    """A window over each dimension."""
    layout = node.text("data_format")
    explicit = node.integers("explicit_paddings") if node.has("explicit_paddings") else ()
    dims = with_rank(node, x, 5 if node.op.endswith("3D") else 4)
    if layout == "NCHW_VECT_C":
        return unknown(5)
    return _pooled(dims, node.integers("ksize"), node.integers("strides"), node.text("padding"), explicit)


def _pooled(
    dims: Sequence[Dim], sizes: Sequence[int], strides: Sequence[int], padding: str, explicit: Sequence[int] = ()
) -> Dims:
    if not len(dims) == len(sizes) == len(strides):
        return None
    return tuple(
        window(dim, size, stride, padding, 1, explicit[2 * i : 2 * i + 2]) if size != 1 or stride != 1 else dim
        for i, (dim, size, stride) in enumerate(zip(dims, sizes, strides, strict=True))
    )


@RULES.op("MaxPoolV2", attrs={"padding", "data_format"})
def max_pool_v2(node: OpNode, x: Value, sizes: Value, strides: Value) -> Result:
    """MaxPool with its window as inputs."""
    window_sizes, steps = sizes.integers(), strides.integers()
    dims = with_rank(node, x, 4)
    return (
        unknown(4)
        if window_sizes is None or steps is None
        else _pooled(dims, window_sizes, steps, node.text("padding"))
    )


@RULES.op("MaxPoolWithArgmax", attrs={"ksize", "strides", "padding", "include_batch_in_index"})
def max_pool_with_argmax(node: OpNode, x: Value) -> Result:
    """The maxima, and where in x they are, as a flat index."""
    dims = _pooled(with_rank(node, x, 4), node.integers("ksize"), node.integers("strides"), node.text("padding"))
    return [dims, dims]


@RULES.op("Dilation2D", attrs={"strides", "rates", "padding"})
def dilation(node: OpNode, x: Value, weights: Value) -> Result:
    """A convolution with max in place of sum."""
    dims, kernel = list(with_rank(node, x, 4)), with_rank(node, weights, 3)
    strides, rates = node.integers("strides"), node.integers("rates")
    for axis in 1, 2:
        dims[axis] = window(dims[axis], kernel[axis - 1], strides[axis], node.text("padding"), rates[axis])
    return tuple(dims)


@RULES.op("ExtractImagePatches", attrs={"ksizes", "strides", "rates", "padding"})
def extract_image_patches(node: OpNode, x: Value) -> Result:
    """x [N, H, W, C] -> [N, rows, columns, height * width * C] of each window."""
    dims = list(with_rank(node, x, 4))
    sizes, strides, rates = node.integers("ksizes"), node.integers("strides"), node.integers("rates")
    for axis in 1, 2:
        dims[axis] = window(dims[axis], sizes[axis], strides[axis], node.text("padding"), rates[axis])
    dims[3] = multiply(dims[3], sizes[1], sizes[2])
    return tuple(dims)


@RULES.op(
    "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3",
    attrs={"epsilon", "exponential_avg_factor", "data_format", "is_training"},
)  # fmt: skip
def fused_batch_norm(node: OpNode, x: Value, scale: Value, offset: Value, mean: Value, variance: Value) -> Result:
    """The normalised input, then statistics [C]; V3 has one more for its gradient."""
    channel = dim_at(x, node.text("data_format").index("C"))
    statistic = merge_dims(scale.dims, None if channel is None else (channel,))
    outputs: list[Dims | Fact] = [x.dims, statistic, statistic, statistic, statistic]
    if node.op in ("FusedBatchNorm", "FusedBatchNormV2"):
        return outputs
    return [*outputs, None]


@RULES.op("BatchNormWithGlobalNormalization", attrs={"variance_epsilon", "scale_after_normalization"})
def batch_norm_with_global_normalization(node: OpNode, x: Value, *statistics: Value) -> Result:
    """The same shape."""
    return x.dims


@RULES.op("SoftmaxCrossEntropyWithLogits")
def softmax_cross_entropy(node: OpNode, logits: Value, labels: Value) -> Result:
    """Losses [batch], gradients as the logits."""
    dims = merge_dims(logits.dims, labels.dims)
    return [dims and dims[:1], dims]


@RULES.op("SparseSoftmaxCrossEntropyWithLogits")
def sparse_softmax_cross_entropy(node: OpNode, logits: Value, labels: Value) -> Result:
    """Losses [batch], gradients as the logits."""
    return [merge_dims(labels.dims, logits.dims and logits.dims[:1]), logits.dims]


for _op, _attrs in {
    "FakeQuantWithMinMaxArgs": {"min", "max", "num_bits", "narrow_range"},
    "FakeQuantWithMinMaxVars": {"num_bits", "narrow_range"},
    "FakeQuantWithMinMaxVarsPerChannel": {"num_bits", "narrow_range"},
    "QuantizeAndDequantize": {"signed_input", "num_bits", "range_given", "input_min", "input_max"},
    "QuantizeAndDequantizeV2": {"signed_input", "num_bits", "range_given", "round_mode", "narrow_range", "axis"},
    "QuantizeAndDequantizeV3": {"signed_input", "range_given", "narrow_range", "axis"},
    "QuantizeAndDequantizeV4": {"signed_input", "num_bits", "range_given", "round_mode", "narrow_range", "axis"},
}.items():
    RULES.add(_op, same, _attrs)


@RULES.op("BiasAddGrad", attrs={"data_format"})
def bias_add_grad(node: OpNode, gradient: Value) -> Result:
    """One number for each channel."""
    return (dim_at(gradient, 1 if node.text("data_format").startswith("NC") else -1),)


RULES.add("DataFormatVecPermute", same, {"src_format", "dst_format"})
RULES.add("DataFormatDimMap", same, {"src_format", "dst_format"})
