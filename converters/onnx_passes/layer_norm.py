"""Layer normalisation, written out in steps as TensorFlow has it, is one op.

    m = mean(x)  v = mean((x - m)^2)  r = 1 / sqrt(v + epsilon)         over the last dimension
    (x - m) * r * scale + offset                                        as BERT writes it
    x * (r * scale) + (offset - m * (r * scale))                        as tf.nn.batch_normalization does
    x * (r * scale) + (-m * (r * scale) + offset)                       as Keras 3 does
    = LayerNormalization(x, scale, offset)

The scale has to be there, [C] or [1, ..., C]; the offset may be missing in the first form.
"""

from __future__ import annotations

from dataclasses import dataclass

from tensorferry.formats.tensor import Tensor

from ..ir import Attr, Node
from ..views import reshaped
from .editing import Editor, Fusion, Unfit, either_way, other
from .layout import int_list


@dataclass(frozen=True)
class _Moments:
    """Where a normalisation begins: its input, the mean, the centred input, and 1 / deviation."""

    x: str
    mean: str
    centred: str
    inverse: str
    epsilon: float


def fuse_layer_norm(editor: Editor, inverse: Node) -> None:
    """Anchored at the Reciprocal, 1 / deviation."""
    root = editor.made(inverse.inputs[0], "Sqrt")
    shifted = editor.made(root.inputs[0], "Add")
    moments = either_way(shifted, lambda variance, epsilon: _moments(editor, inverse, variance, epsilon))
    try:
        last, *vectors = _centred_form(editor, moments)
    except Unfit:
        last, *vectors = _affine_form(editor, moments)
    names = [
        editor.add_constant(f"{last.name}/{part}", vector)
        for part, vector in zip(("scale", "offset"), vectors, strict=True)
        if vector is not None
    ]
    attrs: dict[str, Attr] = {"axis": -1, "epsilon": moments.epsilon}
    editor.replace(last, Node(last.name, "LayerNormalization", (moments.x, *names), attrs))


def _moments(editor: Editor, inverse: Node, variance: str, epsilon: str) -> _Moments:
    number = editor.number(epsilon)
    spread = editor.made(variance, "ReduceMean")
    square = editor.made(spread.inputs[0], "Mul")
    if square.inputs[0] != square.inputs[1]:
        raise Unfit("expected a square, got a product")
    centred = editor.made(square.inputs[0], "Sub")
    x, middle = centred.inputs
    mean = editor.made(middle, "ReduceMean")
    if mean.inputs[0] != x:
        raise Unfit("expected the mean of what it is taken from")
    for node in mean, spread:
        _check_over_last(editor, node, x)
    return _Moments(x, middle, square.inputs[0], f"{inverse.name}:0", number)


def _check_over_last(editor: Editor, mean: Node, x: str) -> None:
    axes = editor.integers(mean.inputs[1]) if len(mean.inputs) > 1 else int_list(mean, "axes")
    dims = editor.dims.get(x)
    last = (-1,) if dims is None else (-1, len(dims) - 1)
    if len(axes) != 1 or axes[0] not in last or not mean.attrs.get("keepdims", 1):
        raise Unfit(f"expected a mean over the last dimension, which stays, got one over {list(axes)}")


def _vector(editor: Editor, value: str, x: str) -> Tensor:
    """The constant `value` as a vector; Unfit if it has a number for anything but each place of x's last dimension."""
    tensor = editor.weights(value)
    if not tensor.rank or tensor.size != tensor.shape[-1] or (tensor.rank > 1 and tensor.rank > editor.rank(x)):
        raise Unfit(f"expected a vector, got {list(tensor.shape)}")
    return reshaped(tensor, (tensor.size,))


def _centred_form(editor: Editor, moments: _Moments) -> tuple[Node, Tensor, Tensor | None]:
    """(last node, scale, offset) of (x - m) * r * scale + offset, in any order of the factors."""
    product = editor.only_user(moments.inverse, "Mul")
    outer = editor.only_user(f"{product.name}:0", "Mul")
    factors = [other(product, moments.inverse), other(outer, f"{product.name}:0")]
    if moments.centred not in factors:
        raise Unfit("expected the centred input to be scaled")
    scale = _vector(editor, next((value for value in factors if value != moments.centred), ""), moments.x)
    try:
        sum_ = editor.only_user(f"{outer.name}:0", "Add")
        return sum_, scale, _vector(editor, other(sum_, f"{outer.name}:0"), moments.x)
    except Unfit:
        return outer, scale, None


def _affine_form(editor: Editor, moments: _Moments) -> tuple[Node, Tensor, Tensor | None]:
    """(last node, scale, offset) of x * g + the rest, g = r * scale."""
    factor = editor.only_user(moments.inverse, "Mul")
    scale, name = _vector(editor, other(factor, moments.inverse), moments.x), f"{factor.name}:0"
    products = {other(editor.nodes[user], name): editor.nodes[user] for user in editor.users[name]}
    if len(products) != 2 or moments.x not in products or any(node.op != "Mul" for node in products.values()):
        raise Unfit("expected the input and its mean to be scaled, and nothing else")
    whole = editor.only_user(f"{products.pop(moments.x).name}:0", "Add")
    ((mean, shift),) = products.items()
    rest = editor.only_user(f"{shift.name}:0", "Sub", "Add")
    offset = rest.inputs[0] if rest.op == "Sub" else other(rest, f"{shift.name}:0")
    if rest.op == "Add":
        mean = editor.made(mean, "Neg").inputs[0]
    if mean != moments.mean or offset == f"{shift.name}:0" or f"{rest.name}:0" not in whole.inputs:
        raise Unfit("expected the scaled input and the shifted mean to be added")
    return whole, scale, _vector(editor, offset, moments.x)


LAYER_NORM = Fusion("layer_norm", ("Reciprocal",), fuse_layer_norm, since=17)
