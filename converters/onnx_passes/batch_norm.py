"""What scales the channels after a convolution goes into its weights: batch normalisation, above all.

    Conv(x, w, b) * f                   = Conv(x, w * f, b * f)             f [.., M, 1, ...] constant
    BN(y) = (y - mean) * f + offset        with f = scale / sqrt(variance + epsilon)
    BN(Conv(x, w, b))                   = Conv(x, w * f, (b - mean) * f + offset)

The new weights are computed in float64, when they are written.
"""

from __future__ import annotations

from typing import Any

from tensorferry.formats.dtype import FLOAT64
from tensorferry.formats.tensor import Tensor

from ..ir import Node
from ..views import View, reshaped
from .conv_bias import per_channel
from .editing import Editor, Fusion, Unfit, either_way


def fold_batch_norm(editor: Editor, node: Node) -> None:
    """Anchored at the BatchNormalization, or at the Mul."""
    if node.op == "Mul":
        either_way(node, lambda made, factor: _fold_factor(editor, node, made, factor))
        return
    conv = editor.made_alone(node.inputs[0], "Conv")
    if node.attrs.get("training_mode"):
        raise Unfit("expected moments that are given, got those of the batch")
    scale, offset, mean, variance = (editor.weights(value) for value in node.inputs[1:5])
    weights, *bias = (editor.weights(value) for value in conv.inputs[1:])
    if any(tensor.shape != (weights.shape[0],) for tensor in (scale, offset, mean, variance)):
        raise Unfit(f"expected moments for {weights.shape[0]} channels")
    epsilon = node.attrs.get("epsilon", 1e-5)
    assert isinstance(epsilon, float)

    def factor(s: Any, v: Any) -> Any:
        return _double(s) / (_double(v) + epsilon) ** 0.5

    def shift(s: Any, o: Any, m: Any, v: Any, *b: Any) -> Any:
        return (((b[0] if b else 0) - _double(m)) * factor(s, v) + o).astype(weights.dtype.numpy())

    folded = _scaled(weights, factor, scale, variance)
    moved = View(weights.dtype, scale.shape, shift, scale, offset, mean, variance, *bias)
    _replace(editor, node, conv, folded, moved)


def _fold_factor(editor: Editor, node: Node, made: str, factor: str) -> None:
    conv = editor.made_alone(made, "Conv")
    weights, *bias = (editor.weights(value) for value in conv.inputs[1:])
    flat = reshaped(per_channel(editor, conv, factor), (weights.shape[0],))
    folded = _scaled(weights, _double, flat)
    moved = [_scaled(old, _double, flat) for old in bias]
    _replace(editor, node, conv, folded, *moved)


def _replace(editor: Editor, node: Node, conv: Node, *operands: Tensor) -> None:
    names = [
        editor.add_constant(f"{conv.name}/{part}", tensor)
        for part, tensor in zip(("folded", "bias"), operands, strict=False)
    ]
    editor.replace(node, conv.with_(name=node.name, inputs=(conv.inputs[0], *names)), conv)


def _scaled(weights: Tensor, factor: Any, *sources: Tensor) -> Tensor:
    """Weights [M, ...] times `factor(*sources)` [M]."""

    def make(w: Any, *arrays: Any) -> Any:
        return (w * factor(*arrays).reshape(-1, *[1] * (w.ndim - 1))).astype(weights.dtype.numpy())

    return View(weights.dtype, weights.shape, make, weights, *sources)


def _double(array: Any) -> Any:
    return array.astype(FLOAT64.numpy())


BATCH_NORM = Fusion("batch_norm", ("BatchNormalization", "Mul"), fold_batch_norm)
