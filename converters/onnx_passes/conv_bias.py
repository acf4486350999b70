"""A constant that is added to the channels of a convolution becomes the convolution's bias.

Add(Conv(x, w), b [.., M, 1, ...])  =  Conv(x, w, b [M])
"""

from __future__ import annotations

from tensorferry.formats.tensor import Tensor

from ..ir import Graph, Node
from ..views import reshaped
from .editing import Editor


def fuse_conv_bias(graph: Graph) -> Graph:
    """The graph with biases inside its convolutions."""
    editor = Editor(graph)
    for add in editor.of("Add"):
        for left, right in (add.inputs, add.inputs[::-1]):
            bias = editor.constant(right)
            conv = editor.lone_maker(left, "Conv") or editor.lone_maker(left, "ConvTranspose")
            if bias is not None and conv is not None and len(conv.inputs) == 2:
                channels = _channels(editor, conv)
                if channels is not None and _is_per_channel(editor, conv, bias, channels):
                    vector = editor.add_constant(f"{add.name}/bias", reshaped(bias, (channels,)))
                    editor.replace(add, conv.with_(name=add.name, inputs=(*conv.inputs, vector)), conv)
                    break
    return editor.graph()


def _channels(editor: Editor, conv: Node) -> int | None:
    """How many channels come out; None where the weights are no constant."""
    weights = editor.constant(conv.inputs[1])
    if weights is None:
        return None
    groups = conv.attrs.get("group", 1)
    assert isinstance(groups, int)
    return weights.shape[0] if conv.op == "Conv" else weights.shape[1] * groups


def _is_per_channel(editor: Editor, conv: Node, bias: Tensor, channels: int) -> bool:
    """Whether the bias has the channels in their place, and 1 everywhere else."""
    weights = editor.constant(conv.inputs[1])
    assert weights is not None
    spatial = weights.rank - 2
    shape = bias.shape
    if bias.size != channels or len(shape) < spatial + 1 or len(shape) > spatial + 2:
        return False
    return shape[-spatial - 1] == channels
