"""Batch normalisation with constant statistics goes into the weights of the convolution before it.

    BN(y) = (y - mean) * f + offset        with f = scale / sqrt(variance + epsilon)
    BN(Conv(x, w, b)) = Conv(x, w * f, (b - mean) * f + offset)

The new weights are computed in float64, when they are written.
"""

from __future__ import annotations

from typing import Any

from tensorferry.formats.dtype import FLOAT64
from tensorferry.formats.tensor import Tensor

from ..ir import Graph
from ..views import View
from .editing import Editor


def fold_batch_norm(graph: Graph) -> Graph:
    """The graph with as few batch normalisations as can be."""
    editor = Editor(graph)
    for norm in editor.of("BatchNormalization"):
        conv = editor.lone_maker(norm.inputs[0], "Conv")
        if conv is None or norm.attrs.get("training_mode"):
            continue
        tensors = [editor.constant(value) for value in (*norm.inputs[1:5], *conv.inputs[1:])]
        if not all(tensor is not None and tensor.dtype.is_floating for tensor in tensors):
            continue
        scale, offset, mean, variance, weights, *bias = (tensor for tensor in tensors if tensor is not None)
        if any(tensor.shape != (weights.shape[0],) for tensor in (scale, offset, mean, variance)):
            continue
        epsilon = norm.attrs.get("epsilon", 1e-5)
        assert isinstance(epsilon, float)
        folded = editor.add_constant(f"{conv.name}/folded", _weights(weights, scale, variance, epsilon))
        shift = _bias(weights, scale, offset, mean, variance, bias, epsilon)
        fused = conv.with_(
            name=norm.name, inputs=(conv.inputs[0], folded, editor.add_constant(f"{norm.name}/bias", shift))
        )
        editor.replace(norm, fused, conv)
    return editor.graph()


def _factor(scale: Any, variance: Any, epsilon: float) -> Any:
    double = FLOAT64.numpy()
    return scale.astype(double) / (variance.astype(double) + epsilon) ** 0.5


def _weights(weights: Tensor, scale: Tensor, variance: Tensor, epsilon: float) -> Tensor:
    def make(w: Any, s: Any, v: Any) -> Any:
        factor = _factor(s, v, epsilon).reshape(-1, *[1] * (w.ndim - 1))
        return (w * factor).astype(weights.dtype.numpy())

    return View(weights.dtype, weights.shape, make, weights, scale, variance)


def _bias(
    weights: Tensor, scale: Tensor, offset: Tensor, mean: Tensor, variance: Tensor, bias: list[Tensor], epsilon: float
) -> Tensor:
    def make(s: Any, o: Any, m: Any, v: Any, *b: Any) -> Any:
        centred = (b[0] if b else 0) - m.astype(FLOAT64.numpy())
        return (centred * _factor(s, v, epsilon) + o).astype(weights.dtype.numpy())

    return View(weights.dtype, scale.shape, make, scale, offset, mean, variance, *bias)
