"""A multiplication and an addition by channel, with no convolution before them, are one pass over the memory.

    x * s + b                           = BatchNormalization(x, scale s, offset b, mean 0, variance 1), epsilon 0

for x [N, C, ...] of 3 dimensions or more, and constants s, b with C elements, [C, 1, ...] or [1, C, 1, ...].
"""

from __future__ import annotations

from tensorferry.formats.tensor import ArrayTensor, Tensor

from ..ir import Node
from ..views import reshaped
from .editing import Editor, Fusion, Unfit, either_way


def fuse_affine(editor: Editor, add: Node) -> None:
    """Anchored at the Add."""
    either_way(add, lambda made, offset: _fuse(editor, add, made, offset))


def _fuse(editor: Editor, add: Node, made: str, offset: str) -> None:
    product = editor.made_alone(made, "Mul")
    x, scale = either_way(product, lambda x, factor: (x, _by_channel(editor, factor, editor.rank(x))))
    shift = _by_channel(editor, offset, editor.rank(x))
    if scale.shape != shift.shape or scale.dtype != shift.dtype:
        raise Unfit(f"expected as many factors as summands, got {scale.size} and {shift.size}")
    operands = {"scale": scale, "offset": shift, "mean": _splat(scale, 0), "variance": _splat(scale, 1)}
    names = [editor.add_constant(f"{add.name}/{part}", tensor) for part, tensor in operands.items()]
    editor.replace(add, Node(add.name, "BatchNormalization", (x, *names), {"epsilon": 0.0}), product)


def _by_channel(editor: Editor, value: str, rank: int) -> Tensor:
    tensor = editor.weights(value)
    shape = (1,) * (rank - tensor.rank) + tensor.shape
    if rank < 3 or len(shape) != rank or tensor.size != shape[1] or tensor.size < 2:
        raise Unfit(f"expected numbers by channel of {rank} dimensions, got {list(tensor.shape)}")
    return reshaped(tensor, (tensor.size,))


def _splat(like: Tensor, value: int) -> Tensor:
    import numpy as np

    return ArrayTensor(np.full(like.shape, value, like.dtype.numpy()), like.dtype)


AFFINE = Fusion("affine", ("Add",), fuse_affine, since=15)
