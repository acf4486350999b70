"""A constant that is added to the channels of a convolution becomes the convolution's bias.

Conv(x, w) + b                      = Conv(x, w, b [M])                 b [.., M, 1, ...] constant
Conv(x, w, a) + b                   = Conv(x, w, a + b)
"""

from __future__ import annotations

from typing import Any

from tensorferry.formats.tensor import Tensor

from ..ir import Node
from ..views import View, reshaped
from .editing import Editor, Fusion, Unfit, either_way

CONVOLUTIONS = ("Conv", "ConvTranspose")


def fuse_conv_bias(editor: Editor, add: Node) -> None:
    """Anchored at the Add."""
    either_way(add, lambda made, bias: _fuse(editor, add, made, bias))


def _fuse(editor: Editor, add: Node, made: str, bias: str) -> None:
    conv = editor.made_alone(made, *CONVOLUTIONS)
    added = per_channel(editor, conv, bias)
    vector = reshaped(added, (added.size,))
    if len(conv.inputs) > 2:
        vector = View(vector.dtype, vector.shape, _sum, editor.weights(conv.inputs[2]), vector)
    title = editor.add_constant(f"{add.name}/bias", vector)
    editor.replace(add, conv.with_(name=add.name, inputs=(*conv.inputs[:2], title)), conv)


def _sum(a: Any, b: Any) -> Any:
    return a + b


def per_channel(editor: Editor, conv: Node, value: str) -> Tensor:
    """The constant `value`, if it has an element for each channel of a convolution, and these in their place."""
    tensor, weights = editor.weights(value), editor.weights(conv.inputs[1])
    groups = conv.attrs.get("group", 1)
    assert isinstance(groups, int)
    channels = weights.shape[0] if conv.op == "Conv" else weights.shape[1] * groups
    spatial = weights.rank - 2
    in_place = spatial < tensor.rank <= spatial + 2 and tensor.shape[-spatial - 1] == channels
    if tensor.size != channels or not in_place:
        raise Unfit(f"expected {channels} numbers, one a channel, got {list(tensor.shape)}")
    return tensor


CONV_BIAS = Fusion("conv_bias", ("Add",), fuse_conv_bias)
